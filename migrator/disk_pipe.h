/* SPDX-License-Identifier: Apache-2.0
 *
 * A pipe for the bytes that QEMU's NBD client at the source and its NBD server at the target say
 * to each other about one disk: from a local socket over a data connection of its own (link.h,
 * streams from DISK_STREAM on), sealed, to a local socket on the other side. It knows nothing of
 * NBD.
 *
 * When the connection is lost both ends keep what the other has not taken, and wait for
 * another one, so that neither QEMU notices; `acknowledged` counts bytes here, not frames. Sequences
 * begin anew with every connection, as its keys do.
 *
 * It runs on the event loop, a few frames at a time and after everything else: it must not keep a
 * commit waiting.
 */
#ifndef MIGRATOR_DISK_PIPE_H
#define MIGRATOR_DISK_PIPE_H

#include <systemd/sd-event.h>

#include "common/cleanup.h"
#include "migrator/link.h"

#define DISK_STREAM 256 /* of the first disk */

struct disk_pipe;

enum disk_pipe_event {
	DISK_PIPE_UP,     /* bytes can flow: for the first time, or again */
	DISK_PIPE_LOST,   /* the connection; another one may come */
	DISK_PIPE_CLOSED, /* by the QEMU on this side: nothing more will flow */
};

/* The pipe may be freed in it. */
typedef void (*disk_pipe_fn)(struct disk_pipe *p, enum disk_pipe_event event, void *userdata);

/* One without a connection and without a QEMU. `link.fd` is not looked at. Both ends have to say the
 * same `disk_bytes`. */
int disk_pipe_new(sd_event *loop, const struct link_config *link, uint64_t disk_bytes,
		  disk_pipe_fn fn, void *userdata, struct disk_pipe **ret);
void disk_pipe_free(struct disk_pipe *p);
DEFINE_CLEANUP(struct disk_pipe, disk_pipe_free)

/* The socket that leads to the QEMU on this side; taken over when this returns 0. Once. */
int disk_pipe_join(struct disk_pipe *p, int local_fd);

/* The source's end: goes on over a connected socket, which is taken over when this returns 0. Each
 * has a later incarnation than the one before. */
int disk_pipe_connect(struct disk_pipe *p, int fd, uint32_t incarnation, struct mg_error *err);

/* The target's end: the same for a socket that a HELLO has come from; errors as
 * link_answer_hello() and link_check_next(), which change nothing. */
int disk_pipe_accept(struct disk_pipe *p, int fd, const struct link_hello *hello,
		     struct mg_error *err);

/* Why the connection was lost. */
const struct mg_error *disk_pipe_loss(const struct disk_pipe *p);

/* Bytes written to and read from connections. */
uint64_t disk_pipe_wire_bytes(const struct disk_pipe *p);

#endif

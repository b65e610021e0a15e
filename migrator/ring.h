/* SPDX-License-Identifier: Apache-2.0
 *
 * An io_uring and the operations in flight on it, each with the function that
 * is called when it is done. One thread uses a ring. File descriptors must not
 * be O_NONBLOCK: io_uring waits for them itself.
 */
#ifndef MIGRATOR_RING_H
#define MIGRATOR_RING_H

#include <liburing.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/error.h"

struct ring {
	struct io_uring uring;
	unsigned pending;
	bool open;
};

struct ring_op {
	/* res as from the system call: bytes, or a negative errno. The operation
	 * may be started again from inside. */
	void (*done)(struct ring_op *op, int res);
	bool pending;
};

#define ring_container(op, type, member) \
	((type *)(void *)((char *)(op) - offsetof(type, member)))

int ring_init(struct ring *ring, struct mg_error *err);

/* Cancels what is in flight, waits until it is over (each `done` is called) and
 * closes the ring. */
void ring_exit(struct ring *ring);

/* These only prepare; ring_run() submits. Buffers and op live until done. */
void ring_recv(struct ring *ring, struct ring_op *op, int fd, void *buf, size_t len);
void ring_send(struct ring *ring, struct ring_op *op, int fd, const void *buf, size_t len);
void ring_write(struct ring *ring, struct ring_op *op, int fd, const void *buf, size_t len,
		off_t offset);
void ring_poll(struct ring *ring, struct ring_op *op, int fd, short events);

/* Submits, waits until something is done or `timeout_ns` have passed (0: does
 * not wait), and calls what is done. Returns how many were, or a negative errno. */
int ring_run(struct ring *ring, uint64_t timeout_ns);

#endif

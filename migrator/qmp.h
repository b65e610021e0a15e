/* SPDX-License-Identifier: Apache-2.0
 *
 * A client of QEMU's machine protocol (QMP: QEMU docs/interop/qmp-spec),
 * asynchronous, on an sd-event loop and a unix socket.
 *
 * Commands are answered in any order and matched by id; each has a timeout,
 * because QEMU's monitor is silent while its main loop is blocked. A connection
 * that breaks fails all commands that are open with -ECONNRESET and calls
 * on_closed once.
 */
#ifndef MIGRATOR_QMP_H
#define MIGRATOR_QMP_H

#include <jansson.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "common/cleanup.h"
#include "common/error.h"

#define QMP_LINE_MAX ((size_t)16 << 20) /* query-qmp-schema is some 200 KB */

struct qmp;

struct qmp_handlers {
	/* After greeting and qmp_capabilities; version as "7.2.22". */
	void (*on_ready)(struct qmp *q, const char *version, void *userdata);
	/* `data` is an object or NULL, borrowed; `utc_ns` is QEMU's own timestamp. */
	void (*on_event)(struct qmp *q, const char *event, json_t *data, uint64_t utc_ns,
			 void *userdata);
	/* The connection is gone; the client may be freed here. -ECONNRESET: QEMU
	 * went or closed it; -EPROTO, -EMSGSIZE: it sent what is no QMP, or half a line. */
	void (*on_closed)(struct qmp *q, int error, void *userdata);
};

/* r is 0 and `result` the "return" value (borrowed), or r is a negative errno
 * and `err` says why: QEMU's own words (-EREMOTEIO), -ETIMEDOUT, -ECONNRESET. */
typedef void (*qmp_reply_fn)(struct qmp *q, int r, json_t *result, const struct mg_error *err,
			     void *userdata);

/* Connects to the unix socket at `path`; what follows comes through the
 * handlers (copied; each may be NULL). Returns -ENOENT or -ECONNREFUSED when
 * nobody listens. A monitor serves one client: while another has it, the
 * connection is made but no greeting comes, so whoever cannot wait for ever
 * sets a timer until on_ready. */
int qmp_connect(sd_event *loop, const char *path, const struct qmp_handlers *handlers,
		void *userdata, struct qmp **ret);

/* The same on a connected socket, which is taken over on success. */
int qmp_attach(sd_event *loop, int fd, const struct qmp_handlers *handlers, void *userdata,
	       struct qmp **ret);

/* Commands still open are forgotten, not answered. Safe inside every callback.
 * NULL is fine. */
void qmp_free(struct qmp *q);
DEFINE_CLEANUP(struct qmp, qmp_free)

/* Sends a command. `arguments` (may be NULL) is stolen, also on failure. fn may
 * be NULL; it is never called before this returns. -ENOTCONN before on_ready and
 * after the connection is gone. A command that timed out may still be carried
 * out by QEMU; its late answer is dropped. */
int qmp_command(struct qmp *q, const char *name, json_t *arguments, uint64_t timeout_ns,
		qmp_reply_fn fn, void *userdata);

/* Sends a command with a file descriptor (SCM_RIGHTS), as getfd wants it. The
 * descriptor remains the caller's. */
int qmp_command_with_fd(struct qmp *q, const char *name, json_t *arguments, int fd,
			uint64_t timeout_ns, qmp_reply_fn fn, void *userdata);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * The process behind the monitor of a QEMU that somebody else has started.
 */
#ifndef MIGRATOR_GUEST_FOREIGN_H
#define MIGRATOR_GUEST_FOREIGN_H

#include <sys/types.h>

#include "common/error.h"

/* Who listens on the socket at `path`: whoever made it, by SO_PEERCRED of unix(7).
 * -ENOENT and -ECONNREFUSED: nobody; -ESRCH: who made it is no more. */
int guest_foreign_find(const char *path, pid_t *ret_pid, int *ret_pidfd, struct mg_error *err);

/* Connects to where QEMU waits for a stream, "unix:PATH" or "tcp:ADDRESS:PORT" as in its -incoming. The
 * socket is blocking. -EINVAL for any other address; -ETIMEDOUT after a second. */
int guest_foreign_connect(const char *address, int *ret, struct mg_error *err);

#endif

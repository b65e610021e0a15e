/* SPDX-License-Identifier: Apache-2.0
 *
 * How a migration stream begins, read without taking it: what has to be known before
 * anybody can be asked to take it.
 */
#ifndef MIGRATOR_STREAM_HEAD_H
#define MIGRATOR_STREAM_HEAD_H

#include "migrator/ramstream.h"

struct stream_head {
	bool returns; /* the source listens on a return path, and waits there for SHUT */
	struct ramstream_block ram; /* the largest block */
};

/* Looks at what lies in a unix socket, and leaves it there. Returns 1, 0 when more has to
 * come first, -ECONNRESET when it was closed, or as ramstream_feed(). */
int stream_head_peek(int fd, struct stream_head *ret, struct mg_error *err);

#endif

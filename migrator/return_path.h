/* SPDX-License-Identifier: Apache-2.0
 *
 * The return path of QEMU's migration: what the destination says to the source
 * (QEMU migration/migration.c, MIG_RP_MSG_*): be16 type, be16 length, data.
 */
#ifndef MIGRATOR_RETURN_PATH_H
#define MIGRATOR_RETURN_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

enum return_path_type {
	RETURN_PATH_SHUT = 1, /* be32: 0 when everything was loaded */
	RETURN_PATH_PONG = 2, /* be32 of the PING */
	/* Post-copy: pages that the guest waits for. be64 offset, be32 length, str8 block; or, of
	 * the block of the last one, without it. */
	RETURN_PATH_REQ_PAGES_ID = 3,
	RETURN_PATH_REQ_PAGES = 4,
};

#define RETURN_PATH_MAX 272 /* bytes of a message */

/* The number of a PING of ours, put behind POSTCOPY_ADVISE: by its PONG the target's QEMU has
 * emptied its memory, and pages may be placed there. */
#define RETURN_PATH_ADVISED 0x74676164U

/* Prepares our end of a socketpair with QEMU: io_uring wants it blocking. */
void return_path_tune(int fd);

/* Writes one message at once, past any ring: 8 bytes into a socket that QEMU
 * reads all the time. Returns 0 or a negative errno; then nothing was written. */
int return_path_send(int fd, enum return_path_type type, uint32_t value);

struct return_path_reader {
	bool post_copy; /* pages may be asked for */
	uint8_t held[RETURN_PATH_MAX];
	size_t have; /* bytes of the message that is being read */
	size_t len;  /* of the one that was read last, in `held` until the next call */
	uint8_t block[256];
	size_t block_len; /* str8 of the last request's; 0: there was none */
};

/* Reads one message from the bytes at *data and moves it on. Returns 1, 0 when
 * more bytes are needed, or -EPROTO for what no destination says then. Each request for
 * pages is made one that names its block. The value is that of SHUT and PONG. */
int return_path_read(struct return_path_reader *r, const uint8_t **data, size_t *len,
		     enum return_path_type *ret_type, uint32_t *ret_value, struct mg_error *err);

/* What the target's QEMU has said in post-copy, for its way to the source's. What was under way
 * when the connection was lost is said again: all that is still kept, since QEMU passes over a
 * request that it has met. Those that wait are never so many: one a thread of QEMU. */
#define RETURN_LOG_KEPT 256

struct return_log {
	struct return_log_message {
		uint16_t len;
		uint8_t bytes[RETURN_PATH_MAX];
	} messages[RETURN_LOG_KEPT];
	uint64_t made, taken; /* counts of messages */
};

void return_log_add(struct return_log *l, const uint8_t *message, size_t len);

/* Writes whole messages that were not taken yet, as many as fit. Returns their length. */
size_t return_log_take(struct return_log *l, uint8_t *out, size_t size);

void return_log_again(struct return_log *l);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * The return path of QEMU's migration: what the destination says to the source
 * (QEMU migration/migration.c, MIG_RP_MSG_*): be16 type, be16 length, data.
 */
#ifndef MIGRATOR_RETURN_PATH_H
#define MIGRATOR_RETURN_PATH_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

enum return_path_type {
	RETURN_PATH_SHUT = 1, /* be32: 0 when everything was loaded */
	RETURN_PATH_PONG = 2, /* be32 of the PING */
};

/* Prepares our end of a socketpair with QEMU: io_uring wants it blocking. */
void return_path_tune(int fd);

/* Writes one message at once, past any ring: 8 bytes into a socket that QEMU
 * reads all the time. Returns 0 or a negative errno; then nothing was written. */
int return_path_send(int fd, enum return_path_type type, uint32_t value);

struct return_path_reader {
	uint8_t held[8];
	size_t have;
};

/* Reads one message from the bytes at *data and moves it on. Returns 1, 0 when
 * more bytes are needed, or -EPROTO for what no destination without post-copy says. */
int return_path_read(struct return_path_reader *r, const uint8_t **data, size_t *len,
		     enum return_path_type *ret_type, uint32_t *ret_value, struct mg_error *err);

#endif

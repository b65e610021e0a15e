/* SPDX-License-Identifier: Apache-2.0
 *
 * The payload of a STREAM frame: bytes for the destination's QEMU as they are, or
 * u32 length and these bytes compressed, by LZ4 or, when both ends have the VM's last
 * tail, by Zstandard with that (FRAME_FLAG_LZ4, FRAME_FLAG_ZSTD).
 */
#ifndef MIGRATOR_STREAM_FRAME_H
#define MIGRATOR_STREAM_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "migrator/tail.h"

#define STREAM_FRAME_BYTES ((size_t)64 << 10) /* before compression */

/* `len` is from 1 to STREAM_FRAME_BYTES, `out` has as much; `last` may be NULL. Returns the
 * payload's length. */
size_t stream_frame_encode(const uint8_t *data, size_t len, struct tail *last, uint8_t *out,
			   uint16_t *ret_flags);

/* `out` has STREAM_FRAME_BYTES. Returns 0 or -EPROTO. */
int stream_frame_decode(const uint8_t *payload, size_t len, uint16_t flags, struct tail *last,
			uint8_t *out, size_t *ret_len, struct mg_error *err);

#endif

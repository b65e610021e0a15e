/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/stream_frame.h"

#include <errno.h>
#include <inttypes.h>
#include <lz4.h>
#include <string.h>

#include "common/cursor.h"
#include "migrator/frame.h"

#define LENGTH_SIZE sizeof(uint32_t)

size_t stream_frame_encode(const uint8_t *data, size_t len, uint8_t *out, uint16_t *ret_flags)
{
	struct wcursor c = wcursor_over(out, len);
	int n = 0;

	wcursor_u32(&c, (uint32_t)len);
	if (wcursor_ok(&c) && len > LENGTH_SIZE + 1) /* worth it only when it saves something */
		n = LZ4_compress_default((const char *)data, (char *)out + LENGTH_SIZE, (int)len,
					 (int)(len - LENGTH_SIZE - 1));
	if (n > 0) {
		*ret_flags = FRAME_FLAG_LZ4;
		return LENGTH_SIZE + (size_t)n;
	}
	memcpy(out, data, len);
	*ret_flags = 0;
	return len;
}

int stream_frame_decode(const uint8_t *payload, size_t len, uint16_t flags, uint8_t *out,
			size_t *ret_len, struct mg_error *err)
{
	struct rcursor c = rcursor_over(payload, len);
	uint32_t total;

	if (!(flags & FRAME_FLAG_LZ4)) {
		if (len > STREAM_FRAME_BYTES)
			return mg_error_set(err, -EPROTO, "STREAM: %zu bytes", len);
		memcpy(out, payload, len);
		*ret_len = len;
		return 0;
	}
	total = rcursor_u32(&c);
	if (!rcursor_ok(&c) || total == 0 || total > STREAM_FRAME_BYTES)
		return mg_error_set(err, -EPROTO, "STREAM: %" PRIu32 " bytes announced", total);
	if (LZ4_decompress_safe((const char *)c.at, (char *)out, (int)rcursor_left(&c),
				(int)total) != (int)total)
		return mg_error_set(err, -EPROTO, "STREAM: damaged LZ4 block");
	*ret_len = total;
	return 0;
}

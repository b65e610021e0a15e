/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/stream_frame.h"

#include <errno.h>
#include <inttypes.h>
#include <lz4.h>
#include <string.h>

#include "common/cursor.h"
#include "migrator/frame.h"

#define LENGTH_SIZE sizeof(uint32_t)

#define COMPRESSED (FRAME_FLAG_LZ4 | FRAME_FLAG_ZSTD)

/* Returns the length in `out`, 0 when it does not fit there. */
static size_t compress(const uint8_t *data, size_t len, struct tail *last, uint8_t *out,
		       size_t size)
{
	int n;

	if (last)
		return tail_compress(last, data, len, out, size);
	n = LZ4_compress_default((const char *)data, (char *)out, (int)len, (int)size);
	return n > 0 ? (size_t)n : 0;
}

size_t stream_frame_encode(const uint8_t *data, size_t len, struct tail *last, uint8_t *out,
			   uint16_t *ret_flags)
{
	struct wcursor c = wcursor_over(out, len);
	size_t n = 0;

	wcursor_u32(&c, (uint32_t)len);
	if (wcursor_ok(&c) && len > LENGTH_SIZE + 1) /* worth it only when it saves something */
		n = compress(data, len, last, out + LENGTH_SIZE, len - LENGTH_SIZE - 1);
	if (n > 0) {
		*ret_flags = last ? FRAME_FLAG_ZSTD : FRAME_FLAG_LZ4;
		return LENGTH_SIZE + n;
	}
	memcpy(out, data, len);
	*ret_flags = 0;
	return len;
}

static bool expand_lz4(const struct rcursor *in, uint8_t *out, size_t len)
{
	return LZ4_decompress_safe((const char *)in->at, (char *)out, (int)rcursor_left(in),
				   (int)len) == (int)len;
}

int stream_frame_decode(const uint8_t *payload, size_t len, uint16_t flags, struct tail *last,
			uint8_t *out, size_t *ret_len, struct mg_error *err)
{
	struct rcursor c = rcursor_over(payload, len);
	uint32_t total;

	if (!(flags & COMPRESSED)) {
		if (len > STREAM_FRAME_BYTES)
			return mg_error_set(err, -EPROTO, "STREAM: %zu bytes", len);
		memcpy(out, payload, len);
		*ret_len = len;
		return 0;
	}
	total = rcursor_u32(&c);
	if (!rcursor_ok(&c) || total == 0 || total > STREAM_FRAME_BYTES)
		return mg_error_set(err, -EPROTO, "STREAM: %" PRIu32 " bytes announced", total);
	switch (flags & COMPRESSED) {
	case FRAME_FLAG_LZ4:
		if (!expand_lz4(&c, out, total))
			return mg_error_set(err, -EPROTO, "STREAM: damaged LZ4 block");
		break;
	case FRAME_FLAG_ZSTD:
		if (!last)
			return mg_error_set(err, -EPROTO, "STREAM: no earlier tail is here");
		if (!tail_expand(last, c.at, rcursor_left(&c), out, total))
			return mg_error_set(err, -EPROTO, "STREAM: damaged Zstandard frame");
		break;
	default:
		return mg_error_set(err, -EPROTO, "STREAM: compressed in two ways");
	}
	*ret_len = total;
	return 0;
}

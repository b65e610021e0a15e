/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/frame.h"

#include <errno.h>
#include <inttypes.h>

#include "common/cursor.h"
#include "migrator/link.h"
#include "migrator/page_ask.h"

/* What each type may be: its payload's bounds and flags. */
static const struct {
	const char *name;
	uint32_t min, max;
	uint16_t flags;
} types[FRAME_TYPES] = {
	[FRAME_HELLO] = { "HELLO", 48, 48, 0 },
	[FRAME_WELCOME] = { "WELCOME", 48, 48, 0 },
	[FRAME_PAGES] = { "PAGES", 1, FRAME_PAYLOAD_MAX, 0 },
	[FRAME_STREAM] = { "STREAM", 1, FRAME_PAYLOAD_MAX,
			   FRAME_FLAG_LZ4 | FRAME_FLAG_ZSTD | FRAME_FLAG_TAIL |
				   FRAME_FLAG_POST_COPY },
	[FRAME_ACK] = { "ACK", 0, 0, 0 },
	[FRAME_ERROR] = { "ERROR", 0, FRAME_ERROR_MAX, 0 },
	[FRAME_DISK] = { "DISK", 1, FRAME_PAYLOAD_MAX, 0 },
	[FRAME_RETURN] = { "RETURN", 8, PAGE_ASK_SIZE, 0 },
	[FRAME_ASK] = { "ASK", sizeof(uint64_t), PAGE_ASK_SIZE, 0 },
	[FRAME_BARRIER] = { "BARRIER", 2 * sizeof(uint64_t), LINK_LANES_MAX * sizeof(uint64_t), 0 },
};

const char *frame_type_name(enum frame_type type)
{
	return (unsigned)type < FRAME_TYPES && types[type].name ? types[type].name : "unknown";
}

void frame_header_encode(const struct frame_header *h, uint8_t out[FRAME_HEADER_SIZE])
{
	struct wcursor c = wcursor_over(out, FRAME_HEADER_SIZE);

	wcursor_u32(&c, FRAME_MAGIC);
	wcursor_u8(&c, FRAME_VERSION);
	wcursor_u8(&c, (uint8_t)h->type);
	wcursor_u16(&c, h->flags);
	wcursor_u16(&c, h->stream);
	wcursor_u16(&c, 0);
	wcursor_u32(&c, h->length);
	wcursor_u64(&c, h->sequence);
	wcursor_u64(&c, h->acknowledged);
}

int frame_header_decode(const uint8_t in[FRAME_HEADER_SIZE], struct frame_header *ret,
			struct mg_error *err)
{
	struct rcursor c = rcursor_over(in, FRAME_HEADER_SIZE);
	uint32_t magic = rcursor_u32(&c);
	uint8_t version = rcursor_u8(&c), type = rcursor_u8(&c);
	struct frame_header h = { .type = type };
	uint16_t reserved;

	h.flags = rcursor_u16(&c);
	h.stream = rcursor_u16(&c);
	reserved = rcursor_u16(&c);
	h.length = rcursor_u32(&c);
	h.sequence = rcursor_u64(&c);
	h.acknowledged = rcursor_u64(&c);
	if (magic != FRAME_MAGIC)
		return mg_error_set(err, -EPROTO, "not a frame (magic %08" PRIx32 ")", magic);
	if (version != FRAME_VERSION)
		return mg_error_set(err, -EPROTONOSUPPORT, "frame of version %u, expected %d",
				    version, FRAME_VERSION);
	if (type >= FRAME_TYPES || !types[type].name)
		return mg_error_set(err, -EPROTO, "frame of unknown type %u", type);
	if (h.flags & ~types[type].flags || reserved)
		return mg_error_set(err, -EPROTO, "%s frame with flags %04x, reserved %04x",
				    types[type].name, h.flags, reserved);
	if (h.length < types[type].min || h.length > types[type].max)
		return mg_error_set(err, -EPROTO, "%s frame of %" PRIu32 " bytes",
				    types[type].name, h.length);
	*ret = h;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/frame_reader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LEAST_SPACE ((size_t)64 << 10)

int frame_reader_init(struct frame_reader *r, size_t size, const struct seal *seal,
		      uint16_t stream)
{
	*r = (struct frame_reader){ .size = size, .seal = seal, .stream = stream, .sequence = 1 };
	r->buf = malloc(size);
	return r->buf ? 0 : -ENOMEM;
}

void frame_reader_exit(struct frame_reader *r)
{
	free(r->buf);
	r->buf = NULL;
}

void frame_reader_restart(struct frame_reader *r, uint64_t sequence)
{
	r->start = r->end = 0;
	r->sequence = sequence;
}

uint8_t *frame_reader_space(struct frame_reader *r, size_t *ret_len)
{
	size_t have = r->end - r->start;

	/* empty is the rule, so this seldom moves more than a piece of a frame */
	if (have == 0 || (r->start && r->size - r->end < LEAST_SPACE)) {
		memmove(r->buf, r->buf + r->start, have);
		r->start = 0;
		r->end = have;
	}
	*ret_len = r->size - r->end;
	return r->buf + r->end;
}

void frame_reader_filled(struct frame_reader *r, size_t len)
{
	r->end += len;
}

int frame_reader_next(struct frame_reader *r, struct frame_header *ret_header,
		      const uint8_t **ret_payload, struct mg_error *err)
{
	uint8_t *wire = r->buf + r->start;
	size_t have = r->end - r->start, total;
	struct frame_header h;
	int res;

	if (have < FRAME_HEADER_SIZE)
		return 0;
	res = frame_header_decode(wire, &h, err);
	if (res < 0)
		return res;
	total = FRAME_HEADER_SIZE + h.length + FRAME_TRAILER_SIZE;
	if (total > r->size / 2)
		return mg_error_set(err, -EPROTO, "%s frame of %" PRIu32 " bytes in this direction",
				    frame_type_name(h.type), h.length);
	if (have < total)
		return 0;
	if (h.stream != r->stream)
		return mg_error_set(err, -EPROTO, "%s frame of stream %u on stream %u",
				    frame_type_name(h.type), h.stream, r->stream);
	if (!seal_open(r->seal, &h, wire))
		return mg_error_set(err, -EBADMSG, "%s frame %" PRIu64 " does not verify (%s)",
				    frame_type_name(h.type), h.sequence,
				    seal_cipher_name(r->seal->cipher));
	if (h.sequence != r->sequence)
		return mg_error_set(err, -EPROTO, "%s frame %" PRIu64 " where %" PRIu64
				    " was expected", frame_type_name(h.type), h.sequence,
				    r->sequence);
	r->sequence++;
	r->start += total;
	*ret_header = h;
	*ret_payload = wire + FRAME_HEADER_SIZE;
	return 1;
}

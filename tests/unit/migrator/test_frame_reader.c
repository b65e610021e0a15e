/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/frame_reader.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#define FRAMES 40

static const struct seal plain = { .cipher = SEAL_PLAIN };
static uint8_t wire[FRAMES * 4096];
static size_t ends[FRAMES];

/* STREAM frames of growing size; each is filled with its own number. */
static size_t make_frames(void)
{
	size_t at = 0;

	for (unsigned i = 0; i < FRAMES; i++) {
		struct frame_header h = { .type = FRAME_STREAM,
					  .length = 1 + i * 97,
					  .sequence = i + 1 };

		frame_header_encode(&h, wire + at);
		memset(wire + at + FRAME_HEADER_SIZE, (int)i, h.length);
		seal_frame(&plain, &h, wire + at);
		at += FRAME_HEADER_SIZE + h.length + FRAME_TRAILER_SIZE;
		ends[i] = at;
	}
	return at;
}

static unsigned read_all(struct frame_reader *r, unsigned n)
{
	struct frame_header h;
	const uint8_t *payload;
	struct mg_error err = { 0 };
	int res;

	while ((res = frame_reader_next(r, &h, &payload, &err)) > 0) {
		cr_assert_eq(h.length, 1 + n * 97);
		for (size_t i = 0; i < h.length; i++)
			cr_assert_eq(payload[i], n);
		n++;
	}
	cr_assert_eq(res, 0, "%s", err.text);
	return n;
}

Test(frame_reader, frames_come_whole_whatever_the_pieces)
{
	size_t len = make_frames();
	static const size_t steps[] = { 1, 31, 33, 1000, 5000, 65536 };

	for (size_t s = 0; s < sizeof(steps) / sizeof(steps[0]); s++) {
		struct frame_reader r;
		unsigned n = 0;

		/* the least that holds two of the largest: it has to move what it holds */
		cr_assert_eq(frame_reader_init(&r, 128 << 10, &plain, 0), 0);
		for (size_t at = 0; at < len;) {
			size_t room, want = len - at < steps[s] ? len - at : steps[s];
			uint8_t *space = frame_reader_space(&r, &room);

			cr_assert_gt(room, 0);
			want = want < room ? want : room;
			memcpy(space, wire + at, want);
			frame_reader_filled(&r, want);
			at += want;
			n = read_all(&r, n);
			cr_assert_eq(n < FRAMES ? ends[n] > at : at == len, 1);
		}
		cr_assert_eq(n, FRAMES);
		frame_reader_exit(&r);
	}
}

static void refused(size_t at, uint8_t flip, int code, const char *words)
{
	struct frame_reader r;
	struct frame_header h;
	const uint8_t *payload;
	struct mg_error err = { 0 };
	size_t room;
	uint8_t *space;

	cr_assert_eq(frame_reader_init(&r, 128 << 10, &plain, 0), 0);
	space = frame_reader_space(&r, &room);
	memcpy(space, wire, ends[1]);
	space[at] ^= flip;
	frame_reader_filled(&r, ends[1]);
	cr_assert_eq(frame_reader_next(&r, &h, &payload, &err), code, "%s", err.text);
	cr_assert_not_null(strstr(err.text, words), "'%s' is not in '%s'", words, err.text);
	frame_reader_exit(&r);
}

Test(frame_reader, refuses_what_is_not_next)
{
	struct frame_header h = { .type = FRAME_STREAM, .length = 1, .sequence = 2 };

	make_frames();
	refused(0, 1, -EPROTO, "not a frame");
	refused(4, 1, -EPROTONOSUPPORT, "version");
	refused(9, 1, -EPROTO, "of stream 1 on stream 0");
	refused(32, 1, -EBADMSG, "does not verify");
	refused(33, 1, -EBADMSG, "does not verify");
	refused(13, 4, -EPROTO, "in this direction");
	frame_header_encode(&h, wire);
	seal_frame(&plain, &h, wire);
	refused(9, 0, -EPROTO, "frame 2 where 1 was expected");
}

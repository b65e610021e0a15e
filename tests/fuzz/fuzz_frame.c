/* SPDX-License-Identifier: Apache-2.0
 *
 * What a peer says on a data connection. The first byte chooses the parser; the
 * checksum of frames is made right, or nothing would ever get past it.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "migrator/frame_reader.h"
#include "migrator/link.h"
#include "migrator/page_placer.h"
#include "migrator/return_path.h"
#include "migrator/stream_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define GUEST_PAGES 64

static struct page_placer *placer;
static uint8_t scratch[STREAM_FRAME_BYTES];
static struct tail *last_tail;

static void make_placer(void)
{
	static const uint8_t secret[PAGE_SECRET_SIZE];
	struct ram_image *image;
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, GUEST_PAGES * PAGE_SIZE_BYTES) < 0 ||
	    ram_image_open(fd, GUEST_PAGES * PAGE_SIZE_BYTES, &image, NULL) < 0 ||
	    page_placer_new(image, secret, &placer) < 0)
		abort();
	close(fd);
}

/* Bytes that count up, 4096 of them. */
static void make_tail(void)
{
	uint8_t bytes[4096], *packed;
	size_t len;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i + i / 256);
	if (tail_pack(bytes, sizeof(bytes), &packed, &len) < 0 ||
	    tail_unpack(packed, len, &last_tail) < 0)
		abort();
	free(packed);
}

static void try_pages(const uint8_t *data, size_t size)
{
	struct page_stats stats;

	(void)page_placer_place(placer, data, size, &stats, NULL);
	if (page_placer_missing(placer) > GUEST_PAGES ||
	    page_placer_unasked(placer)->count > page_placer_missing(placer))
		abort();
}

static void try_ask(const uint8_t *data, size_t size)
{
	struct page_set set;
	uint64_t page, n = 0;

	if (page_set_init(&set, GUEST_PAGES) < 0)
		abort();
	if (page_ask_decode(data, size, &set, NULL) < 0 && set.count)
		abort();
	while (set.count)
		n += page_set_take(&set, 3, &page);
	if (n > GUEST_PAGES)
		abort();
	page_set_exit(&set);
}

static void try_stream(const uint8_t *data, size_t size, uint16_t flags)
{
	size_t len = 0;

	if (stream_frame_decode(data, size, flags, last_tail, scratch, &len, NULL) == 0 &&
	    len > STREAM_FRAME_BYTES)
		abort();
}

/* What a luggage has as its tail. */
static void try_tail(const uint8_t *data, size_t size)
{
	struct tail *t;

	if (tail_unpack(data, size, &t) < 0)
		return;
	(void)tail_expand(t, data, size, scratch, sizeof(scratch));
	if (tail_compress(t, data, size, scratch, sizeof(scratch)) > sizeof(scratch))
		abort();
	tail_free(t);
}

/* Bytes of a connection: frames, each with a right checksum as far as it is whole. */
static void try_frames(const uint8_t *data, size_t size)
{
	struct frame_reader r;
	struct seal seal = { .cipher = SEAL_PLAIN };
	struct frame_header h;
	const uint8_t *payload;
	size_t space, at = 0;
	uint8_t *to;

	if (frame_reader_init(&r, 2 * FRAME_WIRE_MAX, &seal, 0) < 0)
		abort();
	to = frame_reader_space(&r, &space);
	if (size > space)
		size = space;
	memcpy(to, data, size);
	while (size - at >= FRAME_HEADER_SIZE && frame_header_decode(to + at, &h, NULL) == 0 &&
	       size - at >= FRAME_HEADER_SIZE + h.length + FRAME_TRAILER_SIZE) {
		seal_frame(&seal, &h, to + at);
		at += FRAME_HEADER_SIZE + h.length + FRAME_TRAILER_SIZE;
	}
	frame_reader_filled(&r, size);
	while (frame_reader_next(&r, &h, &payload, NULL) > 0) {
		if (h.type == FRAME_PAGES)
			try_pages(payload, h.length);
		if (h.type == FRAME_STREAM)
			try_stream(payload, h.length, h.flags);
	}
	frame_reader_exit(&r);
}

static void try_hello(const uint8_t *data, size_t size)
{
	const struct link_config config = { .plain_text = true };
	uint8_t wire[LINK_HELLO_SIZE], welcome[LINK_HELLO_SIZE];
	struct link_hello hello = { .have = 0 };
	struct link_keys keys;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		abort();
	if (send(fds[0], data, size < 256 ? size : 256, 0) >= 0)
		(void)link_read_hello(fds[1], &hello, NULL);
	close(fds[0]);
	close(fds[1]);
	if (size < sizeof(wire))
		return;
	memcpy(wire, data, sizeof(wire));
	(void)link_answer_hello(&config, GUEST_PAGES * PAGE_SIZE_BYTES, 0, wire, welcome, &keys, NULL);
}

static void try_return_path(const uint8_t *data, size_t size)
{
	struct return_path_reader r = { .have = 0 };
	enum return_path_type type;
	uint32_t value;

	while (size && return_path_read(&r, &data, &size, &type, &value, NULL) > 0)
		;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!placer) {
		make_placer();
		make_tail();
	}
	if (size < 1)
		return 0;
	switch (data[0] % 9) {
	case 0:
		try_frames(data + 1, size - 1);
		break;
	case 1:
		try_pages(data + 1, size - 1);
		break;
	case 2:
		try_stream(data + 1, size - 1, 0);
		break;
	case 3:
		try_stream(data + 1, size - 1, FRAME_FLAG_LZ4);
		break;
	case 4:
		try_hello(data + 1, size - 1);
		break;
	case 5:
		try_return_path(data + 1, size - 1);
		break;
	case 6:
		try_ask(data + 1, size - 1);
		break;
	case 7:
		try_tail(data + 1, size - 1);
		break;
	case 8:
		try_stream(data + 1, size - 1, FRAME_FLAG_ZSTD | FRAME_FLAG_TAIL);
		break;
	}
	return 0;
}

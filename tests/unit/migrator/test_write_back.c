/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/write_back.h"

#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/migrator/capture.h"

#define RAM_PAGES 254 /* of the captured guest */
#define MOST (4 << 20)

/* What a stream says, whatever the order of its pages: the last contents of each page of the
 * RAM, a sum of the other blocks' pages, and the tail. */
struct said {
	struct ramstream *rs;
	unsigned ram;
	uint8_t pages[RAM_PAGES][RAMSTREAM_PAGE];
	unsigned times[RAM_PAGES];
	uint64_t others;
	bool in_tail;
	uint8_t *tail;
	size_t tail_len;
};

static int said_block(void *u, unsigned index, const struct ramstream_block *b)
{
	struct said *s = u;

	if (strcmp(b->name, CAPTURE_SHARED) == 0)
		s->ram = index;
	return 0;
}

static int said_page(void *u, unsigned index, uint64_t offset, const uint8_t *data)
{
	struct said *s = u;
	uint64_t page = offset / RAMSTREAM_PAGE;

	cr_assert_not(s->in_tail);
	if (index != s->ram) {
		for (size_t i = 0; data && i < RAMSTREAM_PAGE; i++)
			s->others = (s->others ^ data[i]) * UINT64_C(0x100000001b3);
		s->others = (s->others ^ offset) * UINT64_C(0x100000001b3);
		return 0;
	}
	s->times[page]++;
	if (data)
		memcpy(s->pages[page], data, RAMSTREAM_PAGE);
	else
		memset(s->pages[page], 0, RAMSTREAM_PAGE);
	return 0;
}

static int said_bytes(void *u, const uint8_t *data, size_t len)
{
	struct said *s = u;

	if (s->in_tail) {
		memcpy(s->tail + s->tail_len, data, len);
		s->tail_len += len;
	}
	return 0;
}

static int said_tail(void *u)
{
	struct said *s = u;

	s->in_tail = true;
	return 0;
}

static const struct ramstream_ops said_ops = {
	.block = said_block, .page = said_page, .bytes = said_bytes, .tail = said_tail,
};

static struct said *hear(const uint8_t *data, size_t len)
{
	struct said *s = calloc(1, sizeof(*s));
	struct mg_error err = { 0 };

	cr_assert_not_null(s);
	s->tail = malloc(MOST);
	cr_assert_eq(ramstream_new(&said_ops, s, &s->rs), 0);
	cr_assert_eq(ramstream_feed(s->rs, data, len, &err), (ssize_t)len, "%s", err.text);
	return s;
}

static void said_free(struct said *s)
{
	ramstream_free(s->rs);
	free(s->tail);
	free(s);
}

struct fixture {
	int fd;
	struct ram_image *image;
	struct write_back *w;
	uint8_t *out;
	size_t out_len;
};

static void setup(struct fixture *f, const char *block)
{
	struct mg_error err = { 0 };

	f->fd = memfd_create("ram", MFD_CLOEXEC);
	cr_assert_eq(ftruncate(f->fd, RAM_PAGES * RAMSTREAM_PAGE), 0);
	cr_assert_eq(ram_image_open(f->fd, RAM_PAGES * RAMSTREAM_PAGE, &f->image, &err), 0);
	cr_assert_eq(write_back_new(f->image, block, &f->w), 0);
	f->out = malloc(MOST);
	f->out_len = 0;
}

static void teardown(struct fixture *f)
{
	write_back_free(f->w);
	ram_image_free(f->image);
	free(f->out);
	close(f->fd);
}

/* As inflow does, with a QEMU that takes `gulp` bytes at a time. */
static ssize_t pump(struct fixture *f, const uint8_t *data, size_t len, size_t gulp,
		    struct mg_error *err)
{
	size_t used = 0, waiting = 1;

	while (used < len || waiting) {
		const uint8_t *bytes;
		ssize_t n = write_back_run(f->w, data + used, len - used, err);

		if (n < 0)
			return n;
		used += (size_t)n;
		bytes = write_back_output(f->w, &waiting);
		waiting = waiting < gulp ? waiting : gulp;
		memcpy(f->out + f->out_len, bytes, waiting);
		f->out_len += waiting;
		write_back_written(f->w, waiting);
		cr_assert(n || waiting || used == len, "it stands still");
	}
	return (ssize_t)used;
}

static void place(struct fixture *f, uint64_t page, const uint8_t *data)
{
	cr_assert_eq(ram_image_put(f->image, page, 1, data), 0);
	page_set_add(write_back_pages(f->w), page, 1);
}

/* A real stream, taken apart as the source does and put together again in pieces of one size,
 * with pages that come at any moment. */
static void goes_round(size_t piece, size_t gulp)
{
	struct fixture f;
	size_t len, at = 0;
	uint8_t *data = capture_load(&len);
	struct capture_reader *c = capture_reader_new();
	struct said *before = hear(data, len), *after;
	struct mg_error err = { 0 };
	unsigned page = 0;

	setup(&f, CAPTURE_SHARED);
	cr_assert_eq(ramstream_feed(c->rs, data, len, &err), (ssize_t)len);
	while (at < c->w.len) {
		size_t n = c->w.len - at < piece ? c->w.len - at : piece;

		for (; page < RAM_PAGES && page * piece <= at * 4; page++)
			place(&f, page, before->pages[page]);
		/* all memory is there before the devices are, as the source sees to */
		if (c->w.len - at < 300 << 10)
			for (; page < RAM_PAGES; page++)
				place(&f, page, before->pages[page]);
		cr_assert_eq(pump(&f, c->out + at, n, gulp, &err), (ssize_t)n, "%s", err.text);
		at += n;
	}
	after = hear(f.out, f.out_len);
	for (page = 0; page < RAM_PAGES; page++) {
		cr_assert_eq(after->times[page], 1, "page %u %u times", page, after->times[page]);
		cr_assert_arr_eq(after->pages[page], before->pages[page], RAMSTREAM_PAGE, "page %u",
				 page);
	}
	cr_assert_eq(after->others, before->others);
	cr_assert_gt(after->tail_len, 0);
	cr_assert_eq(after->tail_len, before->tail_len);
	cr_assert_arr_eq(after->tail, before->tail, before->tail_len);
	said_free(before);
	said_free(after);
	capture_reader_free(c);
	teardown(&f);
	free(data);
}

Test(write_back, a_real_stream_has_its_pages_again)
{
	goes_round(SIZE_MAX / 8, 1 << 20);
}

Test(write_back, also_in_pieces_that_fit_nothing)
{
	goes_round(4099, 7777);
	goes_round(13, 100000);
}

Test(write_back, a_page_that_came_again_goes_once)
{
	struct fixture f;
	size_t len;
	uint8_t *data = capture_load(&len), page[RAMSTREAM_PAGE];
	struct capture_reader *c = capture_reader_new();
	struct mg_error err = { 0 };
	struct said *s;

	setup(&f, CAPTURE_SHARED);
	cr_assert_eq(ramstream_feed(c->rs, data, len, &err), (ssize_t)len);
	for (uint8_t i = 1; i <= 3; i++) {
		memset(page, i, sizeof(page));
		place(&f, 7, page);
	}
	cr_assert_eq(pump(&f, c->out, c->w.len, 1 << 20, &err), (ssize_t)c->w.len);
	s = hear(f.out, f.out_len);
	cr_assert_eq(s->times[7], 1);
	cr_assert_arr_eq(s->pages[7], page, RAMSTREAM_PAGE);
	cr_assert_eq(s->times[8], 0);
	said_free(s);
	capture_reader_free(c);
	teardown(&f);
	free(data);
}

Test(write_back, no_page_after_the_devices)
{
	struct fixture f;
	size_t len;
	uint8_t *data = capture_load(&len), page[RAMSTREAM_PAGE] = { 1 };
	struct capture_reader *c = capture_reader_new();
	struct mg_error err = { 0 };

	setup(&f, CAPTURE_SHARED);
	cr_assert_eq(ramstream_feed(c->rs, data, len, &err), (ssize_t)len);
	cr_assert_eq(pump(&f, c->out, c->w.len, 1 << 20, &err), (ssize_t)c->w.len);
	place(&f, 0, page);
	cr_assert_eq(pump(&f, NULL, 0, 1, &err), -EPROTO);
	cr_assert_not_null(strstr(err.text, "after the state of the devices"));
	capture_reader_free(c);
	teardown(&f);
	free(data);
}

/* A source whose stream has them all the same could overwrite what came by the other way. */
Test(write_back, pages_of_the_ram_in_the_stream_are_refused)
{
	struct fixture f;
	size_t len;
	uint8_t *data = capture_load(&len);
	struct mg_error err = { 0 };

	setup(&f, CAPTURE_SHARED);
	cr_assert_eq(pump(&f, data, len, 1 << 20, &err), -EPROTO);
	teardown(&f);
	free(data);
}

/* One that another connection was late with: a part of its own between END and the devices. */
Test(write_back, a_late_page_goes_after_the_end_of_ram)
{
	struct fixture f;
	size_t len, before_tail, part = 5 + 8 + 1 + 4 + RAMSTREAM_PAGE + 8 + 5;
	uint8_t *data = capture_load(&len), page[RAMSTREAM_PAGE] = { 1 };
	struct capture_reader *c = capture_reader_new();
	struct said *s = hear(data, len);
	struct mg_error err = { 0 };

	setup(&f, CAPTURE_SHARED);
	cr_assert_eq(ramstream_feed(c->rs, data, len, &err), (ssize_t)len);
	before_tail = c->w.len - s->tail_len;
	cr_assert_eq(pump(&f, c->out, before_tail, 1 << 20, &err), (ssize_t)before_tail);
	place(&f, 3, page);
	cr_assert_eq(pump(&f, c->out + before_tail, s->tail_len, 1 << 20, &err),
		     (ssize_t)s->tail_len, "%s", err.text);
	cr_assert_eq(f.out_len, c->w.len + part);
	cr_assert_eq(f.out[before_tail], RAMSTREAM_PART);
	cr_assert_arr_eq(f.out + before_tail + 13, "\4" CAPTURE_SHARED, 5);
	cr_assert_eq(f.out[before_tail + part - 5], RAMSTREAM_FOOTER);
	cr_assert_arr_eq(f.out + before_tail + part, s->tail, s->tail_len);
	said_free(s);
	capture_reader_free(c);
	teardown(&f);
	free(data);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/write_back.h"

#include <stdio.h>

#include "common/cursor.h"
#include "migrator/streamwriter.h"

#define BUFFER ((size_t)256 << 10)
/* Beside a page: what opens and closes a section of its own. */
#define SECTION_MAX 32

struct write_back {
	struct ram_image *image;
	struct ramstream *stream;
	struct ramstream_block block; /* by its name alone */
	struct page_set pages;
	struct streamwriter out;
	size_t written; /* of what is in `out` */
	bool ending;    /* in END or past it: what QEMU does not have goes before END does */
	bool in_tail;   /* its first byte has gone: QEMU takes no page any more */
	bool tail_is_next;
	uint8_t buffer[BUFFER];
};

static bool has_room(const struct write_back *w)
{
	return w->out.size - w->out.len >= STREAMWRITER_PAGE_MAX + SECTION_MAX;
}

/* ---- The source's stream ------------------------------------------------------------- */

static int on_bytes(void *userdata, const uint8_t *data, size_t len)
{
	struct write_back *w = userdata;

	w->in_tail = w->tail_is_next;
	streamwriter_bytes(&w->out, data, len); /* fits: there is room for a page */
	return !has_room(w);
}

static int on_page(void *userdata, unsigned index, uint64_t offset, const uint8_t *data)
{
	struct write_back *w = userdata;
	const struct ramstream_block *block = ramstream_block_at(w->stream, index);

	if (strcmp(block->name, w->block.name) == 0)
		return -EPROTO; /* they have a way of their own */
	(void)streamwriter_page(&w->out, block, offset, data);
	return !has_room(w);
}

static int on_section(void *userdata, enum ramstream_element kind)
{
	struct write_back *w = userdata;

	w->ending = kind == RAMSTREAM_END;
	return w->ending;
}

static int on_tail(void *userdata)
{
	struct write_back *w = userdata;

	w->tail_is_next = true;
	return 1;
}

static const struct ramstream_ops ops = {
	.bytes = on_bytes,
	.page = on_page,
	.section = on_section,
	.tail = on_tail,
};

/* ---- Pages ----------------------------------------------------------------------------- */

static bool is_zero(const uint8_t *page)
{
	return page[0] == 0 && memcmp(page, page + 1, RAMSTREAM_PAGE - 1) == 0;
}

static int write_pages(struct write_back *w)
{
	uint8_t data[RAMSTREAM_PAGE];
	uint64_t page;
	int r;

	while (w->pages.count && has_room(w)) {
		page_set_take(&w->pages, 1, &page);
		r = ram_image_peek(w->image, page, data);
		if (r < 0)
			return r;
		(void)streamwriter_page(&w->out, &w->block, page * RAMSTREAM_PAGE,
					is_zero(data) ? NULL : data);
	}
	return 0;
}

static void mark(struct write_back *w, uint8_t element)
{
	uint8_t bytes[5];
	struct wcursor c = wcursor_over(bytes, sizeof(bytes));

	wcursor_u8(&c, element);
	wcursor_u32(&c, ramstream_section_id(w->stream));
	streamwriter_bytes(&w->out, bytes, sizeof(bytes));
}

/* QEMU takes parts in any number, also after the END: what came by another connection. */
static int write_section(struct write_back *w)
{
	static const uint8_t eos[8] = { [7] = RAMSTREAM_EOS };
	int r;

	mark(w, RAMSTREAM_PART);
	r = write_pages(w);
	streamwriter_bytes(&w->out, eos, sizeof(eos));
	mark(w, RAMSTREAM_FOOTER);
	return r;
}

static int insert_pages(struct write_back *w)
{
	if (!w->pages.count || !has_room(w))
		return 0;
	if (ramstream_in_pages(w->stream))
		return write_pages(w);
	return ramstream_between_sections(w->stream) ? write_section(w) : 0;
}

/* ---- Running ----------------------------------------------------------------------------- */

static int explain(struct mg_error *err, int r)
{
	return mg_error_set(err, r, "the copy of the guest's RAM: %s", strerror(-r));
}

ssize_t write_back_run(struct write_back *w, const uint8_t *data, size_t len, struct mg_error *err)
{
	size_t used = 0;
	ssize_t n = 1;
	int r;

	if (w->in_tail && w->pages.count)
		return mg_error_set(err, -EPROTO, "a page of RAM after the state of the devices");
	while (n > 0) {
		r = insert_pages(w);
		if (r < 0)
			return explain(err, r);
		if (!has_room(w) || (w->ending && w->pages.count))
			break;
		n = used < len ? ramstream_feed(w->stream, data + used, len - used, err) : 0;
		if (n < 0)
			return n;
		used += (size_t)n;
	}
	return (ssize_t)used;
}

const uint8_t *write_back_output(const struct write_back *w, size_t *ret_len)
{
	*ret_len = w->out.len - w->written;
	return w->buffer + w->written;
}

void write_back_written(struct write_back *w, size_t len)
{
	w->written += len;
	if (w->written == w->out.len)
		w->written = w->out.len = 0;
}

struct page_set *write_back_pages(struct write_back *w)
{
	return &w->pages;
}

int write_back_new(struct ram_image *image, const char *block, struct write_back **ret)
{
	_cleanup_(write_back_free_p) struct write_back *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->image = image;
	w->out = (struct streamwriter){ .data = w->buffer, .size = sizeof(w->buffer) };
	snprintf(w->block.name, sizeof(w->block.name), "%s", block);
	if (page_set_init(&w->pages, ram_image_pages(image)) < 0 ||
	    ramstream_new(&ops, w, &w->stream) < 0)
		return -ENOMEM;
	*ret = TAKE_PTR(w);
	return 0;
}

void write_back_free(struct write_back *w)
{
	if (!w)
		return;
	ramstream_free(w->stream);
	page_set_exit(&w->pages);
	free(w);
}

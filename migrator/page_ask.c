/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/page_ask.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/cursor.h"
#include "migrator/page.h"

#define BITS 64

int page_set_init(struct page_set *s, uint64_t pages)
{
	*s = (struct page_set){ .pages = pages, .first = pages };
	s->bits = calloc(pages / BITS + 1, sizeof(*s->bits));
	return s->bits ? 0 : -ENOMEM;
}

void page_set_exit(struct page_set *s)
{
	free(s->bits);
	s->bits = NULL;
}

static bool has(const struct page_set *s, uint64_t page)
{
	return s->bits[page / BITS] >> page % BITS & 1;
}

static void flip(struct page_set *s, uint64_t page)
{
	s->bits[page / BITS] ^= UINT64_C(1) << page % BITS;
}

bool page_set_add(struct page_set *s, uint64_t page, uint64_t count)
{
	uint64_t before = s->count;

	for (uint64_t i = page; i < page + count; i++) {
		if (has(s, i))
			continue;
		flip(s, i);
		s->count++;
	}
	if (page < s->first)
		s->first = page;
	return s->count != before;
}

void page_set_remove(struct page_set *s, uint64_t page, uint64_t count)
{
	for (uint64_t i = page; i < page + count && s->count; i++) {
		if (!has(s, i))
			continue;
		flip(s, i);
		s->count--;
	}
}

void page_set_copy(struct page_set *to, const struct page_set *from)
{
	memcpy(to->bits, from->bits, (from->pages / BITS + 1) * sizeof(*from->bits));
	to->count = from->count;
	to->first = from->first;
}

uint64_t page_set_take(struct page_set *s, uint64_t most, uint64_t *ret_page)
{
	uint64_t page = s->first, n = 0;

	while (!has(s, page))
		page += s->bits[page / BITS] >> page % BITS ? 1 : BITS - page % BITS;
	while (n < most && page + n < s->pages && has(s, page + n)) {
		flip(s, page + n);
		n++;
	}
	s->count -= n;
	s->first = page + n;
	*ret_page = page;
	return n;
}

size_t page_ask_encode(struct page_set *s, uint8_t *out)
{
	struct wcursor c = wcursor_over(out, PAGE_ASK_SIZE);
	struct page_record r = { .kind = PAGE_ZERO };

	for (unsigned i = 0; i < PAGE_ASK_RUNS && s->count; i++) {
		r.count = page_set_take(s, PAGE_COUNT_MAX, &r.page);
		wcursor_u64(&c, page_record_pack(r));
	}
	return wcursor_used(&c);
}

int page_ask_decode(const uint8_t *payload, size_t len, struct page_set *s, struct mg_error *err)
{
	struct rcursor c = rcursor_over(payload, len);

	for (unsigned pass = 0; pass < 2; pass++) { /* all of it is checked first */
		c = rcursor_over(payload, len);
		while (rcursor_left(&c)) {
			struct page_record r = page_record_unpack(rcursor_u64(&c));

			if (!rcursor_ok(&c) || r.kind != 0 || r.count == 0 || r.page >= s->pages ||
			    r.count > s->pages - r.page)
				return mg_error_set(err, -EPROTO,
						    "ASK: %" PRIu64 " pages from %" PRIu64
						    " on in a guest of %" PRIu64,
						    r.count, r.page, s->pages);
			if (pass)
				page_set_add(s, r.page, r.count);
		}
	}
	return 0;
}

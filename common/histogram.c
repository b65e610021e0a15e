/* SPDX-License-Identifier: Apache-2.0 */
#include "common/histogram.h"

#include <stdbool.h>
#include <string.h>

#define LOWEST_BITS 10 /* 2^10 ns and up to */
#define HIGHEST_BITS 37
#define SPLIT_BITS 6 /* 2^6 buckets for each power of two */
#define PAGES ((HIGHEST_BITS - LOWEST_BITS) << SPLIT_BITS >> 4)

_Static_assert(HISTOGRAM_PAGE == 1 << 4, "a page is a quarter of a power of two");
_Static_assert(PAGES <= 128, "all pages have a bit");

/* ---- Buckets ----------------------------------------------------------------------- */

static inline unsigned bucket_of(uint64_t ns)
{
	unsigned bits;

	if (ns < UINT64_C(1) << LOWEST_BITS)
		ns = UINT64_C(1) << LOWEST_BITS;
	if (ns >= UINT64_C(1) << HIGHEST_BITS)
		ns = (UINT64_C(1) << HIGHEST_BITS) - 1;
	bits = 63 - (unsigned)__builtin_clzll(ns);
	return ((bits - LOWEST_BITS) << SPLIT_BITS) +
	       ((unsigned)(ns >> (bits - SPLIT_BITS)) & ((1u << SPLIT_BITS) - 1));
}

static uint64_t middle_of(unsigned bucket)
{
	unsigned shift = (bucket >> SPLIT_BITS) + LOWEST_BITS - SPLIT_BITS;
	uint64_t split = (bucket & ((1u << SPLIT_BITS) - 1)) | 1u << SPLIT_BITS;

	return (split << shift) + (UINT64_C(1) << shift >> 1);
}

static inline bool is_present(const struct histogram *h, unsigned page)
{
	return h->present[page / 64] >> page % 64 & 1;
}

/* The bits of a word, by adding up ever wider fields: the processors that we build
 * for need not have an instruction for it. */
static inline unsigned count_bits(uint64_t word)
{
	word -= word >> 1 & UINT64_C(0x5555555555555555);
	word = (word & UINT64_C(0x3333333333333333)) + (word >> 2 & UINT64_C(0x3333333333333333));
	word = (word + (word >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
	return (unsigned)(word * UINT64_C(0x0101010101010101) >> 56);
}

/* Where a page is, or would be. Without a branch, which nobody could predict. */
static inline unsigned position_of(const struct histogram *h, unsigned page)
{
	uint64_t below = (UINT64_C(1) << page % 64) - 1;

	return count_bits(h->present[page / 64] & below) + (-(page / 64) & h->first_half);
}

static unsigned page_count(const struct histogram *h)
{
	return h->first_half + count_bits(h->present[1]);
}

static struct histogram_page *page_at(struct histogram *h, unsigned page)
{
	unsigned at = position_of(h, page), n = page_count(h);
	struct histogram_page *pages;

	if (is_present(h, page))
		return &h->pages[at];
	pages = reallocarray(h->pages, n + 1, sizeof(*pages));
	if (!pages)
		return NULL;
	memmove(&pages[at + 1], &pages[at], (n - at) * sizeof(*pages));
	memset(&pages[at], 0, sizeof(*pages));
	h->pages = pages;
	h->present[page / 64] |= UINT64_C(1) << page % 64;
	h->first_half += page < 64;
	return &pages[at];
}

/* The number of the first page from `page` on; PAGES when there is none. */
static unsigned next_page(const struct histogram *h, unsigned page)
{
	while (page < PAGES) {
		uint64_t word = h->present[page / 64] >> page % 64;

		if (word)
			return page + (unsigned)__builtin_ctzll(word);
		page = (page / 64 + 1) * 64;
	}
	return PAGES;
}

/* ---- The histogram ------------------------------------------------------------------ */

void histogram_clear(struct histogram *h)
{
	free(h->pages);
	*h = (struct histogram){ 0 };
}

int histogram_add(struct histogram *h, uint64_t ns)
{
	unsigned bucket = bucket_of(ns), page = bucket / HISTOGRAM_PAGE;
	struct histogram_page *p =
		is_present(h, page) ? &h->pages[position_of(h, page)] : page_at(h, page);

	if (!p)
		return -ENOMEM;
	if (p->counts[bucket % HISTOGRAM_PAGE] == UINT16_MAX)
		histogram_halve(h);
	p->counts[bucket % HISTOGRAM_PAGE]++;
	h->samples++;
	return 0;
}

/* What is left over by one bucket goes to the next: no rank is off by more than
 * one. */
void histogram_halve(struct histogram *h)
{
	unsigned n = page_count(h);
	uint32_t left = 0;

	h->samples = 0;
	for (unsigned i = 0; i < n * HISTOGRAM_PAGE; i++) {
		uint16_t *count = &h->pages[i / HISTOGRAM_PAGE].counts[i % HISTOGRAM_PAGE];

		left += *count;
		*count = (uint16_t)(left / 2);
		left %= 2;
		h->samples += *count;
	}
}

static bool would_overflow(const struct histogram *h, const struct histogram *from)
{
	if (h->samples + (uint64_t)from->samples <= UINT16_MAX)
		return false;
	for (unsigned p = next_page(from, 0); p < PAGES; p = next_page(from, p + 1)) {
		const struct histogram_page *b = &from->pages[position_of(from, p)], *a;

		if (!is_present(h, p))
			continue;
		a = &h->pages[position_of(h, p)];
		for (unsigned i = 0; i < HISTOGRAM_PAGE; i++)
			if (a->counts[i] > UINT16_MAX - b->counts[i])
				return true;
	}
	return false;
}

static int copy_of(const struct histogram *h, struct histogram *ret)
{
	unsigned n = page_count(h);
	struct histogram copy = *h;

	copy.pages = reallocarray(NULL, n, sizeof(*copy.pages));
	if (!copy.pages)
		return -ENOMEM;
	memcpy(copy.pages, h->pages, n * sizeof(*copy.pages));
	*ret = copy;
	return 0;
}

static int add_pages(struct histogram *h, const struct histogram *from)
{
	const struct histogram_page *b = from->pages;

	for (unsigned p = next_page(from, 0); p < PAGES; p = next_page(from, p + 1), b++) {
		struct histogram_page *a = page_at(h, p);

		if (!a)
			return -ENOMEM;
		for (unsigned i = 0; i < HISTOGRAM_PAGE; i++) {
			a->counts[i] = (uint16_t)(a->counts[i] + b->counts[i]);
			h->samples += b->counts[i];
		}
	}
	return 0;
}

int histogram_merge(struct histogram *h, const struct histogram *from)
{
	_cleanup_(histogram_clear) struct histogram halved = { 0 };

	if (!would_overflow(h, from))
		return add_pages(h, from);
	/* Half of the one goes with half of the other; two halves always fit. */
	if (copy_of(from, &halved) < 0)
		return -ENOMEM;
	histogram_halve(&halved);
	histogram_halve(h);
	return add_pages(h, &halved);
}

uint32_t histogram_samples(const struct histogram *h)
{
	return h->samples;
}

void histogram_quantiles(const struct histogram *h, const unsigned *parts, size_t n,
			 uint64_t *ret_ns)
{
	const struct histogram_page *page = h->pages;
	uint64_t below = 0;
	size_t k = 0;

	for (unsigned p = next_page(h, 0); p < PAGES && k < n; p = next_page(h, p + 1), page++)
		for (unsigned i = 0; i < HISTOGRAM_PAGE; i++) {
			below += page->counts[i];
			for (; k < n && below && below * 10000 >= (uint64_t)parts[k] * h->samples;
			     k++)
				ret_ns[k] = middle_of(p * HISTOGRAM_PAGE + i);
		}
	for (; k < n; k++)
		ret_ns[k] = 0;
}

size_t histogram_bytes(const struct histogram *h)
{
	return sizeof(*h) + page_count(h) * sizeof(*h->pages);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <lz4.h>
#include <stdlib.h>
#include <string.h>

#include "sim/guest/pattern.h"

static _Alignas(8) uint8_t page[PATTERN_PAGE], other[PATTERN_PAGE];
static struct pattern pattern;
static struct pattern_label found;

static void setup(void)
{
	pattern_init(&pattern, 42, 2.0, 8);
	pattern_fill(&pattern, page, 7, 3);
}

TestSuite(pattern, .init = setup);

Test(pattern, sound)
{
	cr_assert_eq(pattern_check(&pattern, page, 7, 3, &found), PAGE_SOUND);
	cr_assert_eq(found.seed, 42);
	cr_assert_eq(found.index, 7);
	cr_assert_eq(found.generation, 3);
	pattern_fill(&pattern, other, 7, 3);
	cr_assert_eq(memcmp(page, other, PATTERN_PAGE), 0, "the same page every time");
}

/* No bit of a page is without meaning. */
Test(pattern, every_flipped_bit_shows)
{
	for (unsigned bit = 0; bit < PATTERN_PAGE * 8; bit++) {
		page[bit / 8] ^= (uint8_t)(1u << bit % 8);
		cr_assert_eq(pattern_check(&pattern, page, 7, 3, &found), PAGE_TORN, "bit %u", bit);
		page[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	cr_assert_eq(pattern_check(&pattern, page, 7, 3, &found), PAGE_SOUND);
}

Test(pattern, swapped_words_show)
{
	uint64_t *words = (uint64_t *)page, w;

	for (unsigned i = 4; i + 8 < PATTERN_PAGE / 8; i++) {
		if (words[i] == words[i + 2])
			break;
		w = words[i], words[i] = words[i + 2], words[i + 2] = w;
		cr_assert_eq(pattern_check(&pattern, page, 7, 3, &found), PAGE_TORN);
		w = words[i], words[i] = words[i + 2], words[i + 2] = w;
	}
}

static unsigned differing_bytes(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < PATTERN_PAGE; i++)
		n += page[i] != other[i];
	return n;
}

Test(pattern, a_touch_changes_its_beginning_only)
{
	pattern_fill(&pattern, other, 7, 4);
	cr_assert_gt(differing_bytes(), PATTERN_PAGE / 2, "all of it, as a rule");
	pattern.touch_bytes = 256;
	pattern_fill(&pattern, page, 7, 3);
	pattern_fill(&pattern, other, 7, 4);
	cr_assert_eq(memcmp(page + 256, other + 256, PATTERN_PAGE - 256), 0);
	cr_assert_gt(differing_bytes(), 200);
	cr_assert_eq(pattern_check(&pattern, other, 7, 4, &found), PAGE_SOUND);
	cr_assert_eq(pattern_check(&pattern, other, 7, 5, &found), PAGE_STALE);
	other[4000] ^= 1;
	cr_assert_eq(pattern_check(&pattern, other, 7, 4, &found), PAGE_TORN);
	pattern.touch_bytes = PATTERN_TOUCH_LEAST;
	pattern_fill(&pattern, page, 7, 3);
	pattern_fill(&pattern, other, 7, 4);
	cr_assert_leq(differing_bytes(), PATTERN_TOUCH_LEAST);
}

Test(pattern, other_generations)
{
	cr_assert_eq(pattern_check(&pattern, page, 7, 4, &found), PAGE_STALE);
	cr_assert_eq(found.generation, 3);
	cr_assert_eq(pattern_check(&pattern, page, 7, 2, &found), PAGE_AHEAD);
}

Test(pattern, swapped_pages)
{
	pattern_fill(&pattern, other, 8, 3);
	cr_assert_eq(pattern_check(&pattern, other, 7, 3, &found), PAGE_MISPLACED);
	cr_assert_eq(found.index, 8);
	cr_assert_eq(pattern_check(&pattern, page, 8, 3, &found), PAGE_MISPLACED);
}

Test(pattern, another_run)
{
	struct pattern another;

	pattern_init(&another, 43, 2.0, 8);
	cr_assert_eq(pattern_check(&another, page, 7, 3, &found), PAGE_FOREIGN);
}

/* Parts of two writes, cut anywhere, also where the label is. */
Test(pattern, torn)
{
	pattern_fill(&pattern, other, 7, 4);
	for (unsigned cut = 8; cut < PATTERN_PAGE; cut += 8) {
		uint8_t torn[PATTERN_PAGE] __attribute__((aligned(8)));

		memcpy(torn, page, PATTERN_PAGE);
		memcpy(torn, other, cut);
		cr_assert_eq(pattern_check(&pattern, torn, 7, 4, &found), PAGE_TORN, "at %u", cut);
	}
}

Test(pattern, lost)
{
	memset(page, 0, sizeof(page));
	cr_assert_eq(pattern_check(&pattern, page, 0, 0, &found), PAGE_LOST);
}

Test(pattern, compressibility)
{
	static const double ratios[] = { 1.0, 1.5, 2.0, 4.0, 10.0 };
	static const unsigned bits[] = { 8, 6, 5 };
	char packed[LZ4_COMPRESSBOUND(PATTERN_PAGE)];

	for (unsigned i = 0; i < 5 * 3; i++) {
		double got, ratio = ratios[i / 3];

		pattern_init(&pattern, 42, ratio, bits[i % 3]);
		pattern_fill(&pattern, page, 7, 3);
		cr_assert_eq(pattern_check(&pattern, page, 7, 3, &found), PAGE_SOUND);
		got = (double)PATTERN_PAGE /
		      LZ4_compress_default((char *)page, packed, PATTERN_PAGE, sizeof(packed));
		cr_assert(got > ratio * 0.97 && got < ratio * 1.05, "%.2f for %.2f", got, ratio);
	}
}

Test(pattern, names)
{
	for (enum page_state s = PAGE_SOUND; s <= PAGE_AHEAD; s++)
		cr_assert(strlen(page_state_name(s)) > 3);
}

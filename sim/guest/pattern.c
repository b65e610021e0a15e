/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/guest/pattern.h"

#include <string.h>

#define LABEL_WORDS (sizeof(struct pattern_label) / 8)
#define PAGE_WORDS (PATTERN_PAGE / 8)
#define BODY_WORDS (PAGE_WORDS - LABEL_WORDS)

/* What LZ4 spends on a page besides its noise: the label, lengths and tokens. */
#define LZ4_OVERHEAD_WORDS (LABEL_WORDS + 5)

void pattern_init(struct pattern *p, uint64_t seed, double ratio, unsigned bits)
{
	double words;

	if (ratio < 1.0)
		ratio = 1.0;
	words = PAGE_WORDS / ratio - LZ4_OVERHEAD_WORDS;
	*p = (struct pattern){
		.seed = seed,
		.noise_mask = ((1u << bits) - 1) * 0x0101010101010101u,
		.noise_words = words < 0 ? 0 : ratio == 1.0 ? BODY_WORDS : (uint32_t)words,
	};
}

/* Steps and mixes are a multiplication and a shift each: the pattern is written
 * under emulation, where vector units and long dependency chains cost most. */
static inline uint64_t noise_next(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return *state ^ *state >> 29;
}

static inline uint64_t noise_seed(const struct pattern *p, uint64_t index, uint64_t generation)
{
	uint64_t x = p->seed ^ index * 0x9e3779b97f4a7c15u ^ generation * 0xc2b2ae3d27d4eb4fu;

	x = (x ^ x >> 32) * 0xd6e8feb86659fd93u;
	return x ^ x >> 32;
}

/* Two lanes; each word changes its lane by an invertible step, so that no
 * change of one word goes unseen. */
static uint64_t page_checksum(const uint64_t *page)
{
	uint64_t a = 0x243f6a8885a308d3u, b = 0x13198a2e03707344u;

	b = (b ^ page[1]) * 0x9fb21c651e98df25u;
	for (unsigned i = 2; i < PAGE_WORDS; i += 2) {
		a = (a ^ page[i]) * 0x9fb21c651e98df25u;
		b = (b ^ page[i + 1]) * 0xa0761d6478bd642fu;
		a ^= a >> 31;
		b ^= b >> 33;
	}
	a ^= b * 0xe7037ed1a0b428dbu;
	return a ^ a >> 32;
}

/* The words behind the label that differ in every write. */
static void touch(const struct pattern *p, uint64_t *body, uint64_t index, uint64_t generation)
{
	uint64_t state = noise_seed(p, index, generation);

	for (uint32_t i = 0; i < p->touch_bytes / 8 - LABEL_WORDS; i++)
		body[i] = noise_next(&state) & p->noise_mask;
}

void pattern_fill(const struct pattern *p, void *page, uint64_t index, uint64_t generation)
{
	uint64_t *words = page, *body = words + LABEL_WORDS;
	struct pattern_label *label = page;
	uint64_t state = noise_seed(p, index, p->touch_bytes ? 0 : generation), rest;
	uint32_t i;

	label->seed = p->seed;
	label->index = index;
	label->generation = generation;
	for (i = 0; i < p->noise_words; i++)
		body[i] = noise_next(&state) & p->noise_mask;
	/* One word over and over: compresses, and still differs in every write. */
	rest = noise_next(&state);
	for (; i < BODY_WORDS; i++)
		body[i] = rest;
	if (p->touch_bytes)
		touch(p, body, index, generation);
	label->checksum = page_checksum(words);
}

static int page_is_zero(const uint64_t *page)
{
	uint64_t all = 0;

	for (unsigned i = 0; i < PAGE_WORDS; i++)
		all |= page[i];
	return all == 0;
}

enum page_state pattern_check(const struct pattern *p, const void *page, uint64_t index,
			      uint64_t generation, struct pattern_label *ret_found)
{
	struct pattern_label found;

	memcpy(&found, page, sizeof(found));
	*ret_found = found;
	if (found.checksum != page_checksum(page))
		return page_is_zero(page) ? PAGE_LOST : PAGE_TORN;
	if (found.seed != p->seed)
		return PAGE_FOREIGN;
	if (found.index != index)
		return PAGE_MISPLACED;
	if (found.generation != generation)
		return found.generation < generation ? PAGE_STALE : PAGE_AHEAD;
	return PAGE_SOUND;
}

const char *page_state_name(enum page_state state)
{
	static const char *const names[] = {
		[PAGE_SOUND] = "sound",         [PAGE_LOST] = "lost",   [PAGE_TORN] = "torn",
		[PAGE_FOREIGN] = "foreign",     [PAGE_STALE] = "stale", [PAGE_AHEAD] = "ahead",
		[PAGE_MISPLACED] = "misplaced",
	};

	return names[state];
}

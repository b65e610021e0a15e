/* SPDX-License-Identifier: Apache-2.0
 *
 * The pattern that the test guest keeps in its memory. Every 4 KiB page says
 * of which run it is (seed), where it belongs (index) and how often it was
 * rewritten (generation), under a checksum over all of it. Somebody who knows
 * the generation that a page should have can tell, from the page alone,
 * whether it was lost, torn, misplaced or is stale.
 *
 * Pure: used by the guest and by the host's tests and tools.
 */
#ifndef SIM_GUEST_PATTERN_H
#define SIM_GUEST_PATTERN_H

#include <stdint.h>

#define PATTERN_PAGE 4096
#define PATTERN_TOUCH_LEAST 40 /* the label and a word */

struct pattern {
	uint64_t seed;
	uint64_t noise_mask;  /* of a noise word */
	uint32_t noise_words; /* words of a page's body that have no repetition */
	uint32_t touch_bytes; /* at a page's beginning, by which two writes of it differ; 0: in all */
};

/* What a page begins with, in the machine's byte order. */
struct pattern_label {
	uint64_t checksum; /* of everything that follows */
	uint64_t seed;
	uint64_t index;
	uint64_t generation;
};

enum page_state {
	PAGE_SOUND,
	PAGE_LOST,      /* nothing but zeros */
	PAGE_TORN,      /* the checksum does not match: damaged, or parts of two writes */
	PAGE_FOREIGN,   /* a sound page of another run */
	PAGE_MISPLACED, /* a sound page of another place */
	PAGE_STALE,     /* an older generation than the one written last */
	PAGE_AHEAD,     /* a newer one */
};

/* `ratio` is what LZ4 shall make of a page: 1.0 (nothing) to 10. Noise has `bits`
 * (1 to 8) bits of information a byte: fewer than 8 are for compressors that
 * also have an entropy stage, such as zstd; LZ4 sees no difference down to 5. Two writes of a page
 * differ in all of it, unless touch_bytes is set afterwards. */
void pattern_init(struct pattern *p, uint64_t seed, double ratio, unsigned bits);

/* Writes the whole page. `page` is aligned to 8 bytes. */
void pattern_fill(const struct pattern *p, void *page, uint64_t index, uint64_t generation);

/* Checks a page against where it lies and what was written there last. The
 * label as found goes to `ret_found`, sound or not. */
enum page_state pattern_check(const struct pattern *p, const void *page, uint64_t index,
			      uint64_t generation, struct pattern_label *ret_found);

const char *page_state_name(enum page_state state);

#endif

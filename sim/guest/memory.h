/* SPDX-License-Identifier: Apache-2.0
 *
 * The memory under test: pages of the pattern, the table of the generations
 * that they should have (kept elsewhere, so that a stale page cannot hide), a
 * writer and a verifier. Both are driven in small steps by one thread, so a
 * page is never checked while it is being written.
 */
#ifndef SIM_GUEST_MEMORY_H
#define SIM_GUEST_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "sim/guest/pattern.h"

struct memory_fault {
	uint64_t page;     /* index */
	enum page_state state;
	uint64_t expected; /* generation */
	struct pattern_label found;
};

/* Read by other threads while the worker counts: whole words, no promise of a
 * common instant. */
struct memory_counts {
	_Atomic uint64_t written;    /* pages rewritten */
	_Atomic uint64_t verified;   /* pages verified */
	_Atomic uint64_t passes;     /* verified from first to last page */
	_Atomic uint64_t errors;     /* faults, and passes whose ledger did not balance */
	_Atomic uint64_t generation; /* the highest of all pages */
};

struct memory {
	struct pattern pattern;
	uint8_t *pages;
	uint32_t *expected; /* a generation a page */
	uint64_t count;     /* pages */
	uint64_t next;      /* to be verified */
	uint64_t random;
	struct memory_counts counts;
	void (*on_fault)(const struct memory_fault *fault, void *userdata);
	void (*on_unbalanced)(uint64_t ledger, uint64_t written, void *userdata);
	void *userdata;
};

/* Allocates and fills `count` pages. 0 or -ENOMEM. */
int memory_init(struct memory *m, const struct pattern *pattern, uint64_t count);
void memory_done(struct memory *m);

/* Rewrites `pages` pages, drawn at random from the first `working_set`. */
void memory_write(struct memory *m, uint64_t pages, uint64_t working_set);

/* Verifies the next `pages` pages, round and round. A faulty page is reported
 * and rewritten, so that it counts once. At the end of a pass the sum of all
 * expected generations must be the number of writes: that shows a table which
 * went stale together with its pages. */
void memory_verify(struct memory *m, uint64_t pages);

static inline void *memory_page(const struct memory *m, uint64_t index)
{
	return m->pages + index * PATTERN_PAGE;
}

#endif

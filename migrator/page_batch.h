/* SPDX-License-Identifier: Apache-2.0
 *
 * Pages on their way into a PAGES frame (page.h): for each the way that takes the
 * fewest bytes, by what the receiver holds already. What costs nothing to find
 * out is asked first: zero, then the page's hash (the same here, the same
 * elsewhere), then what has changed, then the page itself.
 */
#ifndef MIGRATOR_PAGE_BATCH_H
#define MIGRATOR_PAGE_BATCH_H

#include <stdbool.h>

#include "migrator/page.h"
#include "migrator/reference.h"

struct page_batch {
	struct reference *ref; /* of the pages that are queued with this batch */
	/* Whether the receiver holds what was queued for this page, so that another one may be
	 * a copy of it; NULL: it always does by then. */
	bool (*is_there)(void *userdata, uint64_t page);
	void *userdata;
	struct page_packer *packer;
	bool ended; /* nothing more is added until it is reset */
	bool hurry; /* the link is faster than we: see page_batch_add() */
	unsigned n_records;
	struct page_record records[PAGE_BATCH_RECORDS];
	uint32_t body_at[PAGE_BATCH_RECORDS]; /* where that of each record begins */
	uint64_t end; /* one more than the highest page in it */
	/* of the last record, when it has a check */
	size_t check_at; /* where that goes in the body */
	struct reference_place from;
	struct page_hash checks[PAGE_CHECK_RUN];

	uint32_t pages[PAGE_KINDS], asked, ahead, replaced;
	size_t body_len;
	uint8_t body[PAGE_BATCH_BODY];
};

/* An empty one. `ref` remains the caller's. -ENOMEM or 0. */
int page_batch_init(struct page_batch *b, struct reference *ref);
void page_batch_exit(struct page_batch *b);

void page_batch_reset(struct page_batch *b);
bool page_batch_empty(const struct page_batch *b);

/* Whether another page may not fit, or would give the target too much to do before it can acknowledge. */
bool page_batch_full(const struct page_batch *b);

/* How many of the pages the target makes of what it has. */
uint32_t page_batch_made(const struct page_batch *b);

/* Adds a page; the batch must not be full. data is NULL for a zero page; what
 * is zero is found out. Pages of one address keep their order, and one that waits in the
 * batch whole is replaced, as long as nothing else in it was made from that one: QEMU sends
 * a page again only in its next pass, so this needs a pass of few pages. In a hurry, and when
 * there is no image to look into, a page of which nothing is known goes whole, and
 * nothing is known of it afterwards: hashing would take a fifth of the processor's
 * time and save bytes that nobody waits for. */
void page_batch_add(struct page_batch *b, uint64_t page, const uint8_t *data);

/* The same whole, for a target that asked: what it holds there is not known. */
void page_batch_add_whole(struct page_batch *b, uint64_t page, const uint8_t *data);

/* A page as it is before it is told of: it will be added again, and be the same by then if it can be
 * helped, so its hash is noted, hurry or not. A zero one costs as little then as now, and is not
 * added: false. */
bool page_batch_add_ahead(struct page_batch *b, uint64_t page, const uint8_t *data);

/* Nothing more is added. So that another thread may encode it: hashing is for the thread of
 * the reference table alone. */
void page_batch_end(struct page_batch *b);

/* Writes the payload of a frame to `out`, which has PAGE_PAYLOAD_MAX bytes.
 * `effort` is from PAGE_EFFORT_SMALLEST to PAGE_EFFORT_NONE. Returns its length. */
size_t page_batch_encode(struct page_batch *b, int effort, uint8_t *out, struct page_stats *ret);

#endif

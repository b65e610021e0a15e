/* SPDX-License-Identifier: Apache-2.0
 *
 * Pages that the target could not make out of what it has, and asks for. An ASK
 * frame (target to source) holds runs of them as records (page.h) of kind 0.
 *
 * The target keeps what it asked for until it comes, and gives QEMU nothing until
 * then: device state is loaded over memory that is whole. The source answers with
 * the page as it is in the guest's RAM file by now. That is sound although
 * the guest may be writing it: a write after QEMU sent the page has marked it dirty, so
 * it comes again in QEMU's stream, on the same connection, later.
 */
#ifndef MIGRATOR_PAGE_ASK_H
#define MIGRATOR_PAGE_ASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

#define PAGE_ASK_RUNS 1024 /* in a frame */
#define PAGE_ASK_SIZE (PAGE_ASK_RUNS * sizeof(uint64_t))

/* A set of pages: a bit each. */
struct page_set {
	uint64_t *bits;
	uint64_t pages; /* those that there are */
	uint64_t count; /* those that are in it */
	uint64_t first; /* none is in it before this one */
};

int page_set_init(struct page_set *s, uint64_t pages);
void page_set_exit(struct page_set *s);

/* The range must lie inside. Returns whether one was not in the set. */
bool page_set_add(struct page_set *s, uint64_t page, uint64_t count);
void page_set_remove(struct page_set *s, uint64_t page, uint64_t count);

/* Both are of as many pages. */
void page_set_copy(struct page_set *to, const struct page_set *from);

/* Takes the first run of at most `most` pages out of the set, which must not be
 * empty. Returns how many. */
uint64_t page_set_take(struct page_set *s, uint64_t most, uint64_t *ret_page);

/* Moves as many pages as one frame can ask for out of the set into its payload,
 * of PAGE_ASK_SIZE at most. Returns its length. */
size_t page_ask_encode(struct page_set *s, uint8_t *out);

/* Puts the pages of a payload into the set. Returns 0 or -EPROTO, and then it has
 * none of them. */
int page_ask_decode(const uint8_t *payload, size_t len, struct page_set *s, struct mg_error *err);

#endif

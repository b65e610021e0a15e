/* SPDX-License-Identifier: Apache-2.0
 *
 * The reference table: the one place at the source that answers "what does the
 * receiver hold at this page of the guest's RAM?" and "where does it hold these
 * bytes?". It holds a page when that page is queued in order on the page's
 * connection, or when it said that it has an image with it.
 *
 * For every page the table keeps whether it is unknown, zero or known by its hash
 * (page_hash.h), and for known ones the hashes of its blocks, so that a page that
 * comes again is a patch. From its second sending on the bytes of a page are
 * kept as a shadow, within a budget, so that it can be sent as a difference.
 * What is not kept costs bytes on the link and nothing else.
 *
 * Memory: 27 bytes a page, 256 more for a page that is known (touched only then),
 * and the budget. An image elsewhere that the receiver has is a page_source: its
 * own memory is source 0, the others are numbered as both ends agreed.
 *
 * One thread.
 */
#ifndef MIGRATOR_REFERENCE_H
#define MIGRATOR_REFERENCE_H

#include "common/cleanup.h"
#include "migrator/page_hash.h"

#define PAGE_SOURCES 8
#define PAGE_SOURCE_BASE 1 /* the base image that both ends have */
#define PAGE_SOURCE_OWN 0 /* the guest's memory as the receiver has it; slots are pages */

/* Pages that the receiver has, by number. The source of a move calls lookup, the
 * target read. */
struct page_source_ops {
	/* Whether a slot has this hash, and which. */
	bool (*lookup)(void *userdata, const struct page_hash *hash, uint64_t *ret_slot);
	/* Its bytes. 0, -ENOENT when there is no such slot, or another negative errno:
	 * the page is then asked for. */
	int (*read)(void *userdata, uint64_t slot, uint8_t *page);
};

struct page_source {
	const struct page_source_ops *ops; /* NULL: none */
	void *userdata;
};

struct reference;

enum reference_holds {
	REFERENCE_NONE, /* unknown */
	REFERENCE_ZERO,
	REFERENCE_PAGE, /* known by its hash */
};

struct reference_place {
	unsigned source;
	uint64_t slot;
};

/* `pages` is below 2^32 - 1. The table of sources begins with the guest's own
 * pages. -ENOMEM or 0. */
int reference_new(uint64_t pages, const uint8_t secret[PAGE_SECRET_SIZE], size_t shadow_bytes,
		  struct reference **ret);
void reference_free(struct reference *ref);
DEFINE_CLEANUP(struct reference, reference_free)

const struct page_hasher *reference_hasher(const struct reference *ref);

/* Plugs an image in that both ends know by this number (1 to PAGE_SOURCES - 1). */
void reference_set_source(struct reference *ref, unsigned number, struct page_source source);

/* Whether one is plugged in, so that pages may be there which are nowhere else. */
bool reference_has_sources(const struct reference *ref);

enum reference_holds reference_at(const struct reference *ref, uint64_t page);

/* Whether the receiver holds just this at the page. */
bool reference_same(const struct reference *ref, uint64_t page, const struct page_hash *hash);

/* Where else the receiver holds it; its own memory is looked through first. */
bool reference_find(const struct reference *ref, const struct page_hash *hash,
		    struct reference_place *ret);

/* A bit for each block of `data` that differs from what the receiver holds at
 * the page; all of them when that is not known. */
uint32_t reference_changed(const struct reference *ref, uint64_t page, const uint8_t *data);

/* What the receiver holds at the page, or NULL when that was not kept. */
const uint8_t *reference_shadow(const struct reference *ref, uint64_t page);

/* ---- What becomes of the receiver's copy ------------------------------------------ */

/* `data` with this hash has been queued for the page. */
void reference_note(struct reference *ref, uint64_t page, const struct page_hash *hash,
		    const uint8_t *data);
void reference_note_zero(struct reference *ref, uint64_t page);

/* What it has there is not known any more. */
void reference_forget(struct reference *ref, uint64_t page);

/* It said that it has this there, from an earlier visit. `blocks` may be NULL. */
void reference_load(struct reference *ref, uint64_t page, const struct page_hash *hash,
		    const uint64_t blocks[PAGE_BLOCKS]);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * What an image holds, page by page: which pages of the guest are other than
 * zero, and the hash of each. Packed:
 *
 *     a bit a page of the guest, the first page in the lowest bit of the first byte
 *     a hash for every bit that is set, in the order of the pages
 *
 * A page's slot is its number among those that are in the image.
 */
#ifndef MIGRATOR_IMAGE_MANIFEST_H
#define MIGRATOR_IMAGE_MANIFEST_H

#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "migrator/page_hash.h"

#define IMAGE_PAGES_MAX (UINT64_C(1) << 30) /* of a guest: 4 TiB */
#define IMAGE_NO_SLOT UINT32_MAX

struct image_manifest;

/* An empty one for a guest of so many pages, to be filled in order. */
int image_manifest_new(uint64_t guest_pages, struct image_manifest **ret);
void image_manifest_free(struct image_manifest *m);
DEFINE_CLEANUP(struct image_manifest, image_manifest_free)

/* Adds a page, whose number is higher than that of the last one. 0 or -ENOMEM. */
int image_manifest_add(struct image_manifest *m, uint64_t page, const struct page_hash *hash);

uint64_t image_manifest_guest_pages(const struct image_manifest *m);
uint32_t image_manifest_slots(const struct image_manifest *m);

/* The slot of a page, or IMAGE_NO_SLOT: the page is zero. */
uint32_t image_manifest_slot(const struct image_manifest *m, uint64_t page);

/* The hash of a slot that there is. */
const struct page_hash *image_manifest_hash(const struct image_manifest *m, uint32_t slot);

/* How long it is when packed, from the two counts. */
size_t image_manifest_size(uint64_t guest_pages, uint64_t slots);

/* Writes image_manifest_size() bytes. */
void image_manifest_pack(const struct image_manifest *m, uint8_t *out);

/* Reads one back; -EBADMSG when the bytes do not fit the counts. */
int image_manifest_unpack(const uint8_t *data, size_t len, uint64_t guest_pages, uint64_t slots,
			  struct image_manifest **ret);

#endif

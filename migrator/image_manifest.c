/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/image_manifest.h"

#include <errno.h>
#include <stdlib.h>

#define BITS 64
#define HASHES_FIRST 1024

struct image_manifest {
	uint64_t guest_pages;
	uint64_t *present; /* a bit a page */
	uint32_t *before;  /* slots before each word of `present` */
	size_t ranked;     /* words whose `before` is right */
	struct page_hash *hashes;
	uint32_t slots, room;
};

static size_t words(uint64_t guest_pages)
{
	return (size_t)((guest_pages + BITS - 1) / BITS);
}

static size_t bitmap_bytes(uint64_t guest_pages)
{
	return (size_t)((guest_pages + 7) / 8);
}

int image_manifest_new(uint64_t guest_pages, struct image_manifest **ret)
{
	_cleanup_(image_manifest_free_p) struct image_manifest *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	m->guest_pages = guest_pages;
	m->present = calloc(words(guest_pages) + 1, sizeof(*m->present));
	m->before = calloc(words(guest_pages) + 1, sizeof(*m->before));
	if (!m->present || !m->before)
		return -ENOMEM;
	*ret = TAKE_PTR(m);
	return 0;
}

void image_manifest_free(struct image_manifest *m)
{
	if (!m)
		return;
	free(m->present);
	free(m->before);
	free(m->hashes);
	free(m);
}

/* Pages come in order, so a word's rank is known once a later one is written. */
static void rank_up_to(struct image_manifest *m, size_t word)
{
	while (m->ranked <= word)
		m->before[m->ranked++] = m->slots;
}

int image_manifest_add(struct image_manifest *m, uint64_t page, const struct page_hash *hash)
{
	if (m->slots == m->room) {
		uint32_t room = m->room ? m->room * 2 : HASHES_FIRST;
		struct page_hash *more = reallocarray(m->hashes, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		m->hashes = more;
		m->room = room;
	}
	rank_up_to(m, (size_t)(page / BITS));
	m->present[page / BITS] |= UINT64_C(1) << page % BITS;
	m->hashes[m->slots++] = *hash;
	return 0;
}

uint64_t image_manifest_guest_pages(const struct image_manifest *m)
{
	return m->guest_pages;
}

uint32_t image_manifest_slots(const struct image_manifest *m)
{
	return m->slots;
}

uint32_t image_manifest_slot(const struct image_manifest *m, uint64_t page)
{
	uint64_t bit = UINT64_C(1) << page % BITS, word;

	if (page >= m->guest_pages)
		return IMAGE_NO_SLOT;
	word = m->present[page / BITS];
	if (!(word & bit))
		return IMAGE_NO_SLOT;
	return m->before[page / BITS] + (uint32_t)__builtin_popcountll(word & (bit - 1));
}

const struct page_hash *image_manifest_hash(const struct image_manifest *m, uint32_t slot)
{
	return &m->hashes[slot];
}

size_t image_manifest_size(uint64_t guest_pages, uint64_t slots)
{
	return bitmap_bytes(guest_pages) + (size_t)slots * sizeof(struct page_hash);
}

void image_manifest_pack(const struct image_manifest *m, uint8_t *out)
{
	size_t bitmap = bitmap_bytes(m->guest_pages);

	for (size_t i = 0; i < bitmap; i++)
		out[i] = (uint8_t)(m->present[i / 8] >> i % 8 * 8);
	if (m->slots)
		memcpy(out + bitmap, m->hashes, (size_t)m->slots * sizeof(*m->hashes));
}

static int add_byte(struct image_manifest *m, uint64_t first, uint8_t bits, const uint8_t **hashes,
		    const uint8_t *end)
{
	for (unsigned bit = 0; bit < 8; bit++) {
		struct page_hash hash;
		int r;

		if (!(bits >> bit & 1))
			continue;
		if (first + bit >= m->guest_pages || *hashes == end)
			return -EBADMSG;
		memcpy(hash.bytes, *hashes, sizeof(hash.bytes));
		*hashes += sizeof(struct page_hash);
		r = image_manifest_add(m, first + bit, &hash);
		if (r < 0)
			return r;
	}
	return 0;
}

int image_manifest_unpack(const uint8_t *data, size_t len, uint64_t guest_pages, uint64_t slots,
			  struct image_manifest **ret)
{
	_cleanup_(image_manifest_free_p) struct image_manifest *m = NULL;
	const uint8_t *hashes, *end = data + len;
	size_t bitmap = bitmap_bytes(guest_pages);
	int r;

	if (guest_pages == 0 || guest_pages > IMAGE_PAGES_MAX || slots > guest_pages ||
	    len != image_manifest_size(guest_pages, slots))
		return -EBADMSG;
	r = image_manifest_new(guest_pages, &m);
	hashes = data + bitmap;
	for (size_t i = 0; r == 0 && i < bitmap; i++)
		if (data[i])
			r = add_byte(m, (uint64_t)i * 8, data[i], &hashes, end);
	if (r == 0 && hashes != end)
		r = -EBADMSG;
	if (r == 0)
		*ret = TAKE_PTR(m);
	return r;
}

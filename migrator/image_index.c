/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/image_index.h"

#include <errno.h>
#include <stdlib.h>

#define FREE UINT32_MAX
#define PAGES_AT_ONCE 1024 /* between two calls of go_on() */

struct image_index {
	struct page_hash *hashes; /* by slot */
	uint32_t *table;          /* open addressing: a slot, or FREE */
	uint64_t size;
};

/* Where the hash is, or the free place where it would go. */
static uint64_t seek(const struct image_index *index, const struct page_hash *hash)
{
	uint64_t at;

	memcpy(&at, hash->bytes, sizeof(at));
	for (at %= index->size; index->table[at] != FREE; at = at + 1 == index->size ? 0 : at + 1)
		if (page_hash_equal(&index->hashes[index->table[at]], hash))
			break;
	return at;
}

static int fill(struct image_index *index, const struct image *image,
		const struct page_hasher *hasher, bool (*go_on)(void *userdata), void *userdata)
{
	uint8_t page[PAGE_SIZE_BYTES];

	for (uint32_t slot = 0; slot < image_header(image)->slots; slot++) {
		uint64_t at;

		if (slot % PAGES_AT_ONCE == 0 && !go_on(userdata))
			return -ECANCELED;
		if (image_read(image, slot, page) < 0)
			continue;
		index->hashes[slot] = page_hash(hasher, page);
		at = seek(index, &index->hashes[slot]);
		if (index->table[at] == FREE) /* else another slot has the same */
			index->table[at] = slot;
	}
	return 0;
}

int image_index_new(const struct image *image, const struct page_hasher *hasher,
		    bool (*go_on)(void *userdata), void *userdata, struct image_index **ret)
{
	_cleanup_(image_index_free_p) struct image_index *index = calloc(1, sizeof(*index));
	uint64_t slots = image_header(image)->slots;
	int r;

	if (!index)
		return -ENOMEM;
	index->size = slots + slots / 2 + 1; /* never full */
	index->hashes = calloc(slots + 1, sizeof(*index->hashes));
	index->table = malloc(index->size * sizeof(*index->table));
	if (!index->hashes || !index->table)
		return -ENOMEM;
	memset(index->table, 0xff, index->size * sizeof(*index->table));
	r = fill(index, image, hasher, go_on, userdata);
	if (r == 0)
		*ret = TAKE_PTR(index);
	return r;
}

void image_index_free(struct image_index *index)
{
	if (!index)
		return;
	free(index->hashes);
	free(index->table);
	free(index);
}

static bool lookup(void *userdata, const struct page_hash *hash, uint64_t *ret_slot)
{
	const struct image_index *index = userdata;
	uint32_t slot = index->table[seek(index, hash)];

	if (slot == FREE)
		return false;
	*ret_slot = slot;
	return true;
}

struct page_source image_index_source(struct image_index *index)
{
	static const struct page_source_ops ops = { .lookup = lookup };

	return (struct page_source){ .ops = &ops, .userdata = index };
}

static int read_slot(void *userdata, uint64_t slot, uint8_t *page)
{
	const struct image *image = userdata;

	return slot < image_header(image)->slots ? image_read(image, (uint32_t)slot, page)
						 : -ENOENT;
}

struct page_source image_page_source(const struct image *image)
{
	static const struct page_source_ops ops = { .read = read_slot };

	return (struct page_source){ .ops = &ops, .userdata = (void *)image };
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/reference.h"

#include <sodium.h>

#define NO_SLOT UINT32_MAX

/* One of the pages whose bytes are kept. */
struct shadow {
	uint32_t page; /* NO_SLOT: free */
	bool used;     /* since the hand passed */
};

struct reference {
	struct page_hasher hasher;
	uint64_t pages;
	uint8_t *holds; /* enum reference_holds, a page each */
	struct page_hash *hashes;
	uint64_t (*blocks)[PAGE_BLOCKS];
	uint8_t *has_blocks; /* a bit a page */
	struct page_source sources[PAGE_SOURCES];

	/* By hash, the pages with it that came first: open addressing, linear, a
	 * page number each. */
	uint32_t *index;
	uint64_t index_size;

	struct shadow *shadows; /* of the bytes in shadow_bytes; evicted by the clock */
	uint32_t n_shadows, hand;
	uint8_t *shadow_bytes;
	uint32_t *shadow_of; /* which one a page has, or NO_SLOT */
};

/* ---- The index: where a hash is ---------------------------------------------------- */

static uint64_t index_home(const struct reference *ref, const struct page_hash *hash)
{
	uint64_t v;

	memcpy(&v, hash->bytes, sizeof(v));
	return (uint64_t)((unsigned __int128)v * ref->index_size >> 64);
}

static uint64_t index_next(const struct reference *ref, uint64_t at)
{
	return at + 1 == ref->index_size ? 0 : at + 1;
}

/* Where the hash is, or the free place where it would go. */
static uint64_t index_seek(const struct reference *ref, const struct page_hash *hash)
{
	uint64_t at = index_home(ref, hash);

	while (ref->index[at] != NO_SLOT && !page_hash_equal(&ref->hashes[ref->index[at]], hash))
		at = index_next(ref, at);
	return at;
}

static void index_put(struct reference *ref, uint32_t page)
{
	uint64_t at = index_seek(ref, &ref->hashes[page]);

	if (ref->index[at] == NO_SLOT) /* else another page has it already */
		ref->index[at] = page;
}

/* Whether what has its home at `home` may lie at `hole` instead of at `at`. */
static bool index_may_move(uint64_t home, uint64_t hole, uint64_t at)
{
	if (hole <= at)
		return home <= hole || home > at;
	return home <= hole && home > at;
}

/* Takes a page out and closes the gap, so that no search ends too early. */
static void index_remove(struct reference *ref, uint32_t page)
{
	uint64_t hole = index_seek(ref, &ref->hashes[page]), at = hole;

	if (ref->index[hole] != page)
		return; /* it was not the first with its hash */
	for (;;) {
		at = index_next(ref, at);
		if (ref->index[at] == NO_SLOT)
			break;
		if (index_may_move(index_home(ref, &ref->hashes[ref->index[at]]), hole, at)) {
			ref->index[hole] = ref->index[at];
			hole = at;
		}
	}
	ref->index[hole] = NO_SLOT;
}

static bool own_lookup(void *userdata, const struct page_hash *hash, uint64_t *ret_slot)
{
	const struct reference *ref = userdata;
	uint32_t page = ref->index[index_seek(ref, hash)];

	if (page == NO_SLOT)
		return false;
	*ret_slot = page;
	return true;
}

static const struct page_source_ops own_ops = { .lookup = own_lookup };

/* ---- Shadows ------------------------------------------------------------------------ */

static uint8_t *shadow_at(const struct reference *ref, uint32_t i)
{
	return ref->shadow_bytes + (size_t)i * PAGE_SIZE_BYTES;
}

/* One that nobody needed since the hand came by last. */
static uint32_t shadow_evict(struct reference *ref)
{
	struct shadow *s;
	uint32_t i;

	do {
		i = ref->hand;
		s = &ref->shadows[i];
		ref->hand = i + 1 == ref->n_shadows ? 0 : i + 1;
	} while (s->page != NO_SLOT && s->used && ((s->used = false), true));
	if (s->page != NO_SLOT)
		ref->shadow_of[s->page] = NO_SLOT;
	return i;
}

/* Of a page that comes again: what came once may never change. */
static void shadow_keep(struct reference *ref, uint64_t page, const uint8_t *data)
{
	uint32_t i;

	if (ref->n_shadows == 0)
		return;
	i = ref->shadow_of[page];
	if (i == NO_SLOT) {
		i = shadow_evict(ref);
		ref->shadow_of[page] = i;
		ref->shadows[i].page = (uint32_t)page;
	}
	ref->shadows[i].used = true;
	memcpy(shadow_at(ref, i), data, PAGE_SIZE_BYTES);
}

static void shadow_drop(struct reference *ref, uint64_t page)
{
	uint32_t i = ref->n_shadows ? ref->shadow_of[page] : NO_SLOT;

	if (i == NO_SLOT)
		return;
	ref->shadows[i] = (struct shadow){ .page = NO_SLOT };
	ref->shadow_of[page] = NO_SLOT;
}

const uint8_t *reference_shadow(const struct reference *ref, uint64_t page)
{
	uint32_t i = ref->n_shadows ? ref->shadow_of[page] : NO_SLOT;

	return i == NO_SLOT ? NULL : shadow_at(ref, i);
}

/* ---- What the receiver holds ----------------------------------------------------------- */

enum reference_holds reference_at(const struct reference *ref, uint64_t page)
{
	return ref->holds[page];
}

const struct page_hasher *reference_hasher(const struct reference *ref)
{
	return &ref->hasher;
}

bool reference_same(const struct reference *ref, uint64_t page, const struct page_hash *hash)
{
	return ref->holds[page] == REFERENCE_PAGE && page_hash_equal(&ref->hashes[page], hash);
}

bool reference_find(const struct reference *ref, const struct page_hash *hash,
		    struct reference_place *ret)
{
	for (unsigned i = 0; i < PAGE_SOURCES; i++) {
		const struct page_source *s = &ref->sources[i];
		struct reference_place place = { .source = i };

		if (s->ops && s->ops->lookup(s->userdata, hash, &place.slot)) {
			*ret = place;
			return true;
		}
	}
	return false;
}

static bool has_blocks(const struct reference *ref, uint64_t page)
{
	return ref->has_blocks[page / 8] >> page % 8 & 1;
}

static void set_has_blocks(struct reference *ref, uint64_t page, bool has)
{
	uint8_t bit = (uint8_t)(1u << page % 8);

	if (has)
		ref->has_blocks[page / 8] |= bit;
	else
		ref->has_blocks[page / 8] &= (uint8_t)~bit;
}

uint32_t reference_changed(const struct reference *ref, uint64_t page, const uint8_t *data)
{
	uint64_t now[PAGE_BLOCKS];
	uint32_t changed = 0;

	if (ref->holds[page] != REFERENCE_PAGE || !has_blocks(ref, page))
		return UINT32_MAX;
	page_hash_blocks(&ref->hasher, data, now);
	for (unsigned i = 0; i < PAGE_BLOCKS; i++)
		changed |= (uint32_t)(now[i] != ref->blocks[page][i]) << i;
	return changed;
}

void reference_forget(struct reference *ref, uint64_t page)
{
	if (ref->holds[page] == REFERENCE_PAGE)
		index_remove(ref, (uint32_t)page);
	ref->holds[page] = REFERENCE_NONE;
	set_has_blocks(ref, page, false);
	shadow_drop(ref, page);
}

static void set_page(struct reference *ref, uint64_t page, const struct page_hash *hash)
{
	if (ref->holds[page] == REFERENCE_PAGE)
		index_remove(ref, (uint32_t)page);
	ref->holds[page] = REFERENCE_PAGE;
	ref->hashes[page] = *hash;
	index_put(ref, (uint32_t)page);
}

void reference_note(struct reference *ref, uint64_t page, const struct page_hash *hash,
		    const uint8_t *data)
{
	bool again = ref->holds[page] == REFERENCE_PAGE;

	set_page(ref, page, hash);
	page_hash_blocks(&ref->hasher, data, ref->blocks[page]);
	set_has_blocks(ref, page, true);
	if (again)
		shadow_keep(ref, page, data);
}

void reference_note_zero(struct reference *ref, uint64_t page)
{
	reference_forget(ref, page);
	ref->holds[page] = REFERENCE_ZERO;
}

void reference_load(struct reference *ref, uint64_t page, const struct page_hash *hash,
		    const uint64_t blocks[PAGE_BLOCKS])
{
	shadow_drop(ref, page);
	set_page(ref, page, hash);
	set_has_blocks(ref, page, blocks != NULL);
	if (blocks)
		memcpy(ref->blocks[page], blocks, sizeof(ref->blocks[page]));
}

/* ---- Beginning and end -------------------------------------------------------------------- */

void reference_set_source(struct reference *ref, unsigned number, struct page_source source)
{
	ref->sources[number] = source;
}

bool reference_has_sources(const struct reference *ref)
{
	for (unsigned i = PAGE_SOURCE_OWN + 1; i < PAGE_SOURCES; i++)
		if (ref->sources[i].ops)
			return true;
	return false;
}

static int make_shadows(struct reference *ref, size_t bytes)
{
	ref->n_shadows = (uint32_t)(bytes / (PAGE_SIZE_BYTES + sizeof(struct shadow)));
	if (ref->n_shadows == 0)
		return 0;
	if (ref->n_shadows > ref->pages)
		ref->n_shadows = (uint32_t)ref->pages;
	ref->shadows = calloc(ref->n_shadows, sizeof(*ref->shadows));
	ref->shadow_bytes = malloc((size_t)ref->n_shadows * PAGE_SIZE_BYTES);
	ref->shadow_of = malloc(ref->pages * sizeof(*ref->shadow_of));
	if (!ref->shadows || !ref->shadow_bytes || !ref->shadow_of)
		return -ENOMEM;
	memset(ref->shadow_of, 0xff, ref->pages * sizeof(*ref->shadow_of));
	for (uint32_t i = 0; i < ref->n_shadows; i++)
		ref->shadows[i].page = NO_SLOT;
	return 0;
}

int reference_new(uint64_t pages, const uint8_t secret[PAGE_SECRET_SIZE], size_t shadow_bytes,
		  struct reference **ret)
{
	_cleanup_(reference_free_p) struct reference *ref = calloc(1, sizeof(*ref));

	if (!ref)
		return -ENOMEM;
	if (page_hasher_init(&ref->hasher, secret) < 0)
		return -ENOMEM;
	ref->pages = pages;
	ref->index_size = pages + pages / 2 + 1; /* never full, and not for long searches */
	ref->holds = calloc(pages, 1);
	ref->has_blocks = calloc(pages / 8 + 1, 1);
	/* what is not touched of these takes no memory */
	ref->hashes = calloc(pages, sizeof(*ref->hashes));
	ref->blocks = calloc(pages, sizeof(*ref->blocks));
	ref->index = malloc(ref->index_size * sizeof(*ref->index));
	if (!ref->holds || !ref->has_blocks || !ref->hashes || !ref->blocks || !ref->index)
		return -ENOMEM;
	memset(ref->index, 0xff, ref->index_size * sizeof(*ref->index));
	ref->sources[PAGE_SOURCE_OWN] = (struct page_source){ .ops = &own_ops, .userdata = ref };
	if (make_shadows(ref, shadow_bytes) < 0)
		return -ENOMEM;
	*ret = TAKE_PTR(ref);
	return 0;
}

void reference_free(struct reference *ref)
{
	if (!ref)
		return;
	page_hasher_exit(&ref->hasher);
	free(ref->holds);
	free(ref->has_blocks);
	free(ref->hashes);
	free(ref->blocks);
	free(ref->index);
	free(ref->shadows);
	free(ref->shadow_bytes);
	free(ref->shadow_of);
	free(ref);
}

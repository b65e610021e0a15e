/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/page_batch.h"

#include "common/cursor.h"

#define PAGE_ADD_MAX (sizeof(struct page_hash) + sizeof(uint64_t) + PAGE_SIZE_BYTES)
#define WORD sizeof(uint64_t)
#define MADE_MAX 1024 /* pages that the target makes: 4 MiB of guest, some milliseconds of its time */
#define SPARSE 2 /* a delta when at most one word of so many in the changed blocks has changed */

/* How a page shall be sent. */
struct way {
	enum page_kind kind;
	struct reference_place from; /* COPY */
	uint32_t changed;            /* PATCH: the blocks */
	const uint8_t *old;          /* DELTA */
};

int page_batch_init(struct page_batch *b, struct reference *ref)
{
	b->ref = ref;
	page_batch_reset(b);
	return page_packer_new(&b->packer);
}

void page_batch_exit(struct page_batch *b)
{
	page_packer_free(b->packer);
	b->packer = NULL;
}

void page_batch_reset(struct page_batch *b)
{
	b->n_records = 0;
	b->ended = false;
	b->body_len = 0;
	memset(b->pages, 0, sizeof(b->pages));
	b->end = 0;
	b->asked = b->ahead = b->replaced = 0;
}

bool page_batch_empty(const struct page_batch *b)
{
	return b->n_records == 0;
}

uint32_t page_batch_made(const struct page_batch *b)
{
	return b->pages[PAGE_SAME] + b->pages[PAGE_COPY] + b->pages[PAGE_PATCH];
}

bool page_batch_full(const struct page_batch *b)
{
	return b->n_records == PAGE_BATCH_RECORDS || b->body_len > PAGE_BATCH_BODY - PAGE_ADD_MAX ||
	       page_batch_made(b) >= MADE_MAX;
}

/* ---- The body of each kind ------------------------------------------------------------ */

static void append(struct page_batch *b, const void *data, size_t len)
{
	memcpy(b->body + b->body_len, data, len);
	b->body_len += len;
}

static void append_data(struct page_batch *b, const struct way *way, const uint8_t *data)
{
	(void)way;
	append(b, data, PAGE_SIZE_BYTES);
}

static void append_patch(struct page_batch *b, const struct way *way, const uint8_t *data)
{
	uint32_t wire = htobe32(way->changed);

	append(b, &wire, sizeof(wire));
	for (uint32_t left = way->changed; left; left &= left - 1)
		append(b, data + (size_t)__builtin_ctz(left) * PAGE_BLOCK_BYTES, PAGE_BLOCK_BYTES);
}

static void append_delta(struct page_batch *b, const struct way *way, const uint8_t *data)
{
	uint8_t *out = b->body + b->body_len;

	for (size_t i = 0; i < PAGE_SIZE_BYTES; i++)
		out[i] = data[i] ^ way->old[i];
	b->body_len += PAGE_SIZE_BYTES;
}

static const struct kind {
	bool checked;
	void (*append)(struct page_batch *b, const struct way *way, const uint8_t *data);
} kinds[PAGE_KINDS] = {
	[PAGE_ZERO] = { false, NULL },         [PAGE_DATA] = { false, append_data },
	[PAGE_SAME] = { true, NULL },          [PAGE_COPY] = { true, NULL },
	[PAGE_PATCH] = { true, append_patch }, [PAGE_DELTA] = { true, append_delta },
};

/* ---- Records ------------------------------------------------------------------------------ */

/* The last record is over: its pages are known, and so is their check. */
static void close_record(struct page_batch *b)
{
	const struct page_record *r;
	struct page_hash check;

	if (b->n_records == 0)
		return;
	r = &b->records[b->n_records - 1];
	if (!kinds[r->kind].checked)
		return;
	check = page_hash_run(reference_hasher(b->ref), b->checks, r->count);
	memcpy(b->body + b->check_at, check.bytes, sizeof(check.bytes));
}

/* A record is copied as one: it may not have the slots that it writes. */
static bool copy_continues(const struct page_batch *b, const struct page_record *r,
			   const struct reference_place *from)
{
	uint64_t first = b->from.slot;

	if (from->source != b->from.source || from->slot != first + r->count)
		return false;
	return from->source != PAGE_SOURCE_OWN || from->slot < r->page ||
	       first > r->page + r->count;
}

static bool continues(const struct page_batch *b, uint64_t page, const struct way *way)
{
	const struct page_record *r;

	if (b->n_records == 0)
		return false;
	r = &b->records[b->n_records - 1];
	if (r->kind != way->kind || r->page + r->count != page ||
	    r->count == (kinds[way->kind].checked ? PAGE_CHECK_RUN : PAGE_COUNT_MAX))
		return false;
	return way->kind != PAGE_COPY || copy_continues(b, r, &way->from);
}

static void open_record(struct page_batch *b, uint64_t page, const struct way *way)
{
	close_record(b);
	b->body_at[b->n_records] = (uint32_t)b->body_len;
	b->records[b->n_records++] = (struct page_record){ .kind = way->kind, .page = page };
	if (kinds[way->kind].checked) {
		b->check_at = b->body_len;
		b->body_len += sizeof(struct page_hash);
	}
	if (way->kind == PAGE_COPY) {
		uint64_t wire = htobe64((uint64_t)way->from.source << 56 | way->from.slot);

		b->from = way->from;
		append(b, &wire, sizeof(wire));
	}
}

static void put(struct page_batch *b, uint64_t page, const struct way *way,
		const struct page_hash *hash, const uint8_t *data)
{
	struct page_record *r;

	if (!continues(b, page, way))
		open_record(b, page, way);
	r = &b->records[b->n_records - 1];
	if (kinds[way->kind].checked)
		b->checks[r->count] = *hash;
	r->count++;
	b->pages[way->kind]++;
	if (page >= b->end)
		b->end = page + 1;
	if (kinds[way->kind].append)
		kinds[way->kind].append(b, way, data);
}

static bool is_zero(const uint8_t *data)
{
	return data[0] == 0 && memcmp(data, data + 1, PAGE_SIZE_BYTES - 1) == 0;
}

/* ---- A page that still waits -------------------------------------------------------------- */

static bool covers(uint64_t first, uint64_t count, uint64_t page)
{
	return page >= first && page - first < count;
}

/* Whether a record is made from what the target has at the page by then. */
static bool copies_from(const struct page_batch *b, unsigned i, uint64_t page)
{
	const struct page_record *r = &b->records[i];
	uint64_t from;

	if (r->kind != PAGE_COPY)
		return false;
	memcpy(&from, b->body + b->body_at[i] + sizeof(struct page_hash), sizeof(from));
	from = be64toh(from);
	return from >> 56 == PAGE_SOURCE_OWN && covers(from, r->count, page);
}

/* Where the bytes of a page wait to which nothing has been done since; NULL: nowhere. */
static uint8_t *find_waiting(struct page_batch *b, uint64_t page)
{
	if (page >= b->end)
		return NULL;
	for (unsigned i = b->n_records; i-- > 0;) {
		const struct page_record *r = &b->records[i];

		if (copies_from(b, i, page))
			return NULL;
		if (!covers(r->page, r->count, page))
			continue;
		return r->kind != PAGE_DATA
			       ? NULL
			       : b->body + b->body_at[i] + (page - r->page) * PAGE_SIZE_BYTES;
	}
	return NULL;
}

/* The record is what it was, so zeros go as bytes, too. */
static void replace(struct page_batch *b, uint64_t page, const uint8_t *data, uint8_t *waiting)
{
	struct page_hash hash = page_hash(reference_hasher(b->ref), data);

	memcpy(waiting, data, PAGE_SIZE_BYTES);
	b->replaced++;
	if (is_zero(data)) {
		reference_note_zero(b->ref, page);
	} else {
		reference_forget(b->ref, page); /* the old bytes do not make a shadow */
		reference_note(b->ref, page, &hash, data);
	}
}

/* ---- The choice ------------------------------------------------------------------------------ */

/* How many words differ. */
static unsigned words_changed(const uint8_t *a, const uint8_t *b)
{
	unsigned n = 0;

	for (size_t i = 0; i < PAGE_SIZE_BYTES; i += WORD) {
		uint64_t x, y;

		memcpy(&x, a + i, WORD);
		memcpy(&y, b + i, WORD);
		n += x != y;
	}
	return n;
}

/* For a page that the receiver holds in another version, or not at all. A patch is never
 * longer than the page. A difference can be much shorter than a patch, but what changes all
 * through compresses worse as one. */
static void choose_version(const struct page_batch *b, uint64_t page, const uint8_t *data,
			   struct way *way)
{
	unsigned words;

	way->changed = reference_changed(b->ref, page, data);
	way->kind = way->changed == UINT32_MAX ? PAGE_DATA : PAGE_PATCH;
	way->old = reference_shadow(b->ref, page);
	if (!way->old)
		return;
	words = (unsigned)__builtin_popcount(way->changed) * (unsigned)(PAGE_BLOCK_BYTES / WORD);
	if (words_changed(way->old, data) * SPARSE <= words)
		way->kind = PAGE_DELTA;
}

static void put_zero(struct page_batch *b, uint64_t page)
{
	const struct way way = { .kind = PAGE_ZERO };

	put(b, page, &way, NULL, NULL);
	reference_note_zero(b->ref, page);
}

static bool find_copy(const struct page_batch *b, const struct page_hash *hash,
		      struct reference_place *ret)
{
	if (!reference_find(b->ref, hash, ret))
		return false;
	return ret->source != PAGE_SOURCE_OWN || !b->is_there || b->is_there(b->userdata, ret->slot);
}

static void add_compared(struct page_batch *b, uint64_t page, const uint8_t *data)
{
	struct page_hash hash = page_hash(reference_hasher(b->ref), data);
	struct way way = { .kind = PAGE_SAME };

	if (reference_same(b->ref, page, &hash)) {
		put(b, page, &way, &hash, data);
		return; /* nothing changes */
	}
	way.kind = PAGE_COPY;
	if (!find_copy(b, &hash, &way.from))
		choose_version(b, page, data, &way);
	put(b, page, &way, &hash, data);
	reference_note(b->ref, page, &hash, data);
}

void page_batch_add(struct page_batch *b, uint64_t page, const uint8_t *data)
{
	static const uint8_t zero[PAGE_SIZE_BYTES];
	const struct way whole = { .kind = PAGE_DATA };
	uint8_t *waiting = find_waiting(b, page);

	if (waiting) {
		replace(b, page, data ? data : zero, waiting);
		return;
	}
	if (!data || is_zero(data)) {
		put_zero(b, page);
		return;
	}
	if (b->hurry && !reference_has_sources(b->ref) &&
	    reference_at(b->ref, page) != REFERENCE_PAGE) {
		put(b, page, &whole, NULL, data);
		reference_forget(b->ref, page);
		return;
	}
	add_compared(b, page, data);
}

bool page_batch_add_ahead(struct page_batch *b, uint64_t page, const uint8_t *data)
{
	if (is_zero(data))
		return false;
	b->ahead++;
	add_compared(b, page, data);
	return true;
}

void page_batch_add_whole(struct page_batch *b, uint64_t page, const uint8_t *data)
{
	const struct way way = { .kind = PAGE_DATA };
	struct page_hash hash;

	b->asked++;
	if (is_zero(data)) {
		put_zero(b, page);
		return;
	}
	hash = page_hash(reference_hasher(b->ref), data);
	put(b, page, &way, &hash, data);
	reference_forget(b->ref, page);
	reference_note(b->ref, page, &hash, data);
}

void page_batch_end(struct page_batch *b)
{
	if (!b->ended)
		close_record(b);
	b->ended = true;
}

size_t page_batch_encode(struct page_batch *b, int effort, uint8_t *out, struct page_stats *ret)
{
	uint8_t *body = out + PAGE_HEADER_SIZE + b->n_records * sizeof(uint64_t);
	struct wcursor c = wcursor_over(out, (size_t)(body - out));
	size_t n;

	page_batch_end(b);
	n = page_packer_pack(b->packer, b->body, b->body_len, effort, body, &ret->codec);
	wcursor_u32(&c, b->n_records);
	wcursor_u32(&c, (uint32_t)b->body_len);
	wcursor_u32(&c, (uint32_t)ret->codec << 24);
	for (unsigned i = 0; i < b->n_records; i++)
		wcursor_u64(&c, page_record_pack(b->records[i]));
	memcpy(ret->pages, b->pages, sizeof(ret->pages));
	ret->asked = b->asked;
	ret->ahead = b->ahead;
	ret->replaced = b->replaced;
	return (size_t)(body - out) + n;
}

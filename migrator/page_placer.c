/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/page_placer.h"

#include <inttypes.h>

#include "common/cursor.h"

struct page_placer {
	struct ram_image *image;
	struct page_hasher hasher;
	struct page_source sources[PAGE_SOURCES];
	struct page_set missing, unasked;
	unsigned connection, connections;
	struct page_packer *packer;
	struct arrival *arrival; /* NULL: what comes is not written down */
	struct page_set *changed; /* NULL: nobody wants to know */
	struct page_set told;     /* those that have been in it */
	uint8_t body[PAGE_BATCH_BODY];
	uint8_t pages[PAGE_CHECK_RUN * PAGE_SIZE_BYTES]; /* of a record, to be checked */
};

/* ---- Kinds: how a record's pages come out of the body -------------------------------- */

struct kind {
	/* With a check: all of the record is put together before any of it is written. */
	bool checked;
	size_t head;     /* bytes for the record, after the check */
	size_t page_min; /* bytes for a page, */
	/* and how many more, told by the first of them. NULL: none */
	size_t (*page_more)(const uint8_t *body);
	/* Makes a page, the `nth` of a record whose head is there. A failure means
	 * that the page must be asked for. NULL: see place_plain(). */
	int (*make)(struct page_placer *p, uint64_t page, const uint8_t *head, uint64_t nth,
		    const uint8_t *body, uint8_t *out);
};

static uint64_t load_be64(const uint8_t *at)
{
	uint64_t v;

	memcpy(&v, at, sizeof(v));
	return be64toh(v);
}

static uint32_t load_be32(const uint8_t *at)
{
	uint32_t v;

	memcpy(&v, at, sizeof(v));
	return be32toh(v);
}

static int make_same(struct page_placer *p, uint64_t page, const uint8_t *head, uint64_t nth,
		     const uint8_t *body, uint8_t *out)
{
	(void)head, (void)nth, (void)body;
	return ram_image_get(p->image, page, out);
}

static int make_copy(struct page_placer *p, uint64_t page, const uint8_t *head, uint64_t nth,
		     const uint8_t *body, uint8_t *out)
{
	uint64_t from = load_be64(head), source = from >> 56;
	uint64_t slot = (from & ((UINT64_C(1) << 56) - 1)) + nth;

	(void)page, (void)body;
	if (source >= PAGE_SOURCES || !p->sources[source].ops)
		return -ENOENT;
	return p->sources[source].ops->read(p->sources[source].userdata, slot, out);
}

static size_t patch_blocks(const uint8_t *body)
{
	return (size_t)__builtin_popcount(load_be32(body)) * PAGE_BLOCK_BYTES;
}

static int make_patch(struct page_placer *p, uint64_t page, const uint8_t *head, uint64_t nth,
		      const uint8_t *body, uint8_t *out)
{
	int r = ram_image_get(p->image, page, out);

	(void)head, (void)nth;
	if (r < 0)
		return r;
	for (uint32_t left = load_be32(body); left; left &= left - 1) {
		static const size_t first = sizeof(uint32_t);
		uint32_t done = load_be32(body) & ((left & -left) - 1);

		memcpy(out + (size_t)__builtin_ctz(left) * PAGE_BLOCK_BYTES,
		       body + first + (size_t)__builtin_popcount(done) * PAGE_BLOCK_BYTES,
		       PAGE_BLOCK_BYTES);
	}
	return 0;
}

static int make_delta(struct page_placer *p, uint64_t page, const uint8_t *head, uint64_t nth,
		      const uint8_t *body, uint8_t *out)
{
	int r = ram_image_get(p->image, page, out);

	(void)head, (void)nth;
	for (size_t i = 0; r == 0 && i < PAGE_SIZE_BYTES; i++)
		out[i] ^= body[i];
	return r;
}

static const struct kind kinds[PAGE_KINDS] = {
	[PAGE_ZERO] = { false, 0, 0, NULL, NULL },
	[PAGE_DATA] = { false, 0, PAGE_SIZE_BYTES, NULL, NULL },
	[PAGE_SAME] = { true, 0, 0, NULL, make_same },
	[PAGE_COPY] = { true, sizeof(uint64_t), 0, NULL, make_copy },
	[PAGE_PATCH] = { true, 0, sizeof(uint32_t), patch_blocks, make_patch },
	[PAGE_DELTA] = { true, 0, PAGE_SIZE_BYTES, NULL, make_delta },
};

/* ---- Checking the form ------------------------------------------------------------------ */

/* Steps over what a record has in the body; false when it is cut short. */
static bool skip_body(struct rcursor *body, const struct page_record *r)
{
	const struct kind *k = &kinds[r->kind];
	const uint8_t *at;

	if (k->checked)
		rcursor_bytes(body, sizeof(struct page_hash) + k->head);
	if (!k->page_more) {
		rcursor_bytes(body, r->count * k->page_min);
		return rcursor_ok(body);
	}
	for (uint64_t i = 0; i < r->count; i++) {
		at = rcursor_bytes(body, k->page_min);
		if (!at || !rcursor_bytes(body, k->page_more(at)))
			return false;
	}
	return true;
}

static bool is_bound_here(const struct page_placer *p, const struct page_record *r)
{
	uint64_t last = r->page + r->count - 1;

	return p->connections == 1 || (page_lane(r->page, p->connections) == p->connection &&
				       r->page / PAGE_LANE_RUN == last / PAGE_LANE_RUN);
}

/* Every record inside the RAM, of a known kind, and together just the body. */
static int check_records(const struct page_placer *p, struct rcursor c, uint32_t n,
			 struct rcursor body, struct mg_error *err)
{
	uint64_t pages = ram_image_pages(p->image);

	for (uint32_t i = 0; i < n; i++) {
		struct page_record r = page_record_unpack(rcursor_u64(&c));

		if (r.kind >= PAGE_KINDS)
			return mg_error_set(err, -EPROTO, "PAGES: record of unknown kind %u",
					    (unsigned)r.kind);
		if (r.count == 0 || r.page >= pages || r.count > pages - r.page ||
		    (kinds[r.kind].checked && r.count > PAGE_CHECK_RUN))
			return mg_error_set(err, -EPROTO,
					    "PAGES: %" PRIu64 " pages from %" PRIu64
					    " on in a guest of %" PRIu64,
					    r.count, r.page, pages);
		if (!is_bound_here(p, &r))
			return mg_error_set(err, -EPROTO,
					    "PAGES: %" PRIu64 " pages from %" PRIu64
					    " on are another connection's",
					    r.count, r.page);
		if (!skip_body(&body, &r))
			return mg_error_set(err, -EPROTO,
					    "PAGES: the body is too short for record "
					    "%" PRIu32,
					    i);
	}
	if (rcursor_left(&body))
		return mg_error_set(err, -EPROTO,
				    "PAGES: the body has %zu bytes more than its "
				    "records",
				    rcursor_left(&body));
	return 0;
}

/* ---- Placing ------------------------------------------------------------------------------- */

/* Before it is written: who wants to know hears of each page once, and then of other bytes only. One
 * that was asked for may come after it has come otherwise, when it is too late to be told again.
 * `data` NULL: they are zero. */
static void note_changed(struct page_placer *p, const struct page_record *r, const uint8_t *data)
{
	static const uint8_t zero[PAGE_SIZE_BYTES];
	uint8_t was[PAGE_SIZE_BYTES];

	for (uint64_t i = 0; p->changed && i < r->count; i++) {
		const uint8_t *page = data ? data + i * PAGE_SIZE_BYTES : zero;

		if (page_set_add(&p->told, r->page + i, 1) ||
		    ram_image_peek(p->image, r->page + i, was) < 0 ||
		    memcmp(was, page, sizeof(was)) != 0)
			page_set_add(p->changed, r->page + i, 1);
	}
}

static int place_plain(struct page_placer *p, const struct page_record *r, struct rcursor *body)
{
	const uint8_t *data;

	if (r->kind == PAGE_ZERO) {
		note_changed(p, r, NULL);
		if (p->arrival)
			arrival_note_zero(p->arrival, r->page, r->count);
		return ram_image_zero(p->image, r->page, r->count);
	}
	data = rcursor_bytes(body, r->count * PAGE_SIZE_BYTES);
	note_changed(p, r, data);
	if (p->arrival)
		arrival_note(p->arrival, &p->hasher, r->page, r->count, data, NULL);
	return ram_image_put(p->image, r->page, r->count, data);
}

/* Puts the pages of a record together, with their hashes; 0 when they are what they should be. */
static int make_pages(struct page_placer *p, const struct page_record *r, struct rcursor *body,
		      struct page_hash hashes[PAGE_CHECK_RUN])
{
	const struct kind *k = &kinds[r->kind];
	const uint8_t *check = rcursor_bytes(body, sizeof(struct page_hash));
	const uint8_t *head = rcursor_bytes(body, k->head);
	struct page_hash all;
	int res = 0;

	for (uint64_t i = 0; i < r->count; i++) {
		uint8_t *page = p->pages + i * PAGE_SIZE_BYTES;
		const uint8_t *at = rcursor_bytes(body, k->page_min);

		if (k->page_more)
			rcursor_bytes(body, k->page_more(at));
		if (res == 0)
			res = k->make(p, r->page + i, head, i, at, page);
		if (res == 0)
			hashes[i] = page_hash(&p->hasher, page);
	}
	if (res < 0)
		return res;
	all = page_hash_run(&p->hasher, hashes, r->count);
	return memcmp(all.bytes, check, sizeof(all.bytes)) == 0 ? 0 : -EBADMSG;
}

static int place_checked(struct page_placer *p, const struct page_record *r, struct rcursor *body,
			 struct page_stats *stats)
{
	struct page_hash hashes[PAGE_CHECK_RUN];

	if (make_pages(p, r, body, hashes) < 0) {
		/* what was missing before has been asked for, and comes whole */
		for (uint64_t i = r->page; i < r->page + r->count; i++)
			if (page_set_add(&p->missing, i, 1))
				stats->asked += page_set_add(&p->unasked, i, 1);
		return 1;
	}
	note_changed(p, r, p->pages);
	if (p->arrival)
		arrival_note(p->arrival, &p->hasher, r->page, r->count, p->pages, hashes);
	return r->kind == PAGE_SAME ? 0 : ram_image_put(p->image, r->page, r->count, p->pages);
}

static int place_record(struct page_placer *p, const struct page_record *r, struct rcursor *body,
			struct page_stats *stats)
{
	int res =
		kinds[r->kind].checked ? place_checked(p, r, body, stats) : place_plain(p, r, body);

	if (res < 0)
		return res;
	stats->pages[r->kind] += (uint32_t)r->count;
	if (res == 0 && p->missing.count) {
		page_set_remove(&p->missing, r->page, r->count);
		page_set_remove(&p->unasked, r->page, r->count);
	}
	return 0;
}

int page_placer_place(struct page_placer *p, const uint8_t *payload, size_t len,
		      struct page_stats *ret, struct mg_error *err)
{
	struct rcursor c = rcursor_over(payload, len), records, body;
	uint32_t n = rcursor_u32(&c), body_len = rcursor_u32(&c), last = rcursor_u32(&c);
	struct page_stats stats = { .codec = last >> 24 };
	const uint8_t *bytes;
	size_t stored;
	int r;

	if (!rcursor_ok(&c) || n == 0 || n > PAGE_BATCH_RECORDS || body_len > PAGE_BATCH_BODY ||
	    stats.codec >= PAGE_CODECS || last & 0xffffff)
		return mg_error_set(err, -EPROTO, "PAGES: malformed header");
	records = c;
	if (!rcursor_bytes(&c, n * sizeof(uint64_t)))
		return mg_error_set(err, -EPROTO, "PAGES: cut short");
	stored = rcursor_left(&c);
	bytes = page_packer_open(p->packer, rcursor_bytes(&c, stored), stored, stats.codec,
				 body_len, p->body);
	if (!bytes)
		return mg_error_set(err, -EPROTO,
				    "PAGES: the body (%zu bytes for %" PRIu32 ") is "
				    "damaged",
				    stored, body_len);
	body = rcursor_over(bytes, body_len);
	r = check_records(p, records, n, body, err);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < n; i++) {
		struct page_record rec = page_record_unpack(rcursor_u64(&records));

		r = place_record(p, &rec, &body, &stats);
		if (r < 0)
			return mg_error_set(err, r, "RAM file: %s", strerror(-r));
	}
	*ret = stats;
	return 0;
}

uint64_t page_placer_missing(const struct page_placer *p)
{
	return p->missing.count;
}

void page_placer_ask_again(struct page_placer *p)
{
	page_set_copy(&p->unasked, &p->missing);
}

struct page_set *page_placer_unasked(struct page_placer *p)
{
	return &p->unasked;
}

/* ---- Beginning and end ----------------------------------------------------------------------- */

static int own_read(void *userdata, uint64_t slot, uint8_t *page)
{
	const struct ram_image *image = userdata;

	return slot < ram_image_pages(image) ? ram_image_peek(image, slot, page) : -ENOENT;
}

static const struct page_source_ops own_ops = { .read = own_read };

void page_placer_bind(struct page_placer *p, unsigned connection, unsigned connections)
{
	p->connection = connection;
	p->connections = connections;
}

void page_placer_set_source(struct page_placer *p, unsigned number, struct page_source source)
{
	p->sources[number] = source;
}

void page_placer_set_arrival(struct page_placer *p, struct arrival *arrival)
{
	p->arrival = arrival;
}

int page_placer_set_changed(struct page_placer *p, struct page_set *changed)
{
	int r = page_set_init(&p->told, ram_image_pages(p->image));

	if (r == 0)
		p->changed = changed;
	return r;
}

int page_placer_new(struct ram_image *image, const uint8_t secret[PAGE_SECRET_SIZE],
		    struct page_placer **ret)
{
	_cleanup_(page_placer_free_p) struct page_placer *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->image = image;
	p->connections = 1;
	if (page_hasher_init(&p->hasher, secret) < 0)
		return -ENOMEM;
	p->sources[PAGE_SOURCE_OWN] = (struct page_source){ .ops = &own_ops, .userdata = image };
	if (page_packer_new(&p->packer) < 0 ||
	    page_set_init(&p->missing, ram_image_pages(image)) < 0 ||
	    page_set_init(&p->unasked, ram_image_pages(image)) < 0)
		return -ENOMEM;
	*ret = TAKE_PTR(p);
	return 0;
}

void page_placer_free(struct page_placer *p)
{
	if (!p)
		return;
	page_hasher_exit(&p->hasher);
	page_packer_free(p->packer);
	page_set_exit(&p->missing);
	page_set_exit(&p->unasked);
	page_set_exit(&p->told);
	free(p);
}

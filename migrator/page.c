/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/page.h"

#include <inttypes.h>
#include <lz4.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/cursor.h"

#define PAGE_BITS 40
#define COUNT_BITS 16
#define COUNT_MAX UINT16_MAX

/* ---- Kinds: how a record's pages come out of the body -------------------------- */

struct kind {
	size_t body_bytes; /* for one page */
	int (*place)(struct ram_image *image, uint64_t page, uint64_t count, const uint8_t *body);
};

static int place_zero(struct ram_image *image, uint64_t page, uint64_t count, const uint8_t *body)
{
	(void)body;
	return ram_image_zero(image, page, count);
}

static const struct kind kinds[PAGE_KINDS] = {
	[PAGE_ZERO] = { 0, place_zero },
	[PAGE_DATA] = { PAGE_SIZE_BYTES, ram_image_put },
};

/* ---- Codecs: how the body travels ---------------------------------------------- */

struct codec {
	/* Returns the length in `out`, 0 when it does not fit. */
	size_t (*compress)(const uint8_t *in, size_t len, uint8_t *out, size_t size, int effort);
	/* Exactly `out_len` bytes, or false. */
	bool (*expand)(const uint8_t *in, size_t len, uint8_t *out, size_t out_len);
};

static size_t lz4_compress(const uint8_t *in, size_t len, uint8_t *out, size_t size, int effort)
{
	int n = LZ4_compress_fast((const char *)in, (char *)out, (int)len, (int)size, effort);

	return n > 0 ? (size_t)n : 0;
}

static bool lz4_expand(const uint8_t *in, size_t len, uint8_t *out, size_t out_len)
{
	return LZ4_decompress_safe((const char *)in, (char *)out, (int)len, (int)out_len) ==
	       (int)out_len;
}

static const struct codec codecs[PAGE_CODECS] = {
	[PAGE_CODEC_RAW] = { NULL, NULL }, /* as it is */
	[PAGE_CODEC_LZ4] = { lz4_compress, lz4_expand },
};

/* ---- Writing ---------------------------------------------------------------------- */

void page_batch_reset(struct page_batch *b)
{
	b->n_records = 0;
	b->body_len = 0;
	b->pages_zero = b->pages_data = 0;
}

bool page_batch_empty(const struct page_batch *b)
{
	return b->n_records == 0;
}

bool page_batch_full(const struct page_batch *b)
{
	return b->n_records == PAGE_BATCH_RECORDS || b->body_len == PAGE_BATCH_BODY;
}

static bool is_zero(const uint8_t *data)
{
	return data[0] == 0 && memcmp(data, data + 1, PAGE_SIZE_BYTES - 1) == 0;
}

void page_batch_add(struct page_batch *b, uint64_t page, const uint8_t *data)
{
	enum page_kind kind = !data || is_zero(data) ? PAGE_ZERO : PAGE_DATA;
	unsigned last = b->n_records - 1;

	if (kind == PAGE_DATA) {
		memcpy(b->body + b->body_len, data, PAGE_SIZE_BYTES);
		b->body_len += PAGE_SIZE_BYTES;
		b->pages_data++;
	} else {
		b->pages_zero++;
	}
	if (b->n_records && b->records[last].kind == kind && b->records[last].count < COUNT_MAX &&
	    b->records[last].page + b->records[last].count == page) {
		b->records[last].count++;
		return;
	}
	b->records[b->n_records].page = page;
	b->records[b->n_records].count = 1;
	b->records[b->n_records].kind = kind;
	b->n_records++;
}

size_t page_batch_encode(const struct page_batch *b, int effort, uint8_t *out,
			 struct page_batch_stats *ret)
{
	uint8_t *body = out + PAGE_HEADER_SIZE + b->n_records * sizeof(uint64_t);
	struct wcursor c = wcursor_over(out, (size_t)(body - out));
	enum page_codec codec = PAGE_CODEC_LZ4;
	size_t n = 0;

	if (b->body_len) /* worth it only when it saves something */
		n = codecs[codec].compress(b->body, b->body_len, body, b->body_len - 1, effort);
	if (n == 0) {
		codec = PAGE_CODEC_RAW;
		n = b->body_len;
		memcpy(body, b->body, n);
	}
	wcursor_u32(&c, b->n_records);
	wcursor_u32(&c, (uint32_t)b->body_len);
	wcursor_u32(&c, (uint32_t)codec << 24);
	for (unsigned i = 0; i < b->n_records; i++)
		wcursor_u64(&c, (uint64_t)b->records[i].kind << (PAGE_BITS + COUNT_BITS) |
				(uint64_t)b->records[i].count << PAGE_BITS | b->records[i].page);
	*ret = (struct page_batch_stats){ .pages_zero = b->pages_zero,
					  .pages_data = b->pages_data,
					  .codec = codec };
	return (size_t)(body - out) + n;
}

/* ---- Reading ------------------------------------------------------------------------ */

struct record {
	uint64_t page;
	uint64_t count;
	unsigned kind;
};

static struct record read_record(struct rcursor *c)
{
	uint64_t v = rcursor_u64(c);

	return (struct record){ .page = v & ((UINT64_C(1) << PAGE_BITS) - 1),
				.count = v >> PAGE_BITS & COUNT_MAX,
				.kind = (unsigned)(v >> (PAGE_BITS + COUNT_BITS)) };
}

/* Every record inside the RAM, of a known kind, and together just the body. */
static int check_records(struct rcursor c, uint32_t n, size_t body_len,
			 const struct ram_image *image, struct mg_error *err)
{
	uint64_t pages = ram_image_pages(image);
	size_t needed = 0;

	for (uint32_t i = 0; i < n; i++) {
		struct record r = read_record(&c);

		if (r.kind >= PAGE_KINDS)
			return mg_error_set(err, -EPROTO, "PAGES: record of unknown kind %u",
					    r.kind);
		if (r.count == 0 || r.page >= pages || r.count > pages - r.page)
			return mg_error_set(err, -EPROTO, "PAGES: %" PRIu64 " pages from %" PRIu64
					    " on in a guest of %" PRIu64, r.count, r.page, pages);
		needed += r.count * kinds[r.kind].body_bytes;
	}
	if (needed != body_len)
		return mg_error_set(err, -EPROTO, "PAGES: body of %zu bytes for records of %zu",
				    body_len, needed);
	return 0;
}

static const uint8_t *open_body(struct rcursor *c, unsigned codec, size_t body_len,
				uint8_t *scratch, struct mg_error *err)
{
	size_t stored = rcursor_left(c);
	const uint8_t *in = rcursor_bytes(c, stored);

	if (codec == PAGE_CODEC_RAW && stored == body_len)
		return in;
	if (codec != PAGE_CODEC_RAW && codecs[codec].expand(in, stored, scratch, body_len))
		return scratch;
	mg_error_set(err, -EPROTO, "PAGES: the body (%zu bytes for %zu) is damaged", stored,
		     body_len);
	return NULL;
}

int page_batch_place(const uint8_t *payload, size_t len, struct ram_image *image, uint8_t *scratch,
		     struct page_batch_stats *ret, struct mg_error *err)
{
	struct rcursor c = rcursor_over(payload, len), records;
	uint32_t n = rcursor_u32(&c), body_len = rcursor_u32(&c), last = rcursor_u32(&c);
	unsigned codec = last >> 24;
	struct page_batch_stats stats = { 0 };
	const uint8_t *body;
	int r;

	if (!rcursor_ok(&c) || n == 0 || n > PAGE_BATCH_RECORDS || body_len > PAGE_BATCH_BODY ||
	    codec >= PAGE_CODECS || last & 0xffffff)
		return mg_error_set(err, -EPROTO, "PAGES: malformed header");
	records = c;
	if (!rcursor_bytes(&c, n * sizeof(uint64_t)))
		return mg_error_set(err, -EPROTO, "PAGES: cut short");
	r = check_records(records, n, body_len, image, err);
	if (r < 0)
		return r;
	body = open_body(&c, codec, body_len, scratch, err);
	if (!body)
		return -EPROTO;
	for (uint32_t i = 0; i < n; i++) {
		struct record rec = read_record(&records);

		r = kinds[rec.kind].place(image, rec.page, rec.count, body);
		if (r < 0)
			return mg_error_set(err, r, "RAM file: %s", strerror(-r));
		body += rec.count * kinds[rec.kind].body_bytes;
		*(rec.kind == PAGE_ZERO ? &stats.pages_zero : &stats.pages_data) +=
			(uint32_t)rec.count;
	}
	stats.codec = codec;
	*ret = stats;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * The page codec: what a PAGES frame holds.
 *
 *     u32 number of records | u32 length of the body | u8 body codec | 3 × 0
 *     records:  u64, from the top: kind 8 bits, count 16, first page 40
 *     body:     what the records' pages need, in their order, through the codec
 *
 * A record says how `count` pages that follow each other come about; what its
 * kind needs for it lies in the body. The body is compressed as one, so that
 * every page has the ones before it in the frame as history. A new way to send a
 * page is a row in the table of kinds, a new compressor a row in that of codecs.
 */
#ifndef MIGRATOR_PAGE_H
#define MIGRATOR_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "migrator/ram_image.h"

#define PAGE_SIZE_BYTES RAM_IMAGE_PAGE
#define PAGE_BATCH_BODY ((size_t)256 << 10) /* the longest body, before the codec */
#define PAGE_BATCH_RECORDS 2048
#define PAGE_HEADER_SIZE 12
#define PAGE_PAYLOAD_MAX (PAGE_HEADER_SIZE + PAGE_BATCH_RECORDS * sizeof(uint64_t) + PAGE_BATCH_BODY)

enum page_kind {
	PAGE_ZERO = 0, /* nothing in the body */
	PAGE_DATA = 1, /* the page itself */
	PAGE_KINDS,
};

enum page_codec {
	PAGE_CODEC_RAW = 0,
	PAGE_CODEC_LZ4 = 1,
	PAGE_CODECS,
};

struct page_batch_stats {
	uint32_t pages_zero;
	uint32_t pages_data;
	enum page_codec codec;
};

/* ---- Writing ---------------------------------------------------------------- */

struct page_batch {
	unsigned n_records;
	struct {
		uint64_t page;
		uint16_t count;
		uint8_t kind;
	} records[PAGE_BATCH_RECORDS];
	size_t body_len;
	uint32_t pages_zero, pages_data;
	uint8_t body[PAGE_BATCH_BODY];
};

void page_batch_reset(struct page_batch *b);
bool page_batch_empty(const struct page_batch *b);

/* Whether another page fits, of whatever kind. */
bool page_batch_full(const struct page_batch *b);

/* Adds a page; the batch must not be full. data is NULL for a zero page; what
 * is zero is found out. Pages of one address keep their order. */
void page_batch_add(struct page_batch *b, uint64_t page, const uint8_t *data);

/* Writes the payload of a frame to `out`, which has PAGE_PAYLOAD_MAX bytes.
 * `effort` is from 1 (smallest) up (fastest). Returns its length. */
size_t page_batch_encode(const struct page_batch *b, int effort, uint8_t *out,
			 struct page_batch_stats *ret);

/* ---- Reading ------------------------------------------------------------------ */

/* Places the pages of a payload. Everything is checked before the first page is
 * written. `scratch` has PAGE_BATCH_BODY bytes. Returns 0, -EPROTO or what the
 * RAM file says. */
int page_batch_place(const uint8_t *payload, size_t len, struct ram_image *image, uint8_t *scratch,
		     struct page_batch_stats *ret, struct mg_error *err);

#endif

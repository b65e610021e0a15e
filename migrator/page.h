/* SPDX-License-Identifier: Apache-2.0
 *
 * The page codec: what a PAGES frame holds.
 *
 *     u32 number of records | u32 length of the body | u8 body codec | 3 × 0
 *     records:  u64, from the top: kind 8 bits, count 16, first page 40
 *     body:     what the records' pages need, in their order, through the codec
 *
 * A record says how `count` pages that follow each other come about. The body is
 * compressed as one, so that every page has the ones before it in the frame as
 * history. What lies in the body for a record:
 *
 *     ZERO   nothing
 *     DATA   the pages
 *     SAME   check                           they are there already
 *     COPY   check, u64 from                 they are elsewhere: from the top source
 *                                            8 bits, first slot 56 (reference.h)
 *     PATCH  check, for each page            u32, a bit for each 128-byte block that
 *                                            has changed, lowest first; these blocks
 *     DELTA  check, for each page            its exclusive or with the old one
 *
 * `check` are 16 bytes: the hash of the hashes of the pages (page_hash.h) as they
 * must be in the end. The target writes such a record only if it fits. If not, its
 * copy was not what the source thought; it asks for the pages (page_ask.h) and the
 * source sends them whole. So what a damaged or lost image costs is bytes, and no page
 * ever becomes a wrong one. Because one check is for the whole record, a page
 * that is the same costs half a byte.
 *
 * A new way to send a page is a row in the tables of kinds (page_batch.c,
 * page_placer.c), a new compressor a row in that of codecs (page_body.c).
 */
#ifndef MIGRATOR_PAGE_H
#define MIGRATOR_PAGE_H

#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "migrator/page_hash.h"

#define PAGE_BATCH_BODY ((size_t)256 << 10) /* the longest body, before the codec */
#define PAGE_BATCH_RECORDS 2048
#define PAGE_HEADER_SIZE 12
#define PAGE_PAYLOAD_MAX                                                                           \
	(PAGE_HEADER_SIZE + PAGE_BATCH_RECORDS * sizeof(uint64_t) + PAGE_BATCH_BODY)
#define PAGE_CHECK_RUN 64 /* pages that one check may be for */

enum page_kind {
	PAGE_ZERO = 0,
	PAGE_DATA = 1,
	PAGE_SAME = 2,
	PAGE_COPY = 3,
	PAGE_PATCH = 4,
	PAGE_DELTA = 5,
	PAGE_KINDS,
};

struct page_record {
	enum page_kind kind;
	uint64_t page;
	uint64_t count;
};

#define PAGE_COUNT_MAX UINT16_MAX

#define PAGE_LANE_RUN 64 /* pages that are bound to one connection together */

/* Which of a move's connections a page goes on. Both ends must agree: a record of another one's
 * page is refused, and so is one that reaches beyond such a run where there are several. */
static inline unsigned page_lane(uint64_t page, unsigned connections)
{
	return (unsigned)(page / PAGE_LANE_RUN % connections);
}

static inline uint64_t page_record_pack(struct page_record r)
{
	return (uint64_t)r.kind << 56 | r.count << 40 | r.page;
}

/* `kind` may be PAGE_KINDS or more. */
static inline struct page_record page_record_unpack(uint64_t v)
{
	return (struct page_record){ .kind = (enum page_kind)(v >> 56),
				     .count = v >> 40 & PAGE_COUNT_MAX,
				     .page = v & ((UINT64_C(1) << 40) - 1) };
}

enum page_codec {
	PAGE_CODEC_RAW = 0,
	PAGE_CODEC_LZ4 = 1,
	PAGE_CODEC_ZSTD = 2,
	PAGE_CODECS,
};

struct page_stats { /* of a frame */
	uint32_t pages[PAGE_KINDS];
	uint32_t asked; /* of these: source: whole because the target asked; target: to be asked for
			 */
	uint32_t ahead; /* source: of these, before QEMU has told of them */
	uint32_t replaced; /* source: apart from these: were not sent, because they came again */
	enum page_codec codec;
};

/* What an operator is shown: pages by the way in which they went. */
enum page_count {
	PAGES_ZERO,
	PAGES_SAME,
	PAGES_COPY,
	PAGES_PATCH,
	PAGES_DELTA,
	PAGES_LZ4, /* whole, in a body of this codec */
	PAGES_ZSTD,
	PAGES_RAW,   /* whole, in one that could not be compressed */
	PAGES_ASKED, /* of all these: because the target could not make them */
	PAGES_AHEAD, /* of all these: before QEMU came to them, which it then did */
	PAGES_REPLACED, /* apart from these: came again while they waited, and went once */
	PAGE_COUNTS,
};

/* Written by one thread. */
void page_counts_add(_Atomic uint64_t counts[PAGE_COUNTS], const struct page_stats *stats);

/* The guest's bytes that went, each page once. */
uint64_t page_counts_bytes(const uint64_t counts[PAGE_COUNTS]);

/* ---- How a body travels (page_body.c) ------------------------------------------
 *
 * With the least effort for the link by Zstandard, else by LZ4, ever faster. Over the pages of a
 * used Debian guest that are other than zero and come once (395 MB; one core of 2026): Zstandard at
 * level 1 137 MB at 420 MB/s, LZ4 184 MB at 680, LZ4HC at level 3 157 MB at 100. Levels 3 and 6 save
 * 3 and 7 % of level 1's bytes at 0.6 and 0.25 of its speed. Bodies do not have those before them as
 * history: that saves 0.5 % of bodies of 252 KiB and 2.5 % of 32 KiB, costs LZ4 up to a third of
 * its speed, and ties frames to each other.
 */

#define PAGE_EFFORT_SMALLEST 0
#define PAGE_EFFORT_THRIFTY 2 /* most of what there is to save, at a fair price */
#define PAGE_EFFORT_FASTEST 5
#define PAGE_EFFORT_NONE 6 /* as it is: for a link that is faster than LZ4 */

struct page_packer;

int page_packer_new(struct page_packer **ret); /* -ENOMEM or 0 */
void page_packer_free(struct page_packer *p);
DEFINE_CLEANUP(struct page_packer, page_packer_free)

/* Compresses a body, or copies it when that saves nothing. `out` has `len` bytes.
 * Returns the length in `out`. */
size_t page_packer_pack(struct page_packer *p, const uint8_t *body, size_t len, int effort,
			uint8_t *out, enum page_codec *ret_codec);

/* The body of exactly `len` bytes: in place, or in `scratch` (PAGE_BATCH_BODY).
 * NULL when it is damaged. `codec` is below PAGE_CODECS. */
const uint8_t *page_packer_open(struct page_packer *p, const uint8_t *in, size_t stored,
				enum page_codec codec, size_t len, uint8_t *scratch);

#endif

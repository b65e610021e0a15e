/* SPDX-License-Identifier: Apache-2.0 */
#include <lz4.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <zstd.h>

#include "migrator/page.h"

struct page_packer {
	ZSTD_CCtx *compressor; /* NULL until it is needed */
	ZSTD_DCtx *decompressor;
};

struct codec {
	/* Returns the length in `out`, 0 when it does not fit. */
	size_t (*compress)(struct page_packer *p, const uint8_t *in, size_t len, uint8_t *out,
			   size_t size, int level);
	/* Exactly `out_len` bytes, or false. */
	bool (*expand)(struct page_packer *p, const uint8_t *in, size_t len, uint8_t *out,
		       size_t out_len);
};

static size_t lz4_compress(struct page_packer *p, const uint8_t *in, size_t len, uint8_t *out,
			   size_t size, int level)
{
	int n = LZ4_compress_fast((const char *)in, (char *)out, (int)len, (int)size, level);

	(void)p;
	return n > 0 ? (size_t)n : 0;
}

static bool lz4_expand(struct page_packer *p, const uint8_t *in, size_t len, uint8_t *out,
		       size_t out_len)
{
	(void)p;
	return LZ4_decompress_safe((const char *)in, (char *)out, (int)len, (int)out_len) ==
	       (int)out_len;
}

static size_t zstd_compress(struct page_packer *p, const uint8_t *in, size_t len, uint8_t *out,
			    size_t size, int level)
{
	size_t n;

	if (!p->compressor)
		p->compressor = ZSTD_createCCtx();
	if (!p->compressor)
		return 0; /* out of memory: as it is, then */
	n = ZSTD_compressCCtx(p->compressor, out, size, in, len, level);
	return ZSTD_isError(n) ? 0 : n;
}

static bool zstd_expand(struct page_packer *p, const uint8_t *in, size_t len, uint8_t *out,
			size_t out_len)
{
	if (!p->decompressor)
		p->decompressor = ZSTD_createDCtx();
	return p->decompressor &&
	       ZSTD_decompressDCtx(p->decompressor, out, out_len, in, len) == out_len;
}

static const struct codec codecs[PAGE_CODECS] = {
	[PAGE_CODEC_RAW] = { NULL, NULL }, /* as it is */
	[PAGE_CODEC_LZ4] = { lz4_compress, lz4_expand },
	[PAGE_CODEC_ZSTD] = { zstd_compress, zstd_expand },
};

static const struct {
	enum page_codec codec;
	int level; /* Zstandard's level, LZ4's acceleration */
} efforts[PAGE_EFFORT_NONE + 1] = {
	{ PAGE_CODEC_ZSTD, 6 },
	{ PAGE_CODEC_ZSTD, 3 },
	{ PAGE_CODEC_ZSTD, 1 },
	{ PAGE_CODEC_LZ4, 1 },
	{ PAGE_CODEC_LZ4, 2 },
	{ PAGE_CODEC_LZ4, 4 },
	{ PAGE_CODEC_RAW, 0 },
};

size_t page_packer_pack(struct page_packer *p, const uint8_t *body, size_t len, int effort,
			uint8_t *out, enum page_codec *ret_codec)
{
	enum page_codec codec = efforts[effort].codec;
	size_t n = 0;

	if (len && codecs[codec].compress) /* worth it only when it saves something */
		n = codecs[codec].compress(p, body, len, out, len - 1, efforts[effort].level);
	*ret_codec = n ? codec : PAGE_CODEC_RAW;
	if (n)
		return n;
	memcpy(out, body, len);
	return len;
}

const uint8_t *page_packer_open(struct page_packer *p, const uint8_t *in, size_t stored,
				enum page_codec codec, size_t len, uint8_t *scratch)
{
	if (codec == PAGE_CODEC_RAW)
		return stored == len ? in : NULL;
	return codecs[codec].expand(p, in, stored, scratch, len) ? scratch : NULL;
}

int page_packer_new(struct page_packer **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

void page_packer_free(struct page_packer *p)
{
	if (!p)
		return;
	ZSTD_freeCCtx(p->compressor);
	ZSTD_freeDCtx(p->decompressor);
	free(p);
}

/* ---- Counting ------------------------------------------------------------------------- */

static enum page_count count_of(enum page_kind kind, enum page_codec codec)
{
	static const enum page_count of_kind[PAGE_KINDS] = {
		[PAGE_ZERO] = PAGES_ZERO,   [PAGE_SAME] = PAGES_SAME,   [PAGE_COPY] = PAGES_COPY,
		[PAGE_PATCH] = PAGES_PATCH, [PAGE_DELTA] = PAGES_DELTA,
	};
	static const enum page_count of_codec[PAGE_CODECS] = {
		[PAGE_CODEC_RAW] = PAGES_RAW,
		[PAGE_CODEC_LZ4] = PAGES_LZ4,
		[PAGE_CODEC_ZSTD] = PAGES_ZSTD,
	};

	return kind == PAGE_DATA ? of_codec[codec] : of_kind[kind];
}

void page_counts_add(_Atomic uint64_t counts[PAGE_COUNTS], const struct page_stats *stats)
{
	for (unsigned k = 0; k < PAGE_KINDS; k++)
		atomic_fetch_add_explicit(&counts[count_of(k, stats->codec)], stats->pages[k],
					  memory_order_relaxed);
	atomic_fetch_add_explicit(&counts[PAGES_ASKED], stats->asked, memory_order_relaxed);
	atomic_fetch_add_explicit(&counts[PAGES_AHEAD], stats->ahead, memory_order_relaxed);
	atomic_fetch_add_explicit(&counts[PAGES_REPLACED], stats->replaced, memory_order_relaxed);
}

uint64_t page_counts_bytes(const uint64_t counts[PAGE_COUNTS])
{
	uint64_t pages = 0;

	for (unsigned k = 0; k < PAGES_ASKED; k++)
		pages += counts[k];
	return (pages - counts[PAGES_ASKED] - counts[PAGES_AHEAD]) * PAGE_SIZE_BYTES;
}

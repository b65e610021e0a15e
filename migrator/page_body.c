/* SPDX-License-Identifier: Apache-2.0 */
#include <lz4.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "migrator/page.h"

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

void page_counts_add(_Atomic uint64_t counts[PAGE_COUNTS], const struct page_stats *stats)
{
	static const enum page_count count_of[PAGE_KINDS] = {
		[PAGE_ZERO] = PAGES_ZERO, [PAGE_DATA] = PAGES_RAW,    [PAGE_SAME] = PAGES_SAME,
		[PAGE_COPY] = PAGES_COPY, [PAGE_PATCH] = PAGES_PATCH, [PAGE_DELTA] = PAGES_DELTA,
	};

	for (unsigned k = 0; k < PAGE_KINDS; k++) {
		bool lz4 = k == PAGE_DATA && stats->codec == PAGE_CODEC_LZ4;

		atomic_fetch_add_explicit(&counts[lz4 ? PAGES_LZ4 : count_of[k]], stats->pages[k],
					  memory_order_relaxed);
	}
	atomic_fetch_add_explicit(&counts[PAGES_ASKED], stats->asked, memory_order_relaxed);
}

uint64_t page_counts_bytes(const uint64_t counts[PAGE_COUNTS])
{
	uint64_t pages = 0;

	for (unsigned k = 0; k < PAGES_ASKED; k++)
		pages += counts[k];
	return (pages - counts[PAGES_ASKED]) * PAGE_SIZE_BYTES;
}

size_t page_body_pack(const uint8_t *body, size_t len, int effort, uint8_t *out,
		      enum page_codec *ret_codec)
{
	size_t n = 0;

	*ret_codec = PAGE_CODEC_LZ4;
	if (len) /* worth it only when it saves something */
		n = codecs[PAGE_CODEC_LZ4].compress(body, len, out, len - 1, effort);
	if (n)
		return n;
	*ret_codec = PAGE_CODEC_RAW;
	memcpy(out, body, len);
	return len;
}

const uint8_t *page_body_open(const uint8_t *in, size_t stored, enum page_codec codec, size_t len,
			      uint8_t *scratch)
{
	if (codec == PAGE_CODEC_RAW)
		return stored == len ? in : NULL;
	return codecs[codec].expand(in, stored, scratch, len) ? scratch : NULL;
}

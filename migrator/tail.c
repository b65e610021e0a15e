/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/tail.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include <zstd.h>

#define PACK_LEVEL 9  /* once a move, when the guest runs again */
#define PIECE_LEVEL 3 /* while the guest stands */

struct tail {
	ZSTD_CDict *compress_with;
	ZSTD_DDict *expand_with;
	ZSTD_CCtx *compressor;
	ZSTD_DCtx *decompressor;
	uint64_t mark;
};

/* Zstandard would take bytes with this at their beginning for one of its own dictionaries
 * (RFC 8878, section 5). */
static bool looks_like_a_dictionary(const uint8_t *bytes, size_t len)
{
	static const uint8_t magic[] = { 0x37, 0xa4, 0x30, 0xec };

	return len >= sizeof(magic) && memcmp(bytes, magic, sizeof(magic)) == 0;
}

int tail_pack(const uint8_t *tail, size_t len, uint8_t **ret, size_t *ret_len)
{
	size_t room = ZSTD_compressBound(len), n;
	_cleanup_free_ uint8_t *packed = NULL;

	if (len > TAIL_MAX)
		return -E2BIG;
	if (len == 0 || looks_like_a_dictionary(tail, len))
		return -EINVAL;
	packed = malloc(room);
	if (!packed)
		return -ENOMEM;
	n = ZSTD_compress(packed, room, tail, len, PACK_LEVEL);
	if (ZSTD_isError(n))
		return -ENOMEM;
	*ret = TAKE_PTR(packed);
	*ret_len = n;
	return 0;
}

/* The whole of one frame whose length it says itself. */
static int unpack(const uint8_t *packed, size_t len, uint8_t **ret, size_t *ret_len)
{
	unsigned long long size = ZSTD_getFrameContentSize(packed, len);
	_cleanup_free_ uint8_t *bytes = NULL;

	if (size == ZSTD_CONTENTSIZE_UNKNOWN || size == ZSTD_CONTENTSIZE_ERROR || size == 0 ||
	    size > TAIL_MAX)
		return -EBADMSG;
	bytes = malloc(size);
	if (!bytes)
		return -ENOMEM;
	if (ZSTD_decompress(bytes, size, packed, len) != size ||
	    looks_like_a_dictionary(bytes, size))
		return -EBADMSG;
	*ret = TAKE_PTR(bytes);
	*ret_len = size;
	return 0;
}

int tail_unpack(const uint8_t *packed, size_t len, struct tail **ret)
{
	_cleanup_(tail_free_p) struct tail *t = NULL;
	_cleanup_free_ uint8_t *bytes = NULL;
	size_t size;
	int r = unpack(packed, len, &bytes, &size);

	if (r < 0)
		return r;
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->mark = XXH3_64bits(bytes, size);
	t->compress_with = ZSTD_createCDict(bytes, size, PIECE_LEVEL);
	t->expand_with = ZSTD_createDDict(bytes, size);
	t->compressor = ZSTD_createCCtx();
	t->decompressor = ZSTD_createDCtx();
	if (!t->compress_with || !t->expand_with || !t->compressor || !t->decompressor)
		return -ENOMEM;
	*ret = TAKE_PTR(t);
	return 0;
}

void tail_free(struct tail *t)
{
	if (!t)
		return;
	ZSTD_freeCDict(t->compress_with);
	ZSTD_freeDDict(t->expand_with);
	ZSTD_freeCCtx(t->compressor);
	ZSTD_freeDCtx(t->decompressor);
	free(t);
}

uint64_t tail_mark(const struct tail *t)
{
	return t->mark;
}

size_t tail_compress(struct tail *t, const uint8_t *piece, size_t len, uint8_t *out, size_t size)
{
	size_t n = ZSTD_compress_usingCDict(t->compressor, out, size, piece, len, t->compress_with);

	return ZSTD_isError(n) ? 0 : n;
}

bool tail_expand(struct tail *t, const uint8_t *in, size_t len, uint8_t *out, size_t out_len)
{
	return ZSTD_decompress_usingDDict(t->decompressor, out, out_len, in, len, t->expand_with) ==
	       out_len;
}

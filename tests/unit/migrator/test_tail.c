/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/tail.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

static uint8_t bytes[TAIL_MAX + 1];

static uint8_t *packed(size_t len, size_t *ret_len)
{
	uint8_t *p = NULL;

	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(i / 50 * 7);
	cr_assert_eq(tail_pack(bytes, len, &p, ret_len), 0);
	return p;
}

Test(tail, what_is_packed_is_found_again)
{
	struct tail *a, *b;
	uint8_t piece[500], out[600], back[500];
	size_t len, n;
	uint8_t *p = packed(70000, &len);

	cr_assert_eq(tail_unpack(p, len, &a), 0);
	cr_assert_eq(tail_unpack(p, len, &b), 0);
	cr_assert_eq(tail_mark(a), tail_mark(b));
	memcpy(piece, bytes + 12345, sizeof(piece));
	n = tail_compress(a, piece, sizeof(piece), out, sizeof(out));
	cr_assert(n > 0 && n < 40, "%zu", n);
	cr_assert(tail_expand(b, out, n, back, sizeof(back)));
	cr_assert_eq(memcmp(back, piece, sizeof(piece)), 0);
	cr_assert_not(tail_expand(b, out, n, back, sizeof(back) - 1));
	cr_assert_not(tail_expand(b, out, n - 1, back, sizeof(back)));
	cr_assert_eq(tail_compress(a, piece, sizeof(piece), out, 5), 0, "does not fit");
	tail_free(a);
	tail_free(b);
	free(p);
}

Test(tail, what_cannot_be_kept_is_refused)
{
	uint8_t *p = NULL;
	size_t len;

	cr_assert_eq(tail_pack(bytes, TAIL_MAX + 1, &p, &len), -E2BIG);
	cr_assert_eq(tail_pack(bytes, 0, &p, &len), -EINVAL);
	memcpy(bytes, "\x37\xa4\x30\xec", 4);
	cr_assert_eq(tail_pack(bytes, 1000, &p, &len), -EINVAL);
	cr_assert_null(p);
	free(packed(TAIL_MAX, &len));
}

Test(tail, damage_is_refused)
{
	struct tail *t = NULL;
	size_t len, n;
	uint8_t *p = packed(70000, &len), *big = malloc(ZSTD_compressBound(sizeof(bytes)));

	for (size_t cut = 0; cut < len; cut++)
		cr_assert_eq(tail_unpack(p, cut, &t), -EBADMSG, "cut at %zu", cut);
	n = ZSTD_compress(big, ZSTD_compressBound(sizeof(bytes)), bytes, sizeof(bytes), 1);
	cr_assert_eq(tail_unpack(big, n, &t), -EBADMSG, "too long");
	memcpy(bytes, "\x37\xa4\x30\xec", 4);
	n = ZSTD_compress(big, ZSTD_compressBound(sizeof(bytes)), bytes, 1000, 1);
	cr_assert_eq(tail_unpack(big, n, &t), -EBADMSG, "no plain bytes");
	n = ZSTD_compress(big, ZSTD_compressBound(sizeof(bytes)), bytes, 0, 1);
	cr_assert_eq(tail_unpack(big, n, &t), -EBADMSG, "empty");
	cr_assert_null(t);
	free(p);
	free(big);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/stream_frame.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "migrator/frame.h"

static uint8_t data[STREAM_FRAME_BYTES], payload[STREAM_FRAME_BYTES], out[STREAM_FRAME_BYTES];

static void round_trip(size_t len, uint16_t expected_flags)
{
	struct mg_error err = { 0 };
	uint16_t flags;
	size_t n, got = 0;

	n = stream_frame_encode(data, len, NULL, payload, &flags);
	cr_assert_leq(n, len);
	cr_assert_eq(flags, expected_flags, "%zu bytes", len);
	memset(out, 0xee, sizeof(out));
	cr_assert_eq(stream_frame_decode(payload, n, flags, NULL, out, &got, &err), 0, "%s",
		     err.text);
	cr_assert_eq(got, len);
	cr_assert_eq(memcmp(out, data, len), 0);
}

Test(stream_frame, what_compresses_is_compressed_and_all_comes_back)
{
	uint64_t x = 1;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i / 100);
	round_trip(1000, FRAME_FLAG_LZ4);
	round_trip(STREAM_FRAME_BYTES, FRAME_FLAG_LZ4);
	for (size_t i = 0; i < sizeof(data); i++) {
		x = x * UINT64_C(6364136223846793005) + 1442695040888963407;
		data[i] = (uint8_t)(x >> 56);
	}
	round_trip(STREAM_FRAME_BYTES, 0);
	for (size_t len = 1; len < 20; len++)
		round_trip(len, 0);
}

Test(stream_frame, damage_is_refused)
{
	struct mg_error err;
	uint16_t flags;
	size_t n, got = 0;

	for (size_t i = 0; i < 1000; i++)
		data[i] = (uint8_t)(i / 100);
	n = stream_frame_encode(data, 1000, NULL, payload, &flags);
	for (size_t cut = 0; cut < n; cut++)
		cr_assert_eq(stream_frame_decode(payload, cut, flags, NULL, out, &got, &err),
			     -EPROTO, "cut at %zu", cut);
	payload[3]++;
	cr_assert_eq(stream_frame_decode(payload, n, flags, NULL, out, &got, &err), -EPROTO);
	memset(payload, 0xff, 4);
	cr_assert_eq(stream_frame_decode(payload, n, flags, NULL, out, &got, &err), -EPROTO);
	memset(payload, 0, 4);
	cr_assert_eq(stream_frame_decode(payload, n, flags, NULL, out, &got, &err), -EPROTO);
	cr_assert_eq(stream_frame_decode(payload, STREAM_FRAME_BYTES + 1, 0, NULL, out, &got, &err),
		     -EPROTO);
	cr_assert_eq(got, 0, "written on success only");
}

static struct tail *last_tail(uint8_t seed)
{
	static uint8_t bytes[100000];
	struct tail *t = NULL;
	uint8_t *packed;
	size_t len;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)((i * i / 7 + seed) ^ (i >> 5));
	cr_assert_eq(tail_pack(bytes, sizeof(bytes), &packed, &len), 0);
	cr_assert_eq(tail_unpack(packed, len, &t), 0);
	free(packed);
	memcpy(data, bytes + 30000, sizeof(data)); /* what is sent next is like it */
	data[17] ^= 1;
	return t;
}

Test(stream_frame, both_ends_have_the_last_tail)
{
	struct tail *last = last_tail(1), *other = last_tail(2);
	struct mg_error err = { 0 };
	uint16_t flags;
	size_t n, got = 0;

	cr_assert_neq(tail_mark(last), tail_mark(other));
	n = stream_frame_encode(data, sizeof(data), other, payload, &flags);
	cr_assert_eq(flags, FRAME_FLAG_ZSTD);
	cr_assert_lt(n, 1000);
	cr_assert_eq(stream_frame_decode(payload, n, flags, other, out, &got, &err), 0, "%s",
		     err.text);
	cr_assert_eq(got, sizeof(data));
	cr_assert_eq(memcmp(out, data, got), 0);

	got = 0;
	cr_assert_eq(stream_frame_decode(payload, n, flags, NULL, out, &got, &err), -EPROTO);
	cr_assert_eq(
		stream_frame_decode(payload, n, flags | FRAME_FLAG_LZ4, other, out, &got, &err),
		-EPROTO);
	for (size_t cut = 0; cut < n; cut++)
		cr_assert_eq(stream_frame_decode(payload, cut, flags, other, out, &got, &err),
			     -EPROTO, "cut at %zu", cut);
	cr_assert_eq(got, 0, "written on success only");
	tail_free(last);
	tail_free(other);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "common/cursor.h"

Test(cursor, round_trip)
{
	uint8_t buf[15];
	struct wcursor w = wcursor_over(buf, sizeof(buf));
	struct rcursor r;

	wcursor_u8(&w, 0x01);
	wcursor_u16(&w, 0x0203);
	wcursor_u32(&w, 0x04050607);
	wcursor_u64(&w, UINT64_C(0x08090a0b0c0d0e0f));
	cr_assert(wcursor_ok(&w));
	cr_assert_eq(wcursor_used(&w), sizeof(buf));
	for (size_t i = 0; i < sizeof(buf); i++)
		cr_assert_eq(buf[i], i + 1, "big-endian");

	r = rcursor_over(buf, sizeof(buf));
	cr_assert_eq(rcursor_u8(&r), 0x01);
	cr_assert_eq(rcursor_u16(&r), 0x0203);
	cr_assert_eq(rcursor_u32(&r), 0x04050607);
	cr_assert_eq(rcursor_u64(&r), UINT64_C(0x08090a0b0c0d0e0f));
	cr_assert(rcursor_ok(&r));
	cr_assert_eq(rcursor_left(&r), 0);
}

Test(cursor, reading_past_the_end_is_sticky_and_yields_zero)
{
	uint8_t buf[3] = { 1, 2, 3 };
	struct rcursor r = rcursor_over(buf, sizeof(buf));

	cr_assert_eq(rcursor_u32(&r), 0);
	cr_assert_not(rcursor_ok(&r));
	cr_assert_eq(rcursor_u8(&r), 0, "a byte is there, but the error sticks");
	cr_assert_null(rcursor_bytes(&r, SIZE_MAX));
}

Test(cursor, writing_past_the_end_writes_nothing)
{
	uint8_t buf[4] = { 0 };
	struct wcursor w = wcursor_over(buf, 3);

	wcursor_u32(&w, UINT32_MAX);
	cr_assert_not(wcursor_ok(&w));
	for (size_t i = 0; i < sizeof(buf); i++)
		cr_assert_eq(buf[i], 0);
}

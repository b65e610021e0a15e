/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>

#include "common/philox.h"

/* The known answers that the authors publish with Random123. */
Test(philox, known_answers)
{
	static const struct {
		uint32_t counter[4], key[2], answer[4];
	} cases[] = {
		{ { 0, 0, 0, 0 }, { 0, 0 }, { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 } },
		{ { ~0u, ~0u, ~0u, ~0u },
		  { ~0u, ~0u },
		  { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd } },
		{ { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344 },
		  { 0xa4093822, 0x299f31d0 },
		  { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 } },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t got[4];

		philox4x32(cases[i].counter, cases[i].key, got);
		cr_assert_eq(memcmp(got, cases[i].answer, sizeof(got)), 0, "case %zu", i);
	}
}

Test(philox, streams_and_counters_differ)
{
	cr_assert_eq(philox_u64(0, 0, 0), 0xe169c58d6627e8d5u);
	cr_assert_neq(philox_u64(1, 0, 0), philox_u64(0, 0, 0));
	cr_assert_neq(philox_u64(0, 1, 0), philox_u64(0, 0, 1));
	cr_assert_neq(philox_u64(0, 1ull << 32, 0), philox_u64(0, 0, 0));
}

Test(philox, lanes_are_streams)
{
	for (uint32_t i = 0; i < 1000; i++) {
		uint64_t key = philox_u64(1, 2, i), stream[PHILOX_LANES], got[PHILOX_LANES];
		uint32_t counter[PHILOX_LANES];

		for (uint32_t k = 0; k < PHILOX_LANES; k++) {
			stream[k] = philox_u64(3, k, i);
			counter[k] = (uint32_t)philox_u64(4, k, i);
		}
		philox_u64_lanes(key, stream, counter, got);
		for (int k = 0; k < PHILOX_LANES; k++)
			cr_assert_eq(got[k], philox_u64(key, stream[k], counter[k]));
	}
}

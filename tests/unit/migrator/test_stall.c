/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "common/clock.h"
#include "migrator/stall.h"

#define MB UINT64_C(1000000)

Test(stall, the_first_round_gets_on_until_it_stops_to)
{
	struct stall s;

	stall_init(&s, 0);
	for (uint64_t t = 1; t <= 50; t++)
		stall_note(&s, 1, 100 * MB - t * MB, t * NS_PER_S);
	cr_assert_eq(stall_ns(&s, 50 * NS_PER_S), 0);
	stall_note(&s, 1, 50 * MB, 60 * NS_PER_S);
	cr_assert_eq(stall_ns(&s, 60 * NS_PER_S), 10 * NS_PER_S);
	stall_excuse(&s, 60 * NS_PER_S);
	cr_assert_eq(stall_ns(&s, 61 * NS_PER_S), NS_PER_S);
}

Test(stall, rounds_that_begin_with_less_are_progress_though_the_last_one_ended_near_nothing)
{
	struct stall s;
	uint64_t t = 0;

	stall_init(&s, 0);
	for (uint32_t round = 1; round <= 5; round++)
		for (uint64_t left = 64 * MB >> round; left > 0; left = left > MB ? left - MB : 0)
			stall_note(&s, round, left, t += NS_PER_S);
	cr_assert_lt(stall_ns(&s, t), NS_PER_S);
}

Test(stall, rounds_that_begin_with_as_much_are_none)
{
	struct stall s;
	uint64_t t = 0;

	stall_init(&s, 0);
	for (uint32_t round = 1; round <= 5; round++)
		for (uint64_t left = 8 * MB; left > 0; left -= MB)
			stall_note(&s, round, left, t += NS_PER_S);
	cr_assert_eq(stall_ns(&s, t), 32 * NS_PER_S, "the first one was progress");
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "common/clock.h"
#include "migrator/steer.h"

#define MB UINT64_C(1000000)

static struct cost_facts facts(uint64_t remaining)
{
	return (struct cost_facts){ .remaining_bytes = remaining, .link_bps = 100 * MB,
				    .wire_permille = 1000, .rtt_ns = NS_PER_MS };
}

Test(steer, stays_at_its_least_until_the_rest_fits)
{
	struct cost_facts f = facts(100 * MB);
	struct steer s;
	uint32_t limit = 0;

	steer_init(&s, 20 * NS_PER_MS, 2 * NS_PER_S);
	cr_assert(!steer_update(&s, &f, 1, &limit));
	f.remaining_bytes = 2 * MB; /* 20 ms, but 9.7 ms of the promise are fixed */
	cr_assert(!steer_update(&s, &f, 1, &limit));
	f.remaining_bytes = MB / 2;
	cr_assert(steer_update(&s, &f, 2, &limit));
	cr_assert_eq(limit, 10);
	cr_assert(!steer_update(&s, &f, 2, &limit), "said once");
}

Test(steer, not_in_the_round_that_has_measured_nothing)
{
	struct cost_facts f = facts(1000);
	struct steer s;
	uint32_t limit;

	steer_init(&s, 20 * NS_PER_MS, 2 * NS_PER_S);
	cr_assert(!steer_update(&s, &f, 0, &limit));
}

Test(steer, a_promise_below_what_is_fixed_is_left_to_the_rounds)
{
	struct cost_facts f = facts(1000);
	struct steer s;
	uint32_t limit = 0, round;

	steer_init(&s, NS_PER_MS, 2 * NS_PER_S);
	cr_assert(!steer_update(&s, &f, 1, &limit));
	for (round = 2; round < 100 && !steer_update(&s, &f, round, &limit); round++)
		;
	cr_assert_lt(round, 20);
	cr_assert_gt(limit, 1);
}

Test(steer, raises_step_by_step_and_never_beyond_half_of_the_most)
{
	struct steer s;
	uint32_t limit = 0, last = 1;

	steer_init(&s, 20 * NS_PER_MS, 2 * NS_PER_S);
	for (uint32_t round = 1; round < 200; round++) {
		struct cost_facts f = facts(round % 2 ? 80 * MB : MB / 10);

		if (steer_update(&s, &f, round, &limit)) {
			cr_assert_gt(limit, last);
			last = limit;
		}
	}
	cr_assert_leq(last, 1000);
	cr_assert_gt(last, 900);
}

Test(steer, progress_keeps_the_promise)
{
	struct steer s;
	uint32_t limit, round = 1;

	steer_init(&s, 20 * NS_PER_MS, 2 * NS_PER_S);
	for (uint64_t left = 512 * MB; left > MB / 2; left /= 2) {
		struct cost_facts f = facts(left);

		(void)steer_update(&s, &f, round++, &limit);
		cr_assert_eq(s.allowed_ns, 20 * NS_PER_MS);
	}
}

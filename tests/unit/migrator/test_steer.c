/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "common/clock.h"
#include "migrator/steer.h"

#define MB UINT64_C(1000000)
#define C(name) TAGALONG__IF_NOT_CONVERGING__CONVERGE_##name

static struct cost_facts facts(uint64_t remaining)
{
	return (struct cost_facts){ .remaining_bytes = remaining, .link_bps = 100 * MB,
				    .wire_permille = 1000, .again_permille = 1000, .rtt_ns = NS_PER_MS };
}

Test(steer, stays_at_its_least_until_the_rest_fits)
{
	struct cost_facts f = facts(100 * MB);
	struct steer s;

	steer_init(&s, C(LONGER), 20 * NS_PER_MS, 2 * NS_PER_S);
	cr_assert(steer_update(&s, &f, 1, 0).limit_ms == 0);
	f.remaining_bytes = 2 * MB; /* 20 ms, but 9.7 ms of the promise are fixed */
	cr_assert(steer_update(&s, &f, 1, 0).limit_ms == 0);
	f.remaining_bytes = MB / 2;
	cr_assert_eq(steer_update(&s, &f, 2, 0).limit_ms, 10);
	cr_assert(steer_update(&s, &f, 2, 0).limit_ms == 0, "said once");
}

Test(steer, not_in_the_round_that_has_measured_nothing)
{
	struct cost_facts f = facts(1000);
	struct steer s;

	steer_init(&s, C(LONGER), 20 * NS_PER_MS, 2 * NS_PER_S);
	cr_assert(steer_update(&s, &f, 0, 0).limit_ms == 0);
}

Test(steer, a_promise_below_what_is_fixed_is_left_to_the_rounds)
{
	struct cost_facts f = facts(1000);
	struct steer s;
	uint32_t limit = 0, round;

	steer_init(&s, C(LONGER), NS_PER_MS, 2 * NS_PER_S);
	cr_assert(steer_update(&s, &f, 1, 0).limit_ms == 0);
	for (round = 2; round < 100 && limit == 0; round++)
		limit = steer_update(&s, &f, round, 0).limit_ms;
	cr_assert_lt(round, 20);
	cr_assert_gt(limit, 1);
}

Test(steer, raises_step_by_step_and_never_beyond_half_of_the_most)
{
	struct steer s;
	uint32_t limit = 0, last = 1;

	steer_init(&s, C(LONGER), 20 * NS_PER_MS, 2 * NS_PER_S);
	for (uint32_t round = 1; round < 200; round++) {
		struct cost_facts f = facts(round % 2 ? 80 * MB : MB / 10);

		limit = steer_update(&s, &f, round, 0).limit_ms;
		if (limit) {
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
	uint32_t round = 1;

	steer_init(&s, C(LONGER), 20 * NS_PER_MS, 2 * NS_PER_S);
	for (uint64_t left = 512 * MB; left > MB / 2; left /= 2) {
		struct cost_facts f = facts(left);

		(void)steer_update(&s, &f, round++, 0);
		cr_assert_eq(s.allowed_ns, 20 * NS_PER_MS);
	}
}

/* Twenty rounds that each begin with as much; what was said in the end. */
static struct steer_verdict stale(struct steer *s, uint32_t rounds)
{
	struct cost_facts f = facts(80 * MB);
	struct steer_verdict v = { 0 };

	for (uint32_t round = 1; round <= rounds; round++)
		v = steer_update(s, &f, round, 0);
	return v;
}

Test(steer, waiting_changes_nothing)
{
	struct cost_facts f = facts(MB / 2);
	struct steer s;

	steer_init(&s, C(WAIT), 20 * NS_PER_MS, 2 * NS_PER_S);
	for (uint32_t round = 1; round <= 20; round++) {
		struct steer_verdict v = stale(&s, round);

		cr_assert(!v.give_up && !v.limit_ms && !v.throttle_percent);
	}
	cr_assert_eq(s.allowed_ns, 20 * NS_PER_MS);
	cr_assert_eq(steer_update(&s, &f, 21, 0).limit_ms, 10, "it has calmed down");
}

Test(steer, giving_up_takes_three_rounds_without_progress)
{
	struct steer s;

	steer_init(&s, C(GIVE_UP), 20 * NS_PER_MS, 2 * NS_PER_S);
	cr_assert(!stale(&s, 3).give_up, "the first one is the best so far");
	steer_init(&s, C(GIVE_UP), 20 * NS_PER_MS, 2 * NS_PER_S);
	cr_assert(stale(&s, 4).give_up);
	cr_assert_eq(s.allowed_ns, 20 * NS_PER_MS);
}

Test(steer, throttling_goes_step_by_step_and_keeps_the_promise)
{
	struct cost_facts f = facts(80 * MB);
	uint32_t last = 0;
	struct steer s;

	steer_init(&s, C(THROTTLE), 20 * NS_PER_MS, 2 * NS_PER_S);
	for (uint32_t round = 1; round <= 30; round++) {
		uint32_t now = steer_update(&s, &f, round, 0).throttle_percent;

		cr_assert(now == 0 || (now >= last && now - last <= 10));
		cr_assert(round >= 4 || now == 0);
		last = now ? now : last;
	}
	cr_assert_eq(last, 99);
	cr_assert_eq(s.allowed_ns, 20 * NS_PER_MS);
	f.remaining_bytes = MB / 2;
	cr_assert_eq(steer_update(&s, &f, 31, 0).limit_ms, 10);
}

Test(steer, pages_that_cost_nothing_do_not_make_qemu_believe_in_more_than_there_is)
{
	struct cost_facts f = facts(MB / 2);
	struct steer s;

	steer_init(&s, C(WAIT), 100 * NS_PER_MS, 100 * NS_PER_MS);
	cr_assert_eq(steer_update(&s, &f, 2, 900 * MB).limit_ms, 10);
	cr_assert_eq(steer_update(&s, &f, 3, 100 * MB).limit_ms, 90);
	/* All pages of the first round are there already; those that are written will not be. */
	steer_init(&s, C(WAIT), 100 * NS_PER_MS, 100 * NS_PER_MS);
	f.wire_permille = 10;
	cr_assert_eq(steer_update(&s, &f, 1, 900 * MB).limit_ms, 10);
}

Test(steer, post_copy_is_the_way_out_of_rounds_that_lead_nowhere)
{
	struct steer s;

	steer_init(&s, C(POST_COPY), 20 * NS_PER_MS, 20 * NS_PER_MS);
	cr_assert(!stale(&s, 3).post_copy);
	steer_init(&s, C(POST_COPY), 20 * NS_PER_MS, 20 * NS_PER_MS);
	cr_assert(stale(&s, 4).post_copy);
	cr_assert_eq(s.allowed_ns, 20 * NS_PER_MS);
}

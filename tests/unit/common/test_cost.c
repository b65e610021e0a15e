/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "common/clock.h"
#include "common/cost.h"

#define MB UINT64_C(1000000)

static struct cost_facts sample(void)
{
	return (struct cost_facts){
		.remaining_bytes = 200 * MB, .dirty_bps = 10 * MB, .link_bps = 100 * MB,
		.wire_permille = 1000, .rtt_ns = 2 * NS_PER_MS, .promise_ns = 20 * NS_PER_MS,
	};
}

Test(cost, an_idle_guest_takes_one_round)
{
	struct cost_facts f = sample();
	struct cost c;

	f.dirty_bps = 0;
	cost_predict(&f, &c);
	cr_assert_eq(c.rounds, 1);
	cr_assert(c.keeps_promise);
	cr_assert_eq(c.blackout_ns, cost_fixed_blackout_ns(&f));
	cr_assert_eq(c.bytes, 200 * MB + COST_TAIL_BYTES);
	cr_assert_eq(c.total_ns, 2 * NS_PER_S + c.blackout_ns);
}

Test(cost, rounds_shrink_by_dirty_rate_over_page_rate)
{
	struct cost_facts f = sample();
	struct cost c;

	/* 2 s, 0.2 s, 0.02 s, 2 ms: the fourth fits beside 11.2 ms that are fixed. */
	cost_predict(&f, &c);
	cr_assert_eq(c.rounds, 3);
	cr_assert(c.keeps_promise);
	cr_assert_eq(c.blackout_ns, cost_fixed_blackout_ns(&f) + 2 * NS_PER_MS);
}

Test(cost, a_guest_hotter_than_the_link_costs_its_working_set)
{
	struct cost_facts f = sample();
	struct cost c;

	f.dirty_bps = 300 * MB;
	f.working_set_bytes = 30 * MB;
	cost_predict(&f, &c);
	cr_assert(!c.keeps_promise);
	cr_assert_float_eq((double)c.blackout_ns,
			   (double)(cost_fixed_blackout_ns(&f) + 300 * NS_PER_MS), 1e3);
	cr_assert_lt(c.confidence, 60);
}

Test(cost, a_working_set_fills_up_the_slower_the_fuller_it_is)
{
	struct cost_facts f = sample();
	struct cost c;

	/* 2 s of 20 MB/s into 40 MB: 25.3 MB are left, then 4.7, then 0.9, then 0.19. */
	f.dirty_bps = 20 * MB;
	f.working_set_bytes = 40 * MB;
	cost_predict(&f, &c);
	cr_assert_eq(c.rounds, 4);
	cr_assert_float_eq((double)c.total_ns - (double)c.blackout_ns, 2.3097e9, 1e6);
}

Test(cost, more_of_anything_never_costs_less)
{
	for (uint64_t dirty = 0; dirty <= 200 * MB; dirty += 20 * MB) {
		struct cost_facts f = sample();
		struct cost a, b;

		f.working_set_bytes = 50 * MB;
		f.dirty_bps = dirty;
		cost_predict(&f, &a);
		f.remaining_bytes *= 2;
		cost_predict(&f, &b);
		cr_assert_geq(b.total_ns, a.total_ns);
		cr_assert_geq(b.bytes, a.bytes);
		f.remaining_bytes /= 2;
		f.rtt_ns *= 10;
		cost_predict(&f, &b);
		cr_assert_geq(b.blackout_ns + b.total_ns, a.blackout_ns);
	}
}

Test(cost, nothing_measured_is_a_guess_and_nothing_overflows)
{
	struct cost_facts f = { .remaining_bytes = UINT64_MAX, .dirty_bps = UINT64_MAX };
	struct cost c;

	cost_predict(&f, &c);
	cr_assert(!c.keeps_promise);
	cr_assert_leq(c.confidence, 20);
	cr_assert_eq(c.total_ns, UINT64_MAX);
	f = (struct cost_facts){ .remaining_bytes = 1, .link_bps = 1, .rtt_ns = UINT64_MAX };
	cost_predict(&f, &c);
	cr_assert_gt(c.total_ns, 0);
}

Test(cost, the_start_is_of_the_total_alone)
{
	struct cost_facts f = sample();
	struct cost a, b;

	cost_predict(&f, &a);
	f.start_ns = NS_PER_S;
	cost_predict(&f, &b);
	cr_assert_eq(b.total_ns, a.total_ns + NS_PER_S);
	cr_assert_eq(b.blackout_ns, a.blackout_ns);
	cr_assert_eq(b.bytes, a.bytes);
}

Test(cost, what_is_sent_again_has_a_price_of_its_own)
{
	struct cost_facts f = sample();
	struct cost c;

	/* 2 s, then 20 MB at a tenth: 20 ms, of which 0.2 MB are left, 0.2 ms. */
	f.again_permille = 100;
	cost_predict(&f, &c);
	cr_assert_eq(c.rounds, 2);
	cr_assert_eq(c.bytes, 200 * MB + 2 * MB + MB / 50 + COST_TAIL_BYTES);
	cr_assert_eq(c.blackout_ns, cost_fixed_blackout_ns(&f) + 200 * NS_PER_US);
}

Test(cost, no_blackout_is_shorter_than_qemu_and_the_commit)
{
	struct cost_facts f = sample();

	cr_assert_eq(cost_least_blackout_ns(f.rtt_ns), 3 * NS_PER_MS + COST_QEMU_LEAST_NS);
	cr_assert_leq(cost_least_blackout_ns(f.rtt_ns), cost_fixed_blackout_ns(&f));
}

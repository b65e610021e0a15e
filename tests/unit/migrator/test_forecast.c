/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "common/clock.h"
#include "migrator/forecast.h"

#define MB UINT64_C(1000000)
#define TICK (100 * NS_PER_MS)

/* A move in ticks: so much a tick goes over the wire, and is taken for so many guest bytes. */
static void run(struct forecast *f, struct forecast_sample *s, uint32_t round, unsigned ticks,
		uint64_t wire, uint64_t guest)
{
	for (unsigned i = 0; i < ticks; i++) {
		s->now_ns += TICK;
		s->round = round;
		s->wire_bytes += wire;
		s->guest_bytes += guest;
		forecast_note(f, s);
	}
}

static struct cost_facts facts(struct forecast *f, uint64_t remaining)
{
	struct cost_facts facts = { .remaining_bytes = remaining, .rtt_ns = NS_PER_MS,
				    .promise_ns = 100 * NS_PER_MS };

	forecast_facts(f, &facts);
	return facts;
}

Test(forecast, each_round_has_a_ratio_of_its_own)
{
	struct forecast_sample s = { .now_ns = NS_PER_S, .link_bps = 10 * MB };
	struct forecast f;

	forecast_init(&f);
	run(&f, &s, 1, 20, MB, 4 * MB);
	cr_assert_eq(facts(&f, MB).wire_permille, 250);
	run(&f, &s, 2, 1, 0, 1);
	cr_assert_eq(facts(&f, MB).wire_permille, 0, "what is written may cost more");
	run(&f, &s, 2, 10, MB, 2 * MB);
	cr_assert_eq(facts(&f, MB).wire_permille, 499);
	run(&f, &s, 3, 1, MB / 100, MB / 10);
	cr_assert_eq(facts(&f, MB).wire_permille, 499, "too little to know better");
	run(&f, &s, 3, 20, MB / 100, MB / 10);
	cr_assert_eq(facts(&f, MB).wire_permille, 100);
}

Test(forecast, a_steady_link_is_foretold)
{
	struct forecast_sample s = { .now_ns = NS_PER_S, .link_bps = 10 * MB };
	struct forecast f;
	struct cost c;

	forecast_init(&f);
	for (unsigned tick = 0; tick < 90; tick++) {
		run(&f, &s, 1, 1, MB, 2 * MB);
		cr_assert(forecast_predict(&f, facts(&f, 200 * MB - s.guest_bytes), 0, &c));
		cr_assert_float_eq((double)c.total_ns, (double)(99 - tick) * TICK, 2e8);
	}
}

Test(forecast, two_seconds_after_a_step_it_is_foretold_again)
{
	struct forecast_sample s = { .now_ns = NS_PER_S, .link_bps = 10 * MB };
	struct forecast f;
	struct cost c;

	forecast_init(&f);
	run(&f, &s, 1, 20, MB, MB);
	s.link_bps = 5 * MB;
	run(&f, &s, 1, 20, MB / 2, MB);
	cr_assert(forecast_predict(&f, facts(&f, 80 * MB), 0, &c));
	cr_assert_float_eq((double)c.total_ns, 80.0 / 5 / 1 * NS_PER_S * 0.75, 0.1 * 12 * NS_PER_S);
}

Test(forecast, a_processor_that_is_slower_than_the_link_is_noticed)
{
	struct forecast_sample s = { .now_ns = NS_PER_S, .link_bps = 20 * MB };
	struct forecast f;
	struct cost c;

	forecast_init(&f);
	run(&f, &s, 1, 30, MB, MB);
	cr_assert(forecast_predict(&f, facts(&f, 100 * MB), 0, &c));
	cr_assert_float_eq((double)c.total_ns, 10e9, 1e9);
	/* An outage is none of that. */
	forecast_excuse(&f);
	s.now_ns += 60 * NS_PER_S;
	run(&f, &s, 1, 1, MB, MB);
	cr_assert(forecast_predict(&f, facts(&f, 100 * MB), 0, &c));
	cr_assert_float_eq((double)c.total_ns, 10e9, 1e9);
}

Test(forecast, what_does_not_end_is_said_or_the_blackout_is_longer)
{
	struct forecast_sample s = { .now_ns = NS_PER_S, .link_bps = 10 * MB };
	struct cost_facts hot;
	struct forecast f;
	struct cost c;

	forecast_init(&f);
	run(&f, &s, 1, 10, MB, MB);
	hot = facts(&f, 50 * MB);
	hot.dirty_bps = 20 * MB;
	hot.working_set_bytes = 8 * MB;
	cr_assert(!forecast_predict(&f, hot, 0, &c));
	cr_assert(forecast_predict(&f, hot, NS_PER_S, &c));
	cr_assert_gt(c.blackout_ns, 700 * NS_PER_MS);
	cr_assert_leq(c.blackout_ns, NS_PER_S);
}

Test(forecast, the_survey_tells_of_what_is_still_to_come)
{
	struct forecast_sample s = { .now_ns = NS_PER_S, .link_bps = 10 * MB };
	struct cost_facts expected;
	struct forecast f;
	struct cost c;

	/* 100 MB of data that take 50 on the wire, then 300 MB of zeros. The survey says 40. */
	s.survey = (struct survey_stats){ .first_wire_bytes = 40 * MB, .left_wire_bytes = 40 * MB,
					  .left_data_bytes = 100 * MB };
	forecast_init(&f);
	cr_assert_not(forecast_is_known(&f));
	for (unsigned tick = 1; tick <= 40; tick++) {
		s.survey.left_wire_bytes = (40 - tick * 4 / 5) * MB;
		s.survey.left_data_bytes = (100 - tick * 2) * MB;
		run(&f, &s, 1, 1, MB, 2 * MB);
		expected = facts(&f, 400 * MB - s.guest_bytes);
		forecast_expect(&f, &expected);
		cr_assert(forecast_predict(&f, expected, 0, &c));
		if (tick > 10)
			cr_assert_float_eq((double)c.total_ns, 5.2e9 - tick * 1e8, 5e8, "%u: %f", tick,
					   (double)c.total_ns / 1e9);
	}
	cr_assert(forecast_is_known(&f));
}

Test(forecast, what_is_written_meanwhile_is_expected_in_the_first_round)
{
	struct forecast_sample s = { .now_ns = NS_PER_S, .link_bps = 10 * MB };
	struct cost_facts expected, blind;
	struct forecast f;
	struct cost a, b;

	s.survey = (struct survey_stats){ .first_wire_bytes = 100 * MB, .left_wire_bytes = 50 * MB,
					  .left_data_bytes = 50 * MB,
					  .writes = { .bps = 2 * MB, .working_set = 100 * MB,
						      .permille = 500 } };
	forecast_init(&f);
	run(&f, &s, 1, 10, MB, MB);
	blind = expected = facts(&f, 50 * MB);
	forecast_expect(&f, &expected);
	cr_assert_eq(expected.dirty_bps, 2 * MB);
	cr_assert_eq(expected.again_permille, 500);
	cr_assert(forecast_predict(&f, expected, 0, &a));
	cr_assert(forecast_predict(&f, blind, 0, &b));
	cr_assert_gt(a.total_ns, b.total_ns + 400 * NS_PER_MS);
}

Test(forecast, the_stop_costs_what_it_cost_before)
{
	struct stop_cost c = { 0 };

	cr_assert_eq(stop_cost_likely(&c), 0);
	cr_assert_eq(stop_cost_careful(&c, NS_PER_S), 0);
	for (unsigned i = 0; i < 40; i++)
		stop_cost_note(&c, (i % 2 ? 45 : 55) * NS_PER_MS, 30 * NS_PER_MS);
	cr_assert_float_eq((double)stop_cost_likely(&c), 20e6, 2e6);
	cr_assert_float_eq((double)stop_cost_careful(&c, NS_PER_S), 30e6, 3e6);
	cr_assert_eq(stop_cost_careful(&c, 32 * NS_PER_MS), 16 * NS_PER_MS,
		     "something is left for pages");
	cr_assert_eq(stop_cost_careful(&c, NS_PER_MS), COST_QEMU_NS);
}

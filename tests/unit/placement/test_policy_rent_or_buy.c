/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>

#include "common/clock.h"
#include "placement/policy.h"

#define MS NS_PER_MS

static const struct policy_parameters parameters = {
	.threshold_ns = 20 * MS,
	.hold_ns = 4000 * MS,
	.margin_ns = 5 * MS,
	.min_stay_ns = 10000 * MS,
	.return_guard_ns = 40000 * MS,
	.max_age_ns = 1000 * MS,
	.min_confidence = 50,
};

struct fixture {
	_Alignas(max_align_t) uint8_t state[POLICY_STATE_SIZE];
	struct policy_candidate candidates[3];
	struct policy_view view;
	struct policy_wish wishes[POLICY_WISHES_MAX];
};

/* The VM is at node 0 since long ago; nodes are measured at the given RTTs. */
static void setup(struct fixture *f, unsigned here_ms, unsigned one_ms, unsigned two_ms)
{
	const unsigned rtt_ms[] = { here_ms, one_ms, two_ms };

	memset(f, 0, sizeof(*f));
	policy_rent_or_buy.dev_init(f->state);
	for (uint32_t i = 0; i < 3; i++)
		f->candidates[i] = (struct policy_candidate){
			.node = i,
			.available = true,
			.measured = true,
			.srtt_ns = rtt_ms[i] * MS,
			.confidence = 100,
		};
	f->view = (struct policy_view){ .now_ns = 1000000 * MS,
					.candidates = f->candidates,
					.n_candidates = 3,
					.visits = { { 0, UINT64_MAX } },
					.n_visits = 1 };
}

static void sample(struct fixture *f)
{
	policy_rent_or_buy.on_sample(&parameters, NULL, f->state, &f->view);
}

static size_t wishes(struct fixture *f)
{
	return policy_rent_or_buy.wishes(&parameters, NULL, f->state, &f->view, f->wishes);
}

/* Samples each 100 ms until there is a wish; how long that took. */
static uint64_t wait_ms(struct fixture *f)
{
	uint64_t begin = f->view.now_ns;

	for (sample(f); wishes(f) == 0; sample(f)) {
		f->view.now_ns += 100 * MS;
		cr_assert_lt(f->view.now_ns, begin + 60000 * MS, "no wish in a minute");
	}
	return (f->view.now_ns - begin) / MS;
}

Test(policy_rent_or_buy, the_more_it_pays_the_sooner_it_moves)
{
	struct fixture f;

	/* 5 ms for 4 s is the price. */
	setup(&f, 25, 20, 50);
	cr_assert_eq(wait_ms(&f), 4000);
	setup(&f, 30, 20, 50);
	cr_assert_eq(wait_ms(&f), 2000);
	cr_assert_eq(wishes(&f), 1);
	cr_assert_eq(f.wishes[0].target, 1);
	cr_assert_eq(f.wishes[0].benefit_ns, 10 * MS);
	cr_assert_eq(f.wishes[0].held_ns, 2000 * MS);
	cr_assert_str_eq(f.wishes[0].code, "rent-or-buy");
	setup(&f, 60, 20, 10);
	cr_assert_eq(wait_ms(&f), 400);
	cr_assert_eq(wishes(&f), 2);
	cr_assert_eq(f.wishes[0].target, 2, "the best is first");
}

Test(policy_rent_or_buy, pays_by_what_was_so_at_each_time)
{
	struct fixture f;

	setup(&f, 30, 20, 50);
	sample(&f);
	f.view.now_ns += 1000 * MS; /* 10 of the 20 ms s */
	f.candidates[1].srtt_ns = 25 * MS;
	sample(&f);
	cr_assert_eq(wait_ms(&f), 2000, "the other 10 at 5 ms");
}

Test(policy_rent_or_buy, a_good_moment_clears_the_account)
{
	struct fixture f;

	setup(&f, 30, 20, 50);
	for (int i = 0; i < 19; i++, f.view.now_ns += 100 * MS)
		sample(&f);
	f.candidates[0].srtt_ns = 20 * MS;
	sample(&f);
	f.candidates[0].srtt_ns = 30 * MS;
	cr_assert_eq(wait_ms(&f), 2000);
	/* So does being elsewhere. */
	setup(&f, 30, 10, 20);
	for (int i = 0; i < 9; i++, f.view.now_ns += 100 * MS)
		sample(&f);
	f.view.visits[0].node = 2;
	f.candidates[2].srtt_ns = 30 * MS;
	cr_assert_eq(wait_ms(&f), 1000);
}

Test(policy_rent_or_buy, at_the_threshold_it_is_content)
{
	struct fixture f;

	setup(&f, 20, 1, 1);
	for (int i = 0; i < 100; i++, f.view.now_ns += 100 * MS) {
		sample(&f);
		cr_assert_eq(wishes(&f), 0);
	}
}

Test(policy_rent_or_buy, silence_costs_no_more_than_max_age)
{
	struct fixture f;

	setup(&f, 25, 20, 50);
	sample(&f);
	f.view.now_ns += 3600000 * MS;
	sample(&f);
	cr_assert_eq(wishes(&f), 0);
	cr_assert_eq(wait_ms(&f), 3000);
}

Test(policy_rent_or_buy, stays_for_a_while_and_does_not_play_ping_pong)
{
	struct fixture f;

	setup(&f, 60, 20, 30);
	wait_ms(&f);
	f.view.visits[0].ago_ns = 9999 * MS;
	cr_assert_eq(wishes(&f), 0);
	f.view.visits[0].ago_ns = 10000 * MS;
	cr_assert_eq(wishes(&f), 2);
	f.view.visits[1] = (struct policy_visit){ 1, 39999 * MS };
	f.view.visits[2] = (struct policy_visit){ 0, UINT64_MAX };
	f.view.n_visits = 3;
	cr_assert_eq(wishes(&f), 1);
	cr_assert_eq(f.wishes[0].target, 2);
}

Test(policy_rent_or_buy, is_found_by_its_name)
{
	cr_assert_eq(policy_find("rent-or-buy"), &policy_rent_or_buy);
	cr_assert_eq(policy_find("threshold"), &policy_threshold);
	cr_assert_null(policy_find("rent"));
}

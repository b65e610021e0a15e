/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "placement/policy.h"

#define MS NS_PER_MS

static const struct policy_parameters parameters = {
	.threshold_ns = 20 * MS,
	.hold_ns = 2000 * MS,
	.margin_ns = 5 * MS,
	.min_stay_ns = 10000 * MS,
	.return_guard_ns = 40000 * MS,
	.max_age_ns = 1000 * MS,
	.min_confidence = 50,
};

struct fixture {
	_Alignas(max_align_t) uint8_t state[POLICY_STATE_SIZE];
	struct policy_candidate candidates[8];
	struct policy_view view;
	struct policy_wish wishes[POLICY_WISHES_MAX];
};

/* The VM is at node 0 since long ago; all nodes are measured at the given RTTs. */
static void setup(struct fixture *f, size_t n, const unsigned *rtt_ms)
{
	memset(f, 0, sizeof(*f));
	policy_threshold.dev_init(f->state);
	for (size_t i = 0; i < n; i++)
		f->candidates[i] = (struct policy_candidate){
			.node = (uint32_t)i,
			.available = true,
			.measured = true,
			.srtt_ns = rtt_ms[i] * MS,
			.confidence = 100,
		};
	f->view = (struct policy_view){ .now_ns = 1000000 * MS,
					.candidates = f->candidates,
					.n_candidates = n,
					.visits = { { 0, UINT64_MAX } },
					.n_visits = 1 };
}
#define SETUP(f, ...) \
	setup(f, sizeof((unsigned[]){ __VA_ARGS__ }) / sizeof(unsigned), (unsigned[]){ __VA_ARGS__ })

/* A sample each 100 ms for a while; how many wishes there are then. */
static size_t run(struct fixture *f, uint64_t ms)
{
	for (uint64_t end = f->view.now_ns + ms * MS; f->view.now_ns < end;) {
		f->view.now_ns += 100 * MS;
		policy_threshold.on_sample(&parameters, NULL, f->state, &f->view);
	}
	return policy_threshold.wishes(&parameters, NULL, f->state, &f->view, f->wishes);
}

Test(policy_threshold, wishes_for_the_better_node_after_the_hold)
{
	struct fixture f;

	SETUP(&f, 30, 10);
	cr_assert_eq(run(&f, 2000), 0, "the hold begins with the first sample");
	cr_assert_eq(run(&f, 100), 1);
	cr_assert_eq(f.wishes[0].target, 1);
	cr_assert_eq(f.wishes[0].benefit_ns, 20 * MS);
	cr_assert_eq(f.wishes[0].here_ns, 30 * MS);
	cr_assert_eq(f.wishes[0].target_ns, 10 * MS);
	cr_assert_eq(f.wishes[0].held_ns, 2000 * MS);
	cr_assert_str_eq(f.wishes[0].code, "threshold");
}

Test(policy_threshold, at_the_threshold_is_not_above_it)
{
	struct fixture f;

	SETUP(&f, 20, 1);
	cr_assert_eq(run(&f, 10000), 0);
}

Test(policy_threshold, inside_the_margin_nothing_moves)
{
	struct fixture f;

	SETUP(&f, 30, 26);
	for (int i = 0; i < 50; i++) {
		f.candidates[1].srtt_ns = (i & 1 ? 26 : 34) * MS;
		cr_assert_eq(run(&f, 1000), 0);
	}
	f.candidates[1].srtt_ns = 25 * MS;
	cr_assert_eq(run(&f, 3000), 1, "the margin itself is enough");
}

Test(policy_threshold, oscillation_starts_the_hold_again)
{
	struct fixture f;

	SETUP(&f, 30, 10);
	for (int i = 0; i < 50; i++) {
		f.candidates[0].srtt_ns = 30 * MS;
		cr_assert_eq(run(&f, 1900), 0);
		f.candidates[0].srtt_ns = 19 * MS;
		cr_assert_eq(run(&f, 100), 0);
	}
}

Test(policy_threshold, minimum_stay)
{
	struct fixture f;

	SETUP(&f, 30, 10);
	f.view.visits[0].ago_ns = parameters.min_stay_ns - 1;
	cr_assert_eq(run(&f, 5000), 0);
	f.view.visits[0].ago_ns = parameters.min_stay_ns;
	cr_assert_eq(run(&f, 100), 1);
}

Test(policy_threshold, there_and_back_but_not_there_again_at_once)
{
	struct fixture f;

	SETUP(&f, 30, 10, 12);
	/* 1 -> 0: back to 1 is a phone that turned round. */
	f.view.visits[0].ago_ns = 15000 * MS;
	f.view.visits[1] = (struct policy_visit){ 1, 30000 * MS };
	f.view.n_visits = 2;
	cr_assert_eq(run(&f, 5000), 2);
	cr_assert_eq(f.wishes[0].target, 1);
	/* 0 -> 1 -> 0: 1 again is ping-pong; 2 is not. */
	f.view.visits[2] = (struct policy_visit){ 0, UINT64_MAX };
	f.view.n_visits = 3;
	cr_assert_eq(run(&f, 100), 1);
	cr_assert_eq(f.wishes[0].target, 2);
	f.view.visits[1].ago_ns = parameters.return_guard_ns;
	cr_assert_eq(run(&f, 100), 2);
	cr_assert_eq(f.wishes[0].target, 1);
}

Test(policy_threshold, no_evidence_no_wish)
{
	struct fixture f;

	for (int which = 0; which < 2; which++) {
		struct policy_candidate *c;

		SETUP(&f, 30, 10);
		c = &f.candidates[which];
		c->age_ns = parameters.max_age_ns + 1;
		cr_assert_eq(run(&f, 5000), 0, "stale, %d", which);
		c->age_ns = 0;
		c->confidence = 49;
		cr_assert_eq(run(&f, 5000), 0, "uncertain, %d", which);
		c->confidence = 50;
		c->measured = false;
		cr_assert_eq(run(&f, 5000), 0, "never measured, %d", which);
		c->measured = true;
		cr_assert_eq(run(&f, 5000), 1);
		/* It aged since the last sample, when nobody called on_sample(). */
		c->age_ns = parameters.max_age_ns + 1;
		cr_assert_eq(run(&f, 0), 0, "aged, %d", which);
	}
	SETUP(&f, 30, 10);
	f.candidates[1].available = false;
	cr_assert_eq(run(&f, 5000), 0);
	SETUP(&f, 30, 10);
	f.view.n_visits = 0;
	cr_assert_eq(run(&f, 5000), 0);
	SETUP(&f, 30);
	cr_assert_eq(run(&f, 5000), 0);
	setup(&f, 0, NULL);
	cr_assert_eq(run(&f, 5000), 0);
}

Test(policy_threshold, a_move_starts_everything_again)
{
	struct fixture f;

	SETUP(&f, 30, 10);
	cr_assert_eq(run(&f, 5000), 1);
	f.view.visits[0] = (struct policy_visit){ 1, 60000 * MS };
	cr_assert_eq(run(&f, 0), 0, "the hold was that of another node");
	f.candidates[1].srtt_ns = 30 * MS;
	f.candidates[0].srtt_ns = 10 * MS;
	cr_assert_eq(run(&f, 2000), 0);
	cr_assert_eq(run(&f, 100), 1);
	cr_assert_eq(f.wishes[0].target, 0);
}

Test(policy_threshold, ties_and_crowds_have_an_order)
{
	struct fixture f;

	SETUP(&f, 90, 12, 10, 10, 11, 10, 13, 9);
	cr_assert_eq(run(&f, 5000), POLICY_WISHES_MAX);
	cr_assert_eq(f.wishes[0].target, 7);
	cr_assert_eq(f.wishes[1].target, 2);
	cr_assert_eq(f.wishes[2].target, 3);
	cr_assert_eq(f.wishes[3].target, 5);
}

Test(policy_threshold, parameters_are_checked)
{
	static const struct {
		struct policy_parameters p;
		const char *says;
	} cases[] = {
		{ { .threshold_ns = 0, .max_age_ns = 1 }, "threshold" },
		{ { .threshold_ns = 5, .margin_ns = 5, .max_age_ns = 1 }, "margin" },
		{ { .threshold_ns = 5, .margin_ns = 1 }, "max_age" },
		{ { .threshold_ns = 5, .max_age_ns = 1, .min_confidence = 101 }, "min_confidence" },
	};
	struct mg_error err;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cr_assert_eq(policy_threshold.init(&cases[i].p, &err), -EINVAL);
		cr_assert_eq(strncmp(err.text, cases[i].says, strlen(cases[i].says)), 0);
	}
	cr_assert_eq(policy_threshold.init(&parameters, &err), 0);
	cr_assert_eq(policy_find("threshold"), &policy_threshold);
	cr_assert_null(policy_find("oracle"));
}

/* Still good enough here, and better there: it is on its way. */
Test(policy_threshold, what_is_better_already_is_foreseen)
{
	struct policy_prospect p;
	struct fixture f;

	SETUP(&f, 15, 12, 9, 10);
	cr_assert_eq(run(&f, 5000), 0);
	cr_assert(policy_threshold.foresee(&parameters, NULL, f.state, &f.view, &p));
	cr_assert_eq(p.target, 2);
	cr_assert_eq(p.permille, 500);
	f.candidates[2].available = false;
	cr_assert(policy_threshold.foresee(&parameters, NULL, f.state, &f.view, &p));
	cr_assert_eq(p.target, 3);
	f.candidates[0].srtt_ns = 21 * MS;
	cr_assert_not(policy_threshold.foresee(&parameters, NULL, f.state, &f.view, &p));
	f.candidates[0].srtt_ns = 15 * MS;
	f.candidates[3].age_ns = 2000 * MS;
	cr_assert_not(policy_threshold.foresee(&parameters, NULL, f.state, &f.view, &p));
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "placement/policy.h"

#define MS UINT64_C(1000000)
#define SECOND (1000 * MS)
#define NODES 4
#define NEAR 5 /* ms of RTT to the cell's node */
#define BY 13  /* to its neighbours', from cell 1, which is between 0 and 2 */
#define FAR 30 /* to all others */

static const struct policy_parameters usual = {
	.threshold_ns = 15 * MS,
	.hold_ns = 10 * SECOND,
	.margin_ns = 5 * MS,
	.max_age_ns = 3 * SECOND,
	.min_confidence = 50,
	.horizon_ns = 60 * SECOND,
	.order = 2,
};

struct fixture {
	struct policy_parameters p;
	void *shared;
	uint64_t by;
	struct policy_candidate candidates[NODES];
	struct policy_view view;
	struct policy_wish wishes[POLICY_WISHES_MAX];
};

struct device {
	_Alignas(max_align_t) uint8_t state[POLICY_STATE_SIZE];
};

static void set_up(struct fixture *f)
{
	*f = (struct fixture){ .p = usual,
			       .by = FAR,
			       .shared = calloc(1, policy_markov.shared_size) };
	for (uint32_t i = 0; i < NODES; i++)
		f->candidates[i] = (struct policy_candidate){
			.node = i, .available = true, .measured = true, .confidence = 100
		};
	f->view = (struct policy_view){ .now_ns = 1000 * SECOND,
					.candidates = f->candidates,
					.n_candidates = NODES,
					.n_visits = 1,
					.visits = { { 0, UINT64_MAX } } };
}

static struct device new_device(void)
{
	struct device d;

	policy_markov.dev_init(d.state);
	return d;
}

/* The device is in the cell for so long, and is heard of each second. */
static void stay(struct fixture *f, struct device *d, uint32_t cell, unsigned seconds)
{
	for (uint32_t i = 0; i < NODES; i++)
		f->candidates[i].srtt_ns = (i == cell             ? NEAR
					    : cell == 1 && i != 3 ? f->by
								  : FAR) *
					   MS;
	while (seconds-- > 0) {
		policy_markov.on_sample(&f->p, f->shared, d->state, &f->view);
		f->view.now_ns += SECOND;
	}
	f->view.now_ns -= SECOND;
	policy_markov.on_sample(&f->p, f->shared, d->state, &f->view);
	f->view.now_ns += SECOND;
}

/* What the device wishes for with its VM at a node: the best target; NODES: nothing. */
static uint32_t wish(struct fixture *f, const struct device *d, uint32_t node)
{
	f->view.visits[0].node = node;
	return policy_markov.wishes(&f->p, f->shared, d->state, &f->view, f->wishes) > 0
		       ? f->wishes[0].target
		       : NODES;
}

Test(policy_markov, knowing_nothing_it_follows)
{
	struct fixture f;
	struct device d = new_device();

	set_up(&f);
	stay(&f, &d, 0, 3);
	cr_assert_eq(wish(&f, &d, 0), NODES);
	stay(&f, &d, 1, 3);
	cr_assert_eq(wish(&f, &d, 0), 1);
	cr_assert_str_eq(f.wishes[0].code, "markov");
	cr_assert_eq(wish(&f, &d, 1), NODES);
	free(f.shared);
}

/* Two cells in turn, T in each. With M the price of a move and e the excess elsewhere, following
 * pays M b / (1 - b) from then on, and to stay away once costs D e + b of that: see the
 * equations in policy_markov.c. */
Test(policy_markov, the_value_is_that_of_the_closed_form)
{
	const double T = 10, H = 60, D = T * H / (T + H), b = H / (T + H), e = FAR - NEAR;

	for (uint32_t order = 1; order <= 2; order++) {
		struct fixture f;
		struct device d = new_device();
		double M, gain;

		set_up(&f);
		f.p.order = order;
		M = 50;
		for (unsigned i = 0; i < 200; i++)
			stay(&f, &d, i % 2, (unsigned)T);
		cr_assert_eq(wish(&f, &d, 0), 1);
		gain = (double)f.wishes[0].benefit_ns / MS * H;
		cr_assert_float_eq(gain, D * e - (1 + b) * M, 0.01 * gain, "order %u: %g, %g",
				   order, gain, D * e - (1 + b) * M);
		/* Were it dearer than D e / (1 + b), it would not pay. */
		f.p.hold_ns = 25 * SECOND;
		for (unsigned i = 0; i < 200; i++)
			stay(&f, &d, i % 2, (unsigned)T);
		cr_assert_eq(wish(&f, &d, 0), NODES);
		free(f.shared);
	}
}

Test(policy_markov, who_only_passes_is_not_followed)
{
	struct fixture f;
	struct device d;

	set_up(&f);
	for (int i = 0; i < 100; i++) {
		d = new_device();
		stay(&f, &d, 0, 60);
		stay(&f, &d, 1, 2);
		stay(&f, &d, 2, 60);
		stay(&f, &d, 3, 60);
	}
	d = new_device();
	stay(&f, &d, 0, 60);
	stay(&f, &d, 1, 1);
	cr_assert_eq(wish(&f, &d, 0), NODES);
	stay(&f, &d, 2, 1);
	cr_assert_eq(wish(&f, &d, 0), 2);
	free(f.shared);
}

/* The target of a VM at 3 when its device has come from a cell to cell 1. */
static uint32_t wish_between(struct fixture *f, struct device *d, uint32_t from)
{
	stay(f, d, from, 60);
	stay(f, d, 1, 2);
	return wish(f, d, 3);
}

/* From 0 by 1 to 2 and back: where one goes from 1 depends on whence one came. */
Test(policy_markov, order_two_knows_whence_it_came)
{
	for (uint32_t order = 1; order <= 2; order++) {
		struct device d = new_device(), other = new_device();
		struct fixture f;

		set_up(&f);
		f.by = BY;
		f.p.order = order;
		for (int i = 0; i < 100; i++) {
			stay(&f, &d, 0, 60);
			stay(&f, &d, 1, 10);
			stay(&f, &d, 2, 60);
			stay(&f, &d, 1, 10);
		}
		/* A few more go to 2 than to 0. */
		for (int i = 0; i < 20; i++) {
			d = new_device();
			stay(&f, &d, 0, 60);
			stay(&f, &d, 1, 10);
			stay(&f, &d, 2, 60);
		}
		d = new_device();
		cr_assert_eq(wish_between(&f, &d, 0), 2);
		cr_assert_eq(wish_between(&f, &other, 2), order == 2 ? 0 : 2, "order %u", order);
		free(f.shared);
	}
}

Test(policy_markov, a_device_has_habits_of_its_own)
{
	struct device creature = new_device(), d = new_device();
	struct fixture f;

	set_up(&f);
	f.by = BY;
	/* All go from 0 by 1 to 2, but one turns round. */
	for (int i = 0; i < 200; i++) {
		d = new_device();
		stay(&f, &d, 0, 60);
		stay(&f, &d, 1, 10);
		stay(&f, &d, 2, 60);
	}
	for (int i = 0; i < 20; i++) {
		stay(&f, &creature, 0, 60);
		stay(&f, &creature, 1, 10);
	}
	d = new_device();
	cr_assert_eq(wish_between(&f, &d, 0), 2);
	cr_assert_eq(wish_between(&f, &creature, 0), 0);
	free(f.shared);
}

Test(policy_markov, an_absence_is_no_departure)
{
	struct device d = new_device();
	struct fixture f;

	set_up(&f);
	for (int i = 0; i < 100; i++) {
		stay(&f, &d, 0, 5);
		f.view.now_ns += 100 * SECOND;
		stay(&f, &d, 1, 5);
		f.view.now_ns += 100 * SECOND;
	}
	/* Nobody was seen to leave, so it is worth while to follow at any price below
	 * the horizon's. */
	stay(&f, &d, 1, 5);
	f.p.hold_ns = 200 * SECOND;
	cr_assert_eq(wish(&f, &d, 0), 1);
	f.p.hold_ns = 300 * SECOND;
	cr_assert_eq(wish(&f, &d, 0), NODES);
	free(f.shared);
}

Test(policy_markov, more_cells_than_it_can_learn)
{
	struct device d = new_device();
	struct fixture f;

	set_up(&f);
	for (uint32_t i = 0; i < 40000; i++) {
		for (uint32_t k = 0; k < NODES; k++)
			f.candidates[k].node = i * 7 % 9001 + k;
		stay(&f, &d, i * 5 % NODES, 1);
	}
	for (uint32_t k = 0; k < NODES; k++)
		f.candidates[k].node = 5000 + k;
	stay(&f, &d, 1, 5);
	cr_assert_eq(wish(&f, &d, 5000), 5001);
	free(f.shared);
}

Test(policy_markov, no_evidence_no_wish)
{
	struct device d = new_device();
	struct fixture f;

	set_up(&f);
	stay(&f, &d, 1, 3);
	cr_assert_eq(wish(&f, &d, 0), 1);
	f.candidates[1].available = false;
	cr_assert_eq(wish(&f, &d, 0), NODES);
	f.candidates[1].available = true;
	f.candidates[1].age_ns = 4 * SECOND;
	cr_assert_eq(wish(&f, &d, 0), NODES);
	f.candidates[1].age_ns = 0;
	f.candidates[0].confidence = 49;
	cr_assert_eq(wish(&f, &d, 0), NODES);
	f.candidates[0].confidence = 100;
	f.p.min_stay_ns = 10 * SECOND;
	f.view.visits[0].ago_ns = 9 * SECOND;
	cr_assert_eq(wish(&f, &d, 0), NODES);
	f.view.visits[0].ago_ns = 10 * SECOND;
	cr_assert_eq(wish(&f, &d, 0), 1);
	free(f.shared);
}

Test(policy_markov, parameters_are_checked)
{
	static const struct {
		size_t offset;
		const char *says;
	} cases[] = {
		{ offsetof(struct policy_parameters, threshold_ns), "threshold" },
		{ offsetof(struct policy_parameters, horizon_ns), "horizon" },
		{ offsetof(struct policy_parameters, order), "order" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct policy_parameters p = usual;
		struct mg_error err;

		/* What follows the order in the struct is padding. */
		memset((char *)&p + cases[i].offset, 0,
		       cases[i].offset == offsetof(struct policy_parameters, order) ? 4 : 8);
		cr_assert_eq(policy_markov.init(&p, &err), -EINVAL);
		cr_assert_eq(strncmp(err.text, cases[i].says, strlen(cases[i].says)), 0, "%s",
			     err.text);
	}
	cr_assert_eq(policy_markov.init(&usual, NULL), 0);
	cr_assert_eq(policy_find("markov"), &policy_markov);
}

/* From 0 devices go to 1, and now and then to 2. */
Test(policy_markov, the_next_cell_is_foreseen)
{
	struct policy_prospect p;
	struct fixture f;
	struct device d = new_device();

	set_up(&f);
	stay(&f, &d, 0, 10);
	cr_assert_not(policy_markov.foresee(&f.p, f.shared, d.state, &f.view, &p), "nothing is known");
	for (int i = 0; i < 40; i++) {
		stay(&f, &d, i % 5 == 4 ? 2 : 1, 10);
		stay(&f, &d, 0, 10);
	}
	f.view.visits[0].node = 0;
	cr_assert(policy_markov.foresee(&f.p, f.shared, d.state, &f.view, &p));
	cr_assert_eq(p.target, 1);
	cr_assert_gt(p.permille, 700);
	f.view.visits[0].node = 1;
	cr_assert_not(policy_markov.foresee(&f.p, f.shared, d.state, &f.view, &p), "it is there");
	free(f.shared);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/reference/mdp.h"

#include <criterion/criterion.h>
#include <errno.h>

#include "sim/reference/hexwalk.h"

/* Two states: chance leads from 0 to 1 with 1/2; 1 costs 1 a slot and stays. */
static void make(struct mdp *mdp, double move)
{
	cr_assert_eq(mdp_init(mdp, 2, 0.9), 0);
	mdp->states[0] = (struct mdp_state){ true, 0, { { 0, 0.5 }, { 1, 0.5 } }, 2 };
	mdp->states[1] = (struct mdp_state){ true, 1, { { 1, 1 } }, 1 };
	*mdp_move(mdp, 1, 0) = *mdp_move(mdp, 0, 1) = move;
}

Test(mdp, solves_what_can_be_solved_by_hand)
{
	double values[2];
	size_t target[2];
	struct mdp mdp;

	/* Going back: V1 = 2 + V0, V0 = 0.9 (V0 + V1) / 2, so V0 = 9 and V1 = 11 > 10,
	 * which is what staying costs. */
	make(&mdp, 2);
	cr_assert_eq(mdp_solve(&mdp, target, values), 0);
	cr_assert_eq(target[1], 1);
	cr_assert_float_eq(values[1], 10, 1e-8);
	cr_assert_float_eq(values[0], 0.45 * 10 / 0.55, 1e-8);
	mdp_clear(&mdp);
	/* At half the price V0 = 4.5. */
	make(&mdp, 1);
	cr_assert_eq(mdp_solve(&mdp, target, values), 0);
	cr_assert_eq(target[0], 0);
	cr_assert_eq(target[1], 0);
	cr_assert_float_eq(values[0], 4.5, 1e-8);
	cr_assert_float_eq(values[1], 5.5, 1e-8);
	mdp_clear(&mdp);
}

Test(mdp, what_is_not_allowed_is_left)
{
	double values[2];
	size_t target[2];
	struct mdp mdp;

	make(&mdp, 50);
	mdp.states[1].allowed = false;
	cr_assert_eq(mdp_solve(&mdp, target, values), 0);
	cr_assert_eq(target[1], 0);
	cr_assert_float_eq(values[1] - values[0], 50, 1e-7);
	mdp.states[0].allowed = false;
	cr_assert_eq(mdp_solve(&mdp, target, values), -EDOM);
	mdp_clear(&mdp);
}

/* Always to the user's cell: the mean of the first move, then each step out costs
 * one over one hop. */
Test(hexwalk, always_has_a_closed_form)
{
	const struct hex_case c = { .p = 0.11, .discount = 0.8, .m = 3 };
	double cost, free;
	size_t target[HEX_CELLS];
	const struct hex_case still = { .p = 0, .discount = 0.8, .m = 3 };

	cr_assert_eq(hexwalk_solve(&c, HEX_ALWAYS, target, &cost), 0);
	cr_assert_eq(hexwalk_solve(&still, HEX_ALWAYS, target, &free), 0);
	cr_assert_float_eq(cost - free, 6 * 0.11 * 0.8 * (1 + 3 * 0.2) / (1 - 0.8), 1e-7);
}

Test(hexwalk, no_policy_betters_the_optimum)
{
	for (int i = 1; i <= 4; i++) {
		const struct hex_case c = { .p = 0.04 * i, .discount = 0.95, .m = i };
		size_t target[HEX_CELLS];
		double best, cost;

		cr_assert_eq(hexwalk_solve(&c, HEX_OPTIMAL, target, &best), 0);
		for (int policy = HEX_PROPOSED; policy < HEX_POLICIES; policy++) {
			cr_assert_eq(hexwalk_solve(&c, policy, target, &cost), 0);
			cr_assert_geq(cost, best - 1e-8);
		}
	}
}

Test(hexwalk, a_line_is_crossed_in_the_square_of_its_length)
{
	for (int T = 1; T <= HEX_RINGS; T++)
		cr_assert_float_eq(linewalk_mean_stay(T), T * T / 2.0, 1e-8);
}

Test(hexwalk, the_rule_integrates_polynomials)
{
	double points[5], weights[5], sum = 0;

	/* Five points are exact up to the ninth power. */
	gauss_legendre(5, points, weights);
	for (int i = 0; i < 5; i++) {
		double x = points[i];

		sum += weights[i] * (10 * x * x * x * x * x * x * x * x * x + 3 * x * x - 2);
	}
	cr_assert_float_eq(sum, 0, 1e-12);
}

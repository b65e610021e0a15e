/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/reference/markov.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define ROUNDS 40

static const struct markov_parameters parameters = { 2, 5 };

/* Three cells on a line, 2 hops apart. */
static void make_costs(double m, struct cell_costs *costs)
{
	const char text[] = "1,0,0\n2,0.02,0\n3,0.04,0\n";
	struct cell_map map;
	struct mg_error err;

	cr_assert_eq(cell_map_parse(text, strlen(text), 0.01, &map, &err), 0);
	cr_assert_eq(cell_costs_make(&map, m, costs), 0);
	cell_map_clear(&map);
}

/* Two users over and over: from 0 one looks into 1 for a slot, then goes back for
 * long; from 2 the other goes to 1 and stays. */
static struct markov *learnt(const struct cell_costs *costs)
{
	static const uint16_t visits[][12] = {
		{ 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, CELL_ABSENT },
		{ 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, CELL_ABSENT },
	};
	struct markov *m = NULL;

	cr_assert_eq(markov_new(costs, &parameters, &m), 0);
	for (int i = 0; i < 2 * ROUNDS; i++) {
		struct markov_context context = { 0 };

		for (int t = 0; t < 12; t++) {
			if (context.present)
				cr_assert_eq(markov_observe(m, &context, visits[i % 2][t]), 0);
			markov_step(&context, visits[i % 2][t]);
		}
	}
	cr_assert_eq(markov_solve(m), 0);
	return m;
}

static struct markov_context went(uint16_t from, uint16_t to)
{
	struct markov_context context = { 0 };

	markov_step(&context, from);
	markov_step(&context, to);
	return context;
}

Test(markov, a_context_knows_the_other_cell_before)
{
	struct markov_context c = went(2, 0);

	markov_step(&c, 0);
	cr_assert_eq(c.cell, 0);
	cr_assert_eq(c.before, 2);
	markov_step(&c, 1);
	cr_assert_eq(c.before, 0);
	markov_step(&c, CELL_ABSENT);
	cr_assert(!c.present);
	markov_step(&c, 1);
	cr_assert_eq(c.before, CELL_ABSENT);
}

/* The same cell, and two ways to get there. */
Test(markov, follows_who_stays_and_waits_for_who_comes_back)
{
	struct markov_context from_0 = went(0, 1), from_2 = went(2, 1);
	struct cell_costs costs;
	struct markov *m;
	uint16_t to = 99;

	make_costs(1, &costs);
	m = learnt(&costs);
	cr_assert_eq(markov_decide(m, &from_0, 0, &to), 0);
	cr_assert_eq(to, 0);
	cr_assert_eq(markov_decide(m, &from_2, 2, &to), 0);
	cr_assert_eq(to, 1);
	markov_free(m);
	cell_costs_clear(&costs);
}

Test(markov, knows_nothing_and_stays)
{
	struct markov_context context = went(0, 2);
	struct cell_costs costs;
	struct markov *m = NULL;
	uint16_t to = 99;

	make_costs(1, &costs);
	cr_assert_eq(markov_new(&costs, &parameters, &m), 0);
	cr_assert_eq(markov_solve(m), 0);
	cr_assert_eq(markov_decide(m, &context, 2, &to), 0);
	cr_assert_eq(to, 2);
	markov_free(m);
	cell_costs_clear(&costs);
}

/* Between the optimum and what is simpler. */
Test(markov, scores_between_the_optimum_and_simple_policies)
{
	uint16_t cells[2400];
	struct cell_trace trace = { .users = 1, .slots = 2400, .cell = cells };
	struct cell_score best, score, never, rented;
	struct cell_costs costs;

	make_costs(1, &costs);
	for (size_t t = 0; t < 2400; t++) {
		size_t visit = t / 12, at = t % 12;

		cells[t] = at == 11    ? CELL_ABSENT
			   : visit % 2 ? (at < 3 ? 2 : 1)
				       : (at == 3 ? 1 : 0);
	}
	cr_assert_eq(cell_optimum(&costs, &trace, 1200, 2400, &best), 0);
	cr_assert_eq(markov_score(&costs, &trace, &parameters, 1200, 1200, 2400, &score), 0);
	never = cell_never(&costs, &trace, 1200, 2400);
	rented = cell_rent_or_buy(&costs, &trace, 1200, 2400);
	cr_assert_eq(score.slots, best.slots);
	cr_assert_float_eq(score.cost, best.cost, 1e-3, "%f, at best %f", score.cost, best.cost);
	cr_assert_lt(score.cost, 0.9 * never.cost);
	cr_assert_lt(score.cost, 0.9 * rented.cost);
	cell_costs_clear(&costs);
}

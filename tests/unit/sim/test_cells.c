/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/reference/cells.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/philox.h"

/* Cells on a line, so many hops apart. */
static struct cell_map line(size_t n)
{
	struct cell_map map = { 0 };
	struct mg_error err;
	char text[4096];
	size_t len = 0;

	for (size_t i = 0; i < n; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%zu,%.4f,0\n", i + 1,
					0.02 * (double)i);
	cr_assert_eq(cell_map_parse(text, len, 0.01, &map, &err), 0, "%s", err.text);
	return map;
}

static struct cell_trace trace_of(const char *text, size_t cells, bool reversed)
{
	struct cell_trace trace = { 0 };
	struct mg_error err;

	cr_assert_eq(cell_trace_parse(text, strlen(text), cells, reversed, &trace, &err), 0, "%s",
		     err.text);
	return trace;
}

static void expect_refusal(bool map, const char *text, const char *says)
{
	struct cell_map m = { 0 };
	struct cell_trace t = { 0 };
	struct mg_error err = { 0 };
	int r = map ? cell_map_parse(text, strlen(text), 0.01, &m, &err)
		    : cell_trace_parse(text, strlen(text), 3, false, &t, &err);

	cr_assert_eq(r, -EBADMSG, "'%s'", text);
	cr_assert(strstr(err.text, says), "'%s' is not in '%s'", says, err.text);
}

Test(cells, hops_are_rounded_up_but_not_rounding_errors)
{
	struct cell_map map = { 0 };
	struct mg_error err;
	const char text[] = "1,37,-122\n2,37.03,-122.04\n3,37.0300001,-122.04";

	/* 3, 4, 5: exactly five hops, if floating point were exact. */
	cr_assert_eq(cell_map_parse(text, strlen(text), 0.01, &map, &err), 0);
	cr_assert_eq(map.n, 3);
	cr_assert_eq(map.hops[1], 5);
	cr_assert_eq(map.hops[2], 6);
	cr_assert_eq(map.hops[3 + 2], 1);
	cr_assert_eq(map.hops[2 * 3], 6);
	cell_map_clear(&map);
}

Test(cells, reads_traces_in_both_directions)
{
	struct cell_trace forth = trace_of("1,0\n2,3\r\n3,1\n", 3, false);
	struct cell_trace back = trace_of("1,0\n2,3\n3,1", 3, true);

	cr_assert_eq(forth.users, 2);
	cr_assert_eq(forth.slots, 3);
	cr_assert_eq(cell_trace_user(&forth, 1)[0], CELL_ABSENT);
	cr_assert_eq(cell_trace_user(&forth, 1)[1], 2);
	for (size_t u = 0; u < 2; u++)
		for (size_t t = 0; t < 3; t++)
			cr_assert_eq(cell_trace_user(&forth, u)[t],
				     cell_trace_user(&back, u)[2 - t]);
	cell_trace_clear(&forth);
	cell_trace_clear(&back);
}

Test(cells, refuses_by_line)
{
	expect_refusal(true, "", "no cells");
	expect_refusal(true, "1,2\n", "line 1: is not id,lat,lon");
	expect_refusal(true, "1,2,3\n2,nan,3\n", "line 2: is not");
	expect_refusal(true, "1,2,3\n3,2,3\n", "line 2: ids");
	expect_refusal(true, "1,91,3\n", "not on Earth");
	expect_refusal(false, "", "no slots");
	expect_refusal(false, "1,2\n1\n", "line 2: has not as many");
	expect_refusal(false, "1,2\n1,4\n", "line 2: has a number that is no cell");
	expect_refusal(false, "1.5\n", "no cell");
	expect_refusal(false, "1,x\n", "no cell");
	expect_refusal(false, "-1\n", "no cell");
}

Test(cells, relocation_is_that_of_trying_all)
{
	struct cell_map map = line(40);
	struct cell_costs costs;

	cr_assert_eq(cell_costs_make(&map, 2, &costs), 0);
	cr_assert_float_eq(costs.move_min, 1 + 2 * (1 - 0.64), 1e-6);
	for (uint64_t round = 0; round < 200; round++) {
		float rest[40], values[40];

		for (uint64_t i = 0; i < 40; i++)
			rest[i] = (float)(philox_u64(1, round, i) >> 40) * 0x1p-22f;
		cell_costs_relocate(&costs, rest, values);
		for (size_t s = 0; s < 40; s++) {
			float best = rest[s];

			for (size_t a = 0; a < 40; a++)
				best = fminf(best, rest[a] + costs.move[s * 40 + a]);
			cr_assert_float_eq(values[s], best, 1e-6);
		}
	}
	cell_costs_clear(&costs);
	cell_map_clear(&map);
}

/* One user: two slots at 1, then at 2 (2 hops on) for three, absent, back at 1. */
Test(cells, simple_policies_pay_as_they_should)
{
	struct cell_map map = line(3);
	struct cell_trace trace = trace_of("1\n1\n2\n2\n2\n0\n1\n", 3, false);
	const double away = 1 - 0.64, move = 1 + 0.5 * away;
	struct cell_costs costs;
	struct cell_score score;

	cr_assert_eq(cell_costs_make(&map, 0.5, &costs), 0);
	score = cell_never(&costs, &trace, 0, 7);
	cr_assert_eq(score.slots, 6);
	cr_assert_float_eq(score.cost, 3 * away, 1e-6);
	score = cell_threshold(&costs, &map, &trace, 1, 0, 7);
	cr_assert_float_eq(score.cost, move, 1e-6);
	score = cell_threshold(&costs, &map, &trace, 3, 0, 7);
	cr_assert_float_eq(score.cost, 3 * away, 1e-6);
	/* 3 * 0.36 < 1.18: it never gets there in three slots. */
	score = cell_rent_or_buy(&costs, &trace, 0, 7);
	cr_assert_float_eq(score.cost, 3 * away, 1e-6);
	cr_assert_eq(cell_optimum(&costs, &trace, 0, 7, &score), 0);
	cr_assert_eq(score.slots, 6);
	cr_assert_float_eq(score.cost, 3 * away, 1e-6);
	cell_trace_clear(&trace);

	/* A slot more: now moving at once is best, and rent-or-buy moves in the last slot. */
	trace = trace_of("1\n1\n2\n2\n2\n2\n", 3, false);
	score = cell_rent_or_buy(&costs, &trace, 0, 6);
	cr_assert_float_eq(score.cost, 3 * away + move, 1e-6);
	cr_assert_eq(cell_optimum(&costs, &trace, 0, 6, &score), 0);
	cr_assert_float_eq(score.cost, move, 1e-6);
	/* Of a part only. */
	cr_assert_eq(cell_optimum(&costs, &trace, 2, 6, &score), 0);
	cr_assert_eq(score.slots, 4);
	cr_assert_float_eq(score.cost, 0, 1e-6);
	cell_trace_clear(&trace);
	cell_costs_clear(&costs);
	cell_map_clear(&map);
}

/* By trying every way to place the service. */
static double cheapest(const struct cell_costs *c, const uint16_t *user, size_t slots, size_t at)
{
	double best = INFINITY;

	for (size_t a = 0; slots > 0 && a < c->n; a++)
		best = fmin(best, (double)(c->move[at * c->n + a] + c->away[a * c->n + *user]) +
					  cheapest(c, user + 1, slots - 1, a));
	return slots > 0 ? best : 0;
}

Test(cells, the_optimum_is_that_of_trying_all)
{
	struct cell_map map = line(5);
	struct cell_costs costs;

	cr_assert_eq(cell_costs_make(&map, 0.2, &costs), 0);
	for (uint64_t round = 0; round < 10; round++) {
		uint16_t cells[7];
		struct cell_trace trace = { .users = 1, .slots = 7, .cell = cells };
		struct cell_score score;

		for (uint64_t t = 0; t < 7; t++)
			cells[t] = (uint16_t)(philox_u64(2, round, t / 3 + t % 2) % 5);
		cr_assert_eq(cell_optimum(&costs, &trace, 0, 7, &score), 0);
		cr_assert_float_eq(score.cost, cheapest(&costs, cells, 7, cells[0]), 1e-5);
	}
	cell_costs_clear(&costs);
	cell_map_clear(&map);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/world/backhaul.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#define N 61

/* Floyd and Warshall's way to the same table. */
static void all_ways(const struct backhaul_parameters *p, const struct towers *t,
		     const struct backhaul *b, uint64_t us[N][N])
{
	memset(us, 0x3f, sizeof(uint64_t) * N * N);
	for (uint32_t i = 0; i < N; i++)
		us[i][i] = 0;
	for (uint32_t e = 0; e < b->n_edges; e++) {
		uint32_t x = b->edges[e].a, y = b->edges[e].b;
		double km = sqrt(distance_squared(t->at[x], t->at[y])) / 1000;

		us[x][y] = us[y][x] =
			(uint64_t)lround(((double)p->hop_ns + km * p->ns_per_km) / 1000);
	}
	for (uint32_t k = 0; k < N; k++)
		for (uint32_t i = 0; i < N; i++)
			for (uint32_t j = 0; j < N; j++)
				if (us[i][k] + us[k][j] < us[i][j])
					us[i][j] = us[i][k] + us[k][j];
}

static void check(const char *towers)
{
	const struct backhaul_parameters p = { 2, 700000, 100000, 125000000 };
	_cleanup_(towers_clear) struct towers t = { 0 };
	_cleanup_(backhaul_clear) struct backhaul b = { 0 };
	static uint64_t us[N][N];
	struct mg_error err = { 0 };

	cr_assert_eq(towers_make(towers, NULL, &t, &err), 0, "%s", err.text);
	cr_assert_eq(t.n, N);
	cr_assert_eq(backhaul_make(&p, &t, &b, &err), 0, "%s", err.text);
	all_ways(&p, &t, &b, us);
	for (uint32_t from = 0; from < N; from++)
		for (uint32_t to = 0; to < N; to++) {
			uint64_t walked = 0;

			cr_assert_eq(backhaul_delay_ns(&b, from, to), us[from][to] * 1000);
			for (uint32_t at = from; at != to;) {
				uint32_t before = at, link = backhaul_step(&b, &at, to);

				cr_assert_lt(link, 2 * b.n_edges);
				cr_assert_neq(at, before);
				walked += us[before][at];
			}
			cr_assert_eq(walked, us[from][to], "%u to %u", from, to);
		}
}

Test(backhaul, every_way_is_a_shortest)
{
	check("hex:4:900");
	check("grid:61x1:500");
}

Test(backhaul, islands_are_joined)
{
	static const char far[] = "x,y\n0,0\n10,0\n0,10\n50000,0\n50010,0\n50000,10\n";
	const struct backhaul_parameters p = { 1, 1000000, 0, 125000000 };
	_cleanup_(towers_clear) struct towers t = { 0 };
	_cleanup_(backhaul_clear) struct backhaul b = { 0 };
	struct mg_error err = { 0 };

	cr_assert_eq(towers_parse_csv("file", far, strlen(far), &t, &err), 0);
	cr_assert_eq(backhaul_make(&p, &t, &b, &err), 0);
	for (uint32_t i = 0; i < 6; i++)
		for (uint32_t k = 0; k < 6; k++)
			cr_assert_leq(backhaul_delay_ns(&b, i, k), 5000000);
	/* A link's two directions have numbers of their own. */
	for (uint32_t e = 0; e < b.n_edges; e++) {
		uint32_t there = b.edges[e].a, back = b.edges[e].b;

		cr_assert_eq(backhaul_step(&b, &there, b.edges[e].b), 2 * e);
		cr_assert_eq(backhaul_step(&b, &back, b.edges[e].a), 2 * e + 1);
	}
}

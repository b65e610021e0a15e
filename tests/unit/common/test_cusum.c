/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <math.h>

#include "common/cleanup.h"
#include "common/cusum.h"
#include "common/philox.h"

/* Normal deviates (Box and Muller 1958), the same in every run. */
static double normal(uint64_t stream, uint64_t i)
{
	static const double unit = 1.0 / 9007199254740992.0;
	uint64_t counter = i / 2;
	double u = ((double)(philox_u64(7, 2 * stream, counter) >> 11) + 0.5) * unit;
	double v = (double)(philox_u64(7, 2 * stream + 1, counter) >> 11) * unit * 2 * M_PI;

	return sqrt(-2 * log(u)) * (i % 2 ? sin(v) : cos(v));
}

/* ---- Average run lengths, simulated and computed --------------------------------------- */

static double simulated(double k, double h, double shift, unsigned runs)
{
	uint64_t samples = 0;

	for (unsigned run = 0; run < runs; run++) {
		struct cusum c = { 0 };

		while (cusum_add(&c, k, h, normal(1, samples++) + shift) == CUSUM_NONE)
			;
	}
	return (double)samples / runs;
}

#define NODES 40

/* Nodes and weights of the Gauss-Legendre rule on [0, h]. */
static void quadrature(double h, double x[NODES], double w[NODES])
{
	for (int i = 0; i < NODES; i++) {
		double z = cos(M_PI * (i + 0.75) / (NODES + 0.5)), slope = 1;

		for (int step = 0; step < 20; step++) {
			double before = 1, p = z;

			for (int j = 2; j <= NODES; j++) {
				double next = ((2 * j - 1) * z * p - (j - 1) * before) / j;

				before = p;
				p = next;
			}
			slope = NODES * (z * p - before) / (z * z - 1);
			z -= p / slope;
		}
		x[i] = (z + 1) * h / 2;
		w[i] = h / ((1 - z * z) * slope * slope);
	}
}

/* Gauss's elimination of a system with the right side 1; returns the first
 * unknown. The matrix is dominated by its diagonal: no pivoting. */
static double solve_first(double a[NODES + 1][NODES + 2])
{
	for (int c = NODES; c >= 0; c--)
		for (int r = 0; r < c; r++) {
			double factor = a[r][c] / a[c][c];

			for (int q = 0; q <= NODES + 1; q++)
				a[r][q] -= factor * a[c][q];
		}
	return a[0][NODES + 1] / a[0][0];
}

/* One sum's average run length from 0 satisfies (Page 1954)
 *     L(u) = 1 + L(0) Φ(k - u - shift) + ∫ L(x) φ(x + k - u - shift) dx over [0, h]. */
static double computed_one_sided(double k, double h, double shift)
{
	double a[NODES + 1][NODES + 2], x[NODES], w[NODES];

	quadrature(h, x, w);
	for (int i = 0; i <= NODES; i++) {
		double u = i ? x[i - 1] : 0;

		a[i][0] = (i == 0) - 0.5 * erfc(-(k - u - shift) / M_SQRT2);
		for (int j = 1; j <= NODES; j++) {
			double d = x[j - 1] + k - u - shift;

			a[i][j] = (i == j) - w[j - 1] * exp(-d * d / 2) / sqrt(2 * M_PI);
		}
		a[i][NODES + 1] = 1;
	}
	return solve_first(a);
}

static double computed(double k, double h, double shift)
{
	return 1 / (1 / computed_one_sided(k, h, shift) + 1 / computed_one_sided(k, h, -shift));
}

/* Montgomery's table for k = 0.5. */
Test(cusum, average_run_lengths_are_those_of_the_literature)
{
	static const double shifts[] = { 0, 0.5, 1, 2, 3 };
	static const struct {
		double h, length[ARRAY_SIZE(shifts)];
	} table[] = {
		{ 4, { 167.66, 26.63, 8.383, 3.343, 2.194 } },
		{ 5, { 465.32, 37.99, 10.376, 4.009, 2.573 } },
	};

	for (size_t t = 0; t < ARRAY_SIZE(table); t++)
		for (size_t i = 0; i < ARRAY_SIZE(shifts); i++) {
			double expected = table[t].length[i];
			/* A run length varies by about its own mean. */
			double got = simulated(0.5, table[t].h, shifts[i], 100000);
			double exact = computed(0.5, table[t].h, shifts[i]);

			cr_assert_float_eq(got, expected, 0.01 * expected, "%g at h %g, shift %g",
					   got, table[t].h, shifts[i]);
			cr_assert_float_eq(exact, expected, 0.002 * expected,
					   "%g at h %g, shift %g", exact, table[t].h, shifts[i]);
		}
}

Test(cusum, ours_has_one_false_alarm_a_day_and_sees_three_deviations_soon)
{
	double none = computed(CUSUM_K, CUSUM_H, 0), step = simulated(CUSUM_K, CUSUM_H, 3, 100000);

	cr_assert(none >= 86400 && none < 88000, "%g", none);
	cr_assert_leq(step, 3.5, "%g", step);
	cr_assert_float_eq(step, computed(CUSUM_K, CUSUM_H, 3), 0.01 * step, "%g", step);
}

Test(cusum, an_alarm_tells_the_direction_and_begins_anew)
{
	struct cusum c = { 0 };

	cr_assert_eq(cusum_add(&c, 1, 5, 5.9), CUSUM_NONE);
	cr_assert_eq(cusum_add(&c, 1, 5, 1.2), CUSUM_UP);
	cr_assert_eq(c.above, 0);
	cr_assert_eq(cusum_add(&c, 1, 5, -3.5), CUSUM_NONE);
	cr_assert_eq(cusum_add(&c, 1, 5, -3.6), CUSUM_DOWN);
	cr_assert_eq(c.below, 0);
}

/* ---- Levels ------------------------------------------------------------------------------ */

/* Samples of 20 ms ± 1 ms that become 26 ms ± 1 ms: how many it takes on average. */
Test(cusum, a_step_of_a_learnt_level_is_seen_soon)
{
	enum { PATHS = 2000 };
	unsigned took = 0, early = 0;

	for (unsigned path = 0; path < PATHS; path++) {
		enum cusum_change change = CUSUM_NONE;
		struct level l = { 0 };
		uint64_t i = 0;

		while (i < 200)
			early += level_add(&l, 20 + normal(path, i++)) != CUSUM_NONE;
		if (!level_is_known(&l))
			continue;
		for (; change == CUSUM_NONE; took++)
			change = level_add(&l, 26 + normal(path, i++));
		cr_assert_eq(change, CUSUM_UP);
		cr_assert_float_eq(l.mean, 26, 6);
	}
	cr_assert_leq((double)took / PATHS, 3.5);
	/* A deviation that is only estimated makes some more false alarms than one a day. */
	cr_assert_leq(early, PATHS * 200 / 2000, "%u", early);
}

Test(cusum, one_outlier_is_no_change_and_a_second_is)
{
	struct level l = { 0 };

	for (uint64_t i = 0; i < 500; i++)
		cr_assert_eq(level_add(&l, 20 + 0.2 * normal(3, i)), CUSUM_NONE);
	cr_assert_eq(level_add(&l, 5000), CUSUM_NONE);
	cr_assert_lt(l.mean, 21);
	for (uint64_t i = 500; i < 600; i++)
		cr_assert_eq(level_add(&l, 20 + 0.2 * normal(3, i)), CUSUM_NONE);
	cr_assert_eq(level_add(&l, 5000), CUSUM_NONE);
	cr_assert_eq(level_add(&l, 5000), CUSUM_UP);
	cr_assert_not(level_is_known(&l));
	cr_assert_eq(l.mean, 5000);
}

Test(cusum, a_level_without_any_variation_still_has_changes)
{
	struct level l = { 0 };

	for (int i = 0; i < 100; i++)
		cr_assert_eq(level_add(&l, 20), CUSUM_NONE);
	for (int i = 0; i < 100; i++)
		cr_assert_eq(level_add(&l, 20.3), CUSUM_NONE, "1.5 %% is no change");
	cr_assert_eq(level_add(&l, 10), CUSUM_NONE);
	cr_assert_eq(level_add(&l, 10), CUSUM_DOWN);
}

Test(level, the_doubt_is_of_what_is_learnt_or_in_the_making)
{
	struct level l = { 0 };

	cr_assert_eq(level_doubt(&l), 1);
	for (int i = 0; i < LEVEL_LEARN; i++) {
		double before = level_doubt(&l);

		cr_assert_eq(level_add(&l, i % 2 ? 99 : 101), CUSUM_NONE);
		cr_assert_lt(level_doubt(&l), before);
	}
	cr_assert_eq(level_doubt(&l), 0);
	cr_assert_eq(level_add(&l, 150), CUSUM_NONE);
	cr_assert_gt(level_doubt(&l), 0.5);
	cr_assert_neq(level_add(&l, 150), CUSUM_NONE);
	cr_assert_gt(level_doubt(&l), 0.9, "it is learnt anew");
}

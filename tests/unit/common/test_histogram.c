/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "common/clock.h"
#include "common/histogram.h"
#include "common/philox.h"
#include "tests/unit/common/recorded.h"

static const unsigned parts[] = { 1, 100, 2500, 5000, 9500, 9900, 9990, 10000 };

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Each quantile is within 1 % of the sample that has its rank. */
static void check_quantiles(const struct histogram *h, uint64_t *sorted, size_t n)
{
	uint64_t got[ARRAY_SIZE(parts)];

	cr_assert_eq(histogram_samples(h), n);
	qsort(sorted, n, sizeof(*sorted), by_value);
	histogram_quantiles(h, parts, ARRAY_SIZE(parts), got);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		size_t rank = ((size_t)parts[i] * n + 9999) / 10000;
		double exact = (double)sorted[rank - 1];

		cr_assert_leq(fabs((double)got[i] - exact), 0.01 * exact,
			      "part %u of %zu: %lu, not %.0f", parts[i], n, got[i], exact);
	}
}

/* ---- The error bound -------------------------------------------------------------------- */

static double unit(uint64_t stream, uint64_t i)
{
	return (double)(philox_u64(11, stream, i) >> 11) / 9007199254740992.0;
}

/* Uniform, evenly over all magnitudes, two narrow humps, and a heavy tail (Pareto). */
static uint64_t draw(unsigned kind, uint64_t stream, uint64_t i)
{
	double u = unit(stream, i);

	switch (kind) {
	case 0:
		return 2000 + (uint64_t)(u * 5e6);
	case 1:
		return (uint64_t)(1100 * pow(1e8, u));
	case 2:
		return (uint64_t)((u < 0.7 ? 20e6 : 300e6) * (1 + u / 100));
	default:
		return (uint64_t)fmin(10e6 / pow(1 - u, 0.8), 100e9);
	}
}

Test(histogram, quantiles_of_any_samples_are_within_a_percent)
{
	enum { MOST = 5000 };
	static uint64_t samples[MOST];

	for (unsigned round = 0; round < 400; round++) {
		size_t n = 1 + philox_u64(5, round, 0) % MOST;
		struct histogram h = { 0 };

		for (size_t i = 0; i < n; i++) {
			samples[i] = draw(round % 4, round, i);
			cr_assert_eq(histogram_add(&h, samples[i]), 0);
		}
		check_quantiles(&h, samples, n);
		histogram_clear(&h);
	}
}

/* Both ends of every bucket, of all that is counted. */
Test(histogram, no_time_is_off_by_more_than_a_percent)
{
	for (uint64_t ns = 1024; ns < UINT64_C(1) << 37; ns += 1 + ns / 1000) {
		struct histogram h = { 0 };

		histogram_add(&h, ns);
		check_quantiles(&h, &ns, 1);
		histogram_clear(&h);
	}
}

Test(histogram, what_is_outside_counts_as_the_nearest)
{
	static const unsigned ends[] = { 1, 10000 };
	struct histogram h = { 0 };
	uint64_t got[2] = { 1, 1 };

	histogram_quantiles(&h, ends, 2, got);
	cr_assert(got[0] == 0 && got[1] == 0);
	cr_assert_eq(histogram_add(&h, 0), 0);
	cr_assert_eq(histogram_add(&h, UINT64_MAX), 0);
	histogram_quantiles(&h, ends, 2, got);
	cr_assert_float_eq((double)got[0], 1024, 11);
	cr_assert_float_eq((double)got[1], 137.4e9, 1.4e9);
	histogram_clear(&h);
}

Test(histogram, recorded_times_are_within_a_percent)
{
	static uint64_t samples[1000];
	struct histogram h = { 0 };
	static struct recorded log;

	recorded_read(&log);
	cr_assert_eq(log.n, 773);
	for (size_t i = 0; i < log.n; i++) {
		samples[i] = (uint64_t)llround(log.ms[i] * 1e6);
		cr_assert_eq(histogram_add(&h, samples[i]), 0);
	}
	check_quantiles(&h, samples, log.n);
	cr_assert_leq(histogram_bytes(&h), 512, "%zu", histogram_bytes(&h));
	histogram_clear(&h);
}

/* ---- Sums and halves ----------------------------------------------------------------------- */

Test(histogram, a_sum_is_that_of_all_samples)
{
	enum { EACH = 2000, PARTS = 7 };
	static uint64_t samples[EACH * PARTS];
	struct histogram sum = { 0 }, part = { 0 };

	for (unsigned p = 0; p < PARTS; p++) {
		for (size_t i = 0; i < EACH; i++) {
			samples[p * EACH + i] = draw(p % 4, p, i);
			histogram_add(&part, samples[p * EACH + i]);
		}
		cr_assert_eq(histogram_merge(&sum, &part), 0);
		histogram_clear(&part);
		cr_assert_eq(histogram_merge(&sum, &part), 0);
	}
	check_quantiles(&sum, samples, EACH * PARTS);
	histogram_clear(&sum);
}

Test(histogram, a_full_bucket_halves_all)
{
	static const unsigned half[] = { 5000, 6000 };
	struct histogram h = { 0 }, other = { 0 };
	uint64_t got[2];

	for (unsigned i = 0; i < 60000; i++) {
		histogram_add(&h, 10 * NS_PER_MS);
		histogram_add(&other, 10 * NS_PER_MS);
		if (i % 4 != 0)
			histogram_add(&h, 30 * NS_PER_MS);
	}
	cr_assert_eq(histogram_samples(&h), 105000);
	/* 120,000 do not fit: half of each. */
	cr_assert_eq(histogram_merge(&h, &other), 0);
	cr_assert_eq(histogram_samples(&h), 82500);
	cr_assert_eq(histogram_samples(&other), 60000);
	for (unsigned i = 0; i < 5536; i++)
		histogram_add(&h, 10 * NS_PER_MS);
	cr_assert_eq(histogram_samples(&h), (82500 + 5535) / 2 + 1);
	histogram_quantiles(&h, half, 2, got);
	cr_assert_float_eq((double)got[0], 10e6, 1e5);
	cr_assert_float_eq((double)got[1], 10e6, 1e5);
	histogram_clear(&h);
	histogram_clear(&other);
}

/* The rank of every time stays half of what it was, give or take one. */
Test(histogram, halving_keeps_the_shape)
{
	enum { N = 3001 };
	static uint64_t samples[N];
	struct histogram h = { 0 };
	uint64_t got;

	for (size_t i = 0; i < N; i++) {
		samples[i] = draw(3, 9, i);
		histogram_add(&h, samples[i]);
	}
	qsort(samples, N, sizeof(*samples), by_value);
	histogram_halve(&h);
	cr_assert_eq(histogram_samples(&h), N / 2);
	for (unsigned part = 10; part < 10000; part += 10) {
		size_t rank = ((size_t)part * (N / 2) + 9999) / 10000;
		size_t low = 2 * rank > 3 ? 2 * rank - 3 : 0, high = 2 * rank + 1;

		histogram_quantiles(&h, &part, 1, &got);
		cr_assert_geq((double)got, 0.99 * (double)samples[low], "part %u", part);
		cr_assert_leq((double)got, 1.01 * (double)samples[high < N ? high : N - 1],
			      "part %u", part);
	}
	histogram_clear(&h);
}

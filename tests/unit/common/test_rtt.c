/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/rtt.h"
#include "tests/unit/common/recorded.h"

#define WINDOW (16 * NS_PER_S)
#define INTERVAL NS_PER_S

static struct rtt_figures read_at(const struct rtt *r, uint64_t now)
{
	struct rtt_figures f;

	cr_assert(rtt_read(r, now, &f));
	return f;
}

/* A constant R gives RTTVAR_n = (R/2)(3/4)^(n-1), exactly: R is a power of two
 * so large that every term is a whole number. */
Test(rtt, a_constant_time_has_the_variation_of_rfc_6298)
{
	const uint64_t sample = UINT64_C(1) << 40;
	uint64_t expected = sample / 2;
	struct rtt r;

	rtt_init(&r, WINDOW, INTERVAL);
	for (unsigned n = 1; n <= 20; n++) {
		rtt_add_sample(&r, n * INTERVAL, sample);
		cr_assert_eq(read_at(&r, n * INTERVAL).srtt_ns, sample);
		cr_assert_eq(read_at(&r, n * INTERVAL).rttvar_ns, expected, "n = %u", n);
		expected = expected / 4 * 3;
	}
}

/* By hand: R = 1000, 2000, 400 in units of which all results are whole. */
Test(rtt, smooths_in_the_order_of_the_rfc)
{
	const uint64_t unit = 1024;
	struct rtt_figures f;
	struct rtt r;

	rtt_init(&r, WINDOW, INTERVAL);
	rtt_add_sample(&r, 1, 1000 * unit);
	rtt_add_sample(&r, 2, 2000 * unit);
	f = read_at(&r, 2);
	cr_assert_eq(f.rttvar_ns, 625 * unit); /* 3/4·500 + 1/4·|1000 - 2000| */
	cr_assert_eq(f.srtt_ns, 1125 * unit);  /* 7/8·1000 + 1/8·2000 */
	rtt_add_sample(&r, 3, 400 * unit);
	f = read_at(&r, 3);
	cr_assert_eq(f.rttvar_ns, 650 * unit); /* 3/4·625 + 1/4·|1125 - 400| */
	cr_assert_eq(f.srtt_ns, 1034 * unit + unit * 3 / 8);
	cr_assert_eq(f.last_ns, 400 * unit);
}

Test(rtt, nothing_is_known_before_the_first_sample)
{
	struct rtt_figures f;
	struct rtt r;

	rtt_init(&r, WINDOW, INTERVAL);
	rtt_count_sent(&r);
	rtt_count_lost(&r);
	cr_assert_not(rtt_read(&r, NS_PER_S, &f));
	cr_assert_eq(f.sent, 1);
	cr_assert_eq(f.lost, 1);
	cr_assert_eq(f.confidence, 0);
}

Test(rtt, confidence_falls_with_age)
{
	static const struct {
		uint64_t age_ms;
		unsigned confidence;
	} cases[] = {
		{ 0, 100 }, { 2000, 100 }, { 4000, 75 }, { 6000, 50 }, { 9000, 13 }, { 10000, 0 },
		{ 1000000, 0 },
	};
	struct rtt r;

	rtt_init(&r, WINDOW, INTERVAL);
	rtt_add_sample(&r, 100 * NS_PER_S, 20 * NS_PER_MS);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		cr_assert_eq(read_at(&r, 100 * NS_PER_S + cases[i].age_ms * NS_PER_MS).confidence,
			     cases[i].confidence, "age %lu ms", cases[i].age_ms);
	rtt_set_interval(&r, 2 * INTERVAL);
	cr_assert_eq(read_at(&r, 104 * NS_PER_S).confidence, 100);
}

Test(rtt, confidence_falls_with_loss_and_recovers)
{
	struct rtt r;
	double loss = 0;

	rtt_init(&r, WINDOW, INTERVAL);
	rtt_add_sample(&r, NS_PER_S, NS_PER_MS);
	for (int i = 0; i < 20; i++) {
		rtt_count_lost(&r);
		loss += (1 - loss) / 8;
		cr_assert_eq(read_at(&r, NS_PER_S).confidence, lround(100 * (1 - loss)));
		if (i == 2)
			cr_assert_eq(read_at(&r, NS_PER_S).confidence, 67);
	}
	for (int i = 0; i < 40; i++)
		rtt_add_sample(&r, NS_PER_S, NS_PER_MS);
	cr_assert_eq(read_at(&r, NS_PER_S).confidence, 100);
	cr_assert_eq(read_at(&r, NS_PER_S).lost, 20);
}

/* What the minimum may be: at most that of the last window, and at least that
 * of a window longer by one bucket. */
static void check_minimum(const struct rtt *r, const uint64_t *at, const uint64_t *rtt, size_t n,
			  uint64_t now)
{
	uint64_t upper = UINT64_MAX, lower = UINT64_MAX, got = read_at(r, now).min_ns;

	for (size_t i = 0; i < n; i++) {
		if (at[i] + WINDOW >= now && rtt[i] < upper)
			upper = rtt[i];
		if (at[i] + WINDOW + WINDOW / RTT_MIN_BUCKETS >= now && rtt[i] < lower)
			lower = rtt[i];
	}
	if (lower == UINT64_MAX)
		lower = upper = rtt[n - 1];
	cr_assert(got >= lower && got <= upper, "%lu not in [%lu, %lu] after %zu", got, lower,
		  upper, n);
}

Test(rtt, the_minimum_is_that_of_the_window)
{
	enum { N = 4000 };
	static uint64_t at[N], value[N];
	struct rtt r;
	uint64_t now = 0, state = 1;

	rtt_init(&r, WINDOW, INTERVAL);
	for (size_t i = 0; i < N; i++) {
		state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		/* Mostly small steps, now and then a gap of more than a window. */
		now += (state >> 40) % 100 == 0 ? (state >> 33) % (2 * WINDOW)
						: (state >> 33) % (2 * NS_PER_S);
		at[i] = now;
		value[i] = 1 + (state >> 20) % 1000;
		rtt_add_sample(&r, now, value[i]);
		check_minimum(&r, at, value, i + 1, now);
		check_minimum(&r, at, value, i + 1, now + (state >> 30) % WINDOW);
	}
}

Test(rtt, a_rising_minimum_needs_no_more_room_than_there_is)
{
	const uint64_t window = 1600, longest = window + window / RTT_MIN_BUCKETS; /* samples */
	struct rtt r;

	rtt_init(&r, WINDOW, INTERVAL);
	for (uint64_t i = 1; i <= 100000; i++) {
		uint64_t now = i * 10 * NS_PER_MS;

		rtt_add_sample(&r, now, i);
		cr_assert_leq(r.length, ARRAY_SIZE(r.queue));
		if (i > longest) {
			cr_assert_leq(read_at(&r, now).min_ns, i - window);
			cr_assert_geq(read_at(&r, now).min_ns, i - longest);
		}
	}
}

/* ---- Recorded round-trip times of a driving phone ----------------------------- */

/* Against the explicit sum SRTT_n = (7/8)^(n-1) R_1 + Σ (1/8)(7/8)^(n-i) R_i. */
Test(rtt, follows_recorded_logs)
{
	static struct recorded log, sorted;
	struct rtt r;

	recorded_read(&log);
	cr_assert_eq(log.n, 773);
	sorted = log;
	recorded_sort(&sorted);
	cr_assert_float_eq(sorted.ms[sorted.n / 2], 83, 0.5);
	cr_assert_float_eq(sorted.ms[sorted.n - 1], 507, 0.5);
	rtt_init(&r, WINDOW, INTERVAL);
	for (size_t n = 1; n <= log.n; n++) {
		double explicit_sum = pow(7.0 / 8, (double)(n - 1)) * log.ms[0];
		struct rtt_figures f;

		for (size_t i = 2; i <= n; i++)
			explicit_sum += pow(7.0 / 8, (double)(n - i)) / 8 * log.ms[i - 1];
		rtt_add_sample(&r, n * INTERVAL, (uint64_t)llround(log.ms[n - 1] * 1e6));
		f = read_at(&r, n * INTERVAL);
		cr_assert_float_eq((double)f.srtt_ns, explicit_sum * 1e6, 2, "n = %zu", n);
		cr_assert(f.min_ns <= f.srtt_ns && f.srtt_ns <= 507000000);
	}
}

/* However long nothing was heard: bucket numbers are kept in 16 bits. */
Test(rtt, a_minimum_of_long_ago_never_comes_back)
{
	const uint64_t bucket = 1000000;

	for (uint64_t silence = 65530; silence <= 65560; silence++) {
		struct rtt r;

		rtt_init(&r, RTT_MIN_BUCKETS * bucket, bucket);
		rtt_add_sample(&r, bucket, 5);
		cr_assert_eq(read_at(&r, silence * bucket).min_ns, 5, "the newest stays in sight");
		rtt_add_sample(&r, silence * bucket, 10);
		rtt_add_sample(&r, silence * bucket + 1, 12);
		cr_assert_eq(read_at(&r, silence * bucket + 1).min_ns, 10);
	}
}

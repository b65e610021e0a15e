/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/telemetry/prober_world.h"

Test(prober_pace, a_calm_client_is_probed_seldom_and_one_near_the_threshold_often)
{
	struct world w;
	size_t n;

	world_start_as(&w, 8 * INTERVAL, 0);
	prober_set_threshold(w.prober, 20 * NS_PER_MS);
	watch_one(&w);
	answer_for(&w, 30 * NS_PER_S, NS_PER_MS);
	n = sent_in(&w, 8 * NS_PER_S, NS_PER_MS);
	cr_assert(n >= 9 && n <= 11, "%zu", n);
	cr_assert_eq(report(&w).rtt.confidence, 100);
	/* A step is suspected with its first sample, and seen at the fast pace. */
	n = sent_in(&w, 2 * NS_PER_S, 5 * NS_PER_MS);
	cr_assert_geq(n, 12, "%zu", n);
	cr_assert_gt(report(&w).level_utc_ns, 0);
	answer_for(&w, 60 * NS_PER_S, 18 * NS_PER_MS);
	n = sent_in(&w, NS_PER_S, 18 * NS_PER_MS);
	cr_assert(n >= 9 && n <= 11, "%zu near the threshold", n);
	world_end(&w);
}

Test(prober_pace, a_lost_probe_ends_the_calm)
{
	struct world w;
	size_t n;

	world_start_as(&w, 8 * INTERVAL, 0);
	watch_one(&w);
	answer_for(&w, 30 * NS_PER_S, NS_PER_MS);
	world_run_until(&w, w.now_ns + 2 * NS_PER_S);
	n = w.n;
	world_run_until(&w, w.now_ns + NS_PER_S);
	cr_assert_geq(w.n - n, 9);
	world_end(&w);
}

Test(prober_pace, all_clients_together_keep_the_budget)
{
	enum { CLIENTS = 300 };
	static struct prober_watch list[CLIENTS];
	struct world w;
	size_t n;

	for (unsigned i = 0; i < CLIENTS; i++)
		list[i] = client(i + 1);
	world_start_as(&w, 0, 1000);
	cr_assert_eq(prober_set_watch_list(w.prober, 0, list, 100), 0);
	cr_assert_eq(prober_squeeze(w.prober), 1);
	cr_assert_eq(prober_set_watch_list(w.prober, 0, list, CLIENTS), 0);
	cr_assert_eq(prober_squeeze(w.prober), 4, "3000 a second are wished for");
	world_run_until(&w, NS_PER_S);
	n = w.n;
	world_run_until(&w, 11 * NS_PER_S);
	cr_assert(w.n - n >= 7400 && w.n - n <= 7600, "%zu", w.n - n);
	for (unsigned i = 0; i < CLIENTS; i++)
		list[i].asleep = i >= 100;
	cr_assert_eq(prober_set_watch_list(w.prober, w.now_ns, list, CLIENTS), 0);
	cr_assert_eq(prober_squeeze(w.prober), 1, "who sleeps costs nothing");
	cr_assert_eq(prober_set_watch_list(w.prober, w.now_ns, NULL, 0), 0);
	cr_assert_eq(prober_set_watch_list(w.prober, w.now_ns, list, 1), 0);
	cr_assert_eq(prober_squeeze(w.prober), 1);
	world_end(&w);
}

Test(prober_pace, other_times_are_taken_and_what_was_learnt_stays)
{
	struct prober_watch list[] = { client(1), client(2) };
	struct prober_timing timing = { .interval_ns = 4 * INTERVAL, .timeout_ns = TIMEOUT };
	struct world w;

	list[1].interval_ns = INTERVAL / 2;
	world_start(&w);
	cr_assert_eq(prober_set_watch_list(w.prober, 0, list, 1), 0);
	answer_for(&w, NS_PER_S, NS_PER_MS);
	cr_assert_eq(prober_set_watch_list(w.prober, w.now_ns, list, 2), 0);
	prober_set_timing(w.prober, w.now_ns, &timing);
	cr_assert_eq(sent_in(&w, 4 * NS_PER_S, NS_PER_MS), 10 + 80);
	timing.budget = 12;
	prober_set_timing(w.prober, w.now_ns, &timing);
	cr_assert_eq(prober_squeeze(w.prober), 2);
	timing.budget = 0;
	prober_set_timing(w.prober, w.now_ns, &timing);
	cr_assert_eq(prober_squeeze(w.prober), 1);
	world_end(&w);
}

Test(prober_pace, a_level_in_doubt_is_worth_less)
{
	struct world w;
	unsigned first, settled;

	world_start(&w);
	watch_one(&w);
	answer_for(&w, INTERVAL, 10 * NS_PER_MS);
	first = report(&w).rtt.confidence;
	cr_assert(first >= 75 && first < 80, "%u", first);
	answer_for(&w, 3 * NS_PER_S, 10 * NS_PER_MS);
	settled = report(&w).rtt.confidence;
	cr_assert_eq(settled, 100);
	answer_for(&w, INTERVAL, 60 * NS_PER_MS);
	cr_assert_lt(report(&w).rtt.confidence, settled, "it may have changed");
	world_end(&w);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/telemetry/prober_world.h"

/* ---- Measuring -------------------------------------------------------------------- */

Test(prober, the_time_inside_the_reflector_does_not_count)
{
	struct world w;

	world_start(&w);
	watch_one(&w);
	world_run_until(&w, INTERVAL / 2);
	cr_assert_eq(w.n, 1);
	answer(&w, 0, 25 * NS_PER_MS, 5 * NS_PER_MS);
	cr_assert_eq(report(&w).rtt.last_ns, 20 * NS_PER_MS);
	cr_assert_eq(w.report.rtt.sent, 1);
	cr_assert_eq(w.report.rtt.confidence, 77, "one sample makes no level");
	cr_assert_eq(w.report.last_sample_utc_ns, UTC + w.sent[0].at_ns + 25 * NS_PER_MS);
	world_end(&w);
}

Test(prober, the_kernels_time_of_sending_replaces_ours)
{
	struct world w;

	world_start(&w);
	watch_one(&w);
	world_run_until(&w, 2 * INTERVAL);
	cr_assert_geq(w.n, 2);
	/* That of the first never came; those of others and of no packet do nothing. */
	prober_sent_at(w.prober, PROBER_STAMP_V4, (const uint8_t[STAMP_SIZE]){ 9 }, UTC);
	prober_sent_at(w.prober, PROBER_STAMP_V4, w.sent[1].packet, UTC + w.sent[1].at_ns + 2 * NS_PER_MS);
	prober_sent_at(w.prober, PROBER_STAMP_V4, w.sent[0].packet, UTC + w.sent[0].at_ns + 9 * NS_PER_MS);
	answer(&w, 1, 10 * NS_PER_MS, NS_PER_MS);
	cr_assert_eq(report(&w).rtt.last_ns, 7 * NS_PER_MS);
	answer(&w, 0, 150 * NS_PER_MS, 0);
	cr_assert_eq(report(&w).rtt.last_ns, 150 * NS_PER_MS);
	world_end(&w);
}

Test(prober, replies_in_the_ptp_format_count_too)
{
	uint8_t reply[STAMP_SIZE];
	struct stamp_reply p;
	struct world w;

	world_start(&w);
	watch_one(&w);
	world_run_until(&w, INTERVAL / 2);
	reflect(&w, 0, 0, reply);
	cr_assert_eq(stamp_reply_unpack(reply, sizeof(reply), &p), 0);
	p.error_estimate = 0x4001;
	p.t2 = stamp_time_pack(STAMP_PTP, 1000 * NS_PER_MS);
	p.t3 = stamp_time_pack(STAMP_PTP, 1003 * NS_PER_MS);
	stamp_reply_pack(&p, reply);
	deliver(&w, 0, 13 * NS_PER_MS, reply, sizeof(reply));
	cr_assert_eq(report(&w).rtt.last_ns, 10 * NS_PER_MS);
	world_end(&w);
}

Test(prober, what_is_not_answered_in_time_is_lost)
{
	struct world w;

	world_start(&w);
	watch_one(&w);
	world_run_until(&w, INTERVAL / 2);
	answer(&w, 0, 10 * NS_PER_MS, 0);
	report(&w);
	world_run_until(&w, 5 * NS_PER_S - 1);
	cr_assert_eq(report(&w).rtt.sent, 50);
	/* Those of the last second are still open. */
	cr_assert(w.report.rtt.lost >= 38 && w.report.rtt.lost <= 40, "%lu", w.report.rtt.lost);
	cr_assert_eq(w.report.rtt.confidence, 0);
	cr_assert_eq(w.report.rtt.last_ns, 10 * NS_PER_MS);
	world_end(&w);
}

Test(prober, an_unreachable_client_loses_and_our_own_congestion_does_not_count)
{
	struct world w;

	world_start(&w);
	watch_one(&w);
	world_run_until(&w, INTERVAL / 2);
	answer(&w, 0, 10 * NS_PER_MS, 0);
	w.send_error = -ENOBUFS;
	world_run_until(&w, 2 * NS_PER_S);
	cr_assert_eq(report(&w).rtt.sent, 1);
	cr_assert_eq(w.report.rtt.lost, 0);
	cr_assert_geq(counters(&w).not_sent, 19);
	w.send_error = -ENETUNREACH;
	world_run_until(&w, 4 * NS_PER_S);
	cr_assert_geq(report(&w).rtt.lost, 9);
	world_end(&w);
}

Test(prober, unchanged_clients_are_not_reported_again)
{
	struct world w;

	world_start(&w);
	watch_one(&w);
	cr_assert_eq(prober_report_changes(w.prober, w.now_ns, on_report, &w), 0);
	world_run_until(&w, INTERVAL / 2);
	answer(&w, 0, 10 * NS_PER_MS, 0);
	cr_assert_eq(prober_report_changes(w.prober, w.now_ns, on_report, &w), 1);
	cr_assert_eq(prober_report_changes(w.prober, w.now_ns, on_report, &w), 0);
	/* Growing old is a change, too. */
	cr_assert_eq(prober_report_changes(w.prober, w.now_ns + 5 * INTERVAL, on_report, &w), 1);
	cr_assert_lt(w.report.rtt.confidence, 100);
	world_end(&w);
}

Test(prober, quantiles_and_the_level_are_told)
{
	uint64_t step_ns = 0;
	struct world w;

	world_start(&w);
	watch_one(&w);
	for (size_t i = 0; i < 140; i++) {
		/* 100 of 20 ms, two of them slow; then 40 of 60 ms. */
		uint64_t delay = i < 100 ? (i % 50 == 20 ? 90 : 20) : 60;

		while (w.n <= i)
			world_run_until(&w, w.now_ns + INTERVAL);
		answer(&w, i, delay * NS_PER_MS, 0);
		if (i == 99) {
			report(&w);
			cr_assert_float_eq((double)w.report.quantiles_ns[PROBER_P50], 20e6, 2e5);
			cr_assert_float_eq((double)w.report.quantiles_ns[PROBER_P95], 20e6, 2e5);
			cr_assert_float_eq((double)w.report.quantiles_ns[PROBER_P99], 90e6, 9e5);
			cr_assert_float_eq((double)w.report.quantiles_ns[PROBER_P999], 90e6, 9e5);
			cr_assert_eq(w.report.level_utc_ns, 0);
			step_ns = w.now_ns;
		}
	}
	report(&w);
	cr_assert_float_eq((double)w.report.quantiles_ns[PROBER_P95], 60e6, 6e5);
	cr_assert(w.report.level_utc_ns > UTC + step_ns &&
		  w.report.level_utc_ns <= UTC + step_ns + 4 * INTERVAL);
	world_end(&w);
}

/* So that a reflector tells sessions apart that come from one address. */
Test(prober, every_client_is_a_session_of_its_own)
{
	enum { CLIENTS = 50 };
	struct prober_watch list[CLIENTS];
	unsigned different = 0;
	struct world w;

	world_start(&w);
	for (unsigned i = 0; i < CLIENTS; i++)
		list[i] = client(i + 1);
	cr_assert_eq(prober_set_watch_list(w.prober, 0, list, CLIENTS), 0);
	world_run_until(&w, 2 * INTERVAL - 1);
	cr_assert_eq(w.n, 2 * CLIENTS);
	for (size_t i = 0; i < CLIENTS; i++) {
		struct stamp_request first, second, neighbour;

		stamp_request_unpack(w.sent[i].packet, STAMP_SIZE, &first);
		stamp_request_unpack(w.sent[CLIENTS + i].packet, STAMP_SIZE, &second);
		stamp_request_unpack(w.sent[(i + 1) % CLIENTS].packet, STAMP_SIZE, &neighbour);
		cr_assert(address_equal(&w.sent[i].to, &w.sent[CLIENTS + i].to));
		cr_assert_neq(first.ssid, 0);
		cr_assert_eq(first.ssid, second.ssid);
		different += first.ssid != neighbour.ssid;
	}
	cr_assert_geq(different, CLIENTS - 2);
	world_end(&w);
}

/* ---- Scheduling --------------------------------------------------------------------- */

Test(prober, probes_are_spread_evenly)
{
	enum { CLIENTS = 1000, SLOTS = 50 };
	static struct prober_watch list[CLIENTS];
	unsigned slots[SLOTS] = { 0 };
	struct world w;

	world_start(&w);
	for (unsigned i = 0; i < CLIENTS; i++)
		list[i] = client(i + 1);
	cr_assert_eq(prober_set_watch_list(w.prober, 0, list, CLIENTS), 0);
	world_run_until(&w, INTERVAL - 1);
	cr_assert_eq(w.n, CLIENTS);
	for (size_t i = 0; i < w.n; i++)
		slots[w.sent[i].at_ns * SLOTS / INTERVAL]++;
	for (unsigned i = 0; i < SLOTS; i++)
		cr_assert(slots[i] >= CLIENTS / SLOTS - 3 && slots[i] <= CLIENTS / SLOTS + 3,
			  "slot %u has %u", i, slots[i]);
	/* And each again after exactly one interval. */
	world_run_until(&w, 2 * INTERVAL - 1);
	cr_assert_eq(w.n, 2 * CLIENTS);
	for (size_t i = 0; i < CLIENTS; i++)
		cr_assert_eq(w.sent[CLIENTS + i].at_ns, w.sent[i].at_ns + INTERVAL);
	world_end(&w);
}

Test(prober, a_late_round_is_skipped_not_made_up_for)
{
	struct world w;

	world_start(&w);
	watch_one(&w);
	world_run_until(&w, INTERVAL / 2);
	w.now_ns = 20 * INTERVAL + INTERVAL / 2;
	world_run_until(&w, w.now_ns);
	cr_assert_eq(w.n, 2);
	world_run_until(&w, w.now_ns + INTERVAL);
	cr_assert_eq(w.n, 3);
	cr_assert_eq((w.sent[2].at_ns - w.sent[0].at_ns) % INTERVAL, 0);
	world_end(&w);
}

Test(prober, intervals_are_each_clients_own_and_held_within_limits)
{
	struct prober_watch list[3] = { client(1), client(2), client(3) };
	unsigned sent[4] = { 0 };
	struct world w;

	list[0].interval_ns = 1;
	list[1].interval_ns = 0;
	list[2].interval_ns = NS_PER_S;
	world_start(&w);
	cr_assert_eq(prober_set_watch_list(w.prober, 0, list, 3), 0);
	world_run_until(&w, 10 * NS_PER_S - 1);
	for (size_t i = 0; i < w.n; i++)
		sent[ntohl(w.sent[i].to.v4.sin_addr.s_addr) & 255]++;
	cr_assert_eq(sent[1], 500);
	cr_assert_eq(sent[2], 100);
	cr_assert_eq(sent[3], 10);
	/* A list with another interval takes effect at once. */
	list[2].interval_ns = INTERVAL;
	cr_assert_eq(prober_set_watch_list(w.prober, w.now_ns, &list[2], 1), 0);
	w.n = 0;
	world_run_until(&w, w.now_ns + NS_PER_S);
	cr_assert(w.n == 10 || w.n == 11, "%zu", w.n);
	world_end(&w);
}

/* From the shortest interval to the longest, at the times that follow from the
 * first, whether or not the wheel has gone round in between, and after a pause. */
Test(prober, every_interval_keeps_its_times)
{
	static const uint64_t intervals[] = { 20 * NS_PER_MS, 333 * NS_PER_MS, 2048 * NS_PER_MS,
					      7 * NS_PER_S,   600 * NS_PER_S,  3600 * NS_PER_S };
	struct prober_watch list[ARRAY_SIZE(intervals)];
	uint64_t first[ARRAY_SIZE(intervals)] = { 0 }, last[ARRAY_SIZE(intervals)] = { 0 };
	size_t counts[ARRAY_SIZE(intervals)] = { 0 };
	struct world w;

	world_start(&w);
	for (unsigned i = 0; i < ARRAY_SIZE(intervals); i++) {
		list[i] = client(i);
		list[i].interval_ns = intervals[i];
	}
	cr_assert_eq(prober_set_watch_list(w.prober, 0, list, ARRAY_SIZE(intervals)), 0);
	for (int part = 0; part < 100; part++) {
		w.n = 0;
		world_run_until(&w, w.now_ns + 60 * NS_PER_S);
		for (size_t k = 0; k < w.n; k++) {
			size_t i = ntohl(w.sent[k].to.v4.sin_addr.s_addr) & 255;

			if (counts[i]++ == 0)
				first[i] = w.sent[k].at_ns;
			else
				cr_assert_geq(w.sent[k].at_ns, last[i] + intervals[i]);
			cr_assert_eq((w.sent[k].at_ns - first[i]) % intervals[i], 0);
			last[i] = w.sent[k].at_ns;
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(intervals); i++)
		cr_assert(counts[i] >= 6000 * NS_PER_S / intervals[i] &&
				  counts[i] <= 6000 * NS_PER_S / intervals[i] + 1,
			  "%zu: %zu", i, counts[i]);
	w.n = 0;
	w.now_ns += 10000 * NS_PER_S;
	world_run_until(&w, w.now_ns);
	cr_assert_eq(w.n, ARRAY_SIZE(intervals));
	world_end(&w);
}

/* What is said of all is that of a whole round, not of one that is under way. */
Test(prober, a_summary_is_of_a_whole_round)
{
	const struct prober_summary *summary;
	struct prober_watch all[4];
	struct world w;
	uint64_t median;
	size_t told;

	world_start(&w);
	summary = prober_summary(w.prober);
	for (unsigned i = 0; i < ARRAY_SIZE(all); i++)
		all[i] = client(i + 1);
	cr_assert_eq(prober_set_watch_list(w.prober, w.now_ns, all, ARRAY_SIZE(all)), 0);
	answer_for(&w, NS_PER_S, NS_PER_MS);
	cr_assert_not(prober_report_some(w.prober, w.now_ns, 3, on_report, &w, &told));
	cr_assert_eq(summary->measured, 0);
	cr_assert(prober_report_some(w.prober, w.now_ns, 3, on_report, &w, &told));
	cr_assert_eq(summary->measured, 4);
	histogram_quantiles(&summary->srtt, (const unsigned[]){ 5000 }, 1, &median);
	cr_assert_float_eq((double)median, (double)NS_PER_MS, (double)NS_PER_MS / 10);
	all[3].asleep = true;
	cr_assert_eq(prober_set_watch_list(w.prober, w.now_ns, all + 1, 3), 0);
	prober_report_changes(w.prober, w.now_ns, on_report, &w);
	cr_assert_eq(summary->measured, 3);
	cr_assert_eq(summary->quiet, 1);
	world_end(&w);
}

/* A round over all, in steps, whoever leaves meanwhile. */
Test(prober, reports_come_in_steps)
{
	struct prober_watch all[5];
	struct world w;
	size_t told;

	world_start(&w);
	for (unsigned i = 0; i < ARRAY_SIZE(all); i++)
		all[i] = client(i + 1);
	cr_assert_eq(prober_set_watch_list(w.prober, w.now_ns, all, ARRAY_SIZE(all)), 0);
	answer_for(&w, 3 * INTERVAL, NS_PER_MS);
	for (int step = 0; step < 3; step++) {
		cr_assert_eq(prober_report_some(w.prober, w.now_ns, 2, on_report, &w, &told),
			     step == 2);
		cr_assert_eq(told, step < 2 ? 2 : 1);
	}
	cr_assert_eq(prober_report_changes(w.prober, w.now_ns, on_report, &w), 0);
	/* The one that is next leaves, and then all: the round is over. */
	answer_for(&w, 3 * INTERVAL, NS_PER_MS);
	cr_assert_not(prober_report_some(w.prober, w.now_ns, 4, on_report, &w, &told));
	cr_assert_eq(told, 4);
	cr_assert_eq(prober_set_watch_list(w.prober, w.now_ns, all + 1, 4), 0);
	cr_assert(prober_report_some(w.prober, w.now_ns, 4, on_report, &w, &told));
	cr_assert_eq(told, 0);
	cr_assert_not(prober_report_some(w.prober, w.now_ns, 2, on_report, &w, &told));
	cr_assert_eq(prober_set_watch_list(w.prober, w.now_ns, NULL, 0), 0);
	cr_assert(prober_report_some(w.prober, w.now_ns, 2, on_report, &w, &told));
	world_end(&w);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "telemetry/prober.h"

#define UTC UINT64_C(1795235400000000000)
#define TIMEOUT NS_PER_S
#define INTERVAL (100 * NS_PER_MS)
#define SENT_MAX 100000

struct sent {
	struct address to;
	uint8_t packet[STAMP_AUTH_SIZE];
	uint64_t at_ns;
};

/* A prober in a world of its own, whose monotonic clock starts at 0. */
struct world {
	struct prober *prober;
	uint64_t now_ns;
	struct sent *sent;
	size_t n;
	int send_error;
	struct prober_report report; /* the last one */
	size_t reports;
};

static void world_send(struct prober_packet *packets, size_t n, void *userdata)
{
	struct world *w = userdata;

	cr_assert_leq(n, PROBER_BATCH);
	for (size_t i = 0; i < n; i++) {
		packets[i].result = w->send_error;
		if (w->send_error)
			continue;
		cr_assert_lt(w->n, SENT_MAX);
		w->sent[w->n].to = *packets[i].to;
		w->sent[w->n].at_ns = w->now_ns;
		memcpy(w->sent[w->n++].packet, packets[i].data,
		       prober_packet_size(w->prober));
	}
}

static uint64_t world_utc(void *userdata)
{
	struct world *w = userdata;

	return UTC + w->now_ns;
}

static struct prober_config config_of(struct world *w)
{
	return (struct prober_config){
		.interval_ns = INTERVAL,
		.timeout_ns = TIMEOUT,
		.window_ns = 10 * NS_PER_S,
		.error_estimate = 1,
		.send = world_send,
		.now_utc = world_utc,
		.userdata = w,
	};
}

/* With another configuration than the usual one. */
static void world_start_as(struct world *w, uint64_t calm_interval_ns, uint64_t budget)
{
	struct prober_config config = config_of(w);

	*w = (struct world){ .sent = calloc(SENT_MAX, sizeof(struct sent)) };
	config.calm_interval_ns = calm_interval_ns;
	config.budget = budget;
	cr_assert_eq(prober_new(&config, &w->prober), 0);
}

static void world_start_with(struct world *w,
			     const uint8_t *(*key_of)(const struct uuid *device, void *userdata))
{
	struct prober_config config = config_of(w);

	*w = (struct world){ .sent = calloc(SENT_MAX, sizeof(struct sent)) };
	config.key_of = key_of;
	cr_assert_eq(prober_new(&config, &w->prober), 0);
}

static void world_start(struct world *w)
{
	world_start_with(w, NULL);
}

static void world_end(struct world *w)
{
	prober_free(w->prober);
	free(w->sent);
}

static void world_run_until(struct world *w, uint64_t end_ns)
{
	for (;;) {
		uint64_t next = prober_run(w->prober, w->now_ns);

		if (next > end_ns)
			break;
		if (next > w->now_ns)
			w->now_ns = next;
	}
	w->now_ns = end_ns;
}

static void on_report(const struct prober_report *report, void *userdata)
{
	struct world *w = userdata;

	w->report = *report;
	w->reports++;
}

static struct prober_counters counters(const struct world *w)
{
	return *prober_counters(w->prober);
}

static struct prober_watch client(unsigned i)
{
	struct prober_watch watch = { .interval_ns = 0 };
	char text[ADDRESS_TEXT_SIZE];

	memcpy(watch.device.bytes, &i, sizeof(i));
	snprintf(text, sizeof(text), "10.%u.%u.%u:5000", i >> 16, (i >> 8) & 255, i & 255);
	cr_assert_eq(address_parse(text, 0, &watch.address), 0);
	return watch;
}

static void watch_one(struct world *w)
{
	const struct prober_watch watch = client(1);

	cr_assert_eq(prober_set_watch_list(w->prober, w->now_ns, &watch, 1), 0);
}

/* Makes the answer that an honest reflector would give: probe `i` arrives and
 * its answer leaves `inside_ns` apart, by a clock that is an hour ahead. */
static void reflect(const struct world *w, size_t i, uint64_t inside_ns, uint8_t reply[STAMP_SIZE])
{
	uint64_t t2 = UTC + w->sent[i].at_ns + 3600 * NS_PER_S;
	struct stamp_request request;
	struct stamp_reply p;

	cr_assert_eq(stamp_request_unpack(w->sent[i].packet, STAMP_SIZE, &request), 0);
	p = stamp_reply_to(&request, t2, t2 + inside_ns, 64, 1);
	stamp_reply_pack(&p, reply);
}

/* Delivers `reply` to probe i, `delay` after that was sent. */
static void deliver(struct world *w, size_t i, uint64_t delay_ns, const uint8_t *reply, size_t len)
{
	uint64_t at = w->sent[i].at_ns + delay_ns;

	if (at > w->now_ns)
		w->now_ns = at;
	prober_receive(w->prober, w->now_ns, &w->sent[i].to, UTC + at, reply, len);
}

static void answer(struct world *w, size_t i, uint64_t delay_ns, uint64_t inside_ns)
{
	uint8_t reply[STAMP_SIZE];

	reflect(w, i, inside_ns, reply);
	deliver(w, i, delay_ns, reply, sizeof(reply));
}

static struct prober_report report(struct world *w)
{
	w->reports = 0;
	prober_report_changes(w->prober, w->now_ns, on_report, w);
	cr_assert_eq(w->reports, 1);
	return w->report;
}

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
	prober_sent_at(w.prober, (const uint8_t[STAMP_SIZE]){ 9 }, UTC);
	prober_sent_at(w.prober, w.sent[1].packet, UTC + w.sent[1].at_ns + 2 * NS_PER_MS);
	prober_sent_at(w.prober, w.sent[0].packet, UTC + w.sent[0].at_ns + 9 * NS_PER_MS);
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

/* ---- The watch list ------------------------------------------------------------------- */

Test(prober, clients_that_stay_keep_what_was_learnt)
{
	struct prober_watch list[] = { client(1), client(2), client(3) };
	struct world w;

	world_start(&w);
	cr_assert_eq(prober_set_watch_list(w.prober, 0, list, 2), 0);
	world_run_until(&w, INTERVAL - 1);
	cr_assert_eq(w.n, 2);
	answer(&w, 0, 200 * NS_PER_MS, 0);
	answer(&w, 1, 200 * NS_PER_MS, 0);
	cr_assert_eq(prober_report_changes(w.prober, w.now_ns, on_report, &w), 2);
	cr_assert_eq(prober_set_watch_list(w.prober, w.now_ns, list + 1, 2), 0);
	cr_assert_eq(prober_clients(w.prober), 2);
	/* The kernel's time for a client that has gone. */
	prober_sent_at(w.prober, w.sent[0].packet, UTC);
	w.n = 0;
	world_run_until(&w, w.now_ns + INTERVAL);
	while (!address_equal(&w.sent[w.n - 1].to, &list[1].address))
		w.n--;
	answer(&w, w.n - 1, 60 * NS_PER_MS, 0);
	cr_assert_eq(report(&w).rtt.last_ns, 60 * NS_PER_MS);
	cr_assert_eq(w.report.rtt.srtt_ns, 182500000); /* 7/8·200 + 1/8·60 ms */
	cr_assert(uuid_equal(&w.report.device, &list[1].device));
	cr_assert_eq(prober_set_watch_list(w.prober, w.now_ns, NULL, 0), 0);
	cr_assert_eq(prober_clients(w.prober), 0);
	cr_assert_eq(prober_run(w.prober, w.now_ns), UINT64_MAX);
	world_end(&w);
}

Test(prober, churn_leaves_exactly_the_last_list)
{
	enum { CLIENTS = 500 };
	static struct prober_watch list[CLIENTS];
	struct world w;
	unsigned state = 1;

	world_start(&w);
	for (int round = 0; round < 200; round++) {
		size_t n = 0;

		for (unsigned i = 1; i <= CLIENTS; i++) {
			state = state * 1103515245u + 12345u;
			if ((state >> 16) % 3)
				list[n++] = client(i);
		}
		cr_assert_eq(prober_set_watch_list(w.prober, w.now_ns, list, n), 0);
		cr_assert_eq(prober_clients(w.prober), n);
		w.n = 0;
		world_run_until(&w, w.now_ns + INTERVAL);
		cr_assert_geq(w.n, n);
		for (size_t i = 0; i < w.n; i++) {
			size_t k = 0;

			while (k < n && !address_equal(&list[k].address, &w.sent[i].to))
				k++;
			cr_assert_lt(k, n, "a client was probed that is not on the list");
		}
	}
	world_end(&w);
}

Test(prober, a_registration_goes_before_what_the_list_says)
{
	struct prober_watch watch = client(1);
	struct address here;
	struct world w;

	cr_assert_eq(address_parse("192.0.2.1:777", 0, &here), 0);
	world_start(&w);
	prober_set_registered(w.prober, w.now_ns, &watch.device, &here,
			      false); /* not watched yet */
	watch_one(&w);
	world_run_until(&w, INTERVAL);
	cr_assert(address_equal(&w.sent[w.n - 1].to, &watch.address));
	prober_set_registered(w.prober, w.now_ns, &watch.device, &here, false);
	world_run_until(&w, 2 * INTERVAL);
	cr_assert(address_equal(&w.sent[w.n - 1].to, &here));
	watch_one(&w);
	world_run_until(&w, 3 * INTERVAL);
	cr_assert(address_equal(&w.sent[w.n - 1].to, &here));
	answer(&w, w.n - 1, NS_PER_MS, 0);
	cr_assert_eq(report(&w).rtt.lost, 2); /* sent to where the client was not */
	prober_set_registered(w.prober, w.now_ns, &watch.device, NULL, false);
	world_run_until(&w, w.now_ns + INTERVAL);
	cr_assert(address_equal(&w.sent[w.n - 1].to, &watch.address));
	world_end(&w);
}

Test(prober, a_client_without_an_address_waits_for_one)
{
	struct prober_watch watch = client(1);
	struct address here = watch.address;
	struct world w;

	watch.address = (struct address){ 0 };
	world_start(&w);
	cr_assert_eq(prober_set_watch_list(w.prober, 0, &watch, 1), 0);
	world_run_until(&w, NS_PER_S);
	cr_assert_eq(w.n, 0);
	prober_set_registered(w.prober, w.now_ns, &watch.device, &here, false);
	world_run_until(&w, 2 * NS_PER_S);
	cr_assert_eq(w.n, 10);
	world_end(&w);
}

/* ---- How often ------------------------------------------------------------------------ */

/* Runs on, with each probe answered after `rtt_ns`. */
static void answer_for(struct world *w, uint64_t ns, uint64_t rtt_ns)
{
	uint64_t end = w->now_ns + ns;

	while (w->now_ns < end) {
		size_t before = w->n;

		world_run_until(w, w->now_ns + INTERVAL / 10);
		for (size_t i = before; i < w->n; i++)
			answer(w, i, rtt_ns, 0);
	}
}

static size_t sent_in(struct world *w, uint64_t ns, uint64_t rtt_ns)
{
	size_t before = w->n;

	answer_for(w, ns, rtt_ns);
	return w->n - before;
}

Test(prober, a_calm_client_is_probed_seldom_and_one_near_the_threshold_often)
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

Test(prober, a_lost_probe_ends_the_calm)
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

Test(prober, all_clients_together_keep_the_budget)
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

Test(prober, other_times_are_taken_and_what_was_learnt_stays)
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

Test(prober, a_level_in_doubt_is_worth_less)
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

/* ---- A day ------------------------------------------------------------------------------ */

/* Of the round's clients every third is away, and every fifth at another address. */
static size_t crowd(unsigned round, struct prober_watch *list, unsigned clients)
{
	size_t n = 0;

	for (unsigned i = 0; i < clients; i++) {
		unsigned id = round / 8 * 16 + i; /* some go for ever and new ones come */

		if ((id + round) % 3 == 0)
			continue;
		list[n] = client(id + 1);
		if ((id + round) % 5 == 0)
			address_set_port(&list[n].address, (uint16_t)(6000 + round % 7));
		list[n].asleep = (id + round) % 11 == 0;
		n++;
	}
	return n;
}

/* Each that is awake was sent to, at its present address. */
static void check_nobody_missed(const struct world *w, const struct prober_watch *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t k = 0;

		while (k < w->n && !address_equal(&w->sent[k].to, &list[i].address))
			k++;
		cr_assert_eq(k < w->n, !list[i].asleep, "client %zu of %zu", i, n);
	}
}

Test(prober, a_day_of_churn_takes_no_memory_and_misses_nobody, .timeout = 300)
{
	enum { CLIENTS = 100, MINUTES = 24 * 60 };
	static struct prober_watch list[CLIENTS];
	size_t early = 0, late;
	struct world w;

	world_start(&w);
	for (unsigned minute = 0; minute < MINUTES; minute++) {
		size_t n = crowd(minute, list, CLIENTS);

		for (size_t i = 0; i < n; i++)
			list[i].interval_ns = 20 * NS_PER_S;
		w.n = 0;
		cr_assert_eq(prober_set_watch_list(w.prober, w.now_ns, list, n), 0);
		for (int third = 0; third < 3; third++) {
			size_t before = w.n;

			world_run_until(&w, (uint64_t)minute * 60 * NS_PER_S +
						    (uint64_t)(third + 1) * 20 * NS_PER_S);
			for (size_t i = before; i < w.n; i++)
				if (i % 10)
					answer(&w, i, (1 + minute % 50) * NS_PER_MS, 0);
		}
		check_nobody_missed(&w, list, n);
		if (minute == MINUTES / 12)
			early = mallinfo2().uordblks;
	}
	late = mallinfo2().uordblks;
	/* Under AddressSanitizer both are 0: there, leaks are its own business. */
	cr_assert_leq(late, early + early / 10, "from %zu to %zu bytes", early, late);
	cr_assert_eq(prober_set_watch_list(w.prober, w.now_ns, NULL, 0), 0);
	cr_assert_eq(prober_run(w.prober, w.now_ns), UINT64_MAX);
	world_end(&w);
}

/* ---- Those that sleep ----------------------------------------------------------------- */

Test(prober, an_hour_of_sleep_costs_no_packet_and_is_no_loss)
{
	struct prober_watch watch = client(1);
	struct prober_report before, after;
	struct world w;

	world_start(&w);
	watch_one(&w);
	world_run_until(&w, INTERVAL);
	answer(&w, 0, NS_PER_MS, 0);
	world_run_until(&w, 2 * INTERVAL); /* this one is on its way */
	before = report(&w);
	prober_set_registered(w.prober, w.now_ns, &watch.device, &watch.address, true);
	w.n = 0;
	world_run_until(&w, w.now_ns + 3600 * NS_PER_S);
	cr_assert_eq(w.n, 0);
	cr_assert_eq(prober_run(w.prober, w.now_ns), UINT64_MAX, "nothing wakes us for it");
	after = report(&w);
	cr_assert_eq(after.rtt.confidence, 0, "what is an hour old is worth nothing");
	cr_assert_eq(after.rtt.lost, before.rtt.lost);
	cr_assert_eq(after.rtt.srtt_ns, before.rtt.srtt_ns);
	cr_assert_eq(prober_report_changes(w.prober, w.now_ns, on_report, &w), 0);

	prober_set_registered(w.prober, w.now_ns, &watch.device, &watch.address, false);
	world_run_until(&w, w.now_ns + INTERVAL);
	cr_assert_eq(w.n, 1, "it is probed within an interval");
	answer(&w, 0, NS_PER_MS, 0);
	after = report(&w);
	cr_assert_gt(after.rtt.confidence, 50);
	cr_assert_eq(after.rtt.lost, before.rtt.lost);
	world_end(&w);
}

Test(prober, who_is_registered_here_knows_better_whether_it_sleeps)
{
	struct prober_watch watch = client(1);
	struct world w;

	world_start(&w);
	watch.asleep = true;
	cr_assert_eq(prober_set_watch_list(w.prober, 0, &watch, 1), 0);
	world_run_until(&w, NS_PER_S);
	cr_assert_eq(w.n, 0, "another node was told");
	prober_set_registered(w.prober, w.now_ns, &watch.device, &watch.address, false);
	world_run_until(&w, 2 * NS_PER_S);
	cr_assert_eq(w.n, 10);
	prober_set_registered(w.prober, w.now_ns, &watch.device, NULL, false);
	world_run_until(&w, 3 * NS_PER_S);
	cr_assert_eq(w.n, 10);
	watch.asleep = false;
	cr_assert_eq(prober_set_watch_list(w.prober, w.now_ns, &watch, 1), 0);
	world_run_until(&w, 4 * NS_PER_S);
	cr_assert_eq(w.n, 20);
	world_end(&w);
}

Test(prober, idle_clients_are_not_probed_wherever_they_are)
{
	struct prober_watch watch = client(1);
	struct prober_summary summary;
	struct world w;

	world_start(&w);
	watch.idle = true;
	cr_assert_eq(prober_set_watch_list(w.prober, 0, &watch, 1), 0);
	prober_set_registered(w.prober, 0, &watch.device, &watch.address, false);
	world_run_until(&w, NS_PER_S);
	cr_assert_eq(w.n, 0);
	prober_summarize(w.prober, w.now_ns, &summary);
	cr_assert_eq(summary.quiet, 1);
	watch.interval_ns = 2 * INTERVAL; /* changed while it is quiet */
	cr_assert_eq(prober_set_watch_list(w.prober, w.now_ns, &watch, 1), 0);
	world_run_until(&w, 2 * NS_PER_S);
	cr_assert_eq(w.n, 0);
	watch.idle = false;
	cr_assert_eq(prober_set_watch_list(w.prober, w.now_ns, &watch, 1), 0);
	world_run_until(&w, 3 * NS_PER_S);
	cr_assert_eq(w.n, 5);
	cr_assert_eq(prober_set_watch_list(w.prober, w.now_ns, NULL, 0), 0);
	world_end(&w);
}

/* ---- One bad client changes nothing, not even for itself --------------------------------- */

static void check_untouched(struct world *w)
{
	cr_assert_eq(prober_report_changes(w->prober, w->now_ns, on_report, w), 0);
	cr_assert_eq(counters(w).accepted, 0);
}

Test(prober, replies_of_a_wrong_length_change_nothing)
{
	uint8_t reply[100] = { 0 };
	struct world w;

	world_start(&w);
	watch_one(&w);
	world_run_until(&w, INTERVAL / 2);
	reflect(&w, 0, 0, reply);
	for (size_t len = 0; len <= sizeof(reply); len++)
		if (len != STAMP_SIZE)
			deliver(&w, 0, 10 * NS_PER_MS, reply, len);
	cr_assert_eq(counters(&w).wrong_length, sizeof(reply));
	check_untouched(&w);
	world_end(&w);
}

Test(prober, replies_from_another_address_change_nothing)
{
	uint8_t reply[STAMP_SIZE];
	struct world w;

	world_start(&w);
	watch_one(&w);
	world_run_until(&w, INTERVAL / 2);
	reflect(&w, 0, 0, reply);
	address_set_port(&w.sent[0].to, 5001);
	deliver(&w, 0, 10 * NS_PER_MS, reply, sizeof(reply));
	cr_assert_eq(counters(&w).stranger, 1);
	check_untouched(&w);
	world_end(&w);
}

Test(prober, forged_replies_change_nothing)
{
	uint8_t reply[STAMP_SIZE];
	struct world w;

	world_start(&w);
	watch_one(&w);
	world_run_until(&w, INTERVAL / 2);
	/* Every bit of the fields that must come back as they were sent. */
	for (unsigned bit = 24 * 8; bit < 38 * 8; bit++) {
		reflect(&w, 0, 0, reply);
		reply[bit / 8] ^= (uint8_t)(1u << bit % 8);
		deliver(&w, 0, 10 * NS_PER_MS, reply, sizeof(reply));
	}
	cr_assert_eq(counters(&w).forged, 14 * 8);
	check_untouched(&w);
	answer(&w, 0, 20 * NS_PER_MS, 0);
	cr_assert_eq(report(&w).rtt.last_ns, 20 * NS_PER_MS);
	world_end(&w);
}

/* A TWAMP-Light reflector (RFC 5357, 4.2.1) has padding where STAMP has zeroes and an SSID. */
Test(prober, twamp_lights_replies_are_as_good)
{
	uint8_t reply[STAMP_SIZE];
	struct world w;

	world_start(&w);
	watch_one(&w);
	world_run_until(&w, INTERVAL / 2);
	reflect(&w, 0, 0, reply);
	memset(reply + 14, 0xa5, 2);
	memset(reply + 38, 0xa5, 2);
	memset(reply + 41, 0xa5, 3);
	deliver(&w, 0, 10 * NS_PER_MS, reply, sizeof(reply));
	cr_assert_eq(report(&w).rtt.last_ns, 10 * NS_PER_MS);
	world_end(&w);
}

static const uint8_t *key_of_one(const struct uuid *device, void *userdata)
{
	static const uint8_t key[STAMP_KEY_SIZE] = { 7 };
	const struct prober_watch one = client(1);

	(void)userdata;
	return uuid_equal(device, &one.device) ? key : NULL;
}

Test(prober, authenticated_it_probes_and_believes_whom_it_has_a_key_of)
{
	const struct prober_watch list[] = { client(1), client(2) };
	uint8_t other[STAMP_KEY_SIZE] = { 8 }, packet[STAMP_AUTH_SIZE];
	const uint8_t *key = key_of_one(&list[0].device, NULL);
	struct stamp_request request;
	struct stamp_reply reply;
	struct world w;

	world_start_with(&w, key_of_one);
	cr_assert_eq(prober_set_watch_list(w.prober, 0, list, 2), 0);
	world_run_until(&w, INTERVAL - 1);
	cr_assert_eq(w.n, 1);
	cr_assert(address_equal(&w.sent[0].to, &list[0].address));
	cr_assert_eq(stamp_auth_request_unpack(w.sent[0].packet, STAMP_AUTH_SIZE, key, &request), 0);
	prober_sent_at(w.prober, w.sent[0].packet, UTC + w.sent[0].at_ns + 2 * NS_PER_MS);
	reply = stamp_reply_to(&request, UTC, UTC, 64, 1);
	stamp_auth_reply_pack(&reply, other, packet);
	deliver(&w, 0, 10 * NS_PER_MS, packet, sizeof(packet));
	cr_assert_eq(counters(&w).forged, 1);
	/* The other mode's, right as it is. */
	stamp_reply_pack(&reply, packet);
	deliver(&w, 0, 10 * NS_PER_MS, packet, STAMP_SIZE);
	cr_assert_eq(counters(&w).wrong_length, 1);
	check_untouched(&w);
	stamp_auth_reply_pack(&reply, key, packet);
	deliver(&w, 0, 10 * NS_PER_MS, packet, sizeof(packet));
	cr_assert_eq(report(&w).rtt.last_ns, 8 * NS_PER_MS);
	world_end(&w);
}

Test(prober, impossible_times_change_nothing)
{
	uint8_t reply[STAMP_SIZE];
	struct stamp_reply p;
	struct world w;

	world_start(&w);
	watch_one(&w);
	world_run_until(&w, INTERVAL / 2);
	/* More time inside than there was, and time that ran backwards. */
	answer(&w, 0, 10 * NS_PER_MS, 11 * NS_PER_MS);
	reflect(&w, 0, 0, reply);
	cr_assert_eq(stamp_reply_unpack(reply, sizeof(reply), &p), 0);
	p.t3 = stamp_time_pack(STAMP_NTP, UTC);
	p.t2 = stamp_time_pack(STAMP_NTP, UTC + 1);
	stamp_reply_pack(&p, reply);
	deliver(&w, 0, 10 * NS_PER_MS, reply, sizeof(reply));
	/* Our own clock was set while the probe was away. */
	reflect(&w, 0, 0, reply);
	prober_receive(w.prober, w.now_ns, &w.sent[0].to, UTC + 7200 * NS_PER_S, reply,
		       sizeof(reply));
	prober_receive(w.prober, w.now_ns, &w.sent[0].to, UTC - 7200 * NS_PER_S, reply,
		       sizeof(reply));
	cr_assert_eq(counters(&w).implausible, 4);
	check_untouched(&w);
	world_end(&w);
}

Test(prober, duplicated_and_late_replies_change_nothing)
{
	struct world w;

	world_start(&w);
	watch_one(&w);
	world_run_until(&w, INTERVAL / 2);
	answer(&w, 0, 10 * NS_PER_MS, 0);
	report(&w);
	answer(&w, 0, 15 * NS_PER_MS, 0);
	answer(&w, 0, 500 * NS_PER_MS, 0);
	cr_assert_eq(counters(&w).duplicate, 2);
	world_run_until(&w, INTERVAL);
	answer(&w, 1, TIMEOUT, 0);
	cr_assert_eq(counters(&w).late, 1);
	world_run_until(&w, 3 * TIMEOUT);
	/* A replay of the first, long since forgotten. */
	answer(&w, 0, 3 * TIMEOUT, 0);
	cr_assert_eq(counters(&w).late, 2);
	cr_assert_eq(counters(&w).accepted, 1);
	cr_assert_eq(report(&w).rtt.last_ns, 10 * NS_PER_MS);
	world_end(&w);
}

/* Two devices behind one address, as when one registers with the other's. */
Test(prober, clients_that_share_an_address_are_told_apart)
{
	struct prober_watch list[] = { client(1), client(2) };
	struct world w;

	list[1].address = list[0].address;
	world_start(&w);
	cr_assert_eq(prober_set_watch_list(w.prober, 0, list, 2), 0);
	world_run_until(&w, INTERVAL - 1);
	cr_assert_eq(w.n, 2);
	answer(&w, 1, 30 * NS_PER_MS, 0);
	cr_assert_eq(report(&w).rtt.last_ns, 30 * NS_PER_MS);
	answer(&w, 0, 130 * NS_PER_MS, 0);
	cr_assert_eq(report(&w).rtt.last_ns, 130 * NS_PER_MS);
	cr_assert_eq(counters(&w).accepted, 2);
	world_end(&w);
}

static void keep_honest_report(const struct prober_report *r, void *userdata)
{
	struct rtt_figures *honest = userdata;
	const struct prober_watch first = client(1);

	if (uuid_equal(&r->device, &first.device))
		*honest = r->rtt;
}

/* What the clients make of probe i: 1 is honest, 2 dead, 3 floods, 4 lies and
 * 5 is lossy. */
static void behave(struct world *w, size_t i)
{
	static const uint8_t noise[STAMP_SIZE];

	switch (ntohl(w->sent[i].to.v4.sin_addr.s_addr) & 255) {
	case 1:
		answer(w, i, 20 * NS_PER_MS, 0);
		break;
	case 3:
		for (int k = 0; k < 50; k++)
			deliver(w, i, 20 * NS_PER_MS, noise, sizeof(noise));
		break;
	case 4:
		answer(w, i, 20 * NS_PER_MS, 21 * NS_PER_MS);
		break;
	case 5:
		if (i % 2)
			answer(w, i, 20 * NS_PER_MS, 0);
		break;
	}
}

static struct rtt_figures honest_figures(size_t clients)
{
	const struct prober_watch list[] = { client(1), client(2), client(3), client(4),
					     client(5) };
	struct rtt_figures honest = { 0 };
	struct world w;
	size_t done = 0;

	world_start(&w);
	cr_assert_eq(prober_set_watch_list(w.prober, 0, list, clients), 0);
	while (w.now_ns < 20 * NS_PER_S) {
		world_run_until(&w, w.now_ns + NS_PER_MS);
		while (done < w.n && w.sent[done].at_ns + 20 * NS_PER_MS <= w.now_ns)
			behave(&w, done++);
	}
	prober_report_changes(w.prober, w.now_ns, keep_honest_report, &honest);
	if (clients > 1) {
		cr_assert_geq(counters(&w).forged + counters(&w).late, 9000);
		cr_assert_geq(counters(&w).implausible, 190);
	}
	world_end(&w);
	return honest;
}

Test(prober, bad_company_does_not_spoil_an_honest_client)
{
	struct rtt_figures alone = honest_figures(1), together = honest_figures(5);

	cr_assert_eq(alone.sent, 201); /* both ends of 20 s */
	cr_assert_eq(alone.lost, 0);
	cr_assert_eq(alone.srtt_ns, 20 * NS_PER_MS);
	cr_assert_eq(memcmp(&alone, &together, sizeof(alone)), 0);
}

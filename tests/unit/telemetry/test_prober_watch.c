/* SPDX-License-Identifier: Apache-2.0 */
#include <malloc.h>

#include "tests/unit/telemetry/prober_world.h"

/* ---- The watch list ------------------------------------------------------------------- */

Test(prober_watch, clients_that_stay_keep_what_was_learnt)
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
	prober_sent_at(w.prober, PROBER_STAMP_V4, w.sent[0].packet, UTC);
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

Test(prober_watch, a_list_comes_in_parts_and_then_what_changes_of_it)
{
	struct prober_watch list[] = { client(1), client(2), client(3), client(4) };
	struct world w;

	world_start(&w);
	cr_assert_eq(prober_set_watch_list(w.prober, 0, list, 2), 0);
	/* Nobody goes before the last part has come. */
	cr_assert_eq(prober_watch(w.prober, 0, list + 2, 1, true, false), 0);
	cr_assert_eq(prober_clients(w.prober), 3);
	cr_assert_eq(prober_watch(w.prober, 0, list, 1, false, true), 0);
	cr_assert_eq(prober_clients(w.prober), 2);
	list[0].gone = true;
	cr_assert_eq(prober_watch(w.prober, 0, (struct prober_watch[]){ list[0], list[3], list[0] }, 3,
				  false, true), 0);
	cr_assert_eq(prober_clients(w.prober), 2);
	world_run_until(&w, INTERVAL - 1);
	for (size_t i = 0; i < w.n; i++)
		cr_assert(address_equal(&w.sent[i].to, &list[2].address) ||
			  address_equal(&w.sent[i].to, &list[3].address));
	world_end(&w);
}

Test(prober_watch, churn_leaves_exactly_the_last_list)
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

Test(prober_watch, a_registration_goes_before_what_the_list_says)
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

Test(prober_watch, a_client_without_an_address_waits_for_one)
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

Test(prober_watch, a_day_of_churn_takes_no_memory_and_misses_nobody, .timeout = 300)
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

Test(prober_watch, an_hour_of_sleep_costs_no_packet_and_is_no_loss)
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

Test(prober_watch, who_is_registered_here_knows_better_whether_it_sleeps)
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

Test(prober_watch, idle_clients_are_not_probed_wherever_they_are)
{
	struct prober_watch watch = client(1);
	struct world w;

	world_start(&w);
	watch.idle = true;
	cr_assert_eq(prober_set_watch_list(w.prober, 0, &watch, 1), 0);
	prober_set_registered(w.prober, 0, &watch.device, &watch.address, false);
	world_run_until(&w, NS_PER_S);
	cr_assert_eq(w.n, 0);
	prober_report_changes(w.prober, w.now_ns, on_report, &w);
	cr_assert_eq(prober_summary(w.prober)->quiet, 1);
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

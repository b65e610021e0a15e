/* SPDX-License-Identifier: Apache-2.0
 *
 * What clients' own sessions tell.
 */
#include "tests/unit/telemetry/prober_world.h"

static struct address host_of(unsigned i)
{
	struct address host = client(i).address;

	address_set_port(&host, 0);
	return host;
}

/* Every interval the client's session has a time; probes are answered. */
static void talk_for(struct world *w, uint64_t ns, uint64_t rtt_ns)
{
	const struct address host = host_of(1);
	uint64_t end = w->now_ns + ns;

	while (w->now_ns < end) {
		prober_add_session(w->prober, &host, rtt_ns);
		prober_take_sessions(w->prober, w->now_ns, UTC + w->now_ns, 2 * INTERVAL);
		answer_for(w, INTERVAL, rtt_ns);
	}
}

Test(prober_sessions, they_are_samples)
{
	const struct address host = host_of(1), other = host_of(2);
	struct world w;

	world_start(&w);
	watch_one(&w);
	prober_add_session(w.prober, &other, NS_PER_MS);
	prober_add_session(w.prober, &host, 30 * NS_PER_MS);
	prober_add_session(w.prober, &host, 20 * NS_PER_MS); /* the least, whatever the order */
	prober_add_session(w.prober, &host, 40 * NS_PER_MS);
	prober_add_session(w.prober, &host, 0);
	prober_take_sessions(w.prober, w.now_ns, UTC, 2 * INTERVAL);
	cr_assert_eq(counters(&w).sessions, 1);
	cr_assert_eq(report(&w).rtt.last_ns, 20 * NS_PER_MS);
	cr_assert_eq(w.report.method, PROBER_TCP);
	cr_assert_eq(w.report.rtt.sent, 0);
	/* What was taken is gone. */
	prober_take_sessions(w.prober, w.now_ns, UTC, 2 * INTERVAL);
	cr_assert_eq(counters(&w).sessions, 1);
	/* Probes are samples like them. */
	world_run_until(&w, INTERVAL);
	answer(&w, 0, 60 * NS_PER_MS, 0);
	cr_assert_eq(report(&w).rtt.srtt_ns, 25 * NS_PER_MS);
	cr_assert_eq(w.report.method, PROBER_STAMP);
	world_end(&w);
}

Test(prober_sessions, a_client_that_has_them_is_hardly_probed)
{
	struct world w;
	size_t n;

	world_start(&w);
	watch_one(&w);
	talk_for(&w, NS_PER_S, 20 * NS_PER_MS);
	n = w.n;
	talk_for(&w, 6400 * NS_PER_MS * 10, 20 * NS_PER_MS);
	cr_assert(w.n - n >= 9 && w.n - n <= 22, "%zu of 640", w.n - n);
	cr_assert_eq(report(&w).rtt.confidence, 100);
	cr_assert_eq(w.report.rtt.lost, 0);
	/* They end, and within three intervals it is probed as before, in its phase. */
	n = w.n;
	answer_for(&w, 3 * INTERVAL, 20 * NS_PER_MS);
	cr_assert_gt(w.n, n);
	n = w.n;
	answer_for(&w, NS_PER_S, 20 * NS_PER_MS);
	cr_assert(w.n - n >= 9 && w.n - n <= 11, "%zu", w.n - n);
	for (size_t i = 1; i < w.n; i++)
		cr_assert_eq((w.sent[i].at_ns - w.sent[0].at_ns) % INTERVAL, 0);
	world_end(&w);
}

Test(prober_sessions, those_at_an_address_of_several_are_nobodys)
{
	struct prober_watch list[] = { client(1), client(2) };
	const struct address host = host_of(1);
	struct world w;

	list[1].address = list[0].address;
	address_set_port(&list[1].address, 6000);
	world_start(&w);
	cr_assert_eq(prober_set_watch_list(w.prober, 0, list, 2), 0);
	prober_add_session(w.prober, &host, NS_PER_MS);
	prober_take_sessions(w.prober, w.now_ns, UTC, INTERVAL);
	cr_assert_eq(counters(&w).sessions, 0);
	/* The other one has gone, and what was told of the first one goes with it, too. */
	cr_assert_eq(prober_set_watch_list(w.prober, 0, list, 1), 0);
	prober_add_session(w.prober, &host, NS_PER_MS);
	cr_assert_eq(prober_set_watch_list(w.prober, 0, NULL, 0), 0);
	prober_take_sessions(w.prober, w.now_ns, UTC, INTERVAL);
	cr_assert_eq(counters(&w).sessions, 0);
	world_end(&w);
}

Test(prober_sessions, who_is_quiet_stays_so)
{
	struct prober_watch watch = client(1);
	const struct address host = host_of(1);
	struct world w;

	watch.idle = true;
	world_start(&w);
	cr_assert_eq(prober_set_watch_list(w.prober, 0, &watch, 1), 0);
	prober_add_session(w.prober, &host, NS_PER_MS);
	prober_take_sessions(w.prober, w.now_ns, UTC, INTERVAL);
	cr_assert_eq(counters(&w).sessions, 0);
	world_run_until(&w, NS_PER_S);
	cr_assert_eq(w.n, 0);
	world_end(&w);
}

Test(prober_sessions, whose_sessions_would_tell_something_is_known)
{
	struct prober_watch list[] = { client(1), client(2), client(3) };
	const struct address first = host_of(1), second = host_of(2), third = host_of(3),
			     other = host_of(4);
	struct address hosts[2];
	struct world w;

	list[1].idle = true;
	world_start(&w);
	cr_assert_eq(prober_hosts(w.prober, hosts, 2), 0);
	cr_assert_eq(prober_set_watch_list(w.prober, 0, list, 2), 0);
	cr_assert_eq(prober_hosts(w.prober, hosts, 2), 1);
	cr_assert(address_equal(&hosts[0], &list[0].address));
	cr_assert(prober_has_host(w.prober, &first));
	cr_assert_not(prober_has_host(w.prober, &second), "it is idle");
	cr_assert_not(prober_has_host(w.prober, &other));
	/* No more than fit are written, and that there are more is told. */
	list[1].idle = false;
	cr_assert_eq(prober_set_watch_list(w.prober, 0, list, 3), 0);
	cr_assert_eq(prober_hosts(w.prober, hosts, 2), 3);
	cr_assert_eq(prober_hosts(w.prober, hosts, 1), 2);
	cr_assert(prober_has_host(w.prober, &third));
	/* One that two share is nobody's; who has none is nowhere. */
	list[2].address = list[0].address;
	list[1].address = (struct address){ 0 };
	cr_assert_eq(prober_set_watch_list(w.prober, 0, list, 3), 0);
	cr_assert_eq(prober_hosts(w.prober, hosts, 2), 2);
	cr_assert_not(prober_has_host(w.prober, &first));
	world_end(&w);
}

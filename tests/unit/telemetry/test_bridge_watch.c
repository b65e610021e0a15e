/* SPDX-License-Identifier: Apache-2.0
 *
 * Sessions that pass the loopback.
 */
#include "telemetry/bridge_watch.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "common/clock.h"

struct world {
	sd_event *loop;
	struct prober *prober;
	struct bridge_watch *watch;
	int near, far;
	struct prober_report report;
};

static void discard(enum prober_channel channel, struct prober_packet *packets, size_t n,
		    void *userdata)
{
	(void)channel, (void)userdata;
	for (size_t i = 0; i < n; i++)
		packets[i].result = 0;
}

static uint64_t now_utc(void *userdata)
{
	(void)userdata;
	return clock_utc_ns();
}

/* The client's; tests that run at the same time see each other's sessions. */
static struct address client_address(void)
{
	const uint32_t host = 0x7f4e0000u | ((uint32_t)getpid() & 0xffff);

	return (struct address){ .v4 = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(host) } };
}

static void watch_client(struct world *w, bool idle)
{
	struct prober_watch watch = { .device = { { 1 } }, .address = client_address(),
				      .idle = idle };

	address_set_port(&watch.address, 862);
	cr_assert_eq(prober_set_watch_list(w->prober, clock_mono_ns(), &watch, 1), 0);
}

static void setup(struct world *w, const char *interface)
{
	int r;

	*w = (struct world){ .near = -1, .far = -1 };
	cr_assert_geq(sd_event_new(&w->loop), 0);
	cr_assert_eq(prober_new(&(struct prober_config){ .interval_ns = NS_PER_S,
							 .timeout_ns = NS_PER_S,
							 .window_ns = NS_PER_S,
							 .send = discard,
							 .now_utc = now_utc },
				&w->prober), 0);
	r = bridge_watch_new(w->loop, w->prober, &interface, 1, &w->watch);
	if (r == -EPERM)
		cr_skip_test("a packet socket takes CAP_NET_RAW");
	cr_assert_eq(r, 0, "%s", strerror(-r));
}

/* The guest is near, the client far. */
static void connect_from_client(struct world *w)
{
	struct address from = client_address(), a;
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof(a);

	cr_assert_eq(address_parse("127.0.0.1:0", 0, &a), 0);
	cr_assert_eq(bind(listener, &a.any, address_len(&a)), 0);
	cr_assert_eq(listen(listener, 1), 0);
	cr_assert_eq(getsockname(listener, &a.any, &len), 0);
	w->far = socket(AF_INET, SOCK_STREAM, 0);
	cr_assert_eq(bind(w->far, &from.any, address_len(&from)), 0);
	cr_assert_eq(connect(w->far, &a.any, address_len(&a)), 0);
	w->near = accept(listener, NULL, NULL);
	cr_assert_geq(w->near, 0);
	close(listener);
}

static void teardown(struct world *w)
{
	bridge_watch_free(w->watch);
	prober_free(w->prober);
	sd_event_unref(w->loop);
	if (w->near >= 0)
		close(w->near);
	if (w->far >= 0)
		close(w->far);
}

static void talk(struct world *w)
{
	char byte;

	cr_assert_eq(write(w->near, "a", 1), 1);
	cr_assert_eq(read(w->far, &byte, 1), 1);
	cr_assert_eq(write(w->far, "b", 1), 1);
	cr_assert_eq(read(w->near, &byte, 1), 1);
}

static void run(struct world *w, uint64_t ns)
{
	uint64_t end = clock_mono_ns() + ns;

	while (clock_mono_ns() < end)
		cr_assert_geq(sd_event_run(w->loop, 10000), 0);
}

static void on_report(const struct prober_report *report, void *userdata)
{
	struct world *w = userdata;

	w->report = *report;
}

Test(bridge_watch, a_session_tells_its_clients_time)
{
	const struct bridge_watch_counters *n;
	uint64_t end = clock_mono_ns() + 60 * NS_PER_S;
	struct world w;

	setup(&w, "lo");
	n = bridge_watch_counters(w.watch);
	watch_client(&w, false);
	connect_from_client(&w);
	/* The filter is to know the client first. */
	while (n->samples < 5 && clock_mono_ns() < end) {
		talk(&w);
		run(&w, 30 * NS_PER_MS);
	}
	cr_assert_geq(n->samples, 5);
	cr_assert_geq(n->taken, 2 * n->samples);
	cr_assert_eq(n->malformed, 0);
	prober_take_sessions(w.prober, clock_mono_ns(), clock_utc_ns(), NS_PER_S);
	cr_assert_eq(prober_report_changes(w.prober, clock_mono_ns(), on_report, &w), 1);
	cr_assert_eq(w.report.method, PROBER_TCP);
	cr_assert(w.report.rtt.last_ns > 0 && w.report.rtt.last_ns < NS_PER_S);
	teardown(&w);
}

Test(bridge_watch, one_of_nobody_known_or_nobody_awake_tells_nothing)
{
	struct world w;

	setup(&w, "lo");
	watch_client(&w, true);
	connect_from_client(&w);
	for (int i = 0; i < 5; i++) {
		talk(&w);
		run(&w, 30 * NS_PER_MS);
	}
	cr_assert_eq(bridge_watch_counters(w.watch)->samples, 0);
	cr_assert_eq(bridge_watch_counters(w.watch)->taken, 0);
	teardown(&w);
}

Test(bridge_watch, an_interface_may_come_later)
{
	struct world w;

	setup(&w, "nowhere");
	run(&w, 1200 * NS_PER_MS);
	teardown(&w);
}

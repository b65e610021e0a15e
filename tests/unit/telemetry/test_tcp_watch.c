/* SPDX-License-Identifier: Apache-2.0
 *
 * Sessions over loopback, as the kernel tells of them.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "telemetry/tcp_watch.h"

#define FOREVER (3600 * NS_PER_S)

struct world {
	sd_event *loop;
	struct prober *prober;
	struct tcp_watch *watch;
	int listener, near, far;
	struct prober_report report;
	unsigned reports;
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

static void on_report(const struct prober_report *report, void *userdata)
{
	struct world *w = userdata;

	w->report = *report;
	w->reports++;
}

/* The client's; tests that run at the same time see each other's sessions. */
static uint32_t client_host(void)
{
	return 0x7f4d0000u | ((uint32_t)getpid() & 0xffff);
}

/* A session from the client to a socket that listens at `listen_at`. */
static void connect_from_client(struct world *w, const char *listen_at, const char *connect_to)
{
	struct sockaddr_in from = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(client_host()) };
	const int off = 0;
	struct address a, to;
	socklen_t len = sizeof(a);

	cr_assert_eq(address_parse(listen_at, 0, &a), 0);
	w->listener = socket(a.any.sa_family, SOCK_STREAM, 0);
	if (w->listener < 0)
		cr_skip_test("%s: %s", listen_at, strerror(errno));
	(void)setsockopt(w->listener, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	cr_assert_eq(bind(w->listener, &a.any, address_len(&a)), 0);
	cr_assert_eq(listen(w->listener, 1), 0);
	cr_assert_eq(getsockname(w->listener, &a.any, &len), 0);
	cr_assert_eq(address_parse(connect_to, 0, &to), 0);
	address_set_port(&to, address_port(&a));
	w->far = socket(AF_INET, SOCK_STREAM, 0);
	cr_assert_eq(bind(w->far, (struct sockaddr *)(void *)&from, sizeof(from)), 0);
	cr_assert_eq(connect(w->far, &to.any, address_len(&to)), 0);
	w->near = accept(w->listener, NULL, NULL);
	cr_assert_geq(w->near, 0);
}

static void setup(struct world *w, uint64_t interval_ns)
{
	struct prober_watch watch = { .device = { { 1 } } };

	*w = (struct world){ .listener = -1, .near = -1, .far = -1 };
	cr_assert_geq(sd_event_new(&w->loop), 0);
	cr_assert_eq(prober_new(&(struct prober_config){ .interval_ns = NS_PER_S,
							 .timeout_ns = NS_PER_S,
							 .window_ns = NS_PER_S,
							 .send = discard,
							 .now_utc = now_utc },
				&w->prober), 0);
	watch.address.v4 = (struct sockaddr_in){ .sin_family = AF_INET,
						 .sin_addr.s_addr = htonl(client_host()),
						 .sin_port = htons(862) };
	cr_assert_eq(prober_set_watch_list(w->prober, clock_mono_ns(), &watch, 1), 0);
	cr_assert_eq(tcp_watch_new(w->loop, w->prober, interval_ns, &w->watch), 0);
}

static void teardown(struct world *w)
{
	tcp_watch_free(w->watch);
	prober_free(w->prober);
	sd_event_unref(w->loop);
	close(w->near);
	close(w->far);
	close(w->listener);
}

/* So that what we sent is acknowledged. */
static void talk(struct world *w)
{
	char byte;

	cr_assert_eq(write(w->near, "a", 1), 1);
	cr_assert_eq(read(w->far, &byte, 1), 1);
	cr_assert_eq(write(w->far, "b", 1), 1);
	cr_assert_eq(read(w->near, &byte, 1), 1);
}

static void measure(const char *listen_at, const char *connect_to)
{
	struct world w;

	setup(&w, FOREVER);
	connect_from_client(&w, listen_at, connect_to);
	talk(&w);
	cr_assert_geq(tcp_watch_sweep(w.watch), 2);
	cr_assert_eq(prober_counters(w.prober)->sessions, 1);
	cr_assert_eq(prober_report_changes(w.prober, clock_mono_ns(), on_report, &w), 1);
	cr_assert_eq(w.report.method, PROBER_TCP);
	cr_assert(w.report.rtt.last_ns > 0 && w.report.rtt.last_ns < 10 * NS_PER_S);
	teardown(&w);
}

Test(tcp_watch, a_session_tells_its_clients_time)
{
	measure("127.0.0.1:0", "127.0.0.1:1");
}

Test(tcp_watch, so_does_one_of_a_socket_for_both_families)
{
	measure("[::]:0", "127.0.0.1:1");
}

Test(tcp_watch, a_session_that_is_still_tells_nothing)
{
	struct world w;

	setup(&w, 10 * NS_PER_MS);
	connect_from_client(&w, "127.0.0.1:0", "127.0.0.1:1");
	talk(&w);
	usleep(100000);
	cr_assert_geq(tcp_watch_sweep(w.watch), 2);
	cr_assert_eq(prober_counters(w.prober)->sessions, 0);
	teardown(&w);
}

Test(tcp_watch, it_sweeps_by_itself)
{
	uint64_t end = clock_mono_ns() + 60 * NS_PER_S;
	struct world w;

	setup(&w, 200 * NS_PER_MS);
	connect_from_client(&w, "127.0.0.1:0", "127.0.0.1:1");
	while (prober_counters(w.prober)->sessions < 3 && clock_mono_ns() < end) {
		talk(&w);
		cr_assert_geq(sd_event_run(w.loop, 20000), 0);
	}
	cr_assert_geq(prober_counters(w.prober)->sessions, 3);
	teardown(&w);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Devices without an agent, over loopback: the kernel answers for them.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "telemetry/probe_loop.h"

#define SAMPLES 20
#define LIMIT_NS (60 * NS_PER_S)

struct world {
	sd_event *loop;
	struct probe_loop *probes;
	struct probe_loop_socket echo;
	struct prober_report report;
	enum prober_channel channel;
};

static void world_start(struct world *w, const char *address)
{
	struct prober_watch watch = { .device = { { 7 } }, .interval_ns = 20 * NS_PER_MS };
	struct probe_loop_config config = {
		.prober = { .interval_ns = NS_PER_S,
			    .timeout_ns = 10 * NS_PER_S,
			    .window_ns = NS_PER_S },
	};
	int r;

	*w = (struct world){ 0 };
	cr_assert_eq(address_parse(address, 0, &watch.address), 0);
	w->channel = watch.address.any.sa_family == AF_INET6 ? PROBER_ECHO_V6 : PROBER_ECHO_V4;
	r = datagram_open_echo(watch.address.any.sa_family, &w->echo.fd, &w->echo.raw);
	if (r < 0)
		cr_skip_test("no ICMP echo here: %s", strerror(-r));
	for (unsigned i = 0; i < PROBER_CHANNELS; i++)
		config.sockets[i].fd = -1;
	config.sockets[w->channel] = w->echo;
	cr_assert_geq(sd_event_new(&w->loop), 0);
	cr_assert_eq(probe_loop_new(w->loop, &config, &w->probes), 0);
	cr_assert_eq(prober_set_watch_list(probe_loop_prober(w->probes), clock_mono_ns(), &watch,
					   1), 0);
	probe_loop_wake(w->probes);
}

static void world_end(struct world *w)
{
	probe_loop_free(w->probes);
	sd_event_unref(w->loop);
	close(w->echo.fd);
}

static void on_report(const struct prober_report *report, void *userdata)
{
	struct world *w = userdata;

	w->report = *report;
}

static void run_until_answered(struct world *w, uint64_t answers)
{
	struct prober *prober = probe_loop_prober(w->probes);
	uint64_t end = clock_mono_ns() + LIMIT_NS;

	while (prober_counters(prober)->accepted < answers) {
		cr_assert_lt(clock_mono_ns(), end, "%lu of %lu were answered",
			     prober_counters(prober)->accepted, prober_counters(prober)->sent);
		cr_assert_geq(sd_event_run(w->loop, 100000), 0);
	}
}

static void ping(const char *address)
{
	const struct prober_counters *n;
	struct world w;

	world_start(&w, address);
	run_until_answered(&w, SAMPLES);
	n = prober_counters(probe_loop_prober(w.probes));
	cr_assert_eq(n->forged + n->stranger + n->wrong_length + n->implausible, 0);
	prober_report_changes(probe_loop_prober(w.probes), clock_mono_ns(), on_report, &w);
	cr_assert_eq(w.report.method, PROBER_ECHO);
	cr_assert_gt(w.report.rtt.min_ns, 0);
	/* Between the kernel's own times lies no system call. */
	cr_assert_lt(w.report.rtt.min_ns, NS_PER_MS);
	world_end(&w);
}

Test(probe_loop, the_kernel_answers_to_ping)
{
	ping("127.0.0.1:0");
}

Test(probe_loop, the_kernel_answers_to_ping_of_ipv6)
{
	if (access("/proc/net/if_inet6", F_OK) < 0)
		cr_skip_test("no IPv6 here");
	ping("[::1]:0");
}

/* Another one's replies, which a raw socket sees, are none of ours. */
Test(probe_loop, others_pings_are_not_seen)
{
	const struct prober_counters *n;
	struct world w, other;

	world_start(&w, "127.0.0.1:0");
	world_start(&other, "127.0.0.1:0");
	run_until_answered(&w, SAMPLES / 2);
	run_until_answered(&other, SAMPLES / 2);
	run_until_answered(&w, SAMPLES);
	n = prober_counters(probe_loop_prober(w.probes));
	cr_assert_eq(n->forged + n->stranger + n->wrong_length, 0);
	world_end(&other);
	world_end(&w);
}

/* Who cannot be reached at all is lost. */
Test(probe_loop, without_a_socket_nobody_answers)
{
	struct prober_watch watch = { .device = { { 8 } }, .interval_ns = 20 * NS_PER_MS };
	struct prober *prober;
	struct world w;
	uint64_t end = clock_mono_ns() + LIMIT_NS;

	world_start(&w, "127.0.0.1:0");
	prober = probe_loop_prober(w.probes);
	cr_assert_eq(address_parse("[::1]:0", 0, &watch.address), 0);
	cr_assert_eq(prober_set_watch_list(prober, clock_mono_ns(), &watch, 1), 0);
	probe_loop_wake(w.probes);
	while (prober_counters(prober)->sent < 5 && clock_mono_ns() < end)
		cr_assert_geq(sd_event_run(w.loop, 100000), 0);
	cr_assert_geq(prober_counters(prober)->sent, 5);
	cr_assert_eq(prober_counters(prober)->accepted, 0);
	world_end(&w);
}

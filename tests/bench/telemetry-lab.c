/* SPDX-License-Identifier: Apache-2.0
 *
 * What bench-telemetry measures in C, as lines "NAME VALUE" on standard output.
 *
 *     telemetry-lab histogram
 *     telemetry-lab detector
 *     telemetry-lab reflect PORT            until it is ended
 *     telemetry-lab probe PORT CLIENTS SECONDS
 *     telemetry-lab sessions SOCKETS
 *
 * The clients are addresses of 127.0.0.0/8, whose probes one reflector answers.
 */
#include <arpa/inet.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/cusum.h"
#include "common/daemon.h"
#include "common/histogram.h"
#include "common/philox.h"
#include "telemetry/probe_loop.h"
#include "telemetry/tcp_watch.h"

static int fail(const char *what, int error)
{
	fprintf(stderr, "telemetry-lab: %s: %s\n", what, strerror(-error));
	return 1;
}

/* Normal deviates (Box and Muller 1958), the same in every run. */
static double normal(uint64_t stream, uint64_t i)
{
	const double unit = 1.0 / 9007199254740992.0;
	static double u, v;

	/* They come in pairs. */
	if (i % 2 == 0) {
		u = sqrt(-2 * log(((double)(philox_u64(1, stream, i) >> 11) + 0.5) * unit));
		v = 2 * M_PI * unit * (double)(philox_u64(1, stream, i + 1) >> 11);
	}
	return u * (i % 2 ? sin(v) : cos(v));
}

/* ---- The histogram ---------------------------------------------------------------------- */

#define TIMES 65536
#define PATHS 2000

/* Times such as a phone's: a median of its own, and a log-normal distribution about it. */
static uint64_t phone_time(uint64_t path, uint64_t i)
{
	return (uint64_t)(20e6 * (double)(1 + path % 5) * exp(0.35 * normal(path, i)));
}

static int measure_histogram(void)
{
	static uint64_t times[TIMES];
	static struct histogram paths[PATHS];
	struct histogram all = { 0 };
	size_t bytes = 0;
	uint64_t begun;

	for (size_t i = 0; i < TIMES; i++)
		times[i] = phone_time(2, i);
	begun = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	for (int round = 0; round < 200; round++)
		for (size_t i = 0; i < TIMES; i++)
			if (histogram_add(&all, times[i]) < 0)
				return fail("histogram", -ENOMEM);
	printf("insert_ns %.3f\n",
	       (double)(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - begun) / 200 / TIMES);
	histogram_clear(&all);
	for (uint64_t p = 0; p < PATHS; p++) {
		for (uint64_t i = 0; i < 1000; i++)
			(void)histogram_add(&paths[p], phone_time(p, i));
		bytes += histogram_bytes(&paths[p]);
	}
	printf("bytes_per_client %.1f\n", (double)bytes / PATHS);
	begun = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	for (int round = 0; round < 500; round++) {
		for (size_t p = 0; p < PATHS; p++)
			if (histogram_merge(&all, &paths[p]) < 0)
				return fail("histogram", -ENOMEM);
		histogram_clear(&all);
	}
	printf("merges_per_s %.0f\n",
	       500.0 * PATHS * 1e9 / (double)(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - begun));
	for (size_t p = 0; p < PATHS; p++)
		histogram_clear(&paths[p]);
	return 0;
}

/* ---- The detector -------------------------------------------------------------------------- */

static double run_length(double shift, unsigned runs)
{
	uint64_t samples = 0;

	for (unsigned run = 0; run < runs; run++) {
		struct cusum c = { 0 };

		while (cusum_add(&c, CUSUM_K, CUSUM_H, normal(9, samples++) + shift) == CUSUM_NONE)
			;
	}
	return (double)samples / runs;
}

static int measure_detector(void)
{
	printf("false_alarm_samples %.0f\nstep_samples %.3f\n", run_length(0, 2000),
	       run_length(3, 1000000));
	return 0;
}

/* ---- Both ends ----------------------------------------------------------------------------- */

static int on_probes(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	static struct datagram d[DATAGRAM_BATCH];
	int got = datagram_receive_many(fd, d, DATAGRAM_BATCH);

	(void)source, (void)revents, (void)userdata;
	for (int i = 0; i < got; i++) {
		struct stamp_request request;
		struct stamp_reply reply;

		if (stamp_request_unpack(d[i].data, d[i].len, &request) < 0)
			continue;
		reply = stamp_reply_to(&request, d[i].received_utc_ns, clock_utc_ns(), d[i].ttl, 1);
		stamp_reply_pack(&reply, d[i].data);
		(void)datagram_send(fd, &d[i].to, &d[i].from, d[i].data, d[i].len);
	}
	return 0;
}

static int open_port(const char *text, int *ret)
{
	struct mg_error err;
	struct address a;
	int r = address_parse(text, 0, &a);

	return r < 0 ? r : datagram_open(&a, ret, &err);
}

static int reflect(const char *port)
{
	char text[ADDRESS_TEXT_SIZE];
	sd_event *loop;
	int fd, r;

	snprintf(text, sizeof(text), "0.0.0.0:%s", port);
	r = open_port(text, &fd);
	if (r < 0)
		return fail(text, r);
	r = daemon_loop_new(&loop, NULL);
	if (r >= 0)
		r = sd_event_add_io(loop, NULL, fd, EPOLLIN, on_probes, NULL);
	if (r >= 0)
		r = sd_event_loop(loop);
	return r < 0 ? fail("event loop", r) : 0;
}

struct sums {
	struct histogram rtt;
	uint64_t clients;
};

static void add_client(const struct prober_report *report, void *userdata)
{
	struct sums *sums = userdata;

	sums->clients++;
	(void)histogram_add(&sums->rtt, report->rtt.srtt_ns);
}

static void print_results(struct prober *prober, const struct rusage *before, double wall_s)
{
	static const unsigned parts[] = { 5000, 9900 };
	const struct prober_counters *c = prober_counters(prober);
	struct sums sums = { 0 };
	struct rusage after;
	uint64_t srtt[2];
	double cpu;

	getrusage(RUSAGE_SELF, &after);
	cpu = (double)(after.ru_utime.tv_sec - before->ru_utime.tv_sec + after.ru_stime.tv_sec -
		       before->ru_stime.tv_sec) *
		      1e6 +
	      (double)(after.ru_utime.tv_usec - before->ru_utime.tv_usec + after.ru_stime.tv_usec -
		       before->ru_stime.tv_usec);
	prober_report_changes(prober, clock_mono_ns(), add_client, &sums);
	histogram_quantiles(&sums.rtt, parts, 2, srtt);
	/* Also of clients that have never answered; what is under way at the end is lost here. */
	printf("clients %lu\nsent %lu\nnot_sent %lu\naccepted %lu\nlost %lu\n", sums.clients,
	       c->sent, c->not_sent, c->accepted, c->sent - c->accepted);
	printf("rate_per_s %.0f\ncpu_us_per_probe %.3f\nresident_bytes %ld\n",
	       (double)c->sent / wall_s, cpu / (double)c->sent, after.ru_maxrss * 1024);
	printf("srtt_us_p50 %.1f\nsrtt_us_p99 %.1f\n", (double)srtt[0] / 1e3,
	       (double)srtt[1] / 1e3);
	histogram_clear(&sums.rtt);
}

static int on_end(sd_event_source *source, uint64_t due_us, void *userdata)
{
	(void)due_us, (void)userdata;
	return sd_event_exit(sd_event_source_get_event(source), 0);
}

static int watch_clients(struct prober *prober, size_t clients, uint16_t port)
{
	_cleanup_free_ struct prober_watch *list = calloc(clients, sizeof(*list));

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < clients; i++) {
		memcpy(list[i].device.bytes, &i, sizeof(i));
		list[i].address.v4 = (struct sockaddr_in){
			.sin_family = AF_INET,
			.sin_port = htons(port),
			.sin_addr.s_addr = htonl(0x7f010000u + (uint32_t)i),
		};
	}
	return prober_set_watch_list(prober, clock_mono_ns(), list, clients);
}

static int probe(uint16_t port, size_t clients, uint64_t seconds)
{
	struct probe_loop_config config = {
		.sockets = { { -1 }, { -1 }, { -1 }, { -1 } },
		.prober = { .interval_ns = NS_PER_S,
			    .timeout_ns = NS_PER_S,
			    .window_ns = 10 * NS_PER_S,
			    .error_estimate = 1 },
	};
	struct probe_loop *probes;
	struct rusage before;
	sd_event *loop;
	uint64_t begun;
	int r;

	r = open_port("127.0.0.1:0", &config.sockets[PROBER_STAMP_V4].fd);
	if (r < 0)
		return fail("socket", r);
	r = daemon_loop_new(&loop, NULL);
	if (r >= 0)
		r = probe_loop_new(loop, &config, &probes);
	if (r >= 0)
		r = watch_clients(probe_loop_prober(probes), clients, port);
	if (r < 0)
		return fail("probe", r);
	getrusage(RUSAGE_SELF, &before);
	begun = clock_mono_ns();
	probe_loop_wake(probes);
	r = sd_event_add_time(loop, NULL, CLOCK_MONOTONIC, (begun + seconds * NS_PER_S) / NS_PER_US,
			      0, on_end, NULL);
	if (r >= 0)
		r = sd_event_loop(loop);
	if (r < 0)
		return fail("event loop", r);
	print_results(probe_loop_prober(probes), &before, (double)(clock_mono_ns() - begun) / 1e9);
	probe_loop_free(probes);
	sd_event_unref(loop);
	close(config.sockets[PROBER_STAMP_V4].fd);
	return 0;
}

/* ---- Sessions ---------------------------------------------------------------------------- */

#define SESSION_PORT 8864
#define SWEEPS 20
#define FOREVER (3600 * NS_PER_S)

/* Both ends of a session are sockets of this host: 127.2.x.y, and 127.1.x.y or so. */
static struct sockaddr_in end_of(uint32_t network, size_t i)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_addr.s_addr = htonl(network + (uint32_t)i),
				     .sin_port = htons(network == 0x7f020000u ? SESSION_PORT : 0) };
}

/* Opens one and lets data go both ways, so that both ends know the time. The descriptors stay
 * open until we end. */
static int open_session(int listener, size_t i)
{
	struct sockaddr_in from = end_of(0x7f010000u, i), to = end_of(0x7f020000u, i);
	int far = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), near;
	char byte = 0;

	if (far < 0 || bind(far, (struct sockaddr *)&from, sizeof(from)) < 0 ||
	    connect(far, (struct sockaddr *)&to, sizeof(to)) < 0)
		return -errno;
	near = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (near < 0 || write(far, &byte, 1) != 1 || read(near, &byte, 1) != 1 ||
	    write(near, &byte, 1) != 1 || read(far, &byte, 1) != 1)
		return -errno;
	return 0;
}

static int open_sessions(size_t n)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(SESSION_PORT) };
	struct rlimit files = { 2 * n + 64, 2 * n + 64 };
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), r = 0;

	if (setrlimit(RLIMIT_NOFILE, &files) < 0 || listener < 0 ||
	    bind(listener, (struct sockaddr *)&any, sizeof(any)) < 0 || listen(listener, 16) < 0)
		return -errno;
	for (size_t i = 0; i < n && r == 0; i++)
		r = open_session(listener, i);
	return r;
}

/* Each socket's peer is a client. */
static int watch_peers(struct prober *prober, size_t sessions)
{
	_cleanup_free_ struct prober_watch *list = calloc(2 * sessions, sizeof(*list));

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < 2 * sessions; i++) {
		memcpy(list[i].device.bytes, &i, sizeof(i));
		list[i].address.v4 = end_of(i % 2 ? 0x7f010000u : 0x7f020000u, i / 2);
	}
	return prober_set_watch_list(prober, clock_mono_ns(), list, 2 * sessions);
}

static int by_size(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static int sessions(size_t sockets)
{
	struct prober_config config = { .interval_ns = NS_PER_S,
					.timeout_ns = NS_PER_S,
					.window_ns = 10 * NS_PER_S };
	double ms[SWEEPS];
	struct prober *prober = NULL;
	struct tcp_watch *watch = NULL;
	sd_event *loop = NULL;
	int r = open_sessions(sockets / 2);

	if (r < 0)
		return fail("sessions", r);
	r = sd_event_new(&loop);
	if (r >= 0)
		r = prober_new(&config, &prober);
	if (r >= 0)
		r = watch_peers(prober, sockets / 2);
	if (r >= 0)
		r = tcp_watch_new(loop, prober, FOREVER, &watch);
	for (int i = 0; i < SWEEPS && r >= 0; i++) {
		uint64_t begun = clock_mono_ns();

		r = tcp_watch_sweep(watch);
		ms[i] = (double)(clock_mono_ns() - begun) / 1e6;
	}
	if (r < 0)
		return fail("sweep", r);
	qsort(ms, SWEEPS, sizeof(ms[0]), by_size);
	printf("sockets %d\nsamples %lu\nsweep_ms %.3f\nsweep_ms_most %.3f\n", r,
	       prober_counters(prober)->sessions / SWEEPS, ms[SWEEPS / 2], ms[SWEEPS - 1]);
	fflush(stdout);
	/* So that another program can be measured over the same sessions. */
	return getchar() == EOF ? 0 : 1;
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "histogram") == 0)
		return measure_histogram();
	if (argc == 2 && strcmp(argv[1], "detector") == 0)
		return measure_detector();
	if (argc == 3 && strcmp(argv[1], "reflect") == 0)
		return reflect(argv[2]);
	if (argc == 5 && strcmp(argv[1], "probe") == 0)
		return probe((uint16_t)atoi(argv[2]), (size_t)atoll(argv[3]),
			     (uint64_t)atoll(argv[4]));
	if (argc == 3 && strcmp(argv[1], "sessions") == 0)
		return sessions((size_t)atoll(argv[2]));
	fprintf(stderr, "usage: telemetry-lab histogram | detector | reflect PORT | probe PORT "
			"CLIENTS SECONDS | sessions SOCKETS\n");
	return 2;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/testbed/phone.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <systemd/sd-event.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/cursor.h"

#define TCP_TICK_NS (10 * NS_PER_MS)
#define FINISH_WAIT_NS (10 * NS_PER_S)
#define SILENT_INTERVALS 5 /* this many without an echo are a silence */
#define RTTS_MAX 4096
#define PROBE_SIZE 64
#define TIMER_ACCURACY_US 1000 /* 0 would mean 250 ms */

struct phone {
	sd_event *loop;
	struct phone_config config;
	struct sockaddr_in guest;
	int control;
	struct phone_message totals; /* as the next SAMPLE */
	uint64_t rtts[RTTS_MAX];
	size_t n_rtts;

	int udp, udp_timer;
	uint64_t last_echo_utc_ns;

	int tcp, tcp_timer;
	sd_event_source *tcp_events;
	double credit; /* bytes that may be sent by now */
	uint64_t last_tick_ns;
	uint8_t record[PHONE_RECORD_SIZE];
	struct phone_verifier verifier;
	bool finishing;
};

/* ---- Records --------------------------------------------------------------- */

/* FNV-1a (Fowler, Noll, Vo; RFC 9923). */
static uint64_t checksum(const uint8_t *data, size_t len)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < len; i++)
		h = (h ^ data[i]) * UINT64_C(0x100000001b3);
	return h;
}

void phone_record(uint64_t number, uint8_t record[PHONE_RECORD_SIZE])
{
	struct wcursor c = wcursor_over(record, PHONE_RECORD_SIZE);
	uint64_t x = number * UINT64_C(0x9e3779b97f4a7c15) + 1;

	wcursor_u64(&c, number);
	wcursor_u64(&c, 0);
	for (int word = 2; word < PHONE_RECORD_SIZE / 8; word++) {
		x ^= x << 13; /* xorshift64 (Marsaglia, 2003) */
		x ^= x >> 7;
		x ^= x << 17;
		wcursor_u64(&c, x);
	}
	c = wcursor_over(record + 8, 8);
	wcursor_u64(&c, checksum(record + 16, PHONE_RECORD_SIZE - 16));
}

int phone_verify(struct phone_verifier *v, const uint8_t *data, size_t len)
{
	while (len) {
		size_t at = v->verified % PHONE_RECORD_SIZE, n = PHONE_RECORD_SIZE - at;

		if (at == 0)
			phone_record(v->verified / PHONE_RECORD_SIZE, v->expected);
		if (n > len)
			n = len;
		for (size_t i = 0; i < n; i++, v->verified++)
			if (data[i] != v->expected[at + i])
				return -EBADMSG;
		data += n;
		len -= n;
	}
	return 0;
}

/* ---- Reports ------------------------------------------------------------------ */

static int compare_u64(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void tell(struct phone *p, const struct phone_message *m)
{
	/* Whoever started us is gone: then nobody needs us. */
	if (send(p->control, m, sizeof(*m), MSG_NOSIGNAL) < 0 && errno != EAGAIN)
		sd_event_exit(p->loop, 1);
}

static void tell_totals(struct phone *p, enum phone_message_kind kind)
{
	struct phone_message *m = &p->totals;

	m->kind = kind;
	m->tcp_verified = p->verifier.verified;
	m->rtt_median_ns = m->rtt_max_ns = 0;
	if (p->n_rtts) {
		qsort(p->rtts, p->n_rtts, sizeof(p->rtts[0]), compare_u64);
		m->rtt_median_ns = p->rtts[p->n_rtts / 2];
		m->rtt_max_ns = p->rtts[p->n_rtts - 1];
	}
	p->n_rtts = 0;
	tell(p, m);
}

static void finish_when_done(struct phone *p)
{
	if (!p->finishing)
		return;
	if (!p->totals.failure[0] && p->verifier.verified < p->totals.tcp_sent)
		return;
	tell_totals(p, PHONE_FINAL);
	sd_event_exit(p->loop, 0);
}

/* ---- TCP ------------------------------------------------------------------------ */

static void tcp_fail(struct phone *p, const char *what)
{
	if (!p->totals.failure[0])
		snprintf(p->totals.failure, sizeof(p->totals.failure), "%s after %llu bytes", what,
			 (unsigned long long)p->verifier.verified);
	p->totals.connected = false;
	p->tcp_events = sd_event_source_unref(p->tcp_events);
	finish_when_done(p);
}

/* Sends what the rate allows; a full socket keeps its credit for later. When
 * finishing, only the rest of a record. */
static void tcp_send(struct phone *p)
{
	while (p->credit >= 1) {
		size_t at = p->totals.tcp_sent % PHONE_RECORD_SIZE, n = PHONE_RECORD_SIZE - at;
		ssize_t sent;

		if (at == 0) {
			if (p->finishing)
				return;
			phone_record(p->totals.tcp_sent / PHONE_RECORD_SIZE, p->record);
		}
		if ((double)n > p->credit)
			n = (size_t)p->credit;
		sent = send(p->tcp, p->record + at, n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent < 0) {
			if (errno != EAGAIN)
				tcp_fail(p, strerror(errno));
			return;
		}
		p->totals.tcp_sent += (uint64_t)sent;
		p->credit -= (double)sent;
	}
}

static int on_tcp_tick(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct phone *p = userdata;
	uint64_t now = clock_mono_ns(), ticks;
	double most = (double)p->config.data_bps; /* one second's worth */

	(void)source;
	(void)events;
	if (read(fd, &ticks, sizeof(ticks)) < 0)
		return 0;
	p->credit += (double)(now - p->last_tick_ns) * (double)p->config.data_bps / 1e9;
	if (p->credit > most)
		p->credit = most;
	p->last_tick_ns = now;
	if (p->totals.connected)
		tcp_send(p);
	return 0;
}

static int on_tcp(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct phone *p = userdata;
	uint8_t data[16384];
	ssize_t n;

	(void)source;
	if (!p->totals.connected) {
		int error = 0;
		socklen_t len = sizeof(error);

		getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
		if (error) {
			tcp_fail(p, strerror(error));
			return 0;
		}
		p->totals.connected = true;
		sd_event_source_set_io_events(p->tcp_events, EPOLLIN);
	}
	if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		return 0;
	n = recv(fd, data, sizeof(data), MSG_DONTWAIT);
	if (n < 0 && errno != EAGAIN)
		tcp_fail(p, strerror(errno));
	else if (n == 0)
		tcp_fail(p, "closed by the guest");
	else if (n > 0 && phone_verify(&p->verifier, data, (size_t)n) < 0)
		tcp_fail(p, "a wrong byte came back");
	finish_when_done(p);
	return 0;
}

/* ---- UDP ------------------------------------------------------------------------- */

static int on_udp_tick(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct phone *p = userdata;
	uint8_t probe[PROBE_SIZE] = { 0 };
	struct wcursor c = wcursor_over(probe, sizeof(probe));
	uint64_t ticks;

	(void)source;
	(void)events;
	if (read(fd, &ticks, sizeof(ticks)) < 0)
		return 0;
	wcursor_u64(&c, ++p->totals.udp_sent);
	wcursor_u64(&c, clock_utc_ns());
	send(p->udp, probe, sizeof(probe), MSG_DONTWAIT | MSG_NOSIGNAL);
	return 0;
}

/* Receives one echo with the kernel's time of its arrival. */
static ssize_t receive_echo(int fd, uint8_t probe[PROBE_SIZE], uint64_t *ret_utc_ns)
{
	struct iovec iov = { .iov_base = probe, .iov_len = PROBE_SIZE };
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(struct timespec))];
	} control;
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT);

	*ret_utc_ns = clock_utc_ns();
	for (struct cmsghdr *h = n < 0 ? NULL : CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h))
		if (h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_TIMESTAMPNS) {
			struct timespec ts;

			memcpy(&ts, CMSG_DATA(h), sizeof(ts));
			*ret_utc_ns = (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
		}
	return n;
}

static void note_echo(struct phone *p, const uint8_t *probe, uint64_t arrived)
{
	struct rcursor c = rcursor_over(probe, PROBE_SIZE);
	uint64_t number = rcursor_u64(&c), sent = rcursor_u64(&c);

	if (number == 0 || number > p->totals.udp_sent || sent > arrived)
		return;
	p->totals.udp_received++;
	if (p->n_rtts < RTTS_MAX)
		p->rtts[p->n_rtts++] = arrived - sent;
	if (p->last_echo_utc_ns &&
	    arrived > p->last_echo_utc_ns + SILENT_INTERVALS * p->config.probe_interval_ns) {
		const struct phone_message m = { .kind = PHONE_SILENCE,
						 .from_utc_ns = p->last_echo_utc_ns,
						 .to_utc_ns = arrived };

		tell(p, &m);
	}
	if (arrived > p->last_echo_utc_ns)
		p->last_echo_utc_ns = arrived;
}

static int on_udp(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct phone *p = userdata;
	uint8_t probe[PROBE_SIZE];
	uint64_t arrived;

	(void)source;
	(void)events;
	while (receive_echo(fd, probe, &arrived) == PROBE_SIZE)
		note_echo(p, probe, arrived);
	return 0;
}

/* ---- The process ------------------------------------------------------------------ */

static int on_sample(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct phone *p = userdata;

	if (!p->finishing)
		tell_totals(p, PHONE_SAMPLE);
	sd_event_source_set_time(source, usec + PHONE_SAMPLE_NS / NS_PER_US);
	return sd_event_source_set_enabled(source, SD_EVENT_ON);
}

static int on_finish_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)source;
	(void)usec;
	tcp_fail(userdata, "some bytes never came back");
	return 0;
}

static int on_control(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct phone *p = userdata;
	char byte;

	(void)events;
	if (recv(fd, &byte, 1, MSG_DONTWAIT) <= 0)
		return sd_event_exit(p->loop, 1);
	p->finishing = true;
	/* The record that is under way may be completed at once. */
	p->credit = PHONE_RECORD_SIZE;
	if (p->totals.connected)
		tcp_send(p);
	finish_when_done(p);
	return sd_event_add_time_relative(sd_event_source_get_event(source), NULL, CLOCK_MONOTONIC,
					  FINISH_WAIT_NS / NS_PER_US, TIMER_ACCURACY_US,
					  on_finish_timeout, p);
}

static int timer_every(uint64_t ns)
{
	struct itimerspec t = { .it_value = { .tv_sec = (time_t)(ns / NS_PER_S),
					      .tv_nsec = (long)(ns % NS_PER_S) } };
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);

	t.it_interval = t.it_value;
	if (fd < 0 || timerfd_settime(fd, 0, &t, NULL) < 0)
		return -errno;
	return fd;
}

static int open_sockets(struct phone *p)
{
	static const int on = 1;

	p->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	p->tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (p->udp < 0 || p->tcp < 0)
		return -errno;
	if (setsockopt(p->udp, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) < 0 ||
	    setsockopt(p->tcp, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0 ||
	    connect(p->udp, (struct sockaddr *)&p->guest, sizeof(p->guest)) < 0)
		return -errno;
	if (connect(p->tcp, (struct sockaddr *)&p->guest, sizeof(p->guest)) < 0 &&
	    errno != EINPROGRESS)
		return -errno;
	p->udp_timer = timer_every(p->config.probe_interval_ns);
	p->tcp_timer = timer_every(TCP_TICK_NS);
	return p->udp_timer < 0 ? p->udp_timer : p->tcp_timer < 0 ? p->tcp_timer : 0;
}

static int watch_all(struct phone *p)
{
	uint64_t now_us = clock_mono_ns() / NS_PER_US;
	int r;

	r = sd_event_add_io(p->loop, NULL, p->udp, EPOLLIN, on_udp, p);
	if (r >= 0)
		r = sd_event_add_io(p->loop, NULL, p->udp_timer, EPOLLIN, on_udp_tick, p);
	if (r >= 0)
		r = sd_event_add_io(p->loop, &p->tcp_events, p->tcp, EPOLLIN | EPOLLOUT, on_tcp, p);
	if (r >= 0)
		r = sd_event_add_io(p->loop, NULL, p->tcp_timer, EPOLLIN, on_tcp_tick, p);
	if (r >= 0)
		r = sd_event_add_io(p->loop, NULL, p->control, EPOLLIN, on_control, p);
	if (r >= 0)
		r = sd_event_add_time(p->loop, NULL, CLOCK_MONOTONIC,
				      now_us + PHONE_SAMPLE_NS / NS_PER_US, TIMER_ACCURACY_US,
				      on_sample, p);
	return r;
}

int phone_main(const struct phone_config *config, int control)
{
	_cleanup_free_ struct phone *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return 1;
	p->config = *config;
	p->control = control;
	p->last_tick_ns = clock_mono_ns();
	p->guest.sin_family = AF_INET;
	p->guest.sin_port = htons(PHONE_ECHO_PORT);
	if (inet_pton(AF_INET, config->guest, &p->guest.sin_addr) != 1) {
		fprintf(stderr, "phone: '%s' is no IPv4 address\n", config->guest);
		return 2;
	}
	r = sd_event_new(&p->loop);
	if (r >= 0)
		r = open_sockets(p);
	if (r >= 0)
		r = watch_all(p);
	if (r < 0) {
		fprintf(stderr, "phone: %s\n", strerror(-r));
		return 1;
	}
	r = sd_event_loop(p->loop);
	sd_event_source_unref(p->tcp_events);
	sd_event_unref(p->loop);
	return r < 0 ? 1 : r;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * A prober in a world of its own, whose monotonic clock starts at 0: what it sends is kept, and
 * answered as a test likes.
 */
#ifndef TESTS_UNIT_TELEMETRY_PROBER_WORLD_H
#define TESTS_UNIT_TELEMETRY_PROBER_WORLD_H

#include <criterion/criterion.h>
#include <errno.h>
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
	enum prober_channel channel;
	uint8_t packet[384]; /* with its TLVs */
	uint64_t at_ns;
};

struct world {
	struct prober *prober;
	uint64_t now_ns;
	struct sent *sent;
	size_t n;
	int send_error;
	struct prober_report report; /* the last one */
	size_t reports;
};

static inline void world_send(enum prober_channel channel, struct prober_packet *packets, size_t n,
			      void *userdata)
{
	struct world *w = userdata;

	cr_assert_leq(n, PROBER_BATCH);
	for (size_t i = 0; i < n; i++) {
		packets[i].result = w->send_error;
		if (w->send_error)
			continue;
		cr_assert_lt(w->n, SENT_MAX);
		w->sent[w->n].to = *packets[i].to;
		w->sent[w->n].channel = channel;
		w->sent[w->n].at_ns = w->now_ns;
		cr_assert_leq(prober_packet_size(w->prober, channel), sizeof(w->sent[0].packet));
		memcpy(w->sent[w->n++].packet, packets[i].data,
		       prober_packet_size(w->prober, channel));
	}
}

static inline uint64_t world_utc(void *userdata)
{
	struct world *w = userdata;

	return UTC + w->now_ns;
}

static inline struct prober_config config_of(struct world *w)
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
static inline void world_start_as(struct world *w, uint64_t calm_interval_ns, uint64_t budget)
{
	struct prober_config config = config_of(w);

	*w = (struct world){ .sent = calloc(SENT_MAX, sizeof(struct sent)) };
	config.calm_interval_ns = calm_interval_ns;
	config.budget = budget;
	cr_assert_eq(prober_new(&config, &w->prober), 0);
}

typedef const uint8_t *(*world_key_fn)(const struct uuid *device, void *userdata);

static inline void world_start_with(struct world *w, world_key_fn key_of)
{
	struct prober_config config = config_of(w);

	*w = (struct world){ .sent = calloc(SENT_MAX, sizeof(struct sent)) };
	config.key_of = key_of;
	config.authenticated = key_of;
	cr_assert_eq(prober_new(&config, &w->prober), 0);
}

static inline void world_start(struct world *w)
{
	world_start_with(w, NULL);
}

static inline void world_end(struct world *w)
{
	prober_free(w->prober);
	free(w->sent);
}

static inline void world_run_until(struct world *w, uint64_t end_ns)
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

static inline void on_report(const struct prober_report *report, void *userdata)
{
	struct world *w = userdata;

	w->report = *report;
	w->reports++;
}

static inline struct prober_counters counters(const struct world *w)
{
	return *prober_counters(w->prober);
}

static inline struct prober_watch client(unsigned i)
{
	struct prober_watch watch = { .interval_ns = 0 };
	char text[ADDRESS_TEXT_SIZE];

	memcpy(watch.device.bytes, &i, sizeof(i));
	snprintf(text, sizeof(text), "10.%u.%u.%u:5000", i >> 16, (i >> 8) & 255, i & 255);
	cr_assert_eq(address_parse(text, 0, &watch.address), 0);
	return watch;
}

static inline void watch_one(struct world *w)
{
	const struct prober_watch watch = client(1);

	cr_assert_eq(prober_set_watch_list(w->prober, w->now_ns, &watch, 1), 0);
}

/* Makes the answer that an honest reflector would give: probe `i` arrives and
 * its answer leaves `inside_ns` apart, by a clock that is an hour ahead. */
static inline void reflect(const struct world *w, size_t i, uint64_t inside_ns,
			   uint8_t reply[STAMP_SIZE])
{
	uint64_t t2 = UTC + w->sent[i].at_ns + 3600 * NS_PER_S;
	struct stamp_request request;
	struct stamp_reply p;

	cr_assert_eq(stamp_request_unpack(w->sent[i].packet, STAMP_SIZE, &request), 0);
	p = stamp_reply_to(&request, t2, t2 + inside_ns, 64, 1);
	stamp_reply_pack(&p, reply);
}

/* Delivers `reply` to probe i, `delay` after that was sent. */
static inline void deliver(struct world *w, size_t i, uint64_t delay_ns, const uint8_t *reply,
			   size_t len)
{
	uint64_t at = w->sent[i].at_ns + delay_ns;

	if (at > w->now_ns)
		w->now_ns = at;
	prober_receive(w->prober, w->now_ns, &w->sent[i].to, UTC + at, 0, reply, len);
}

static inline void answer(struct world *w, size_t i, uint64_t delay_ns, uint64_t inside_ns)
{
	uint8_t reply[STAMP_SIZE];

	reflect(w, i, inside_ns, reply);
	deliver(w, i, delay_ns, reply, sizeof(reply));
}

static inline struct prober_report report(struct world *w)
{
	w->reports = 0;
	prober_report_changes(w->prober, w->now_ns, on_report, w);
	cr_assert_eq(w->reports, 1);
	return w->report;
}

/* Runs on, with each probe answered after `rtt_ns`. */
static inline void answer_for(struct world *w, uint64_t ns, uint64_t rtt_ns)
{
	uint64_t end = w->now_ns + ns;

	while (w->now_ns < end) {
		size_t before = w->n;

		world_run_until(w, w->now_ns + INTERVAL / 10);
		for (size_t i = before; i < w->n; i++)
			answer(w, i, rtt_ns, 0);
	}
}

static inline size_t sent_in(struct world *w, uint64_t ns, uint64_t rtt_ns)
{
	size_t before = w->n;

	answer_for(w, ns, rtt_ns);
	return w->n - before;
}

#endif

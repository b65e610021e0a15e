/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/probe_loop.h"

#include <sys/epoll.h>

#include "common/clock.h"

/* Probes follow each other so closely that answers are read along with them. */
#define BUSY_NS (500 * NS_PER_US)
/* Who floods us must not keep probes from leaving. */
#define BATCHES_MAX 16

struct probe_loop {
	struct probe_loop_config config;
	struct prober *prober;
	sd_event_source *io, *timer;
	struct datagram received[DATAGRAM_BATCH];
};

/* ---- Packets ----------------------------------------------------------------------- */

static void send_probes(struct prober_packet *packets, size_t n, void *userdata)
{
	struct datagram_outgoing out[PROBER_BATCH];
	struct probe_loop *l = userdata;

	for (size_t i = 0; i < n; i++)
		out[i] = (struct datagram_outgoing){ packets[i].to, packets[i].data,
						     prober_packet_size(l->prober), 0 };
	datagram_send_many(l->config.fd, out, n);
	for (size_t i = 0; i < n; i++)
		packets[i].result = out[i].result;
}

static uint64_t now_utc(void *userdata)
{
	(void)userdata;
	return clock_utc_ns();
}

static const uint8_t *key_of(const struct uuid *device, void *userdata)
{
	struct probe_loop *l = userdata;

	return l->config.key_of(device, l->config.userdata);
}

/* Before answers are read: the answer to a probe may be here already. */
static void take_sent_times(struct probe_loop *l)
{
	struct datagram_sent sent[DATAGRAM_BATCH];
	size_t at = DATAGRAM_TAIL - prober_packet_size(l->prober);
	int got;

	do {
		got = datagram_sent_times(l->config.fd, sent, DATAGRAM_BATCH);
		for (int i = 0; i < got; i++)
			if (sent[i].utc_ns)
				prober_sent_at(l->prober, sent[i].tail + at, sent[i].utc_ns);
	} while (got == DATAGRAM_BATCH);
}

/* Rounded up: too early a call would find nothing to do. */
static uint64_t in_us(uint64_t ns)
{
	return ns == UINT64_MAX ? UINT64_MAX : (ns + NS_PER_US - 1) / NS_PER_US;
}

static void receive(struct probe_loop *l)
{
	int got, batches = 0;

	do {
		uint64_t now;

		got = datagram_receive_many(l->config.fd, l->received, DATAGRAM_BATCH);
		now = clock_mono_ns();
		for (int i = 0; i < got; i++) {
			const struct datagram *d = &l->received[i];

			if (!l->config.filter || !l->config.filter(d, l->config.userdata))
				prober_receive(l->prober, now, &d->from, d->received_utc_ns,
					       d->data, d->cut ? SIZE_MAX : d->len);
		}
	} while (got == DATAGRAM_BATCH && ++batches < BATCHES_MAX);
}

/* ---- The loop ----------------------------------------------------------------------- */

static int on_readable(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct probe_loop *l = userdata;

	(void)source, (void)fd, (void)revents;
	take_sent_times(l);
	receive(l);
	return 0;
}

/* With much to do, each answer would wake us on its own. The kernel has told when they
 * came, so that they may wait for the next probes. */
static int on_timer(sd_event_source *source, uint64_t due_us, void *userdata)
{
	struct probe_loop *l = userdata;
	uint64_t now = clock_mono_ns(), next = prober_run(l->prober, now);
	bool is_busy = next <= now + BUSY_NS;

	(void)due_us;
	take_sent_times(l);
	receive(l);
	(void)sd_event_source_set_enabled(l->io, is_busy ? SD_EVENT_OFF : SD_EVENT_ON);
	return sd_event_source_set_time(source, in_us(next));
}

/* ---- Life ------------------------------------------------------------------------------ */

int probe_loop_new(sd_event *loop, const struct probe_loop_config *config, struct probe_loop **ret)
{
	_cleanup_(probe_loop_free_p) struct probe_loop *l = calloc(1, sizeof(*l));
	struct prober_config prober = config->prober;
	int r;

	if (!l)
		return -ENOMEM;
	l->config = *config;
	prober.send = send_probes;
	prober.now_utc = now_utc;
	prober.key_of = config->key_of ? key_of : NULL;
	prober.userdata = l;
	r = prober_new(&prober, &l->prober);
	if (r >= 0)
		r = sd_event_add_io(loop, &l->io, config->fd, EPOLLIN, on_readable, l);
	/* To the microsecond: what is coalesced would be a burst. */
	if (r >= 0)
		r = sd_event_add_time(loop, &l->timer, CLOCK_MONOTONIC, UINT64_MAX, 1, on_timer, l);
	if (r >= 0)
		r = sd_event_source_set_enabled(l->timer, SD_EVENT_ON);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(l);
	return 0;
}

void probe_loop_free(struct probe_loop *l)
{
	if (!l)
		return;
	sd_event_source_disable_unref(l->io);
	sd_event_source_disable_unref(l->timer);
	prober_free(l->prober);
	free(l);
}

struct prober *probe_loop_prober(struct probe_loop *l)
{
	return l->prober;
}

void probe_loop_wake(struct probe_loop *l)
{
	sd_event_source_set_time(l->timer, 0);
}

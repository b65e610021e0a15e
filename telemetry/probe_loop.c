/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/probe_loop.h"

#include <sodium.h>
#include <sys/epoll.h>

#include "common/clock.h"
#include "telemetry/echo.h"

/* Probes follow each other so closely that answers are read along with them. */
#define BUSY_NS (500 * NS_PER_US)
/* Who floods us must not keep probes from leaving. */
#define BATCHES_MAX 16

struct channel {
	struct probe_loop *loop;
	enum prober_channel number;
	int fd;
	bool raw;
	sd_event_source *io; /* NULL: there is no socket */
};

struct probe_loop {
	struct probe_loop_config config;
	struct prober *prober;
	struct channel channels[PROBER_CHANNELS];
	uint16_t echo_identifier;
	sd_event_source *timer;
	struct datagram received[DATAGRAM_BATCH];
};

/* ---- Packets ----------------------------------------------------------------------- */

static void send_probes(enum prober_channel channel, struct prober_packet *packets, size_t n,
			void *userdata)
{
	struct datagram_outgoing out[PROBER_BATCH];
	struct probe_loop *l = userdata;
	size_t size = prober_packet_size(l->prober, channel);

	for (size_t i = 0; i < n; i++)
		out[i] = (struct datagram_outgoing){ packets[i].to, packets[i].data, size,
						     -EAFNOSUPPORT };
	if (l->channels[channel].io)
		datagram_send_many(l->channels[channel].fd, out, n);
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
static void take_sent_times(struct channel *c)
{
	struct prober *prober = c->loop->prober;
	struct datagram_sent sent[DATAGRAM_BATCH];
	size_t size = prober_packet_size(prober, c->number);
	int got;

	do {
		got = datagram_sent_times(c->fd, size, sent, DATAGRAM_BATCH);
		for (int i = 0; i < got; i++)
			if (sent[i].utc_ns)
				prober_sent_at(prober, c->number, sent[i].head, sent[i].utc_ns);
	} while (got == DATAGRAM_BATCH);
}

/* Rounded up: too early a call would find nothing to do. */
static uint64_t in_us(uint64_t ns)
{
	return ns == UINT64_MAX ? UINT64_MAX : (ns + NS_PER_US - 1) / NS_PER_US;
}

static void take_udp(struct channel *c, uint64_t now, const struct datagram *d)
{
	struct probe_loop *l = c->loop;

	if (!l->config.filter || !l->config.filter(c->fd, d, l->config.userdata))
		prober_receive(l->prober, now, &d->from, d->received_utc_ns, d->tos,
			       d->data, d->cut ? SIZE_MAX : d->len);
}

static void take_echo(struct channel *c, uint64_t now, const struct datagram *d)
{
	struct probe_loop *l = c->loop;
	const uint8_t *message = d->data;
	size_t len = d->len;

	if (c->raw && c->number == PROBER_ECHO_V4 &&
	    echo_skip_header(d->data, d->len, &message, &len) < 0)
		return;
	if (c->raw && !echo_has_identifier(message, len, l->echo_identifier))
		return;
	prober_receive(l->prober, now, &d->from, d->received_utc_ns, d->tos, message,
		       d->cut ? SIZE_MAX : len);
}

static void receive(struct channel *c)
{
	bool is_udp = c->number == PROBER_STAMP_V4 || c->number == PROBER_STAMP_V6;
	struct datagram *received = c->loop->received;
	int got, batches = 0;

	do {
		uint64_t now;

		got = datagram_receive_many(c->fd, received, DATAGRAM_BATCH);
		now = clock_mono_ns();
		for (int i = 0; i < got; i++)
			(is_udp ? take_udp : take_echo)(c, now, &received[i]);
	} while (got == DATAGRAM_BATCH && ++batches < BATCHES_MAX);
}

/* ---- The loop ----------------------------------------------------------------------- */

static int on_readable(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct channel *c = userdata;

	(void)source, (void)fd, (void)revents;
	take_sent_times(c);
	receive(c);
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
	for (unsigned i = 0; i < PROBER_CHANNELS; i++) {
		struct channel *c = &l->channels[i];

		if (!c->io)
			continue;
		take_sent_times(c);
		receive(c);
		(void)sd_event_source_set_enabled(c->io, is_busy ? SD_EVENT_OFF : SD_EVENT_ON);
	}
	return sd_event_source_set_time(source, in_us(next));
}

/* ---- Life ------------------------------------------------------------------------------ */

static int add_channels(struct probe_loop *l, sd_event *loop)
{
	for (unsigned i = 0; i < PROBER_CHANNELS; i++) {
		struct channel *c = &l->channels[i];
		int r;

		*c = (struct channel){ .loop = l,
				       .number = (enum prober_channel)i,
				       .fd = l->config.sockets[i].fd,
				       .raw = l->config.sockets[i].raw };
		r = c->fd < 0 ? 0 : sd_event_add_io(loop, &c->io, c->fd, EPOLLIN, on_readable, c);
		if (r < 0)
			return r;
	}
	return 0;
}

int probe_loop_new(sd_event *loop, const struct probe_loop_config *config, struct probe_loop **ret)
{
	_cleanup_(probe_loop_free_p) struct probe_loop *l = calloc(1, sizeof(*l));
	struct prober_config prober = config->prober;
	int r;

	if (!l)
		return -ENOMEM;
	l->config = *config;
	randombytes_buf(&l->echo_identifier, sizeof(l->echo_identifier));
	prober.echo_identifier = l->echo_identifier;
	prober.send = send_probes;
	prober.now_utc = now_utc;
	prober.key_of = config->key_of ? key_of : NULL;
	prober.userdata = l;
	r = prober_new(&prober, &l->prober);
	if (r >= 0)
		r = add_channels(l, loop);
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
	for (unsigned i = 0; i < PROBER_CHANNELS; i++)
		sd_event_source_disable_unref(l->channels[i].io);
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

/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/prober.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

#include "common/clock.h"
#include "telemetry/prober_internal.h"

/* By how much the two clocks may disagree about one round trip: UTC may be
 * slewed by 500 ppm. */
#define CLOCK_SLACK_NS NS_PER_MS
/* The histogram's older half of so many samples weighs half. */
#define HISTOGRAM_SAMPLES 2048

/* Clients that are fetched while one's session is dealt with. */
#define SESSIONS_AHEAD 6

/* Rates are in millionths of a probe a second. */
#define RATE UINT64_C(1000000)

/* The golden ratio's fraction: multiples of it fill the unit interval evenly
 * for any number of them. Here in units of 2^-32. */
#define GOLDEN UINT32_C(2654435769)

int prober_new(const struct prober_config *config, struct prober **ret)
{
	_cleanup_(prober_free_p) struct prober *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	p->config = *config;
	probe_tlvs_make(&config->tlvs, config->key_of, &p->tlvs);
	randombytes_buf(p->echo_key, sizeof(p->echo_key));
	r = client_table_new(&p->clients);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(p);
	return 0;
}

void prober_free(struct prober *p)
{
	if (!p)
		return;
	client_table_free(p->clients);
	histogram_clear(&p->counted.srtt);
	histogram_clear(&p->summary.srtt);
	free(p->told);
	free(p);
}

/* ---- How often ------------------------------------------------------------------ */

/* By its own pace. */
static uint64_t paced_interval(const struct client *c)
{
	return c->interval_ns << c->pace.stretch;
}

static uint64_t rate_of(const struct client *c)
{
	return c->quiet ? 0 : RATE * NS_PER_S / paced_interval(c);
}

/* The rate of a client has changed from `before`. */
static void update_rate(struct prober *p, const struct client *c, uint64_t before)
{
	uint64_t budget = p->config.budget * RATE;

	p->wanted += rate_of(c) - before;
	if (budget == 0)
		return;
	while (p->squeeze < PACE_STRETCH_MAX && p->wanted >> p->squeeze > budget)
		p->squeeze++;
	while (p->squeeze > 0 && p->wanted >> (p->squeeze - 1) <= budget)
		p->squeeze--;
}

static uint64_t interval_of(const struct prober *p, const struct client *c)
{
	uint64_t ns = paced_interval(c) << p->squeeze;

	return ns < PROBER_INTERVAL_MAX_NS ? ns : PROBER_INTERVAL_MAX_NS;
}

/* Probes that would come late by the new interval come earlier, in the client's phase. */
static void hasten(struct prober *p, uint64_t now_ns, struct client *c)
{
	uint64_t interval = interval_of(p, c);

	if (c->next_ns == CLIENT_NEVER || c->next_ns <= now_ns + interval)
		return;
	client_table_set_next(p->clients, c,
			      c->next_ns - (c->next_ns - now_ns) / interval * interval);
}

static void note_calm(struct prober *p, uint64_t now_ns, struct client *c)
{
	unsigned most = pace_most(c->interval_ns, p->config.calm_interval_ns);
	uint64_t before = rate_of(c);
	uint8_t stretch = c->pace.stretch;
	struct rtt_figures f;

	if (most == 0 || !rtt_read(&c->rtt, now_ns, &f))
		return;
	pace_sample(&c->pace,
		    &(struct pace_view){ f.srtt_ns, f.rttvar_ns, p->threshold_ns, f.confidence,
					 level_doubt(&c->level) },
		    most);
	if (c->pace.stretch == stretch)
		return;
	update_rate(p, c, before);
	if (c->pace.stretch < stretch)
		hasten(p, now_ns, c);
}

static void note_loss(struct prober *p, struct client *c)
{
	uint64_t before = rate_of(c);

	pace_alarm(&c->pace);
	update_rate(p, c, before);
}

void prober_set_threshold(struct prober *p, uint64_t threshold_ns)
{
	p->threshold_ns = threshold_ns;
}

unsigned prober_squeeze(const struct prober *p)
{
	return 1U << p->squeeze;
}

/* ---- Who is watched ----------------------------------------------------------- */

static struct probe *open_at(struct client *c, unsigned i)
{
	return &c->open[(c->head + i) % c->room];
}

static void drop_oldest(struct prober *p, struct client *c)
{
	if (!open_at(c, 0)->answered) {
		rtt_count_lost(&c->rtt);
		note_loss(p, c);
		c->changed = true;
	}
	c->head = (uint8_t)((c->head + 1) % c->room);
	c->length--;
}

/* What is on its way to the old address is lost: the client is not there. */
static void use_address(struct prober *p, struct client *c, const struct address *a)
{
	if (address_equal(a, &c->address))
		return;
	while (c->length)
		drop_oldest(p, c);
	if (c->tlvs)
		client_tlvs_break(c->tlvs);
	client_table_set_address(p->clients, c, a);
}

/* What is on its way will not be answered, and that says nothing of the path. */
static void fall_quiet(struct prober *p, struct client *c)
{
	c->head = c->length = 0;
	if (c->tlvs)
		client_tlvs_break(c->tlvs);
	client_table_set_next(p->clients, c, CLIENT_NEVER);
}

static uint64_t held_interval(const struct prober *p, uint64_t interval_ns)
{
	if (interval_ns == 0)
		interval_ns = p->config.interval_ns;
	if (interval_ns < PROBER_INTERVAL_MIN_NS)
		return PROBER_INTERVAL_MIN_NS;
	return interval_ns > PROBER_INTERVAL_MAX_NS ? PROBER_INTERVAL_MAX_NS : interval_ns;
}

static uint64_t first_round(struct prober *p, uint64_t now_ns, uint64_t interval_ns)
{
	double part = (double)p->phase / 4294967296.0;
	uint64_t ns = now_ns + (uint64_t)(part * (double)interval_ns);

	p->phase += GOLDEN;
	return ns - ns % CLIENT_TICK_NS;
}

static void update_quiet(struct prober *p, uint64_t now_ns, struct client *c)
{
	bool quiet = c->idle || (c->is_registered ? c->registered_asleep : c->told_asleep);
	uint64_t before = rate_of(c);

	if (quiet == c->quiet)
		return;
	c->quiet = quiet;
	update_rate(p, c, before);
	if (quiet)
		fall_quiet(p, c);
	else
		client_table_set_next(p->clients, c, first_round(p, now_ns, interval_of(p, c)));
}

static struct client *add_client(struct prober *p, uint64_t now_ns, const struct prober_watch *w)
{
	struct client *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->device = w->device;
	c->open = c->first;
	c->room = ARRAY_SIZE(c->first);
	c->ssid = (uint16_t)(1 + randombytes_uniform(UINT16_MAX));
	c->interval_ns = held_interval(p, w->interval_ns);
	c->next_ns = first_round(p, now_ns, c->interval_ns);
	rtt_init(&c->rtt, p->config.window_ns, c->interval_ns);
	if (p->tlvs.len)
		c->tlvs = calloc(1, sizeof(*c->tlvs));
	if ((p->tlvs.len && !c->tlvs) || client_table_add(p->clients, c) < 0) {
		free(c->tlvs);
		free(c);
		return NULL;
	}
	update_rate(p, c, 0);
	return c;
}

static void set_interval(struct prober *p, uint64_t now_ns, struct client *c, uint64_t interval_ns)
{
	uint64_t before = rate_of(c), interval = held_interval(p, interval_ns);

	c->own_interval = interval_ns != 0;
	if (interval == c->interval_ns)
		return;
	c->interval_ns = interval;
	pace_alarm(&c->pace);
	update_rate(p, c, before);
	rtt_set_interval(&c->rtt, interval);
	if (!c->quiet)
		client_table_set_next(p->clients, c, first_round(p, now_ns, interval_of(p, c)));
}

static void update_client(struct prober *p, uint64_t now_ns, struct client *c,
			  const struct prober_watch *w)
{
	c->list_generation = p->list_generation;
	set_interval(p, now_ns, c, w->interval_ns);
	c->told = w->address;
	c->told_asleep = w->asleep;
	c->idle = w->idle;
	update_quiet(p, now_ns, c);
	if (!c->is_registered)
		use_address(p, c, &c->told);
}

void prober_set_timing(struct prober *p, uint64_t now_ns, const struct prober_timing *timing)
{
	p->config.interval_ns = timing->interval_ns;
	p->config.calm_interval_ns = timing->calm_interval_ns;
	p->config.timeout_ns = timing->timeout_ns;
	p->config.budget = timing->budget;
	if (timing->budget == 0)
		p->squeeze = 0;
	for (struct client *c = client_table_next(p->clients, NULL); c;
	     c = client_table_next(p->clients, c)) {
		if (!c->own_interval)
			set_interval(p, now_ns, c, 0);
		update_rate(p, c, rate_of(c));
	}
}

static void remove_client(struct prober *p, struct client *c)
{
	uint64_t before = rate_of(c);

	c->quiet = true;
	if (p->next_reported == c)
		p->next_reported = client_table_next(p->clients, c);
	update_rate(p, c, before);
	for (unsigned i = 0; i < PROBER_CHANNELS; i++)
		send_times_forget(&p->send_times[i], c);
	for (size_t i = 0; i < p->n_told; i++)
		if (p->told[i] == c)
			p->told[i--] = p->told[--p->n_told];
	client_table_remove(p->clients, c);
}

static int change_client(struct prober *p, uint64_t now_ns, const struct prober_watch *w)
{
	struct client *c = client_table_by_device(p->clients, &w->device);

	if (w->gone) {
		if (c)
			remove_client(p, c);
		return 0;
	}
	if (!c)
		c = add_client(p, now_ns, w);
	if (!c)
		return -ENOMEM;
	update_client(p, now_ns, c, w);
	return 0;
}

static void remove_untold(struct prober *p)
{
	for (struct client *c = client_table_next(p->clients, NULL), *next; c; c = next) {
		next = client_table_next(p->clients, c);
		if (c->list_generation != p->list_generation)
			remove_client(p, c);
	}
}

int prober_watch(struct prober *p, uint64_t now_ns, const struct prober_watch *list, size_t n,
		 bool begins, bool ends)
{
	int r = 0;

	p->list_generation += begins;
	p->list_is_open |= begins;
	for (size_t i = 0; i < n; i++)
		if (change_client(p, now_ns, &list[i]) < 0)
			r = -ENOMEM;
	if (ends && p->list_is_open) {
		remove_untold(p);
		p->list_is_open = false;
	}
	return r;
}

int prober_set_watch_list(struct prober *p, uint64_t now_ns, const struct prober_watch *list,
			  size_t n)
{
	return prober_watch(p, now_ns, list, n, true, true);
}

void prober_set_registered(struct prober *p, uint64_t now_ns, const struct uuid *device,
			   const struct address *address, bool asleep)
{
	struct client *c = client_table_by_device(p->clients, device);

	if (!c)
		return;
	c->is_registered = address && !address_is_none(address);
	c->registered_asleep = c->is_registered && asleep;
	update_quiet(p, now_ns, c);
	use_address(p, c, c->is_registered ? address : &c->told);
}

/* ---- What a time tells ----------------------------------------------------------- */

static void learn(struct prober *p, struct client *c, enum prober_method method, uint64_t now_ns,
		  uint64_t rtt_ns, uint64_t received_utc_ns)
{
	c->method = method;
	rtt_add_sample(&c->rtt, now_ns, rtt_ns);
	/* Without memory the quantiles lack a sample; all else stays true. */
	(void)histogram_add(&c->histogram, rtt_ns);
	if (histogram_samples(&c->histogram) >= HISTOGRAM_SAMPLES)
		histogram_halve(&c->histogram);
	if (level_add(&c->level, (double)rtt_ns) != CUSUM_NONE)
		c->level_utc_ns = received_utc_ns;
	note_calm(p, now_ns, c);
	/* How long this sample is fresh goes by when there is to be another one. */
	rtt_set_interval(&c->rtt, interval_of(p, c));
	c->last_sample_utc_ns = received_utc_ns;
	c->changed = true;
}

static void learn_held(struct prober *p, struct client *c, uint64_t now_ns,
		       const struct client_tlvs_answer *answer)
{
	struct client_tlvs_sample held;

	if (client_tlvs_release(c->tlvs, answer, &p->counters.tlvs, &held))
		learn(p, c, PROBER_STAMP, now_ns, held.rtt_ns, held.received_utc_ns);
}

/* Nothing came that could tell more of it. */
static void give_up_held(struct prober *p, uint64_t now_ns, struct client *c)
{
	if (c->tlvs->holds &&
	    now_ns - c->tlvs->held.now_ns >= interval_of(p, c) + p->config.timeout_ns)
		learn_held(p, c, now_ns, NULL);
}

/* ---- Sending -------------------------------------------------------------------- */

/* Makes room for one more open probe. */
static struct probe *add_open(struct prober *p, struct client *c)
{
	if (c->length == PROBER_OPEN_MAX)
		drop_oldest(p, c);
	if (c->length == c->room) {
		uint8_t room = (uint8_t)(2 * c->room);
		struct probe *open = calloc(room, sizeof(*open));

		if (!open)
			return NULL;
		for (unsigned i = 0; i < c->length; i++)
			open[i] = *open_at(c, i);
		if (c->open != c->first)
			free(c->open);
		c->open = open;
		c->room = room;
		c->head = 0;
	}
	return open_at(c, c->length++);
}

/* Errors other than our own congestion say that the client cannot be reached: that
 * is a loss. */
static void count_sent(struct prober *p, uint64_t now_ns, struct client *c,
		       const struct stamp_request *packet, uint64_t t1_utc_ns, int result)
{
	struct probe *probe;

	if (result == -EAGAIN || result == -ENOBUFS) {
		p->counters.not_sent++;
		return;
	}
	p->counters.sent++;
	c->probed_ns = now_ns;
	c->sequence++;
	rtt_count_sent(&c->rtt);
	probe = add_open(p, c);
	if (!probe) {
		rtt_count_lost(&c->rtt);
		return;
	}
	*probe = (struct probe){
		.sent_ns = now_ns,
		.t1_utc_ns = t1_utc_ns,
		.t1 = packet->t1,
		.sequence = packet->sequence,
		.error_estimate = packet->error_estimate,
	};
	if (result == 0)
		send_times_expect(&p->send_times[probe_channel_to(&c->address)], c, packet);
}

size_t prober_packet_size(const struct prober *p, enum prober_channel channel)
{
	return probe_packet_size(channel, p->config.authenticated, &p->tlvs);
}

static struct probe_identity identity_of(const struct prober *p, const struct client *c)
{
	return (struct probe_identity){
		.device = &c->device,
		.authenticated = p->config.authenticated,
		.stamp_key = p->config.key_of ? p->config.key_of(&c->device, p->config.userdata)
					      : NULL,
		.echo_key = p->echo_key,
		.echo_identifier = p->config.echo_identifier,
		.tlvs = &p->tlvs,
	};
}

static bool can_probe(const struct prober *p, const struct client *c)
{
	if (address_is_none(&c->address))
		return false;
	return !p->config.key_of || probe_channel_is_echo(probe_channel_to(&c->address)) ||
	       identity_of(p, c).stamp_key;
}

/* All of them to be probed on one channel. */
static void send_on(struct prober *p, uint64_t now_ns, enum prober_channel channel,
		    struct client **clients, size_t n)
{
	uint64_t t1 = p->config.now_utc(p->config.userdata);
	size_t size = prober_packet_size(p, channel);
	struct prober_packet packets[PROBER_BATCH];
	struct stamp_request request = {
		.t1 = stamp_time_pack(STAMP_NTP, t1),
		.error_estimate = probe_channel_is_echo(channel) ? 0 : p->config.error_estimate,
	};

	for (size_t i = 0; i < n; i++) {
		const struct probe_identity who = identity_of(p, clients[i]);

		request.ssid = clients[i]->ssid;
		request.sequence = clients[i]->sequence;
		packets[i].to = &clients[i]->address;
		packets[i].data = p->packets + i * size;
		probe_packet_pack(channel, &who, &request, p->packets + i * size);
	}
	p->config.send(channel, packets, n, p->config.userdata);
	for (size_t i = 0; i < n; i++) {
		request.sequence = clients[i]->sequence;
		count_sent(p, now_ns, clients[i], &request, t1, packets[i].result);
	}
}

static void send_probes(struct prober *p, uint64_t now_ns, struct client **clients, size_t n)
{
	for (unsigned channel = 0; channel < PROBER_CHANNELS; channel++) {
		struct client *these[PROBER_BATCH];
		size_t k = 0;

		for (size_t i = 0; i < n; i++)
			if (probe_channel_to(&clients[i]->address) == channel)
				these[k++] = clients[i];
		if (k)
			send_on(p, now_ns, channel, these, k);
	}
}

static void give_up_overdue(struct prober *p, uint64_t now_ns, struct client *c)
{
	while (c->length && now_ns - open_at(c, 0)->sent_ns >= p->config.timeout_ns)
		drop_oldest(p, c);
}

static uint64_t next_round(const struct prober *p, const struct client *c, uint64_t now_ns)
{
	uint64_t interval = interval_of(p, c);
	uint64_t rounds = (now_ns - c->next_ns) / interval + 1;

	return c->next_ns + rounds * interval;
}

uint64_t prober_run(struct prober *p, uint64_t now_ns)
{
	struct client *due[PROBER_BATCH], *sending[PROBER_BATCH];
	size_t n = client_table_due(p->clients, now_ns, due, PROBER_BATCH), k = 0;

	for (size_t i = 0; i < n; i++) {
		give_up_overdue(p, now_ns, due[i]);
		if (due[i]->tlvs)
			give_up_held(p, now_ns, due[i]);
		client_table_set_next(p->clients, due[i], next_round(p, due[i], now_ns));
		if (can_probe(p, due[i]))
			sending[k++] = due[i];
	}
	if (k)
		send_probes(p, now_ns, sending, k);
	return n == PROBER_BATCH ? now_ns : client_table_next_due(p->clients, now_ns);
}

/* ---- Receiving -------------------------------------------------------------------- */

static bool is_answer_to(const struct probe *probe, const struct stamp_request *sender)
{
	return probe->sequence == sender->sequence && probe->t1 == sender->t1 &&
	       probe->error_estimate == sender->error_estimate;
}

/* The open probe (answered or not) with this sequence number, or NULL. */
static struct probe *find_probe(struct client *c, uint32_t sequence)
{
	uint32_t i = c->length ? sequence - open_at(c, 0)->sequence : 0;

	return i < c->length ? open_at(c, i) : NULL;
}

void prober_sent_at(struct prober *p, enum prober_channel channel, const uint8_t *packet,
		    uint64_t utc_ns)
{
	struct stamp_request request;
	struct client *c;
	struct probe *probe;

	if (probe_packet_peek(channel, p->config.authenticated, packet, &request) < 0)
		return;
	c = send_times_take(&p->send_times[channel], &request);
	probe = c ? find_probe(c, request.sequence) : NULL;
	if (probe && !probe->answered)
		probe->t1_utc_ns = utc_ns;
}

/* Returns false for times that cannot be. */
static bool round_trip(const struct probe *probe, const struct stamp_reply *reply,
		       uint64_t t4_utc_ns, uint64_t now_ns, uint64_t *ret)
{
	enum stamp_format format = stamp_error_format(reply->error_estimate);
	uint64_t t1 = probe->t1_utc_ns, t4 = t4_utc_ns;
	uint64_t t2 = stamp_time_unpack(format, reply->t2);
	uint64_t t3 = stamp_time_unpack(format, reply->t3);

	if (t4 < t1 || t3 < t2 || t3 - t2 > t4 - t1 ||
	    t4 - t1 > now_ns - probe->sent_ns + CLOCK_SLACK_NS)
		return false;
	*ret = (t4 - t1) - (t3 - t2);
	return true;
}

/* A datagram that may be an answer. */
struct arrival {
	enum prober_channel channel;
	uint64_t now_ns, utc_ns;
	uint8_t tos;
	const void *data;
	size_t len;
};

/* Returns whether the answer's time is held, rather than to be learnt now. */
static bool take_tlvs(struct prober *p, struct client *c, const struct arrival *a,
		      const struct stamp_reply *reply, uint64_t rtt_ns)
{
	const struct probe_identity who = identity_of(p, c);
	enum stamp_format format = stamp_error_format(reply->error_estimate);
	struct probe_tlvs_told told;
	const struct client_tlvs_answer answer = {
		.verdict = probe_packet_tlvs(a->channel, &who, reply, a->data, a->len, &told),
		.told = &told,
		.wished_dscp = p->config.tlvs.dscp,
		.tos = a->tos,
		.address = &c->address,
		.format = format,
	};
	const struct client_tlvs_sample sample = {
		.sequence = reply->sequence,
		.t3_utc_ns = stamp_time_unpack(format, reply->t3),
		.rtt_ns = rtt_ns,
		.received_utc_ns = a->utc_ns,
		.now_ns = a->now_ns,
	};

	client_tlvs_note(c->tlvs, &answer, &p->counters.tlvs);
	learn_held(p, c, a->now_ns, &answer);
	return client_tlvs_hold(c->tlvs, &answer, &sample);
}

static void accept_reply(struct prober *p, struct client *c, struct probe *probe,
			 const struct arrival *a, const struct stamp_reply *reply)
{
	bool is_echo = probe_channel_is_echo(a->channel);
	uint64_t rtt;

	if (a->now_ns - probe->sent_ns >= p->config.timeout_ns) {
		p->counters.late++;
	} else if (!round_trip(probe, reply, a->utc_ns, a->now_ns, &rtt)) {
		p->counters.implausible++;
	} else {
		probe->answered = true;
		p->counters.accepted++;
		if (is_echo || !c->tlvs || !take_tlvs(p, c, a, reply, rtt))
			learn(p, c, is_echo ? PROBER_ECHO : PROBER_STAMP, a->now_ns, rtt,
			      a->utc_ns);
	}
}

/* Looks for whom it is among those at its address, of whom `c` is the first. */
static void find_receiver(struct prober *p, struct client *c, const struct address *from,
			  const struct arrival *a)
{
	bool was_sent = false;
	struct stamp_reply reply;

	for (; c; c = client_table_by_address(p->clients, from, c)) {
		const struct probe_identity who = identity_of(p, c);
		struct probe *probe;

		if (probe_packet_unpack(a->channel, &who, a->data, &reply) < 0)
			continue;
		probe = find_probe(c, reply.sender.sequence);
		if (probe && is_answer_to(probe, &reply.sender)) {
			if (probe->answered)
				p->counters.duplicate++;
			else
				accept_reply(p, c, probe, a, &reply);
			return;
		}
		was_sent |= !probe && reply.sender.sequence < c->sequence;
	}
	if (was_sent)
		p->counters.late++;
	else
		p->counters.forged++;
}

void prober_receive(struct prober *p, uint64_t now_ns, const struct address *from,
		    uint64_t received_utc_ns, uint8_t tos, const void *data, size_t len)
{
	struct client *c = client_table_by_address(p->clients, from, NULL);
	const struct arrival a = { probe_channel_to(from), now_ns, received_utc_ns, tos, data, len };

	if (len != prober_packet_size(p, a.channel) &&
	    len != probe_packet_base(a.channel, p->config.authenticated))
		p->counters.wrong_length++;
	else if (!c)
		p->counters.stranger++;
	else
		find_receiver(p, c, from, &a);
}

/* ---- Sessions ------------------------------------------------------------------------ */

bool prober_has_host(const struct prober *p, const struct address *host)
{
	const struct client *c = client_table_by_host(p->clients, host);

	return c && !c->quiet;
}

size_t prober_hosts(const struct prober *p, struct address *ret, size_t room)
{
	size_t n = 0;

	for (struct client *c = client_table_next(p->clients, NULL); c && n <= room;
	     c = client_table_next(p->clients, c)) {
		if (c->quiet || address_is_none(&c->address))
			continue;
		if (n < room)
			ret[n] = c->address;
		n++;
	}
	return n;
}

static bool remember_told(struct prober *p, struct client *c)
{
	if (p->n_told == p->room_told) {
		size_t room = p->room_told ? 2 * p->room_told : 64;
		struct client **told = reallocarray(p->told, room, sizeof(struct client *));

		if (!told)
			return false;
		p->told = told;
		p->room_told = room;
	}
	p->told[p->n_told++] = c;
	return true;
}

void prober_add_session(struct prober *p, const struct address *host, uint64_t rtt_ns)
{
	struct client *c = client_table_by_host(p->clients, host);

	if (!c || c->quiet || rtt_ns == 0 || (c->session_ns == 0 && !remember_told(p, c)))
		return;
	if (c->session_ns == 0 || rtt_ns < c->session_ns)
		c->session_ns = rtt_ns;
}

/* Probes wait, in the client's phase, until its sessions ought to have been told of again. */
static void put_off(struct prober *p, uint64_t now_ns, struct client *c, uint64_t patience_ns)
{
	uint64_t interval = interval_of(p, c), until = now_ns + patience_ns;

	if (c->next_ns >= until || c->probed_ns == 0 ||
	    now_ns - c->probed_ns >= PROBER_SESSION_PROBES * interval)
		return;
	client_table_set_next(p->clients, c,
			      c->next_ns + ((until - c->next_ns) / interval + 1) * interval);
}

void prober_take_sessions(struct prober *p, uint64_t now_ns, uint64_t now_utc_ns,
			  uint64_t patience_ns)
{
	for (size_t i = 0; i < p->n_told; i++) {
		struct client *c = p->told[i];

		if (i + SESSIONS_AHEAD < p->n_told)
			client_prefetch(p->told[i + SESSIONS_AHEAD]);
		if (!c->quiet) {
			learn(p, c, PROBER_TCP, now_ns, c->session_ns, now_utc_ns);
			put_off(p, now_ns, c, patience_ns);
			p->counters.sessions++;
		}
		c->session_ns = 0;
	}
	p->n_told = 0;
}

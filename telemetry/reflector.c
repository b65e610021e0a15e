/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/reflector.h"

#include <sodium.h>
#include <string.h>
#include <sys/epoll.h>

#include "common/clock.h"
#include "common/log.h"
#include "telemetry/datagram.h"
#include "telemetry/gateway.h"
#include "telemetry/registrar.h"
#include "telemetry/source_slot.h"

#define BATCH 64
/* So many refreshes without an answer, and we are registered no more. */
#define UNANSWERED_MAX 3

struct reflector {
	struct reflector_config config;
	sd_event *loop;
	int fd;
	sd_event_source *io, *timer;
	struct address local;
	struct address node; /* the present one; none without a gateway */
	struct address registered_with;
	struct registrar registrar;
	unsigned unanswered;
	bool told; /* the node has answered since we last woke or fell asleep */
	uint16_t error_estimate;
	/* Until when each slot of sources has had its answers, at REFLECTOR_RATE. */
	uint64_t limits_ns[SOURCE_SLOTS + 1];
	struct source_slots slots;
	struct session_reflector *sessions;
	size_t least_size; /* of a request */
	struct reflector_counters counters;
};

/* ---- Probes -------------------------------------------------------------------- */

/* Our node has the last one to itself. */
static uint64_t *limit_of(struct reflector *r, const struct address *from)
{
	if (address_equal(from, &r->registered_with))
		return &r->limits_ns[SOURCE_SLOTS];
	return &r->limits_ns[source_slot(&r->slots, from)];
}

static bool within_rate(struct reflector *r, const struct address *from, uint64_t now_ns)
{
	const uint64_t each = NS_PER_S / REFLECTOR_RATE;
	uint64_t *limit = limit_of(r, from);

	if (*limit < now_ns)
		*limit = now_ns;
	if (*limit + each > now_ns + REFLECTOR_BURST * each)
		return false;
	*limit += each;
	return true;
}

static void send_answer(struct reflector *r, const struct datagram *d,
			const struct session_reflector_answer *answer)
{
	if (datagram_send_tos(r->fd, &d->to, &d->from, answer->tos, d->data, answer->len) < 0)
		return;
	session_reflector_sent(answer, clock_utc_ns());
	r->counters.reflected++;
}

static void reflect(struct reflector *r, struct datagram *d)
{
	struct session_reflector_packet packet = {
		.from = d->from,
		.to = d->to,
		.ttl = d->ttl,
		.tos = d->tos,
		.received_utc_ns = d->received_utc_ns,
		.now_ns = clock_mono_ns(),
		.error_estimate = r->error_estimate,
	};
	struct session_reflector_answer answer;

	if (d->cut || d->len < r->least_size) {
		r->counters.malformed++;
		return;
	}
	if (!within_rate(r, &d->from, packet.now_ns)) {
		r->counters.limited++;
		return;
	}
	address_set_port(&packet.to, address_port(&r->local));
	packet.now_utc_ns = clock_utc_ns();
	switch (session_reflector_answer(r->sessions, &packet, d->data, d->len, &answer)) {
	case 0:
		send_answer(r, d, &answer);
		break;
	case -EBADE:
		r->counters.forged++;
		break;
	default:
		r->counters.malformed++;
	}
}

/* ---- Registration ---------------------------------------------------------------- */

static void send_registration(struct reflector *r, const uint8_t packet[REGISTRATION_SIZE])
{
	char text[ADDRESS_TEXT_SIZE];
	int e = datagram_send(r->fd, NULL, &r->node, packet, REGISTRATION_SIZE);

	if (e < 0)
		log_debug("register", "node=%s cannot send: %s", address_format(&r->node, text),
			  strerror(-e));
}

/* Until when we are to be heard of again. A node that does not answer is not worth being awake
 * for either. */
static uint64_t pause_ns(const struct reflector *r)
{
	if (r->registrar.asleep && (r->told || r->unanswered > UNANSWERED_MAX))
		return r->config.sleep_interval_ns;
	return r->config.interval_ns;
}

static void note_told(struct reflector *r)
{
	if (r->told)
		return;
	r->told = true;
	if (r->registrar.asleep)
		(void)sd_event_source_set_time(r->timer,
					       (clock_mono_ns() + pause_ns(r)) / NS_PER_US);
}

static void on_answer(struct reflector *r, const struct datagram *d)
{
	uint8_t packet[REGISTRATION_SIZE];
	char text[ADDRESS_TEXT_SIZE];

	if (!address_equal(&d->from, &r->node))
		return;
	switch (registrar_receive(&r->registrar, d->data, d->len)) {
	case REGISTRAR_ACCEPTED:
		r->counters.accepted++;
		r->unanswered = 0;
		note_told(r);
		if (address_equal(&r->registered_with, &r->node))
			break;
		r->registered_with = r->node;
		log_info("register", "node=%s registered", address_format(&r->node, text));
		break;
	case REGISTRAR_REPEAT:
		registrar_repeat(&r->registrar, clock_utc_ns(), packet);
		send_registration(r, packet);
		break;
	case REGISTRAR_IGNORED:
		break;
	}
}

static void find_node(struct reflector *r)
{
	struct address node = r->config.node;

	if (r->config.node_is_gateway && gateway_read(&node) < 0)
		node = (struct address){ 0 };
	if (address_equal(&node, &r->node))
		return;
	if (address_is_none(&node))
		log_warning("register", "there is no default gateway");
	r->unanswered = 0;
	r->node = node;
}

static void note_silence(struct reflector *r)
{
	char text[ADDRESS_TEXT_SIZE];

	if (r->unanswered++ != UNANSWERED_MAX)
		return;
	log_warning("register", "node=%s does not answer; it must know this device and its key",
		    address_format(&r->node, text));
	r->registered_with = (struct address){ 0 };
}

static void refresh(struct reflector *r)
{
	uint8_t packet[REGISTRATION_SIZE];

	r->error_estimate = stamp_error_of_clock(STAMP_NTP);
	find_node(r);
	if (address_is_none(&r->node)) {
		r->registered_with = r->node;
		return;
	}
	note_silence(r);
	r->counters.refreshes++;
	registrar_refresh(&r->registrar, clock_utc_ns(), packet);
	send_registration(r, packet);
}

/* ---- The loop ----------------------------------------------------------------------- */

static int on_timer(sd_event_source *source, uint64_t due_us, void *userdata)
{
	struct reflector *r = userdata;
	uint64_t next;

	refresh(r);
	next = due_us + pause_ns(r) / NS_PER_US;
	if (next < clock_mono_ns() / NS_PER_US)
		next = clock_mono_ns() / NS_PER_US;
	return sd_event_source_set_time(source, next);
}

void reflector_set_asleep(struct reflector *r, bool asleep)
{
	if (asleep == r->registrar.asleep)
		return;
	log_info("register", "%s", asleep ? "asleep" : "awake");
	registrar_set_asleep(
		&r->registrar, asleep,
		(uint32_t)((asleep ? r->config.sleep_interval_ns : r->config.interval_ns) /
			   NS_PER_MS));
	r->told = false;
	r->unanswered = 0;
	(void)sd_event_source_set_time(r->timer, clock_mono_ns() / NS_PER_US);
}

static int on_readable(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct reflector *r = userdata;
	struct datagram d;

	(void)source, (void)revents;
	for (int i = 0; i < BATCH && datagram_receive(fd, &d) == 0; i++)
		if (registration_is(d.data, d.len))
			on_answer(r, &d);
		else
			reflect(r, &d);
	return 0;
}

int reflector_start(const struct reflector_config *config, sd_event *loop, struct reflector **ret,
		    struct mg_error *err)
{
	_cleanup_(reflector_free_p) struct reflector *r = calloc(1, sizeof(*r));
	int e;

	if (!r || sodium_init() < 0)
		return mg_error_set(err, -ENOMEM, "out of memory");
	r->config = *config;
	source_slots_init(&r->slots);
	r->least_size = session_reflector_least_size(&config->stamp);
	r->config.stamp.key.present = true;
	memcpy(r->config.stamp.key.bytes, config->key, DEVICE_KEY_SIZE);
	r->loop = sd_event_ref(loop);
	r->registrar = (struct registrar){
		.device = config->device,
		.period_ms = (uint32_t)(config->interval_ns / NS_PER_MS),
	};
	memcpy(r->registrar.key, config->key, DEVICE_KEY_SIZE);
	r->fd = -1;
	e = session_reflector_new(&r->config.stamp, &r->sessions);
	if (e < 0)
		return mg_error_set(err, e, "out of memory");
	e = datagram_open(&config->listen, &r->fd, err);
	if (e < 0)
		return e;
	e = datagram_local(r->fd, &r->local);
	if (e >= 0)
		e = datagram_want_tos(r->fd);
	if (e >= 0)
		e = sd_event_add_io(loop, &r->io, r->fd, EPOLLIN, on_readable, r);
	if (e >= 0)
		e = sd_event_add_time(loop, &r->timer, CLOCK_MONOTONIC, clock_mono_ns() / NS_PER_US,
				      NS_PER_MS / NS_PER_US, on_timer, r);
	if (e >= 0)
		e = sd_event_source_set_enabled(r->timer, SD_EVENT_ON);
	if (e < 0)
		return mg_error_set(err, e, "event loop: %s", strerror(-e));
	*ret = TAKE_PTR(r);
	return 0;
}

void reflector_free(struct reflector *r)
{
	if (!r)
		return;
	sd_event_source_disable_unref(r->io);
	sd_event_source_disable_unref(r->timer);
	sd_event_unref(r->loop);
	if (r->fd >= 0)
		close(r->fd);
	session_reflector_free(r->sessions);
	sodium_memzero(r, sizeof(*r));
	free(r);
}

const struct address *reflector_local(const struct reflector *r)
{
	return &r->local;
}

const struct address *reflector_registered_with(const struct reflector *r)
{
	return &r->registered_with;
}

const struct reflector_counters *reflector_counters(const struct reflector *r)
{
	return &r->counters;
}

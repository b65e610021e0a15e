/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/uplink.h"

#include <search.h>
#include <string.h>
#include <sys/queue.h>

#include "common/clock.h"
#include "common/log.h"

#define CONNECTING_NS (250 * NS_PER_MS) /* between two tries while there is no connection */

/* What is not answered yet, the latest for each device. */
struct seen {
	LIST_ENTRY(seen) link;
	struct uuid device;
	struct address address;
	bool attached, asleep;
	int64_t seq; /* of its last message; 0: not sent */
};

struct uplink {
	struct bus *bus;
	struct bus_socket *dealer;
	sd_event_source *timer;
	struct uplink_events events;
	bool met; /* it has taken our hello */
	bool meeting; /* and is about to be told of all devices */
	struct uuid controller_boot;
	uint64_t controller_epoch;
	int64_t hello_seq;
	uint64_t watch_number; /* of the last message of its watch list; 0: it had none */
	/* There may be as many as there are devices. */
	LIST_HEAD(, seen) unanswered;
	void *by_device, *by_seq; /* the same, as trees of search.h; by_seq: those that were sent */
};

static int compare_device(const void *a, const void *b)
{
	return memcmp(((const struct seen *)a)->device.bytes,
		      ((const struct seen *)b)->device.bytes, UUID_SIZE);
}

static int compare_seq(const void *a, const void *b)
{
	int64_t x = ((const struct seen *)a)->seq, y = ((const struct seen *)b)->seq;

	return x < y ? -1 : x > y;
}

/* ---- What we say ----------------------------------------------------------------- */

static void send_hello(struct uplink *u)
{
	Tagalong__NodeHello hello = TAGALONG__NODE_HELLO__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	hello.role = TAGALONG__NODE_ROLE__NODE_TELEMETRY;
	hello.has_takes_watch_changes = hello.takes_watch_changes = true;
	if (bus_public_key(u->bus)[0])
		hello.public_key = (char *)bus_public_key(u->bus);
	e.body_case = TAGALONG__ENVELOPE__BODY_NODE_HELLO;
	e.node_hello = &hello;
	u->hello_seq = bus_send(u->dealer, NULL, &e);
}

static void send_seen(struct uplink *u, struct seen *s)
{
	Tagalong__ClientSeen seen = TAGALONG__CLIENT_SEEN__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	char text[ADDRESS_TEXT_SIZE];

	seen.device = (ProtobufCBinaryData){ UUID_SIZE, s->device.bytes };
	seen.address = (char *)address_format(&s->address, text);
	seen.attached = s->attached;
	seen.has_asleep = seen.asleep = s->asleep;
	e.body_case = TAGALONG__ENVELOPE__BODY_CLIENT_SEEN;
	e.client_seen = &seen;
	if (s->seq > 0)
		tdelete(s, &u->by_seq, compare_seq);
	s->seq = bus_send(u->dealer, NULL, &e);
	/* Without memory its answer is not known as that, and it is told again. */
	if (s->seq > 0 && !tsearch(s, &u->by_seq, compare_seq))
		s->seq = 0;
}

/* Before a hello is answered the controller would only refuse the rest. */
static void send_all_seen(struct uplink *u)
{
	struct seen *s;

	if (!u->met)
		return;
	LIST_FOREACH(s, &u->unanswered, link)
		send_seen(u, s);
}

static struct seen *find_seen(struct uplink *u, const struct uuid *device)
{
	const struct seen key = { .device = *device };
	struct seen *const *found = tfind(&key, &u->by_device, compare_device);
	struct seen *s = found ? *found : calloc(1, sizeof(*s));

	if (found || !s)
		return s;
	s->device = *device;
	if (!tsearch(s, &u->by_device, compare_device)) {
		free(s);
		return NULL;
	}
	LIST_INSERT_HEAD(&u->unanswered, s, link);
	return s;
}

void uplink_client_seen(struct uplink *u, const struct device *device, bool attached)
{
	struct seen *s = u->met || u->meeting ? find_seen(u, &device->id) : NULL;

	if (!s)
		return;
	s->address = device->address;
	s->attached = attached;
	s->asleep = device->asleep;
	if (u->met)
		send_seen(u, s);
}

static void forget_seen(struct uplink *u, struct seen *s)
{
	if (s->seq > 0)
		tdelete(s, &u->by_seq, compare_seq);
	tdelete(s, &u->by_device, compare_device);
	LIST_REMOVE(s, link);
	free(s);
}

/* ---- What we hear ------------------------------------------------------------------ */

static void meet_controller(struct uplink *u, const Envelope *e)
{
	struct uuid boot;

	memcpy(boot.bytes, e->boot_id.data, UUID_SIZE);
	if (u->met && uuid_equal(&boot, &u->controller_boot) && e->epoch == u->controller_epoch)
		return;
	log_info("uplink", "controller=%s met", e->sender);
	/* What this adds is sent below, with what was waiting. */
	u->met = false;
	u->meeting = true;
	u->events.on_new_controller(e->epoch, u->events.userdata);
	u->meeting = false;
	u->met = true;
	u->controller_boot = boot;
	u->controller_epoch = e->epoch;
	send_all_seen(u);
}

/* It has forgotten us, or was restarted between two of our messages. */
static void start_over(struct uplink *u)
{
	u->met = false;
	send_hello(u);
}

static void on_answer(struct uplink *u, const Envelope *e)
{
	bool failed = e->body_case == TAGALONG__ENVELOPE__BODY_FAILURE;
	struct seen key = { 0 }, *const *found;

	if (failed && e->failure->code == ESTALE) {
		/* A refused hello is repeated in its own time: that one does not lead. */
		if ((int64_t)e->reply_to != u->hello_seq)
			start_over(u);
		u->met = false;
		return;
	}
	if (failed)
		log_warning("uplink", "controller=%s refused: %s", e->sender, e->failure->text);
	if (!e->has_reply_to)
		return;
	if ((int64_t)e->reply_to == u->hello_seq && !failed)
		meet_controller(u, e);
	key.seq = (int64_t)e->reply_to;
	found = tfind(&key, &u->by_seq, compare_seq);
	if (found)
		forget_seen(u, *found);
}

static void read_entry(const Tagalong__WatchEntry *w, struct prober_watch *ret)
{
	memcpy(ret->device.bytes, w->device.data, UUID_SIZE);
	ret->gone = w->has_gone && w->gone;
	ret->interval_ns = w->has_interval_ns ? w->interval_ns : 0;
	ret->asleep = w->has_asleep && w->asleep;
	ret->idle = w->has_idle && w->idle;
	if (w->address && address_parse(w->address, 0, &ret->address) < 0)
		log_warning("uplink", "client=%s '%s' is no address", w->name, w->address);
}

static void on_watch_list(struct uplink *u, const Envelope *e)
{
	const Tagalong__WatchList *list = e->watch_list;
	_cleanup_free_ struct prober_watch *watches = calloc(list->n_clients + 1, sizeof(*watches));
	const struct uplink_watch watch = { .list = watches,
					    .n = list->n_clients,
					    .begins = !list->has_after,
					    .ends = !list->has_more || !list->more,
					    .threshold_ns = list->has_threshold_ns ? list->threshold_ns : 0,
					    .epoch = e->epoch };
	struct mg_error err = { 0 };

	if (!watches)
		return;
	for (size_t i = 0; i < list->n_clients; i++)
		read_entry(list->clients[i], &watches[i]);
	if (list->has_after && (!u->watch_number || list->after != u->watch_number))
		mg_error_set(&err, -EAGAIN, "what that watch list goes on from is not here");
	else if (!u->events.on_watch_list(&watch, u->events.userdata))
		mg_error_set(&err, -ESTALE, "stale watch list: another controller has taken over");
	u->watch_number = !err.code && list->has_number ? list->number : 0;
	if (err.code)
		bus_reply_failure(u->dealer, NULL, e, &err);
	else if (watch.ends)
		bus_reply_done(u->dealer, NULL, e);
}

static void on_message(struct bus_socket *socket, const struct bus_peer *from, const Envelope *e,
		       void *userdata)
{
	struct uplink *u = userdata;
	struct mg_error err;

	(void)from;
	switch (e->body_case) {
	case TAGALONG__ENVELOPE__BODY_WATCH_LIST:
		on_watch_list(u, e);
		break;
	case TAGALONG__ENVELOPE__BODY_DONE:
	case TAGALONG__ENVELOPE__BODY_FAILURE:
		on_answer(u, e);
		break;
	default:
		mg_error_set(&err, -EOPNOTSUPP, "a telemetry node takes no %s",
			     envelope_body_name(e));
		bus_reply_failure(socket, NULL, e, &err);
	}
}

/* ---- Life ---------------------------------------------------------------------------- */

static int on_timer(sd_event_source *source, uint64_t due_us, void *userdata)
{
	struct uplink *u = userdata;

	uint64_t pause;

	(void)due_us;
	send_hello(u);
	send_all_seen(u);
	pause = u->hello_seq > 0 ? UPLINK_HELLO_NS : CONNECTING_NS;
	return sd_event_source_set_time(source, (clock_mono_ns() + pause) / NS_PER_US);
}

int uplink_new(sd_event *loop, struct bus *bus, const char *endpoint, const char *server_key,
	       const struct uplink_events *events, struct uplink **ret, struct mg_error *err)
{
	_cleanup_(uplink_free_p) struct uplink *u = calloc(1, sizeof(*u));
	int r;

	if (!u)
		return mg_error_set(err, -ENOMEM, "out of memory");
	u->bus = bus;
	u->events = *events;
	LIST_INIT(&u->unanswered);
	r = bus_connect(bus, BUS_DEALER, endpoint, server_key, on_message, u, &u->dealer, err);
	if (r < 0)
		return r;
	r = sd_event_add_time(loop, &u->timer, CLOCK_MONOTONIC, 0, 0, on_timer, u);
	if (r >= 0)
		r = sd_event_source_set_enabled(u->timer, SD_EVENT_ON);
	if (r < 0)
		return mg_error_set(err, r, "event loop: %s", strerror(-r));
	*ret = TAKE_PTR(u);
	return 0;
}

void uplink_free(struct uplink *u)
{
	if (!u)
		return;
	sd_event_source_disable_unref(u->timer);
	bus_socket_free(u->dealer);
	while (!LIST_EMPTY(&u->unanswered))
		forget_seen(u, LIST_FIRST(&u->unanswered));
	free(u);
}

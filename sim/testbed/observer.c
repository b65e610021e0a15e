/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/testbed/observer.h"

#include "common/clock.h"

#define MOVES_LIMIT 32
#define TIMER_ACCURACY_US 1000

struct observer {
	struct bus *bus;
	struct bus_socket *socket;
	sd_event_source *timer;
	uint64_t interval_us;
	struct observer_handlers handlers;
	void *userdata;
};

static void on_answer(struct bus_socket *s, const struct bus_peer *from, const Envelope *e,
		      void *userdata)
{
	struct observer *o = userdata;

	(void)s;
	(void)from;
	if (e->body_case == TAGALONG__ENVELOPE__BODY_STATUS)
		o->handlers.on_status(e->status, o->userdata);
	else if (e->body_case == TAGALONG__ENVELOPE__BODY_MOVE_LIST)
		o->handlers.on_moves(e->move_list, o->userdata);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct observer *o = userdata;
	Tagalong__StatusQuery status = TAGALONG__STATUS_QUERY__INIT;
	Tagalong__MoveQuery moves = TAGALONG__MOVE_QUERY__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	(void)usec;
	/* Moves first, so that an arrival is told before what follows from it. What
	 * is lost is asked again the next time. */
	moves.has_limit = 1;
	moves.limit = MOVES_LIMIT;
	e.body_case = TAGALONG__ENVELOPE__BODY_MOVE_QUERY;
	e.move_query = &moves;
	bus_send(o->socket, NULL, &e);
	tagalong__envelope__init(&e);
	e.body_case = TAGALONG__ENVELOPE__BODY_STATUS_QUERY;
	e.status_query = &status;
	bus_send(o->socket, NULL, &e);
	sd_event_source_set_time_relative(source, o->interval_us);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

int observer_new(sd_event *loop, const char *name, const struct keypair *keys,
		 const char *endpoint, const char *server_key, uint64_t interval_ns,
		 const struct observer_handlers *handlers, void *userdata, struct observer **ret,
		 struct mg_error *err)
{
	const struct bus_config config = { .name = name, .keys = keys };
	struct observer *o = calloc(1, sizeof(*o));
	int r;

	if (!o)
		return mg_error_set(err, -ENOMEM, "out of memory");
	o->handlers = *handlers;
	o->userdata = userdata;
	o->interval_us = interval_ns / NS_PER_US;
	r = bus_new(loop, &config, &o->bus, err);
	if (r >= 0)
		r = bus_connect(o->bus, BUS_DEALER, endpoint, server_key, on_answer, o, &o->socket,
				err);
	if (r >= 0) {
		r = sd_event_add_time_relative(loop, &o->timer, CLOCK_MONOTONIC, o->interval_us,
					       TIMER_ACCURACY_US, on_timer, o);
		if (r < 0)
			mg_error_set(err, r, "timer: %s", strerror(-r));
	}
	if (r < 0) {
		observer_free(o);
		return r;
	}
	*ret = o;
	return 0;
}

void observer_free(struct observer *o)
{
	if (!o)
		return;
	sd_event_source_disable_unref(o->timer);
	bus_free(o->bus);
	free(o);
}

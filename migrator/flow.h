/* SPDX-License-Identifier: Apache-2.0
 *
 * What outflow and inflow have in common: a thread with a ring, an owner on an
 * sd-event loop, and events from the first to the second.
 */
#ifndef MIGRATOR_FLOW_H
#define MIGRATOR_FLOW_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <systemd/sd-event.h>

#include "common/error.h"
#include "migrator/ring.h"

struct flow;

/* `event` counts from 0; of several that have happened the least is told first. The flow may be freed
 * inside. */
typedef void (*flow_event_fn)(struct flow *flow, unsigned event);
typedef void (*flow_run_fn)(struct flow *flow);

struct flow {
	struct ring ring;
	pthread_t thread;
	bool running;
	flow_run_fn run;
	flow_event_fn on_event;
	sd_event_source *source;
	int notify_fd; /* thread to owner */
	int wake_fd;   /* owner to thread */
	struct ring_op wake_op;
	atomic_bool stopping;
	atomic_uint events;
	struct mg_error error; /* written before its event is posted */
};

int flow_init(struct flow *flow, sd_event *loop, flow_run_fn run, flow_event_fn on_event,
	      struct mg_error *err);
int flow_start(struct flow *flow, struct mg_error *err);

/* Stops and joins the thread; its operations are cancelled. */
void flow_stop(struct flow *flow);
void flow_exit(struct flow *flow);

/* For the thread. */
void flow_watch_wake(struct flow *flow);
void flow_post(struct flow *flow, unsigned event);

/* For the owner: makes the thread's ring_run() return. */
void flow_wake(struct flow *flow);

#endif

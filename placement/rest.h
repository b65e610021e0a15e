/* SPDX-License-Identifier: Apache-2.0
 *
 * placementd's HTTP side, for orchestrators: who asks is told apart by tokens, what
 * is asked becomes the message that the bus has too (rest_operations.h), and the
 * answer is what the controller sends back, which it does after the commit. There
 * is no other way into its state.
 */
#ifndef PLACEMENT_REST_H
#define PLACEMENT_REST_H

#include <systemd/sd-event.h>

#include "common/bus.h"
#include "common/http.h"
#include "common/metrics.h"
#include "placement/event_stream.h"

struct rest;

struct rest_config {
	struct address listen;
	const char *tokens;            /* the file; see common/tokens.h */
	const char *certificate, *key; /* files in PEM; NULL: in the clear */
	const char *advertise;         /* the URL that links begin with, or NULL */
	size_t body_max;
	unsigned connections, connections_each, timeout_s;
};

/* What it asks of the daemon. */
struct rest_host {
	void *userdata;
	const char *name; /* of this controller */

	/* Deals with a message of an operator. What is answered comes by rest_answer(),
	 * at once or later. -ESTALE: this controller does not lead; else what
	 * controller_input() returns. */
	int (*receive)(void *userdata, const struct bus_peer *from, Envelope *e,
		       struct mg_error *err);

	/* Who leads; what it points to lives until the next input. */
	void (*leader)(void *userdata, Tagalong__Leader *ret);

	/* A notice (see mec021.h) was delivered, or given up. */
	void (*told)(void *userdata, uint64_t notice);

	/* Writes what /metrics shows. */
	void (*measure)(void *userdata, struct metrics *m);
};

/* `config` and `host` are borrowed. Fails when the port is taken, or a file cannot be
 * read or makes no sense. */
int rest_new(sd_event *loop, const struct rest_config *config, const struct rest_host *host,
	     struct rest **ret, struct mg_error *err);
void rest_free(struct rest *r);
DEFINE_CLEANUP(struct rest, rest_free)

/* Where it listens. */
const struct address *rest_local(const struct rest *r);

/* Whether a message that the controller sends to this peer is for us; then it is dealt with. */
bool rest_answer(struct rest *r, const struct bus_peer *to, const Envelope *e);

/* What happened, for who listens to events. `data` is one line of JSON. */
void rest_event(struct rest *r, enum event_type type, const char *data);

/* This controller no longer leads: whoever waits or listens is told to go elsewhere. */
void rest_step_down(struct rest *r);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * The daemon's side towards programs that are none of ours: HTTP, figures and
 * webhooks, and what happens on its way there. All of it is optional.
 */
#ifndef PLACEMENT_GATEWAY_H
#define PLACEMENT_GATEWAY_H

#include "placement/exporter.h"
#include "placement/placement_config.h"
#include "placement/rest.h"
#include "placement/webhook.h"

struct gateway {
	const struct placement_config *config;
	struct rest_host host;
	struct rest *rest;         /* NULL: not wanted */
	struct webhooks *webhooks; /* the same */
	struct exporter exporter;
};

/* Whether anybody wants to know of events. */
bool gateway_listens(const struct placement_config *config);

/* `host` is copied. */
int gateway_start(struct gateway *g, sd_event *loop, const struct placement_config *config,
		  const struct rest_host *host, struct mg_error *err);
void gateway_stop(struct gateway *g);

/* This controller no longer leads: what it has still to answer or to tell is another's business. */
void gateway_step_down(struct gateway *g);

/* What happened. */
void gateway_event(struct gateway *g, const PlacementEvent *event);

/* What /metrics shows; see exporter_write(). */
void gateway_measure(const struct gateway *g, const struct controller *c,
		     const struct store *store, struct metrics *m);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * A telemetry node's figures for Prometheus: GET /metrics. There are those of the
 * node and, over its clients, how their times are distributed; no series a client,
 * for a node may have 100,000. A client's own figures are the controller's to show.
 */
#ifndef TELEMETRY_EXPORTER_H
#define TELEMETRY_EXPORTER_H

#include "common/http.h"
#include "telemetry/bridge_watch.h"
#include "telemetry/prober.h"
#include "telemetry/registry.h"

struct exporter;

/* Whose figures they are. */
struct exporter_sources {
	const struct prober *prober;
	const struct registry *registry;
	const struct bridge_watch *passing; /* NULL: there is none */
};

/* The sources are borrowed. */
int exporter_new(sd_event *loop, const struct address *listen,
		 const struct exporter_sources *sources, struct exporter **ret,
		 struct mg_error *err);
void exporter_free(struct exporter *e);
DEFINE_CLEANUP(struct exporter, exporter_free)

/* Where it listens. */
const struct address *exporter_local(const struct exporter *e);

#endif

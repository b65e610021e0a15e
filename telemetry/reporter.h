/* SPDX-License-Identifier: Apache-2.0
 *
 * Publishes what the prober learns: at each report interval one RttReport, or
 * several, with every client of which something has changed; over many clients it goes in steps,
 * between which probes leave. Nobody answers;
 * what is lost is made good by the next sample, for all figures are absolute; numbers tell a
 * controller that something was.
 */
#ifndef TELEMETRY_REPORTER_H
#define TELEMETRY_REPORTER_H

#include "common/bus.h"
#include "common/cleanup.h"
#include "telemetry/controllers.h"
#include "telemetry/prober.h"

#define REPORTER_BATCH 1000 /* clients in one message */

struct reporter;

/* `prober` is borrowed. What is published goes to all controllers; those that do not
 * lead throw it away. */
int reporter_new(sd_event *loop, struct bus *bus, const struct telemetry_controller *controllers,
		 size_t n_controllers, struct prober *prober, uint64_t interval_ns, struct reporter **ret,
		 struct mg_error *err);
/* From the next report on. */
void reporter_set_interval(struct reporter *r, uint64_t interval_ns);

void reporter_free(struct reporter *r);
DEFINE_CLEANUP(struct reporter, reporter_free)

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * Figures of a controller for Prometheus; placementd(8) lists them. Those of moves
 * have KubeVirt's names where there is such a figure
 * (https://kubevirt.io/monitoring/metrics.html), with our prefix.
 */
#ifndef PLACEMENT_EXPORTER_H
#define PLACEMENT_EXPORTER_H

#include "common/metrics.h"
#include "placement/environment.h"
#include "placement/figures.h"

enum exporter_input { EXPORTER_MESSAGE, EXPORTER_TIMER, EXPORTER_PLAN, EXPORTER_INPUTS };

#define EXPORTER_REASONS 16 /* codes that are told apart; the rest is "other" */

struct exporter_outcomes {
	char reason[32];
	uint64_t done, aborted, revoked, lost, in_doubt;
};

/* What is counted while placementd runs. */
struct exporter {
	struct metrics_histogram inputs[EXPORTER_INPUTS], blackout, duration;
	struct exporter_outcomes outcomes[EXPORTER_REASONS];
	size_t n_outcomes;
	uint64_t samples, wire_bytes, guest_bytes, terms; /* terms: in office */
};

void exporter_init(struct exporter *x);
void exporter_note_input(struct exporter *x, enum exporter_input kind, uint64_t took_ns);
void exporter_note_event(struct exporter *x, const PlacementEvent *event);

/* `c` NULL: this one does not lead, and there is nothing of a fleet. */
void exporter_write(const struct exporter *x, const struct controller *c, const struct store *store,
		    struct metrics *m);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * What can be counted of a controller's state, for metrics.
 */
#ifndef PLACEMENT_FIGURES_H
#define PLACEMENT_FIGURES_H

#include "placement/controller.h"

#define FIGURES_VM_STATES (TAGALONG__VM_STATE__VM_GONE + 1)
#define FIGURES_MOVE_STATES (TAGALONG__MOVE_STATE__MOVE_IN_DOUBT + 1)

struct controller_figures {
	uint64_t epoch;
	size_t nodes, migrators_up, telemetries_up, drained;
	uint64_t reports_missed;
	size_t devices, asleep, pairs;         /* devices that have VMs */
	size_t vms[FIGURES_VM_STATES], frozen; /* as nodes tell them */
	size_t warming; /* of them: their memory is being sent ahead */
	size_t moves[FIGURES_MOVE_STATES];     /* open ones */
};

void controller_figures(const struct controller *c, struct controller_figures *ret);

/* Every open move. */
typedef void (*controller_move_fn)(const Tagalong__MoveInfo *move, void *userdata);
void controller_each_move(const struct controller *c, controller_move_fn fn, void *userdata);

#endif

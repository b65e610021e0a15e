/* SPDX-License-Identifier: Apache-2.0
 *
 * How long a VM's move to a node would take, by what earlier moves took: the bytes of its
 * last move to a host that had its image, and of its last to one that had not, at the rate that the
 * two nodes were last seen to have. An estimate beforehand, for the choice between targets; what
 * a move's own source says (migrator/forecast.h) is better.
 */
#ifndef PLACEMENT_MOVE_COST_H
#define PLACEMENT_MOVE_COST_H

#include "placement/fleet.h"

struct move_cost {
	uint64_t total_ns;
	bool has_image; /* the target keeps one of the VM */
};

/* A move is done, and has cost this. A node that is not known is NULL. */
void move_cost_learn(struct vm *vm, struct node *source, struct node *target,
		     const Tagalong__MoveFigures *figures);

/* Of a VM that is on a node. */
struct move_cost move_cost_predict(const struct vm *vm, const struct node *target);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * Quarantine of nodes to which moves keep failing. After so many failures in a row, within a
 * window, a node is no target for a while; each time longer, until a move to it succeeds.
 *
 * Not counted are moves that were called off or that their source refused, and those of a
 * VM whose last move had failed on its way to another node: it is the VM that cannot be moved.
 */
#ifndef PLACEMENT_QUARANTINE_H
#define PLACEMENT_QUARANTINE_H

#include "placement/effects.h"
#include "placement/fleet.h"

/* What came of a move of the VM to the node. To be called before the VM's own account of
 * failures is changed. */
void quarantine_success(struct fleet *fleet, struct node *node);
void quarantine_failure(struct effects *fx, struct fleet *fleet,
			const Tagalong__Placement__Limits *limits, struct node *node,
			const struct vm *vm);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * Grants wishes within what nodes can hold and how much may move at once. Pure
 * and deterministic: the same fleet, traffic and wishes give the same plan.
 */
#ifndef PLACEMENT_PLANNER_H
#define PLACEMENT_PLANNER_H

#include "placement/fleet.h"

struct planner_limits {
	unsigned moves;          /* at once in all */
	unsigned moves_per_node; /* at once into a node, and as many out of it */
	unsigned moves_per_link; /* at once from one node to another; 0: no limit */
	unsigned evacuation;     /* all of these so many times for VMs of an evacuated node; 0: once */
};

/* What is on its way, by node number. The VMs that a node has reported are in
 * its load, also those that it is receiving; `reserved` are the others. */
struct node_traffic {
	unsigned in, out; /* moves */
	struct load reserved;
};

struct route {
	uint32_t from, to; /* node numbers */
};

struct traffic {
	unsigned moves;
	struct node_traffic *nodes; /* room for all nodes of the fleet */
	struct route *routes;       /* of each move, with room for all; NULL: not needed */
};

/* Whether the VM fits beside what is there and what comes. A node that did
 * not say what it has is not limited. */
bool planner_fits(const struct node *node, const struct load *reserved, const struct vm *vm);

/* Accounts for one more move. */
void traffic_add(struct traffic *traffic, const struct vm *vm, const struct node *source,
		 const struct node *target);

/* One VM's wishes, the best first, and what becomes of them. */
struct plan_item {
	struct vm *vm;
	struct policy_wish wishes[POLICY_WISHES_MAX];
	size_t n_wishes;
	uint64_t move_ns[POLICY_WISHES_MAX]; /* what each move would take; 0: unknown */
	uint64_t horizon_ns; /* for how long a benefit counts, the move included; 0: for ever */
	uint64_t min_stay_ns; /* after its last move, whatever a policy says */
	bool urgent; /* it leaves however short its stay was */
	const struct policy_wish *granted; /* NULL: none, see refusal */
	const char *refusal;               /* a short phrase that stays; of the best wish */
};

/* Fills in `granted` and `refusal` and adds the grants to the traffic. VMs of evacuated
 * nodes come first, and of them and the others those in the foreground; of each kind those are granted that gain the most together
 * (see assign.h). Of several VMs that are kept apart and would go to one node the first gets
 * there; the others wait for the next plan, in which they know of it. -ENOMEM: nothing was granted. */
int planner_plan(const struct fleet *fleet, const struct planner_limits *limits,
		 uint64_t now_utc_ns, struct traffic *traffic, struct plan_item *items, size_t n);

#endif

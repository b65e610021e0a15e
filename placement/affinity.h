/* SPDX-License-Identifier: Apache-2.0
 *
 * Groups of VMs that are kept together on one node, or apart on nodes of their own.
 *
 * Apart is a limit: no plan sends a VM to a node where another one of the group is, or is
 * going. Together is a wish: one VM of the group leads (the first by name of those in the
 * foreground, else the first that is anywhere) and goes where its policy says; the others
 * have no wish but to be where it is, once it has arrived. A VM is in one such group at most.
 */
#ifndef PLACEMENT_AFFINITY_H
#define PLACEMENT_AFFINITY_H

#include "placement/fleet.h"

struct affinity {
	char name[NAME_SIZE];
	bool apart;
	struct vm **vms; /* in the order of their names */
	size_t n_vms;
};

/* -EEXIST: the group is of the other kind; -ENOMEM. Being in it already is no error. */
int affinity_join(struct fleet *fleet, struct vm *vm, const char *name, bool apart);
/* False: the VM is not in it. The last one to leave ends the group. */
bool affinity_leave(struct fleet *fleet, struct vm *vm, const char *name);

/* Why the VM must not go to that node, a phrase that stays; NULL: it may. */
const char *affinity_refusal(const struct vm *vm, const struct node *target);

/* The VM that this one is to be with; NULL: none, or it leads itself. */
struct vm *affinity_leader(const struct vm *vm);

void affinity_clear(struct fleet *fleet);

#endif

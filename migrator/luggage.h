/* SPDX-License-Identifier: Apache-2.0
 *
 * What goes along with a VM from node to node: the key of its images, where there
 * may be any, and the tail of its last move. The node that has the VM has the luggage, in its journal; it
 * goes with PeerPrepare, and is the target's from RUN on and no more the source's
 * from DONE on. So images can be read by whoever has the VM, and by nobody once
 * the VM is no more.
 */
#ifndef MIGRATOR_LUGGAGE_H
#define MIGRATOR_LUGGAGE_H

#include "migrator/node.h"

typedef Tagalong__VmLuggage VmLuggage;

#define LUGGAGE_VISITED_MAX 16 /* nodes; those that were visited earlier are forgotten */

/* One with a fresh key. NULL when out of memory. */
VmLuggage *luggage_new(void);
VmLuggage *luggage_copy(const VmLuggage *l);

/* Wipes the key. NULL is fine. */
void luggage_free(VmLuggage *l);
DEFINE_CLEANUP(VmLuggage, luggage_free)

/* Notes that the VM has been here. 0 or -ENOMEM. */
int luggage_add_visit(VmLuggage *l, const char *node, const char *endpoint, const char *public_key);

/* The packed tail of its last move (tail.h), taken over; NULL: none is known. */
void luggage_set_tail(VmLuggage *l, uint8_t *packed, size_t len);

/* The VM is no more: removes its images here and asks the nodes that it visited to do
 * so, for a while. Those that cannot be reached keep what nobody can read. */
void luggage_destroy(struct node *n, const VmLuggage *l);

/* A node says so; answered with Done. */
void luggage_forget_for(struct node *n, struct bus_socket *s, const struct bus_peer *from,
			const Envelope *e);

/* Gives up what is still being told. */
void luggage_stop_telling(struct node *n);

#endif

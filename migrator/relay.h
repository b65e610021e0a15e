/* SPDX-License-Identifier: Apache-2.0
 *
 * Relays: one migration between two QEMUs of others, such as libvirt's, through us. At the
 * source QEMU migrates to a socket that we listen on, at the target we are the source for
 * a QEMU that listens:
 *
 *     QEMU ─unix socket─> outflow ═TCP═> inflow ─unix socket─> QEMU
 *
 * Who steers both also decides: when the guest stops, and who runs it in the end. So SHUT is
 * passed on at once, nothing is journaled before the end, and a daemon that dies takes both
 * sockets along: then the source's QEMU runs its guest on. The guest's RAM is not ours at
 * either end, so each has a copy, for as long as it takes.
 *
 * relay.c is the source's end, relay_target.c the target's.
 */
#ifndef MIGRATOR_RELAY_H
#define MIGRATOR_RELAY_H

#include "migrator/link.h"
#include "migrator/move.h"

/* Where the stream of a VM comes to, and where it goes to on the other node. -EOPNOTSUPP without a
 * relay_dir, -EINVAL for a bad name. */
int relay_path(const struct node *n, const char *vm, char ret[108], struct mg_error *err);

/* An anonymous file for the copy of the guest's RAM, which is counted as memory that VMs use. Or
 * a negative errno: -ENOSPC when this node has no room for it. */
int relay_take_memory(struct node *n, const char *vm, uint64_t bytes, struct mg_error *err);
void relay_return_memory(struct node *n, int fd, uint64_t bytes);

/* VmRelay; answered with RelayWaits, or Failure. */
void relay_order(struct node *n, struct bus_socket *s, const struct bus_peer *from,
		 const Envelope *e);

/* False: there is none of that id. */
bool relay_cancel(struct node *n, const Tagalong__MoveCancel *cancel, const char *who);

/* What a query asks for, of those that are under way; `infos` may be NULL. */
size_t relay_infos(struct node *n, const Tagalong__MoveQuery *q, MoveInfo **infos);

/* As outgoing_take_answer(). */
void relay_take_answer(struct node *n, uint64_t reply_to);

/* PeerRelay, or what is said about one. False: it is about something else. */
bool relay_target_message(struct node *n, struct bus_socket *s, const struct bus_peer *from,
			  const Envelope *e);

/* A data connection of one, which is taken over. False: it is none's. */
bool relay_target_data(struct node *n, int fd, const struct link_hello *hello);
void relay_targets_free(struct node *n);

/* All that there is, at both ends. */
void relays_free(struct node *n);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * Application mobility after ETSI GS MEC 021: who has registered for which devices, who
 * has subscribed, and what they are told of moves. What the standard's words are here:
 *
 *   application instance   a VM, by its name; or whatever a registration says it is
 *   application descriptor the VM's base image; of a VM without one, its name
 *   associateId            the device of this name, or (but for GTP_TEID) the one that has
 *                          registered with this address last
 *   MEC host               a node
 *   mobility procedure     a move of a VM that is paired with a device
 *
 * Registrations, subscriptions and what subscribers have still to be told are in the
 * store, each in the transaction of the input that led to them. A notice stays there until
 * the receiver had it or was given up; so a subscriber is told at least once.
 */
#ifndef PLACEMENT_MEC021_H
#define PLACEMENT_MEC021_H

#include "placement/effects.h"
#include "placement/fleet.h"

#define MEC021_SERVICES_MAX 1024
#define MEC021_SUBSCRIPTIONS_MAX 256
#define MEC021_RESOURCE_MAX 16384 /* bytes of one, packed */
#define MEC021_WAITING_MAX 64     /* notices for one subscriber; others are lost */

struct move;

struct mec021 {
	struct effects *fx;
	const struct fleet *fleet;  /* both borrowed */
	struct index services;      /* Tagalong__MobilityService, by id */
	struct index subscriptions; /* Tagalong__MobilitySubscription, by id */
	struct index notices;       /* Tagalong__Placement__Notice, by number */
	uint64_t last_notice;
};

void mec021_init(struct mec021 *m, struct effects *fx, const struct fleet *fleet);
void mec021_clear(struct mec021 *m);

/* ---- What is kept (mec021.c) -------------------------------------------------------- */

/* A value of the store; 1: the key is none of ours. -EINVAL, -ENOMEM. */
int mec021_load(struct mec021 *m, const char *key, const ProtobufCBinaryData *value);

/* To be called every second or so: what has expired goes. */
void mec021_tick(struct mec021 *m);

/* The host that an associateId names, as a struct device has it. */
bool mec021_host(const Tagalong__AssociateId *id, struct address *ret);

/* Whether it means the device. */
bool mec021_means(const Tagalong__AssociateId *id, const struct device *device);

/* The registration that lists the device, and under which identity; of the instance with
 * this name (NULL: any). */
const Tagalong__ServedDevice *mec021_served(const struct mec021 *m, const char *app_instance,
					    const struct device *device);

/* Whether the VM's registration forbids that a policy moves it, or wants to be asked. */
bool mec021_asks_first(const struct mec021 *m, const struct vm *vm);

/* Instances of the VM's application on nodes near its device; `ret` has room for `max`. */
size_t mec021_adjacent(const struct mec021 *m, const struct vm *vm, const struct vm **ret,
		       size_t max);

/* What the VM is an instance of. */
const char *mec021_application(const struct vm *vm);

/* ---- What subscribers are told (mec021_notices.c) ------------------------------------ */

/* All that waits, in its order: a controller has started. */
void mec021_resume(struct mec021 *m);

/* A move has begun, or is over; in the latter case the fleet knows already where the VM is. */
void mec021_note_order(struct mec021 *m, const struct move *move);
void mec021_note_end(struct mec021 *m, const struct move *move);

void mec021_note_expiry(struct mec021 *m, const Tagalong__MobilitySubscription *s);
void mec021_note_test(struct mec021 *m, const Tagalong__MobilitySubscription *s);

/* It was delivered, or given up. */
void mec021_told(struct mec021 *m, uint64_t notice);

/* A message by itself, allocated by protobuf-c; NULL: no memory. */
ProtobufCMessage *mec021_copy(const ProtobufCMessage *message);

#endif

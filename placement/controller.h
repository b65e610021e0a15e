/* SPDX-License-Identifier: Apache-2.0
 *
 * The controller's core: inputs go in, effects come out through the
 * environment. It is deterministic: the same inputs at the same times give the
 * same decisions, which is how edgesim replays a record log.
 *
 * An input is dealt with as a whole: its effects on the store are committed in
 * one transaction, then it is recorded, then decisions are logged and messages
 * sent.
 */
#ifndef PLACEMENT_CONTROLLER_H
#define PLACEMENT_CONTROLLER_H

#include "placement/environment.h"
#include "placement/store.h"

struct controller;

/* The key whose revision says who is in charge; see EpochEntry. */
#define CONTROLLER_EPOCH_KEY "epoch"

/* The timer (see environment.h) that is a round of decisions. */
#define CONTROLLER_PLAN_TIMER 2

/* `env` is borrowed. `store` too; NULL: nothing is kept, and there is no
 * history. Every transaction demands that the epoch's entry still has
 * `epoch_revision`, that is, that no later controller has started. */
int controller_new(const struct environment *env, struct store *store, uint64_t epoch_revision,
		   struct controller **ret, struct mg_error *err);
void controller_free(struct controller *c);
DEFINE_CLEANUP(struct controller, controller_free)

/* The first input is a Start, and no other is. Its times are filled in here.
 * -EPROTO, -EINVAL: it is no input, and nothing has happened. Any other error
 * (of the store, of memory; -ESTALE: another controller has taken over) is
 * final: the controller must be stopped. */
int controller_input(struct controller *c, PlacementRecord *input, struct mg_error *err);

#endif

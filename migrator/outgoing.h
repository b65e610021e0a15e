/* SPDX-License-Identifier: Apache-2.0
 *
 * The source's end of a move. Event-driven: outgoing.c asks the rules of
 * commit.h what to do and does it; outgoing_copy.c prepares QEMU, lets the
 * pages flow and steers the stop.
 */
#ifndef MIGRATOR_OUTGOING_H
#define MIGRATOR_OUTGOING_H

#include "migrator/move.h"

struct outgoing;

/* Takes an order and answers it: Done once it is journaled, or Failure. A move
 * that is known is answered as before. `from` NULL: the controller. */
void outgoing_order(struct node *n, struct bus_socket *s, const struct bus_peer *from,
		    const Envelope *e);

/* Takes up a move that an earlier run left open. Takes the row over. */
int outgoing_restore(struct node *n, struct journal_move *row);

struct outgoing *outgoing_find(struct node *n, const struct uuid *id);

/* Whether it is what a target knows one of this node's moves as, open or settled, and then
 * that move's stage. */
bool outgoing_find_for_peer(struct node *n, const struct uuid *id, struct outgoing **ret,
			    enum journal_stage *ret_stage);

/* Calls a move off; -EBUSY once the decision has been taken. Dry, this and the following only
 * check. */
int outgoing_cancel(struct outgoing *o, const Tagalong__MoveCancel *cancel, const char *who,
		    struct mg_error *err);

/* Whether the VM is being sent ahead of a move, which ends with this: what has arrived is kept. The
 * VM is free a moment later. */
bool outgoing_make_way(struct vm *vm);

/* Changes its priority, pauses it or lets it go on; -EBUSY when it is too late for that. */
int outgoing_adjust(struct outgoing *o, const Tagalong__MoveAdjust *adjust, const char *who,
		    struct mg_error *err);

/* An operator's word on a move in doubt. */
int outgoing_resolve(struct outgoing *o, const Tagalong__MoveResolve *resolve, const char *who,
		     struct mg_error *err);

/* PeerState, or PeerQuery of a target that has waited for long. */
void outgoing_peer_state(struct outgoing *o, const Tagalong__PeerState *state);
void outgoing_take_state(struct node *n, struct bus_socket *s, const struct bus_peer *from,
			 const Envelope *e);
void outgoing_answer_query(struct node *n, struct bus_socket *s, const struct bus_peer *from,
			   const Envelope *e);

/* A Done has come: whether it was to the result of a move. */
bool outgoing_take_answer(struct node *n, uint64_t reply_to);

const MoveInfo *outgoing_info(const struct outgoing *o);

/* Writes the infos of all that are in memory, when `infos` is not NULL, and
 * returns how many there are. */
size_t outgoing_infos(struct node *n, MoveInfo **infos);

void outgoing_free(struct outgoing *o);

#endif

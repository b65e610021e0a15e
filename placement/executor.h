/* SPDX-License-Identifier: Apache-2.0
 *
 * Carries moves out: one state machine each, from the order to its result.
 *
 *   ordered ──Done──> accepted ──MoveResult──> settled, into the history
 *      │ Failure ─────────────────────────────────^
 *      └ cancelled (by an operator, or not accepted in time): MoveCancel is
 *        sent until the source answers it; so is the operator then
 *
 * An open move is in the store from before its order leaves until its result
 * is there, so a controller that restarts goes on where it was. Every message
 * is repeated until it is answered; the source knows a move by its id.
 */
#ifndef PLACEMENT_EXECUTOR_H
#define PLACEMENT_EXECUTOR_H

#include "placement/effects.h"
#include "placement/fleet.h"
#include "placement/planner.h"

/* How many settled moves are at hand. A drain may settle dozens while one order waits to be
 * repeated. */
#define EXECUTOR_RECENT 1024

struct mec021;

/* An operator who wants to hear whether the source has called a move off. */
struct canceller {
	struct bus_peer operator;
	uint64_t seq, deadline_ns;
	struct canceller *next;
};

struct move {
	struct uuid id;
	struct vm *vm;
	struct node *source, *target;
	Tagalong__Placement__MoveEntry *entry; /* what the store has of it */
	uint64_t begun_ns; /* ordered, or taken over from an earlier run */
	uint64_t heard_ns; /* the source's last word on it */
	uint64_t sent_ns;  /* our last, 0: none */
	uint64_t order_request, cancel_request, query_request;
	bool cancel_answered;
	struct canceller *cancellers;
	struct bus_peer watcher; /* the operator who ordered it; without a route: nobody */
};

struct executor {
	struct effects *fx;
	struct fleet *fleet;
	const Tagalong__Placement__Limits *limits; /* all borrowed */
	const Tagalong__Placement__NodeKey *const *node_keys;
	size_t n_node_keys;
	struct mec021 *mec021; /* is told of moves; NULL: nobody is */
	bool plain_text;
	struct index moves; /* by id */
	/* The last that were settled, in a ring: an order that is repeated after
	 * its result must not begin a second move. */
	Tagalong__Placement__MoveEntry *recent[EXECUTOR_RECENT];
	size_t n_recent; /* ever */
	struct index settled; /* the same, by id */
};

void executor_init(struct executor *x);
void executor_clear(struct executor *x);

/* An open move of an earlier run. Takes the entry over when it returns 0; -EINVAL: it is none. */
int executor_load(struct executor *x, Tagalong__Placement__MoveEntry *entry);

/* The same for one that was settled; those of a run before come oldest first. */
int executor_load_settled(struct executor *x, Tagalong__Placement__MoveEntry *entry);

/* Whether we know how to reach the node's migratord and that it is who it
 * says: the key in its hello must be the allow list's for its name. Returns 0
 * with the key (NULL in plain text), -EHOSTUNREACH or -EACCES. */
int executor_target_key(const struct executor *x, const struct node *node, const char **ret_key,
			struct mg_error *err);

/* Orders a move. `order` needs move, vm and target; endpoint and key are
 * filled in. `evidence` and `watcher` may be NULL. The VM must be on a node
 * and have no other move. Errors: those of executor_target_key(), -ENOMEM. */
int executor_order(struct executor *x, struct vm *vm, struct node *target,
		   const Tagalong__MoveOrder *order, const Tagalong__Placement__Evidence *evidence,
		   const struct bus_peer *watcher, struct mg_error *err);

/* The source may have had no time for the order, and has now. */
void executor_repeat_order(struct executor *x, struct move *move);

struct move *executor_find(const struct executor *x, const ProtobufCBinaryData *id);

/* One of the last that were settled, or NULL. */
const Tagalong__MoveInfo *executor_find_settled(const struct executor *x,
						const ProtobufCBinaryData *id);

/* An entry of the history has changed. */
void executor_keep_settled(struct executor *x, const Tagalong__Placement__MoveEntry *entry);

/* Calls the move off; what comes of it, the result tells. */
void executor_cancel(struct executor *x, struct move *move, const char *why);

/* Answers an operator's request to cancel it as the source has, or with the end of the move; after a
 * few seconds without either with ETIMEDOUT: it is still being called off then. */
void executor_answer_cancel(struct executor *x, struct move *move, const struct bus_peer *operator,
			    uint64_t seq);

/* What nodes say. They return whether the message was about an open move of that node. */
bool executor_answer(struct executor *x, uint64_t request, const Envelope *e);
bool executor_progress(struct executor *x, const struct node *node,
		       const Tagalong__MoveInfo *info);
bool executor_result(struct executor *x, const struct node *node, const Tagalong__MoveInfo *info);

/* A node said hello: what it does not know of, it has to be told again. */
void executor_hello(struct executor *x, const struct node *node,
		    const Tagalong__NodeHello *hello);

/* Repeats what is not answered. To be called every second or so. */
void executor_tick(struct executor *x);

/* Counts what is open, for the planner. Moves whose source is down take no
 * place at once: it may never come back. */
void executor_traffic(const struct executor *x, struct traffic *traffic);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * What the two ends of a move have in common: the journaled row, the state
 * that operators see, and telling it to whoever ordered the move.
 */
#ifndef MIGRATOR_MOVE_H
#define MIGRATOR_MOVE_H

#include "common/move_state.h"
#include "migrator/node.h"
#include "migrator/page.h"

#define MOVE_RESULT_SEQS 8

struct move {
	struct node *node;
	struct journal_move row;
	char id_text[UUID_TEXT_SIZE];
	uint64_t begun_mono_ns;
	bool unwritten; /* the last write of its row failed, which was logged */
	/* Who ordered it and is told of it. */
	bool follower;          /* somebody is to be told */
	bool follower_is_peer;  /* an operator on the router; else the controller */
	struct bus_peer peer;
	uint64_t result_seqs[MOVE_RESULT_SEQS];
	unsigned n_results;
	uint64_t result_sent_mono_ns;
};

/* A new move at JOURNAL_BEGUN; not journaled yet. Copies all it is given. */
int move_init(struct move *m, struct node *n, const struct uuid *id, bool incoming,
	      const VmSpec *spec, const struct uuid *incarnation);

/* The names of both nodes; the peer is the one that is not us. */
int move_set_nodes(struct move *m, const char *source, const char *target, const char *endpoint,
		   const char *key);

/* Operators know it by another name than the two nodes do. 0 or -ENOMEM. */
int move_set_order(struct move *m, const struct uuid *order);

/* One that an earlier run journaled; takes the row over. */
void move_restore(struct move *m, struct node *n, struct journal_move *row);

void move_clear(struct move *m);

/* Journals a stage. On failure the stage stays as it was. */
int move_to_stage(struct move *m, enum journal_stage stage);

/* Journals that nothing is left to do. */
int move_settle(struct move *m);

/* Sets the state that operators see, and tells. A state that cannot follow
 * directly is reached by way of IN_DOUBT. */
void move_show(struct move *m, MoveState state);

/* Sets info->failure; `fmt` NULL clears it. */
void move_explain(struct move *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Notes in the record of a move that has succeeded what its operator should know of. By the
 * name that the two nodes have for it. */
void move_warn(struct node *n, const struct uuid *attempt, const char *text);

/* Why it was ordered and for which device (NULL: not said); copied. 0 or -ENOMEM. */
int move_set_cause(struct move *m, const Tagalong__MoveReason *reason,
		   const ProtobufCBinaryData *device);

/* Makes and keeps the figures. */
Tagalong__MoveFigures *move_figures(struct move *m);

/* Shows how the pages went. */
void move_figures_pages(Tagalong__MoveFigures *f, const uint64_t pages[PAGE_COUNTS]);

/* Whoever ordered it; NULL is the controller. */
void move_set_follower(struct move *m, const struct bus_peer *peer);

void move_tell_progress(struct move *m);

/* Tells the result of a move whose state is final, at most once a second until
 * it is answered. Returns true when that is not to be repeated. */
bool move_tell_result(struct move *m);

/* An answer has come: whether it is one to this move's result. */
bool move_take_answer(struct move *m, uint64_t reply_to);

/* ---- Messages between two migratords ---- */

/* Sends a Peer… message; kills itself on demand (fault.h). */
int64_t peer_send(struct bus_socket *s, const struct bus_peer *to, Envelope *e);

/* "commit", "state-ready": the step's name for fault.h. */
const char *peer_step_name(const Envelope *e, char buffer[48]);

/* PeerState about a move. */
int64_t peer_send_state(struct bus_socket *s, const struct bus_peer *to, const Envelope *request,
			const struct uuid *move, Tagalong__PeerStage stage, const char *why,
			uint64_t resumed_utc_ns, bool lost);

/* PeerCommit. `stopped_ns`: how long the guest has stood still when it arrives; 0: not known. */
int64_t peer_send_commit(struct bus_socket *s, const struct bus_peer *to, const Envelope *request,
			 const struct uuid *move, uint64_t stopped_ns);

/* The bodies that consist of the move's id: PeerAbort (and why), PeerQuery. */
int64_t peer_send_word(struct bus_socket *s, const struct bus_peer *to, const Envelope *request,
		       const struct uuid *move, Tagalong__Envelope__BodyCase body,
		       const char *why);

/* A UUID field that envelope_unpack() has checked. */
struct uuid uuid_of(const ProtobufCBinaryData *data);

#endif

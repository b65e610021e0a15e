/* SPDX-License-Identifier: Apache-2.0
 *
 * A controller in a test's hands: time stands still until the test moves it,
 * messages come from nodes and operators that the test plays, and what the
 * controller sends lies in a pile. Its store and logs are real files.
 */
#ifndef TESTS_PLACEMENT_HARNESS_H
#define TESTS_PLACEMENT_HARNESS_H

#include "common/move_state.h"
#include "common/uuid.h"
#include "placement/controller.h"
#include "placement/record_log.h"

#define MS UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)
#define GIB (UINT64_C(1) << 30)

struct sent {
	struct bus_peer to;
	uint64_t request;
	Envelope *e;
};

struct harness {
	struct environment env;
	struct controller *controller;
	struct store *store;
	struct record_writer *record;
	char dir[64], store_path[96], record_path[96];
	uint64_t mono_ns, utc_ns, seed, seq;
	uint64_t timers[8];
	struct sent **sent;
	size_t n_sent, seen; /* harness_next() looks from `seen` on */
	char *decisions;
	size_t decisions_len;
	FILE *decisions_file;
	const char *policy;
	Tagalong__Placement__PolicyParameters parameters;
	Tagalong__Placement__Limits limits;
	Tagalong__Placement__CellNode **cells; /* borrowed */
	size_t n_cells;
	Tagalong__Placement__Neighbourhood **neighbourhoods; /* borrowed */
	size_t n_neighbourhoods;
	struct mg_error err;
};

/* Policy and parameters may be changed before harness_start(): threshold 20 ms, hold
 * 2 s, margin 5 ms, stay 5 s. */
void harness_open(struct harness *h);
void harness_start(struct harness *h);
/* As kill -9 would: what is not in the store is gone. */
void harness_kill(struct harness *h);
void harness_close(struct harness *h);

/* Checks that what was recorded leads to the same decisions again. */
void harness_replay(struct harness *h);

int harness_input(struct harness *h, PlacementRecord *record);

/* A message of a peer; returns its seq. `request` is of the answered message. */
uint64_t harness_receive(struct harness *h, enum peer_role role, const char *name,
			 uint64_t request, Envelope *e);

/* Moves the time on, with timers at their instants. */
void harness_run(struct harness *h, uint64_t ns);

/* The next message to this peer (any: NULL) of this kind that was not looked
 * at yet; NULL: there is none. */
const struct sent *harness_next(struct harness *h, const char *peer,
				Tagalong__Envelope__BodyCase body);

/* Skips what has been sent so far. */
void harness_forget(struct harness *h);

/* How often a text occurs in the decisions. */
unsigned harness_decided(struct harness *h, const char *text);

/* ---- The peers ------------------------------------------------------------------- */

/* Both programs of a node, with this much memory, say hello; the VM, if any, runs there. */
void node_hello(struct harness *h, const char *node, uint64_t memory, const char *vm);
void migrator_hello(struct harness *h, const char *node, uint64_t memory, const char *vm,
		    Tagalong__VmState state, Tagalong__MoveInfo **moves, size_t n_moves);
void node_status(struct harness *h, const char *node, const char *vm, Tagalong__VmState state);
void node_rtt(struct harness *h, const char *node, const struct uuid *device, double ms);

/* Answers to what was sent. */
void answer_done(struct harness *h, const struct sent *to);
void answer_failure(struct harness *h, const struct sent *to, int code, const char *text);

/* The word of a source on a move that it was ordered. */
void move_progress(struct harness *h, const char *node, const Tagalong__MoveOrder *order,
		   MoveState state);
void move_result(struct harness *h, const char *node, const Tagalong__MoveOrder *order,
		 MoveState state);
/* Post-copy broke off. */
void move_lost(struct harness *h, const char *node, const Tagalong__MoveOrder *order);

/* Fills in an info about an order; it borrows from the order. */
void move_info(Tagalong__MoveInfo *info, const char *node, const Tagalong__MoveOrder *order,
	       MoveState state);

/* An operator's request; returns the answer: the last message under its seq. */
const Envelope *ask(struct harness *h, Envelope *e);
void set_pair(struct harness *h, const struct uuid *device, const char *name, const char *vm);

#endif

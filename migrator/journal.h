/* SPDX-License-Identifier: Apache-2.0
 *
 * What of a migratord survives kill -9: its VMs, the moves that are not
 * settled, the history of those that are, and the highest epoch of a
 * controller. One SQLite database.
 *
 * A stage of a move is a promise to the peer, so it is written before it is
 * told. PREPARED is synced to the disk: it marks a move that may be in doubt
 * after a power loss. All other writes need only survive this process, since a
 * power loss takes the guests along with it; they cost no sync.
 */
#ifndef MIGRATOR_JOURNAL_H
#define MIGRATOR_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/keys.h"
#include "common/proto/tagalong.pb-c.h"
#include "common/uuid.h"

typedef Tagalong__MoveInfo MoveInfo;

struct journal;

/* The numbers are stored: never renumber. */
enum journal_stage {
	JOURNAL_BEGUN = 1,    /* accepted; nothing is promised yet */
	JOURNAL_PREPARED = 2, /* both: from here on a restart must ask, not guess */
	JOURNAL_READY = 3,    /* target: loaded; will neither run nor discard by itself */
	JOURNAL_COMMIT = 4,   /* source: the decision that the target runs it */
	JOURNAL_RUN = 5,      /* target: told to run; the VM is this node's */
	JOURNAL_DONE = 6,     /* it runs at the target; the source has let go */
	JOURNAL_ABORTED = 7,  /* source: decided that it runs here */
	JOURNAL_REVOKED = 8,  /* source: committed, but the target had given it up */
	JOURNAL_NEVER = 9,    /* target: a tombstone; this move will never run here */
};

const char *journal_stage_name(enum journal_stage stage);

struct journal_move {
	struct uuid id;
	bool incoming;
	enum journal_stage stage;
	bool settled;  /* nothing is left to do: guest and peer are as the stage says */
	bool reported; /* whoever ordered it knows how it ended, or need not */
	struct uuid incarnation; /* of the guest here: the one to send, or to receive */
	char peer[PEER_NAME_SIZE];
	char peer_endpoint[256];
	char peer_key[KEY_TEXT_SIZE];
	Tagalong__VmSpec *spec; /* owned; NULL for a tombstone of an unknown move */
	/* Owned; of an incoming move that is not settled: from RUN on it is the VM's. */
	Tagalong__VmLuggage *luggage;
	MoveInfo *info;         /* owned; what operators see of it */
};

void journal_move_clear(struct journal_move *m);

struct journal_vm {
	struct uuid incarnation;
	Tagalong__VmSpec *spec; /* owned */
	Tagalong__VmLuggage *luggage; /* owned; NULL: it has not been moved yet */
};

int journal_open(const char *path, struct journal **ret, struct mg_error *err);
void journal_close(struct journal *j);
DEFINE_CLEANUP(struct journal, journal_close)

/* The highest epoch that an order carried; 0 at first. Raising it is synced. */
int journal_epoch(struct journal *j, uint64_t *ret);
int journal_raise_epoch(struct journal *j, uint64_t epoch, struct mg_error *err);

int journal_vm_add(struct journal *j, const struct journal_vm *vm, struct mg_error *err);
int journal_vm_remove(struct journal *j, const char *name, struct mg_error *err);

/* All VMs; the array and its specs are freed with journal_vms_free(). */
int journal_vms(struct journal *j, struct journal_vm **ret, size_t *ret_n);
void journal_vms_free(struct journal_vm *vms, size_t n);

/* Writes the whole row of a move, new or known. Together with it, in one
 * transaction: RUN makes the VM this node's; DONE at the source takes it away. */
int journal_write(struct journal *j, const struct journal_move *m, struct mg_error *err);

/* Reads a move. -ENOENT when it is not known (or was forgotten). */
int journal_find(struct journal *j, const struct uuid *id, struct journal_move *ret);

struct journal_filter {
	bool open_only;  /* not settled, or not reported */
	const char *vm;  /* NULL: any */
	uint32_t limit;  /* the newest so many; 0: all */
};

/* Newest first. Freed with journal_moves_free(). */
int journal_moves(struct journal *j, const struct journal_filter *filter,
		  struct journal_move **ret, size_t *ret_n);
void journal_moves_free(struct journal_move *moves, size_t n);

#define JOURNAL_KEEP_MOVES 10000 /* settled ones; tombstones too */

/* Forgets the oldest settled moves beyond that number and folds the log into
 * the database, so that keys which were deleted are not left in it. It syncs: call it
 * when no guest is stopped. */
int journal_tidy(struct journal *j, uint32_t keep, struct mg_error *err);

#endif

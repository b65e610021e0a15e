/* SPDX-License-Identifier: Apache-2.0
 *
 * Who runs the guest: the rules of the commit, for both sides, in normal
 * running and after a restart. Pure functions from what is known to what is to
 * be done; outgoing.c and incoming.c gather the facts and carry it out.
 *
 *     source                                   target
 *     PREPARED (synced)                        PREPARED (synced)
 *     … the guest stops …                      loads all of it
 *                                              READY: neither runs nor discards by itself
 *     SHUT to QEMU, which becomes postmigrate
 *     COMMIT: the decision    ──────────────>  RUN, cont
 *     DONE: QEMU quits        <──────────────  RAN, or NEVER: a tombstone
 *
 * Until it says COMMIT the source may take the guest back (ABORTED); after it,
 * only the target's NEVER gives it back (REVOKED), or an operator. The target's guest runs only
 * after RUN is journaled, and RUN only follows the source's COMMIT. So at most
 * one of the two QEMUs ever runs the guest.
 *
 * Post-copy is the one exception to the order: the source's QEMU has handed the guest over before
 * its memory, and cannot run it any more, whatever is journaled. The decision is still the
 * source's COMMIT, after READY, and the target's RAN says that all of the memory is there. Until
 * then the end of either QEMU, or of the stream between them (BROKEN), is the end of
 * the guest: what is left of it is ended on both sides. A target whose process was restarted has
 * no stream any more, and its QEMU may be silent, as it waits for memory: that it lacks some has to be
 * known for certain before it is ended, as a guest that is whole runs on without any of us.
 *
 * A source's QEMU that died before COMMIT leaves what the target has loaded. That is the guest
 * only if it has not run since: QEMU resumes it when its stream ends without SHUT, as by the
 * death of the source's daemon. Whoever has not seen it stand still all the time leaves to an
 * operator whether an older state is better than none.
 *
 * Every action changes a fact, and the rules are asked again until they say
 * WAIT. All of it holds when the process dies between any two steps.
 */
#ifndef MIGRATOR_COMMIT_H
#define MIGRATOR_COMMIT_H

#include <stdbool.h>

#include "common/proto/tagalong.pb-c.h"
#include "migrator/journal.h"

/* What the QEMU of this side does, by query-status and query-migrate. */
enum commit_qemu {
	COMMIT_QEMU_UNKNOWN,     /* not asked yet, or its monitor is silent */
	COMMIT_QEMU_BUSY,        /* its migration is under way, stopped or not */
	COMMIT_QEMU_RUNNING,     /* or stopped by the guest's own doing */
	COMMIT_QEMU_POSTMIGRATE, /* sent whole; cont revives it */
	COMMIT_QEMU_PAUSED,
	COMMIT_QEMU_DEAD,
	COMMIT_QEMU_BROKEN,      /* post-copy broke off: it has a part of the guest's memory */
};

/* What the target last said; the numbers of PeerStage, and: */
#define COMMIT_PEER_SILENT 0

struct commit_source {
	enum journal_stage stage;
	enum commit_qemu qemu;
	unsigned peer; /* PeerStage, or COMMIT_PEER_SILENT */
	bool live;     /* this process has driven the move so far and still wants it */
	bool post_copy; /* it was begun: QEMU cannot run the guest any more */
	bool still;     /* the guest was seen to stop, and not to run since: the target has all of it */
};

struct commit_target {
	enum journal_stage stage;
	enum commit_qemu qemu;
	enum commit_word {
		COMMIT_WORD_NONE,   /* the source has not decided, or is silent */
		COMMIT_WORD_COMMIT,
		COMMIT_WORD_ABORT,
	} word;
	bool live;   /* the data path is up, or may still come up */
	bool loaded; /* QEMU has loaded everything */
	bool refused; /* it has not run: QEMU answered cont with an error, or died before */
	bool partial; /* post-copy: a part of the memory is not here; without `live` it never will be */
};

enum commit_action {
	COMMIT_WAIT,        /* for an event; ask QEMU or the peer again after a while */
	COMMIT_ASK_PEER,    /* the same, and nothing but the peer can settle it */
	/* journal a stage */
	COMMIT_TO_ABORTED,
	COMMIT_TO_COMMIT,
	COMMIT_TO_REVOKED,
	COMMIT_TO_DONE,
	COMMIT_TO_READY,
	COMMIT_TO_RUN,
	COMMIT_TO_NEVER,
	/* tell QEMU */
	COMMIT_CONT,
	COMMIT_STOP,        /* it runs though it must not: somebody else's cont */
	COMMIT_QUIT,
	/* tell the peer, until it answers */
	COMMIT_SEND_COMMIT,
	COMMIT_SEND_ABORT,
	/* */
	COMMIT_SETTLE,      /* nothing is left to do */
};

enum commit_action commit_source_next(const struct commit_source *f);
enum commit_action commit_target_next(const struct commit_target *f);

/* What the target says of itself in PeerState. */
Tagalong__PeerStage commit_target_stage(enum journal_stage stage, bool loading);

const char *commit_action_name(enum commit_action action);

/* Maps QEMU's words: query-status' "status" and query-migrate's "status" (NULL
 * when it has none). */
enum commit_qemu commit_qemu_state(const char *run_state, const char *migration);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * The commit of a move as a model for spin: two daemons that follow the very rules of
 * migrator/commit.c, two QEMUs, and a network that loses what is on it when it pleases. A number
 * of blows falls at any moment: a daemon is killed and started again, the target's QEMU dies
 * before it was told to run or refuses to, the link drops all that is under way.
 *
 *     spin -a -DBLOWS=2 commit.pml && cc -I… pan.c …/commit.c && ./a.out …
 *
 * Always: never do both QEMUs run the guest. In the end: one runs it, and goes on running. That
 * something happens in the end rests on fairness, which spin knows of processes: so what a
 * daemon says again and again, and what it hears, are processes of their own.
 * tests/unit/migrator/test_commit.c lets the network do even worse, and says nothing of the end.
 */
#ifndef BLOWS
#define BLOWS 2
#endif

c_decl {
	\#include "migrator/commit.h"

	/* What the numbers below are there. */
	_Static_assert(JOURNAL_PREPARED == 2 && JOURNAL_READY == 3 && JOURNAL_COMMIT == 4 &&
		       JOURNAL_RUN == 5 && JOURNAL_DONE == 6 && JOURNAL_ABORTED == 7 &&
		       JOURNAL_REVOKED == 8 && JOURNAL_NEVER == 9, "stages");
	_Static_assert(COMMIT_QEMU_UNKNOWN == 0 && COMMIT_QEMU_BUSY == 1 && COMMIT_QEMU_RUNNING == 2 &&
		       COMMIT_QEMU_POSTMIGRATE == 3 && COMMIT_QEMU_PAUSED == 4 &&
		       COMMIT_QEMU_DEAD == 5, "what a QEMU does");
	_Static_assert(TAGALONG__PEER_STAGE__PEER_READY == 3 && TAGALONG__PEER_STAGE__PEER_RAN == 4 &&
		       TAGALONG__PEER_STAGE__PEER_NEVER == 5, "what the target says");
	_Static_assert(COMMIT_WORD_NONE == 0 && COMMIT_WORD_COMMIT == 1 && COMMIT_WORD_ABORT == 2,
		       "what the source says");

	\#define S_FACTS (struct commit_source){ now.s_stage, now.s_sees, now.s_peer, now.s_live }
	\#define T_FACTS (struct commit_target){ now.t_stage, now.t_sees, now.t_word, T_MORE }
	\#define T_MORE now.t_live, now.t_loaded, now.t_refused
	\#define SOURCE_NEXT commit_source_next(&S_FACTS)
	\#define TARGET_NEXT commit_target_next(&T_FACTS)
}

#define PREPARED 2
#define READY 3
#define COMMIT 4
#define RUN 5
#define DONE 6
#define ABORTED 7
#define REVOKED 8
#define NEVER 9

/* A QEMU, as it is and as its daemon sees it. */
#define UNKNOWN 0
#define BUSY 1
#define RUNNING 2
#define POSTMIGRATE 3
#define PAUSED 4
#define DEAD 5

/* Words on the bus: the target's are PeerStage's, */
#define SILENT 0
#define SAYS_PREPARED 2
#define SAYS_READY 3
#define SAYS_RAN 4
#define SAYS_NEVER 5
/* the source's, and a question of either side. */
#define WORD_COMMIT 1
#define WORD_ABORT 2
#define QUERY 9

byte s_stage = PREPARED, s_real = RUNNING, s_sees = BUSY, s_peer = SILENT;
bool s_live = true, s_shut = false;
byte t_stage = PREPARED, t_real = PAUSED, t_sees = PAUSED, t_word = 0;
bool t_live = true, t_loaded = false, t_refused = false;
byte blows = BLOWS;
bool t_was_told = false; /* to run: its QEMU's death is the guest's from then on */

chan to_target = [2] of { byte };
chan to_source = [2] of { byte };

#define ONE_RUNS ((s_real == RUNNING) != (t_real == RUNNING))
#define BOTH_RUN (s_real == RUNNING && t_real == RUNNING)

ltl safe { [] !BOTH_RUN }
ltl alive { <> [] ONE_RUNS }

/* When there is room for it; who has to be answered says it again. */
inline say(channel, word)
{
	if
	:: nfull(channel) -> channel!word
	:: full(channel) -> skip
	fi
}

inline tell_source()
{
	if
	:: t_stage == PREPARED -> say(to_source, SAYS_PREPARED)
	:: t_stage == READY || t_stage == RUN -> say(to_source, SAYS_READY)
	:: t_stage == DONE -> say(to_source, SAYS_RAN)
	:: t_stage == NEVER -> say(to_source, SAYS_NEVER)
	fi
}

/* What was stopped for the migration and had no SHUT runs on. */
inline migration_socket_closes()
{
	if
	:: s_real == BUSY && s_shut -> s_real = POSTMIGRATE
	:: s_real == BUSY && !s_shut -> s_real = RUNNING
	:: else -> skip
	fi
}

/* ---- The source's daemon ---- */

active proctype source_acts()
{
	do
	:: atomic { c_expr { SOURCE_NEXT == COMMIT_TO_ABORTED } ->
		s_stage = ABORTED; s_live = false; migration_socket_closes() }
	:: atomic { c_expr { SOURCE_NEXT == COMMIT_TO_COMMIT } -> s_stage = COMMIT }
	:: atomic { c_expr { SOURCE_NEXT == COMMIT_TO_REVOKED } -> s_stage = REVOKED }
	:: atomic { c_expr { SOURCE_NEXT == COMMIT_TO_DONE } -> s_stage = DONE }
	:: atomic { c_expr { SOURCE_NEXT == COMMIT_CONT } && s_real != DEAD -> s_real = RUNNING; s_sees = UNKNOWN }
	:: atomic { c_expr { SOURCE_NEXT == COMMIT_STOP } && s_real != DEAD -> s_real = PAUSED; s_sees = PAUSED }
	:: atomic { c_expr { SOURCE_NEXT == COMMIT_QUIT } -> s_real = DEAD; s_sees = DEAD }
	:: atomic { c_expr { SOURCE_NEXT == COMMIT_SEND_COMMIT } && nfull(to_target) -> to_target!WORD_COMMIT }
	:: atomic { c_expr { SOURCE_NEXT == COMMIT_SEND_ABORT } && nfull(to_target) -> to_target!WORD_ABORT }
	:: atomic { c_expr { SOURCE_NEXT == COMMIT_ASK_PEER } && nfull(to_target) -> to_target!QUERY }
	od
}

active proctype source_hears()
{
	byte word;
end:	do
	:: atomic { to_source?word ->
		if
		:: word == QUERY && (s_stage == COMMIT || s_stage == DONE) -> say(to_target, WORD_COMMIT)
		:: word == QUERY && (s_stage == ABORTED || s_stage == REVOKED) -> say(to_target, WORD_ABORT)
		:: word == QUERY && s_stage == PREPARED -> skip
		:: word != QUERY && (s_peer == SAYS_RAN || s_peer == SAYS_NEVER) -> skip
		:: word != QUERY && s_peer == SAYS_READY && word < SAYS_RAN -> skip /* older */
		:: else -> s_peer = word
		fi;
		word = 0 }
	od
}

/* ---- The target's daemon ---- */

active proctype target_acts()
{
	do
	:: atomic { c_expr { TARGET_NEXT == COMMIT_TO_READY } -> t_stage = READY; tell_source() }
	:: atomic { c_expr { TARGET_NEXT == COMMIT_TO_RUN } -> t_stage = RUN; t_was_told = true }
	:: atomic { c_expr { TARGET_NEXT == COMMIT_TO_DONE } -> t_stage = DONE; tell_source() }
	:: atomic { c_expr { TARGET_NEXT == COMMIT_TO_NEVER } ->
		t_stage = NEVER; t_live = false; t_loaded = false; tell_source() }
	:: atomic { c_expr { TARGET_NEXT == COMMIT_CONT } && t_real != DEAD -> t_real = RUNNING; t_sees = UNKNOWN }
	:: atomic { c_expr { TARGET_NEXT == COMMIT_STOP } && t_real != DEAD -> t_real = PAUSED; t_sees = PAUSED }
	:: atomic { c_expr { TARGET_NEXT == COMMIT_QUIT } -> t_real = DEAD; t_sees = DEAD }
	:: atomic { c_expr { TARGET_NEXT == COMMIT_ASK_PEER } && nfull(to_source) -> to_source!QUERY }
	od
}

active proctype target_hears()
{
	byte word;
end:	do
	:: atomic { to_target?word ->
		if
		:: word == QUERY -> skip
		:: else -> t_word = word
		fi;
		word = 0;
		tell_source() }
	od
}

/* ---- What happens to them: each only so often, so that no fairness is needed between these ---- */

active proctype world()
{
end:	do
	/* the source's QEMU: its stop, SHUT, and the end of its migration */
	:: atomic { s_real == RUNNING && s_live && s_stage == PREPARED -> s_real = BUSY }
	:: atomic { s_real == BUSY && s_live && s_peer == SAYS_READY && !s_shut -> s_shut = true }
	:: atomic { s_real == BUSY && s_shut -> s_real = POSTMIGRATE }
	/* the timer that guards the promise, or an operator */
	:: atomic { s_live && !s_shut && s_stage == PREPARED -> s_live = false }
	/* all that the source sent has come and is loaded; or the source has gone */
	:: atomic { t_live && !t_loaded && t_real == PAUSED && t_stage == PREPARED && s_real == BUSY && s_live ->
		t_loaded = true }
	:: atomic { t_live && !s_live && t_stage == PREPARED -> t_live = false }
	/* QEMUs are asked, or tell */
	:: atomic { s_sees != s_real -> s_sees = s_real }
	:: atomic { t_sees != t_real -> t_sees = t_real }
	/* blows: to the source's daemon, the target's, the target's QEMU (cont is refused, or it
	   dies), the link */
	:: atomic { blows > 0 -> blows--;
		s_live = false; s_peer = SILENT; s_sees = UNKNOWN; migration_socket_closes() }
	:: atomic { blows > 0 -> blows--;
		t_live = false; t_loaded = false; t_refused = false; t_word = 0; t_sees = UNKNOWN }
	:: atomic { blows > 0 && t_stage == RUN && t_real == PAUSED -> blows--; t_refused = true }
	:: atomic { blows > 0 && !t_was_told && t_real != DEAD -> blows--; t_real = DEAD }
	:: atomic { blows > 0 && (len(to_source) > 0 || len(to_target) > 0) -> blows--;
		do
		:: to_source?_
		:: to_target?_
		:: empty(to_source) && empty(to_target) -> break
		od }
	od
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * The commit of a move as a model for spin: two daemons that follow the very rules of
 * migrator/commit.c, two QEMUs, and a network that loses what is on it when it pleases. A number
 * of blows falls at any moment: a daemon is killed and started again, the target's QEMU dies
 * before it has run, unseen at first, or refuses to, the source's before the decision, the link drops
 * all that is under way.
 *
 *     spin -a -DBLOWS=2 commit.pml && cc -I… pan.c …/commit.c && ./a.out …
 *
 * Always: never do both QEMUs run the guest, nor the target's an older state of it than the
 * source's has run. In the end: one runs it, and goes on running; unless
 * the target's QEMU died before it did, and a daemon that cannot know that, because it was started
 * after the decision, takes it for one that has run; or the source's died, and an operator has to say
 * whether what the target has is better than none.
 *
 * With -DPOST_COPY=1 the moves are those that go to post-copy: the source's QEMU hands the guest over
 * before its memory, and cannot run it from then on, unless it has sent all and the target has
 * not run it. The blows now kill either QEMU, too, and one whose stream has ended may fall silent.
 * In the end then: one runs it; or none, no QEMU is left, and both sides say that it is lost, which
 * never happens without a blow.
 *
 * With -DAT_ONCE=1 there is no network: each hears the other, some time, as that is then, and
 * nothing is said twice. So every run comes to an end, and no fairness is needed, which post-copy
 * with its many states would be too much for; nor does spin look at runs that end with it.
 *
 * That something happens in the end rests on fairness, which spin knows of processes: so what a
 * daemon says again and again, and what it hears, are processes of their own.
 * tests/unit/migrator/test_commit.c lets the network do even worse, and says nothing of the end.
 */
#ifndef BLOWS
#define BLOWS 2
#endif
#ifndef POST_COPY
#define POST_COPY 0
#endif
#ifndef AT_ONCE
#define AT_ONCE 0
#endif

c_decl {
	\#include "migrator/commit.h"

	/* What the numbers below are there. */
	_Static_assert(JOURNAL_PREPARED == 2 && JOURNAL_READY == 3 && JOURNAL_COMMIT == 4 &&
		       JOURNAL_RUN == 5 && JOURNAL_DONE == 6 && JOURNAL_ABORTED == 7 &&
		       JOURNAL_REVOKED == 8 && JOURNAL_NEVER == 9, "stages");
	_Static_assert(COMMIT_QEMU_UNKNOWN == 0 && COMMIT_QEMU_BUSY == 1 && COMMIT_QEMU_RUNNING == 2 &&
		       COMMIT_QEMU_POSTMIGRATE == 3 && COMMIT_QEMU_PAUSED == 4 &&
		       COMMIT_QEMU_DEAD == 5 && COMMIT_QEMU_BROKEN == 6, "what a QEMU does");
	_Static_assert(TAGALONG__PEER_STAGE__PEER_READY == 3 && TAGALONG__PEER_STAGE__PEER_RAN == 4 &&
		       TAGALONG__PEER_STAGE__PEER_NEVER == 5 && TAGALONG__PEER_STAGE__PEER_TAKING == 7,
		       "what the target says");
	_Static_assert(COMMIT_WORD_NONE == 0 && COMMIT_WORD_COMMIT == 1 && COMMIT_WORD_ABORT == 2,
		       "what the source says");

	\#define S_FACTS (struct commit_source){ now.s_stage, now.s_sees, now.s_peer, S_MORE }
	\#define S_MORE now.s_live, now.s_post, now.s_still
	\#define T_FACTS (struct commit_target){ now.t_stage, now.t_sees, now.t_word, T_MORE }
	\#define T_MORE now.t_live, now.t_loaded, now.t_refused, now.t_partial
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
#define BROKEN 6

/* Words on the bus: the target's are PeerStage's, */
#define SILENT 0
#define SAYS_PREPARED 2
#define SAYS_READY 3
#define SAYS_RAN 4
#define SAYS_NEVER 5
#define SAYS_TAKING 7
#define SAYS_LOST 8 /* RAN, and `lost` */
/* the source's, and a question of either side. */
#define WORD_COMMIT 1
#define WORD_ABORT 2
#define QUERY 9

byte s_stage = PREPARED, s_real = RUNNING, s_sees = BUSY, s_peer = SILENT;
bool s_live = true, s_shut = false;
bool s_still = false;  /* its daemon has seen it stop, and not run since */
bool s_ran_on = false; /* it has run since */
bool s_died = false;   /* before the move was over */
bool s_given = false;  /* back, without a journal: once, so that runs come to an end */
byte t_stage = PREPARED, t_real = PAUSED, t_sees = PAUSED, t_word = 0;
bool t_live = true, t_loaded = false, t_refused = false;
byte blows = BLOWS;
bool t_here = false; /* the daemon that runs has taken the decision: it would have heard RESUME */
bool t_ran = false;
bool t_mistaken = false; /* one that has not run was taken for one that has */

/* Post-copy. The source's QEMU, when it is BUSY, has handed the guest over. */
bool s_post = false, s_lost = false;      /* what the source's journal has */
bool t_post = false, t_lost = false;      /* and the target's */
bool t_partial = false;                   /* what the target's daemon believes */
bool t_whole = false, t_silent = false;   /* what is true of its QEMU: all has come; it answers nobody, */
bool t_broken = false;                    /* its stream has ended before */

chan to_target = [2] of { byte };
chan to_source = [2] of { byte };

#define ONE_RUNS ((s_real == RUNNING) != (t_real == RUNNING && !t_broken))
#define BOTH_RUN (s_real == RUNNING && t_real == RUNNING)

#define S_ENDED (s_stage == DONE || s_stage == ABORTED || s_stage == REVOKED)
#define T_ENDED (t_stage == NEVER || (t_stage == DONE && t_lost))
#define IS_LOST (s_real == DEAD && t_real == DEAD && s_lost && S_ENDED && T_ENDED)

#define ROLLED_BACK (t_real == RUNNING && s_ran_on)

ltl safe { [] (!BOTH_RUN && !ROLLED_BACK && (s_lost -> blows < BLOWS) && !(t_mistaken && t_here)) }
ltl alive { <> [] ((ONE_RUNS && !s_lost) || IS_LOST || t_mistaken || s_died) }

/* What the target's QEMU would say; and whether memory still comes to it. */
#define T_SEEN (t_real == DEAD -> DEAD : (t_broken -> BROKEN : T_RUNS))
#define T_RUNS (t_real == RUNNING && t_post && !t_whole -> BUSY : t_real)
#define STREAM (s_real == BUSY && s_live && t_live)

/* When there is room for it; who has to be answered says it again. */
inline say(channel, word)
{
	if
	:: AT_ONCE || full(channel) -> skip
	:: !AT_ONCE && nfull(channel) -> channel!word
	fi
}

#define TAKES (t_stage == RUN && t_partial && t_live && t_real == RUNNING)
#define HAS_IT (t_stage == READY || t_stage == RUN)
#define T_SAYS (t_stage == PREPARED -> SAYS_PREPARED : (TAKES -> SAYS_TAKING : (HAS_IT -> SAYS_READY : T_ENDS)))
#define T_ENDS (t_stage == NEVER -> SAYS_NEVER : (t_lost -> SAYS_LOST : SAYS_RAN))

inline tell_source()
{
	say(to_source, T_SAYS)
}

/* What was stopped for the migration and had no SHUT runs on. */
inline migration_socket_closes()
{
	if
	:: s_real == BUSY && s_post -> s_real = BROKEN
	:: s_real == BUSY && !s_post && s_shut -> s_real = POSTMIGRATE
	:: s_real == BUSY && !s_post && !s_shut -> s_real = RUNNING; s_still = false; s_ran_on = true
	:: else -> skip
	fi
}

/* What is not to be done now is refused, or does nothing: the daemon was mistaken. */
inline cont(real)
{
	if
	:: real == PAUSED || real == POSTMIGRATE -> real = RUNNING
	:: else -> skip
	fi
}

inline stop(real)
{
	if
	:: real == RUNNING -> real = PAUSED
	:: else -> skip
	fi
}

/* ---- The source's daemon ---- */

active proctype source_acts()
{
	do
	:: atomic { c_expr { SOURCE_NEXT == COMMIT_TO_ABORTED } ->
		s_stage = ABORTED; s_live = false; migration_socket_closes() }
	/* or its journal cannot be written, and the guest is given back all the same */
	:: atomic { c_expr { SOURCE_NEXT == COMMIT_TO_ABORTED } && s_stage == PREPARED && !s_post && !s_given ->
		s_given = true; s_live = false; migration_socket_closes();
		if
		:: s_real == POSTMIGRATE && s_sees == POSTMIGRATE -> s_real = RUNNING; s_still = false; s_ran_on = true
		:: else -> skip
		fi }
	:: atomic { c_expr { SOURCE_NEXT == COMMIT_TO_COMMIT } -> s_stage = COMMIT }
	:: atomic { c_expr { SOURCE_NEXT == COMMIT_TO_REVOKED } ->
		s_stage = REVOKED; s_live = false; migration_socket_closes() }
	:: atomic { c_expr { SOURCE_NEXT == COMMIT_TO_DONE } -> s_stage = DONE }
	:: atomic { c_expr { SOURCE_NEXT == COMMIT_CONT } && s_real != DEAD -> cont(s_real); s_sees = UNKNOWN }
	:: atomic { c_expr { SOURCE_NEXT == COMMIT_STOP } && s_real != DEAD -> stop(s_real); s_sees = UNKNOWN }
	:: atomic { c_expr { SOURCE_NEXT == COMMIT_QUIT } -> s_real = DEAD; s_sees = DEAD }
#if !AT_ONCE
	:: atomic { c_expr { SOURCE_NEXT == COMMIT_SEND_COMMIT } && nfull(to_target) -> to_target!WORD_COMMIT }
	:: atomic { c_expr { SOURCE_NEXT == COMMIT_SEND_ABORT } && nfull(to_target) -> to_target!WORD_ABORT }
	:: atomic { c_expr { SOURCE_NEXT == COMMIT_ASK_PEER } && nfull(to_target) -> to_target!QUERY }
#endif
	od
}

/* What the target is answered. */
#define S_COMMITS (s_stage == DONE || (s_stage == COMMIT && !c_expr { SOURCE_NEXT == COMMIT_SEND_ABORT }))
#define S_ABORTS (s_stage == ABORTED || s_stage == REVOKED || \
		  (s_stage == COMMIT && c_expr { SOURCE_NEXT == COMMIT_SEND_ABORT }))

/* Not older than what is known. */
#define NEWS(word) (s_peer != SAYS_RAN && s_peer != SAYS_NEVER && word != s_peer && \
		    !((s_peer == SAYS_READY || s_peer == SAYS_TAKING) && (word == SAYS_PREPARED || word == SAYS_READY)))

inline take(word)
{
	if
	:: word == SAYS_LOST -> s_peer = SAYS_RAN; s_lost = true
	:: word == SAYS_RAN -> s_peer = word; s_lost = false
	:: else -> s_peer = word
	fi
}

active proctype source_hears()
{
	byte word;
end:	do
#if AT_ONCE
	:: atomic { NEWS(T_SAYS) -> word = T_SAYS; take(word); word = 0 }
#else
	:: atomic { to_source?word ->
		if
		:: word == QUERY && S_COMMITS -> say(to_target, WORD_COMMIT)
		:: word == QUERY && S_ABORTS -> say(to_target, WORD_ABORT)
		:: word == QUERY && s_stage == PREPARED -> skip
		:: word != QUERY && NEWS(word) -> take(word)
		:: word != QUERY && !NEWS(word) -> skip
		fi;
		word = 0 }
#endif
	od
}

/* ---- The target's daemon ---- */

active proctype target_acts()
{
	do
	:: atomic { c_expr { TARGET_NEXT == COMMIT_TO_READY } -> t_stage = READY; tell_source() }
	:: atomic { c_expr { TARGET_NEXT == COMMIT_TO_RUN } -> t_stage = RUN; t_here = true }
	:: atomic { c_expr { TARGET_NEXT == COMMIT_TO_DONE } ->
		t_mistaken = !t_ran && !t_lost; t_stage = DONE; tell_source() }
	:: atomic { c_expr { TARGET_NEXT == COMMIT_TO_NEVER } ->
		t_stage = NEVER; t_live = false; t_loaded = false; tell_source() }
	:: atomic { c_expr { TARGET_NEXT == COMMIT_CONT } && t_real == DEAD -> t_sees = UNKNOWN }
	:: atomic { c_expr { TARGET_NEXT == COMMIT_CONT } && t_real != DEAD -> cont(t_real);
		t_ran = t_ran || t_real == RUNNING;
		t_sees = (t_real == RUNNING && (t_live || !t_post) -> RUNNING : UNKNOWN) } /* it tells */
	:: atomic { c_expr { TARGET_NEXT == COMMIT_STOP } && t_real != DEAD -> stop(t_real); t_sees = UNKNOWN }
	:: atomic { c_expr { TARGET_NEXT == COMMIT_QUIT } ->
		t_lost = t_lost || t_stage == RUN; t_real = DEAD; t_sees = DEAD }
#if !AT_ONCE
	:: atomic { c_expr { TARGET_NEXT == COMMIT_ASK_PEER } && nfull(to_source) -> to_source!QUERY }
#endif
	od
}

active proctype target_hears()
{
	byte word;
end:	do
#if AT_ONCE
	:: atomic { t_word != WORD_COMMIT && S_COMMITS -> t_word = WORD_COMMIT }
	:: atomic { t_word != WORD_ABORT && S_ABORTS -> t_word = WORD_ABORT }
#else
	:: atomic { to_target?word ->
		if
		:: word == QUERY -> skip
		:: else -> t_word = word
		fi;
		word = 0;
		tell_source() }
#endif
	od
}

/* ---- What happens to them: each only so often, so that no fairness is needed between these ---- */

active proctype world()
{
end:	do
	/* the source's QEMU: its stop, SHUT, and the end of its migration */
	:: atomic { s_real == RUNNING && s_live && s_stage == PREPARED && s_post == POST_COPY -> s_real = BUSY; s_still = true }
	:: atomic { s_real == BUSY && s_live && s_peer == SAYS_READY && !s_shut && !s_post -> s_shut = true }
	:: atomic { s_real == BUSY && s_shut -> s_real = POSTMIGRATE }
	/* the timer that guards the promise, or an operator */
	:: atomic { s_live && !s_shut && s_stage == PREPARED && !s_post -> s_live = false }
	/* all that the source sent has come and is loaded; or the source has gone */
	:: atomic { t_live && !t_loaded && t_real == PAUSED && t_stage == PREPARED && s_real == BUSY && s_live ->
		t_loaded = true; t_post = s_post; t_partial = s_post }
	:: atomic { t_live && !s_live && t_stage == PREPARED -> t_live = false }
	/* QEMUs are asked, or tell */
	:: atomic { s_sees != s_real -> s_sees = s_real;
		if
		:: s_post && s_peer != SAYS_RAN && (s_real == BROKEN || s_real == DEAD) -> s_lost = true; s_live = false
		:: else -> skip
		fi }
	:: atomic { t_sees != T_SEEN && !t_silent -> t_sees = T_SEEN;
		t_refused = t_refused || (t_sees == DEAD && t_stage == RUN && t_here && !t_ran && !t_post) }
#if POST_COPY
	/* it is begun; all comes, QEMU says so to the other one, the target's daemon hears it */
	:: atomic { s_real == RUNNING && s_live && s_stage == PREPARED && !s_post -> s_post = true }
	:: atomic { t_post && !t_whole && STREAM && t_real != DEAD -> t_whole = true }
	:: atomic { t_whole && STREAM -> s_real = POSTMIGRATE }
	:: atomic { t_whole && t_live && t_partial -> t_partial = false }
	/* without the stream QEMU pauses, and may wait for a page, or be slow, and not say so; then
	   the RAM file is asked, by who has no stream any more */
	:: atomic { t_post && !t_whole && !t_broken && !STREAM -> t_broken = true }
	:: atomic { t_post && !t_live && !t_silent && !t_whole -> t_silent = true }
	:: atomic { t_silent && t_sees == BUSY -> t_sees = UNKNOWN } /* it is asked again and again */
	:: atomic { t_silent && !t_live && t_sees == UNKNOWN && !t_whole && !t_partial &&
		(t_stage == READY || t_stage == RUN) -> t_partial = true; t_lost = true }
	:: atomic { s_post && s_sees == DEAD && !s_lost && (s_stage == ABORTED || s_stage == REVOKED) -> s_lost = true }
	:: atomic { blows > 0 && t_post && !t_whole && t_real != DEAD -> blows--;
		t_real = DEAD; t_sees = DEAD; t_lost = t_lost || t_stage == RUN }
	:: atomic { blows > 0 && s_post && (s_real == BUSY || s_real == BROKEN) -> blows--; s_real = DEAD }
#endif
	/* blows: to the source's daemon, the target's, the target's QEMU (cont is refused, or it
	   dies before it runs; of one that runs it is the guest's end), the link */
	:: atomic { blows > 0 -> blows--;
		s_live = false; s_still = false; s_peer = SILENT; s_sees = (s_real == DEAD -> DEAD : UNKNOWN);
		migration_socket_closes() }
	:: atomic { blows > 0 -> blows--;
		t_live = false; t_loaded = false; t_refused = false; t_here = false; t_word = 0; t_sees = (t_real == DEAD -> DEAD : UNKNOWN);
		t_partial = t_lost }
#if !POST_COPY
	:: atomic { blows > 0 && s_stage == PREPARED && s_real != DEAD -> blows--; s_real = DEAD; s_died = true }
#endif
	:: atomic { blows > 0 && t_stage == RUN && t_real == PAUSED -> blows--; t_refused = true }
	:: atomic { blows > 0 && !t_ran && t_real != DEAD && !t_post -> blows--; t_real = DEAD }
	:: atomic { blows > 0 && t_stage < RUN && t_real != DEAD && t_post -> blows--; t_real = DEAD; t_sees = DEAD }
	:: atomic { blows > 0 && (len(to_source) > 0 || len(to_target) > 0) -> blows--;
		do
		:: to_source?_
		:: to_target?_
		:: empty(to_source) && empty(to_target) -> break
		od }
	od
}

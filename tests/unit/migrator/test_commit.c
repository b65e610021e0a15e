/* SPDX-License-Identifier: Apache-2.0
 *
 * The rules of the commit, twice: line by line, and by visiting every state
 * that two daemons, two QEMUs and a network that delays, repeats and loses
 * messages can get into, with each of the four killed at any point.
 */
#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "migrator/commit.h"

#define S(name) TAGALONG__PEER_STAGE__PEER_##name
#define Q(name) COMMIT_QEMU_##name

/* ---- Line by line ----------------------------------------------------------------- */

Test(commit, source_rules)
{
	static const struct {
		struct commit_source f; /* stage, qemu, peer, live, post_copy, still */
		enum commit_action want;
	} rows[] = {
		/* normal running */
		{ { JOURNAL_BEGUN, Q(RUNNING), 0, true }, COMMIT_WAIT },
		{ { JOURNAL_BEGUN, Q(DEAD), 0, true }, COMMIT_TO_ABORTED },
		{ { JOURNAL_PREPARED, Q(BUSY), S(LOADING), true }, COMMIT_WAIT },
		{ { JOURNAL_PREPARED, Q(BUSY), S(READY), true }, COMMIT_WAIT },
		{ { JOURNAL_PREPARED, Q(BUSY), S(NEVER), true }, COMMIT_TO_ABORTED },
		{ { JOURNAL_PREPARED, Q(POSTMIGRATE), S(READY), true }, COMMIT_TO_COMMIT },
		{ { JOURNAL_PREPARED, Q(POSTMIGRATE), S(LOADING), true }, COMMIT_TO_ABORTED },
		{ { JOURNAL_PREPARED, Q(DEAD), S(READY), true, false, true }, COMMIT_TO_COMMIT },
		{ { JOURNAL_PREPARED, Q(DEAD), S(LOADING), true }, COMMIT_TO_ABORTED },
		{ { JOURNAL_COMMIT, Q(POSTMIGRATE), S(READY), true }, COMMIT_SEND_COMMIT },
		{ { JOURNAL_COMMIT, Q(POSTMIGRATE), S(RAN), true }, COMMIT_TO_DONE },
		{ { JOURNAL_COMMIT, Q(POSTMIGRATE), S(NEVER), true }, COMMIT_TO_REVOKED },
		{ { JOURNAL_DONE, Q(POSTMIGRATE), S(RAN), true }, COMMIT_QUIT },
		{ { JOURNAL_DONE, Q(DEAD), S(RAN), true }, COMMIT_SETTLE },
		/* after a restart, or once the move is given up */
		{ { JOURNAL_BEGUN, Q(UNKNOWN), 0, false }, COMMIT_TO_ABORTED },
		{ { JOURNAL_PREPARED, Q(UNKNOWN), 0, false }, COMMIT_WAIT },
		{ { JOURNAL_PREPARED, Q(RUNNING), 0, false }, COMMIT_TO_ABORTED },
		{ { JOURNAL_PREPARED, Q(POSTMIGRATE), S(READY), false }, COMMIT_TO_ABORTED },
		{ { JOURNAL_PREPARED, Q(DEAD), 0, false }, COMMIT_ASK_PEER },
		{ { JOURNAL_PREPARED, Q(DEAD), S(READY), false, false, true }, COMMIT_TO_COMMIT },
		{ { JOURNAL_PREPARED, Q(DEAD), S(READY), false, false, false }, COMMIT_ASK_PEER },
		{ { JOURNAL_PREPARED, Q(DEAD), S(RAN), false, false, false }, COMMIT_TO_COMMIT },
		{ { JOURNAL_PREPARED, Q(DEAD), S(PREPARED), false }, COMMIT_TO_ABORTED },
		{ { JOURNAL_PREPARED, Q(DEAD), S(NEVER), false }, COMMIT_TO_ABORTED },
		{ { JOURNAL_PREPARED, Q(DEAD), S(UNKNOWN), false }, COMMIT_TO_ABORTED },
		{ { JOURNAL_ABORTED, Q(POSTMIGRATE), 0, false }, COMMIT_CONT },
		{ { JOURNAL_ABORTED, Q(RUNNING), S(READY), false }, COMMIT_SEND_ABORT },
		{ { JOURNAL_ABORTED, Q(RUNNING), S(NEVER), false }, COMMIT_SETTLE },
		{ { JOURNAL_ABORTED, Q(BUSY), S(NEVER), false }, COMMIT_WAIT },
		{ { JOURNAL_ABORTED, Q(DEAD), S(UNKNOWN), false }, COMMIT_SETTLE },
		{ { JOURNAL_ABORTED, Q(RUNNING), S(RAN), false }, COMMIT_STOP },
		{ { JOURNAL_ABORTED, Q(PAUSED), S(RAN), false }, COMMIT_ASK_PEER },
		{ { JOURNAL_COMMIT, Q(POSTMIGRATE), 0, false }, COMMIT_SEND_COMMIT },
		{ { JOURNAL_COMMIT, Q(POSTMIGRATE), S(UNKNOWN), false }, COMMIT_SEND_COMMIT },
		{ { JOURNAL_COMMIT, Q(UNKNOWN), 0, false }, COMMIT_SEND_COMMIT },
		{ { JOURNAL_COMMIT, Q(RUNNING), 0, false }, COMMIT_STOP },
		{ { JOURNAL_COMMIT, Q(DEAD), S(NEVER), false }, COMMIT_TO_REVOKED },
		{ { JOURNAL_REVOKED, Q(POSTMIGRATE), S(NEVER), false }, COMMIT_CONT },
		{ { JOURNAL_REVOKED, Q(UNKNOWN), 0, false }, COMMIT_SEND_ABORT },
		{ { JOURNAL_REVOKED, Q(UNKNOWN), S(NEVER), false }, COMMIT_WAIT },
		{ { JOURNAL_REVOKED, Q(RUNNING), S(NEVER), false }, COMMIT_SETTLE },
		{ { JOURNAL_REVOKED, Q(POSTMIGRATE), 0, false }, COMMIT_CONT },
		{ { JOURNAL_REVOKED, Q(RUNNING), 0, false }, COMMIT_SEND_ABORT },
		{ { JOURNAL_REVOKED, Q(RUNNING), S(RAN), false }, COMMIT_STOP },
		{ { JOURNAL_REVOKED, Q(PAUSED), S(RAN), false }, COMMIT_ASK_PEER },
		/* post-copy */
		{ { JOURNAL_PREPARED, Q(BUSY), S(LOADING), true, true }, COMMIT_WAIT },
		{ { JOURNAL_PREPARED, Q(POSTMIGRATE), S(LOADING), true, true }, COMMIT_WAIT },
		{ { JOURNAL_PREPARED, Q(BUSY), S(READY), true, true }, COMMIT_TO_COMMIT },
		{ { JOURNAL_PREPARED, Q(BUSY), S(READY), false, true }, COMMIT_TO_ABORTED },
		{ { JOURNAL_PREPARED, Q(DEAD), S(READY), true, true }, COMMIT_TO_ABORTED },
		{ { JOURNAL_PREPARED, Q(BROKEN), S(READY), false, true }, COMMIT_TO_ABORTED },
		{ { JOURNAL_COMMIT, Q(BUSY), S(READY), true, true }, COMMIT_SEND_COMMIT },
		{ { JOURNAL_COMMIT, Q(BUSY), S(TAKING), true, true }, COMMIT_WAIT },
		{ { JOURNAL_COMMIT, Q(POSTMIGRATE), S(TAKING), true, true }, COMMIT_WAIT },
		{ { JOURNAL_COMMIT, Q(BROKEN), S(TAKING), false, true }, COMMIT_SEND_ABORT },
		{ { JOURNAL_COMMIT, Q(DEAD), S(TAKING), false, true }, COMMIT_SEND_ABORT },
		{ { JOURNAL_COMMIT, Q(BROKEN), S(RAN), false, true }, COMMIT_TO_DONE },
		{ { JOURNAL_COMMIT, Q(BUSY), S(NEVER), true, true }, COMMIT_TO_REVOKED },
		{ { JOURNAL_ABORTED, Q(BROKEN), S(RAN), false, true }, COMMIT_ASK_PEER },
		{ { JOURNAL_ABORTED, Q(BROKEN), S(READY), false, true }, COMMIT_QUIT },
		{ { JOURNAL_REVOKED, Q(BROKEN), S(NEVER), false, true }, COMMIT_QUIT },
		{ { JOURNAL_DONE, Q(BROKEN), S(RAN), false, true }, COMMIT_QUIT },
		/* not a source's stage */
		{ { JOURNAL_READY, Q(RUNNING), 0, false }, COMMIT_ASK_PEER },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		enum commit_action got = commit_source_next(&rows[i].f);

		cr_assert_eq(got, rows[i].want, "row %zu: %s, not %s", i, commit_action_name(got),
			     commit_action_name(rows[i].want));
	}
}

Test(commit, target_rules)
{
	static const struct {
		struct commit_target f; /* stage, qemu, word, live, loaded, refused */
		enum commit_action want;
	} rows[] = {
		{ { JOURNAL_BEGUN, Q(UNKNOWN), 0, true }, COMMIT_WAIT },
		{ { JOURNAL_BEGUN, Q(PAUSED), 0, false }, COMMIT_TO_NEVER },
		{ { JOURNAL_PREPARED, Q(PAUSED), 0, true }, COMMIT_WAIT },
		{ { JOURNAL_PREPARED, Q(PAUSED), 0, true, true }, COMMIT_TO_READY },
		{ { JOURNAL_PREPARED, Q(PAUSED), 0, false }, COMMIT_TO_NEVER },
		{ { JOURNAL_PREPARED, Q(DEAD), 0, true }, COMMIT_TO_NEVER },
		{ { JOURNAL_PREPARED, Q(PAUSED), COMMIT_WORD_COMMIT, true }, COMMIT_TO_NEVER },
		{ { JOURNAL_PREPARED, Q(PAUSED), COMMIT_WORD_ABORT, true }, COMMIT_TO_NEVER },
		{ { JOURNAL_READY, Q(PAUSED), 0, true, true }, COMMIT_ASK_PEER },
		{ { JOURNAL_READY, Q(PAUSED), 0, false }, COMMIT_ASK_PEER },
		{ { JOURNAL_READY, Q(UNKNOWN), COMMIT_WORD_COMMIT, false }, COMMIT_TO_RUN },
		{ { JOURNAL_READY, Q(PAUSED), COMMIT_WORD_ABORT, false }, COMMIT_TO_NEVER },
		{ { JOURNAL_READY, Q(DEAD), 0, false }, COMMIT_TO_NEVER },
		{ { JOURNAL_READY, Q(DEAD), COMMIT_WORD_COMMIT, false }, COMMIT_TO_NEVER },
		{ { JOURNAL_READY, Q(RUNNING), 0, false }, COMMIT_STOP },
		{ { JOURNAL_RUN, Q(PAUSED), 0, false }, COMMIT_CONT },
		{ { JOURNAL_RUN, Q(RUNNING), COMMIT_WORD_ABORT, false }, COMMIT_TO_DONE },
		{ { JOURNAL_RUN, Q(DEAD), 0, false }, COMMIT_TO_DONE },
		{ { JOURNAL_RUN, Q(UNKNOWN), 0, false }, COMMIT_WAIT },
		{ { JOURNAL_RUN, Q(PAUSED), 0, true, true, true }, COMMIT_TO_NEVER },
		{ { JOURNAL_RUN, Q(DEAD), 0, true, true, true }, COMMIT_TO_NEVER },
		/* post-copy; the last fact is that it is partial */
		{ { JOURNAL_READY, Q(BROKEN), 0, false }, COMMIT_TO_NEVER },
		{ { JOURNAL_READY, Q(BROKEN), COMMIT_WORD_COMMIT, false }, COMMIT_TO_NEVER },
		{ { JOURNAL_RUN, Q(PAUSED), COMMIT_WORD_COMMIT, true, true, false, true }, COMMIT_CONT },
		{ { JOURNAL_RUN, Q(RUNNING), COMMIT_WORD_COMMIT, true, true, false, true }, COMMIT_WAIT },
		{ { JOURNAL_RUN, Q(RUNNING), COMMIT_WORD_ABORT, true, true, false, true }, COMMIT_QUIT },
		{ { JOURNAL_RUN, Q(DEAD), COMMIT_WORD_ABORT, true, true, false, true }, COMMIT_TO_DONE },
		{ { JOURNAL_RUN, Q(BROKEN), 0, false }, COMMIT_QUIT },
		/* … which it remains after a restart */
		{ { JOURNAL_READY, Q(PAUSED), 0, true, true, false, true }, COMMIT_ASK_PEER },
		{ { JOURNAL_READY, Q(PAUSED), COMMIT_WORD_COMMIT, false, false, false, true }, COMMIT_TO_NEVER },
		{ { JOURNAL_RUN, Q(UNKNOWN), COMMIT_WORD_COMMIT, false, false, false, true }, COMMIT_QUIT },
		{ { JOURNAL_RUN, Q(PAUSED), COMMIT_WORD_COMMIT, false, false, false, true }, COMMIT_QUIT },
		{ { JOURNAL_RUN, Q(DEAD), COMMIT_WORD_COMMIT, false, false, false, true }, COMMIT_TO_DONE },
		{ { JOURNAL_DONE, Q(RUNNING), 0, false }, COMMIT_SETTLE },
		{ { JOURNAL_NEVER, Q(PAUSED), 0, false }, COMMIT_QUIT },
		{ { JOURNAL_NEVER, Q(DEAD), COMMIT_WORD_COMMIT, false }, COMMIT_SETTLE },
		{ { JOURNAL_COMMIT, Q(RUNNING), 0, false }, COMMIT_ASK_PEER },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		enum commit_action got = commit_target_next(&rows[i].f);

		cr_assert_eq(got, rows[i].want, "row %zu: %s, not %s", i, commit_action_name(got),
			     commit_action_name(rows[i].want));
	}
}

Test(commit, words_of_qemu)
{
	cr_assert_eq(commit_qemu_state(NULL, NULL), Q(UNKNOWN));
	cr_assert_eq(commit_qemu_state("running", NULL), Q(RUNNING));
	cr_assert_eq(commit_qemu_state("running", "active"), Q(BUSY));
	cr_assert_eq(commit_qemu_state("running", "failed"), Q(RUNNING));
	cr_assert_eq(commit_qemu_state("running", "cancelling"), Q(BUSY));
	cr_assert_eq(commit_qemu_state("finish-migrate", "active"), Q(BUSY));
	cr_assert_eq(commit_qemu_state("finish-migrate", "completed"), Q(BUSY));
	cr_assert_eq(commit_qemu_state("postmigrate", "completed"), Q(POSTMIGRATE));
	cr_assert_eq(commit_qemu_state("inmigrate", NULL), Q(PAUSED));
	cr_assert_eq(commit_qemu_state("inmigrate", "active"), Q(BUSY));
	cr_assert_eq(commit_qemu_state("paused", "completed"), Q(PAUSED));
	cr_assert_eq(commit_qemu_state("io-error", "none"), Q(RUNNING));
	cr_assert_eq(commit_qemu_state("finish-migrate", "postcopy-active"), Q(BUSY));
	cr_assert_eq(commit_qemu_state("inmigrate", "postcopy-active"), Q(BUSY));
	cr_assert_eq(commit_qemu_state("paused", "postcopy-active"), Q(PAUSED));
	cr_assert_eq(commit_qemu_state("running", "postcopy-active"), Q(BUSY));
	cr_assert_eq(commit_qemu_state("running", "postcopy-paused"), Q(BROKEN));
	cr_assert_eq(commit_qemu_state("finish-migrate", "postcopy-paused"), Q(BROKEN));
}

/* ---- Every state ---------------------------------------------------------------------- */

/* What is true of the source's QEMU; what the daemon knows of it is `src_sees`. */
enum real { R_RUNNING, R_STOPPED, R_POSTMIGRATE, R_PAUSED, R_DEAD };

enum { SENT_READY = 1, SENT_RAN = 2, SENT_NEVER = 4, SENT_COMMIT = 8, SENT_ABORT = 16, SENT_OTHER = 32 };

struct world {
	uint8_t src_stage, src_real, src_sees, src_peer, src_live, src_shut;
	uint8_t src_still;  /* what the daemon knows: it has not run since it stopped */
	uint8_t src_ran_on; /* what is true: it has, without having been sent anew */
	uint8_t tgt_stage, tgt_real, tgt_sees, tgt_word, tgt_live, tgt_loaded, tgt_refused;
	uint8_t sent; /* every message ever sent may arrive at any time, again and again */
	uint8_t kills; /* QEMUs that were killed: bit 0 source, bit 1 target */
};

#define WORLDS_MAX (1u << 22)

static struct world *worlds;
static uint32_t *hashed;
static uint32_t n_worlds;

static void visit(const struct world *w)
{
	uint64_t h = 1469598103934665603u;

	for (size_t i = 0; i < sizeof(*w); i++)
		h = (h ^ ((const uint8_t *)w)[i]) * 1099511628211u;
	for (uint32_t i = (uint32_t)(h >> 20) % (2 * WORLDS_MAX);; i = (i + 1) % (2 * WORLDS_MAX)) {
		if (!hashed[i]) {
			cr_assert_lt(n_worlds, WORLDS_MAX);
			worlds[n_worlds] = *w;
			hashed[i] = ++n_worlds;
			return;
		}
		if (memcmp(&worlds[hashed[i] - 1], w, sizeof(*w)) == 0)
			return;
	}
}

static uint8_t seen(uint8_t real)
{
	static const uint8_t map[] = { [R_RUNNING] = Q(RUNNING), [R_STOPPED] = Q(BUSY),
				       [R_POSTMIGRATE] = Q(POSTMIGRATE), [R_PAUSED] = Q(PAUSED),
				       [R_DEAD] = Q(DEAD) };
	return map[real];
}

static bool source_acts(const struct world *w, struct world *n)
{
	struct commit_source f = { (enum journal_stage)w->src_stage,
				   (enum commit_qemu)w->src_sees, w->src_peer, w->src_live,
				   false, w->src_still };

	*n = *w;
	switch (commit_source_next(&f)) {
	case COMMIT_TO_ABORTED:
		n->src_stage = JOURNAL_ABORTED;
		n->src_live = 0;
		break;
	case COMMIT_TO_COMMIT:
		n->src_stage = JOURNAL_COMMIT;
		break;
	case COMMIT_TO_REVOKED:
		n->src_stage = JOURNAL_REVOKED;
		break;
	case COMMIT_TO_DONE:
		n->src_stage = JOURNAL_DONE;
		break;
	case COMMIT_CONT:
		if (w->src_real == R_DEAD)
			return false;
		n->src_real = R_RUNNING;
		n->src_sees = Q(RUNNING);
		break;
	case COMMIT_STOP:
		n->src_real = w->src_real == R_RUNNING ? R_PAUSED : w->src_real;
		n->src_sees = seen(n->src_real);
		break;
	case COMMIT_QUIT:
		n->src_real = R_DEAD;
		n->src_sees = Q(DEAD);
		break;
	case COMMIT_SEND_COMMIT:
		n->sent |= SENT_COMMIT;
		break;
	case COMMIT_SEND_ABORT:
		n->sent |= SENT_ABORT;
		break;
	default:
		return false;
	}
	return true;
}

static bool target_acts(const struct world *w, struct world *n)
{
	struct commit_target f = { (enum journal_stage)w->tgt_stage,
				   (enum commit_qemu)w->tgt_sees,
				   (enum commit_word)w->tgt_word,
				   w->tgt_live,
				   w->tgt_loaded,
				   w->tgt_refused };

	*n = *w;
	switch (commit_target_next(&f)) {
	case COMMIT_TO_READY:
		n->tgt_stage = JOURNAL_READY;
		break;
	case COMMIT_TO_RUN:
		n->tgt_stage = JOURNAL_RUN;
		break;
	case COMMIT_TO_NEVER:
		n->tgt_stage = JOURNAL_NEVER;
		n->tgt_live = n->tgt_loaded = 0;
		break;
	case COMMIT_TO_DONE:
		n->tgt_stage = JOURNAL_DONE;
		break;
	case COMMIT_CONT:
		if (w->tgt_real == R_DEAD)
			return false;
		n->tgt_real = R_RUNNING;
		n->tgt_sees = Q(RUNNING);
		break;
	case COMMIT_STOP:
		n->tgt_real = w->tgt_real == R_RUNNING ? R_PAUSED : w->tgt_real;
		n->tgt_sees = seen(n->tgt_real);
		break;
	case COMMIT_QUIT:
		n->tgt_real = R_DEAD;
		n->tgt_sees = Q(DEAD);
		break;
	default:
		return false;
	}
	return true;
}

/* The source's QEMU, its socket gone: what was stopped and had no SHUT resumes. */
static void source_socket_dies(struct world *n)
{
	if (n->src_real != R_STOPPED)
		return;
	n->src_real = n->src_shut ? R_POSTMIGRATE : R_RUNNING;
	if (n->src_real == R_RUNNING) {
		n->src_still = 0;
		n->src_ran_on = 1;
	}
}

/* The journal cannot be written: the guest goes on all the same. */
static void visit_unwritten_abort(const struct world *w)
{
	struct world n = *w;

	if (w->src_stage != JOURNAL_PREPARED)
		return;
	n.src_live = 0;
	source_socket_dies(&n);
	if (n.src_sees == Q(POSTMIGRATE) && n.src_real == R_POSTMIGRATE) {
		n.src_real = R_RUNNING;
		n.src_still = 0;
		n.src_ran_on = 1;
	}
	visit(&n);
}

static void visit_source_progress(const struct world *w)
{
	struct world n = *w;

	if (w->src_stage == JOURNAL_PREPARED && w->src_live && w->src_real == R_RUNNING) {
		n.src_real = R_STOPPED; /* QEMU's own stop */
		n.src_sees = Q(BUSY);
		n.src_still = 1;
		visit(&n);
	}
	n = *w;
	if (w->src_live && w->src_real == R_STOPPED && w->src_peer == S(READY) &&
	    w->src_stage == JOURNAL_PREPARED && !w->src_shut) {
		n.src_shut = 1;
		visit(&n);
	}
	n = *w;
	if (w->src_real == R_STOPPED && w->src_shut) {
		n.src_real = R_POSTMIGRATE;
		visit(&n);
	}
	n = *w;
	if (w->src_live) { /* cancelled, guard timer, link failure … */
		n.src_live = 0;
		visit(&n);
	}
	n = *w;
	if (!w->src_live && w->src_real == R_STOPPED && w->src_stage != JOURNAL_COMMIT) {
		source_socket_dies(&n); /* closed when the move is given up */
		visit(&n);
	}
	n = *w;
	n.src_sees = seen(w->src_real); /* QEMU is asked, or tells */
	visit(&n);
	n = *w; /* the daemon is killed and starts again */
	n.src_live = n.src_still = 0;
	n.src_peer = COMMIT_PEER_SILENT;
	n.src_sees = Q(UNKNOWN);
	source_socket_dies(&n);
	visit(&n);
	n = *w; /* QEMU is killed */
	n.src_real = R_DEAD;
	n.kills |= 1;
	visit(&n);
}

static void visit_target_progress(const struct world *w)
{
	struct world n = *w;

	if (w->tgt_live && w->tgt_real == R_PAUSED && w->tgt_stage == JOURNAL_PREPARED &&
	    w->src_real == R_STOPPED && w->src_live) {
		n.tgt_loaded = 1;
		n.tgt_sees = Q(PAUSED);
		visit(&n);
	}
	n = *w;
	if (w->tgt_live) { /* the data connection broke, or none came in time */
		n.tgt_live = 0;
		visit(&n);
	}
	n = *w;
	if (w->tgt_stage == JOURNAL_RUN && w->tgt_real == R_PAUSED) { /* a lock it cannot get */
		n.tgt_refused = 1;
		visit(&n);
	}
	n = *w;
	n.tgt_sees = seen(w->tgt_real);
	visit(&n);
	n = *w;
	n.tgt_live = n.tgt_loaded = n.tgt_refused = 0;
	n.tgt_word = COMMIT_WORD_NONE;
	n.tgt_sees = Q(UNKNOWN);
	visit(&n);
	n = *w;
	n.tgt_real = R_DEAD;
	n.kills |= 2;
	visit(&n);
	n = *w; /* it says how it stands, unasked or as an answer */
	switch (commit_target_stage((enum journal_stage)w->tgt_stage, false)) {
	case TAGALONG__PEER_STAGE__PEER_READY:
		n.sent |= SENT_READY;
		break;
	case TAGALONG__PEER_STAGE__PEER_RAN:
		n.sent |= SENT_RAN;
		break;
	case TAGALONG__PEER_STAGE__PEER_NEVER:
		n.sent |= SENT_NEVER;
		break;
	default:
		n.sent |= SENT_OTHER;
		break;
	}
	visit(&n);
}

static void visit_deliveries(const struct world *w)
{
	static const struct {
		uint8_t sent, stage;
	} to_source[] = { { SENT_READY, S(READY) }, { SENT_RAN, S(RAN) }, { SENT_NEVER, S(NEVER) },
			  { SENT_OTHER, S(PREPARED) } };
	struct world n;

	for (size_t i = 0; i < ARRAY_SIZE(to_source); i++)
		if (w->sent & to_source[i].sent) {
			n = *w;
			n.src_peer = to_source[i].stage;
			visit(&n);
		}
	if (w->sent & SENT_COMMIT) {
		n = *w;
		n.tgt_word = COMMIT_WORD_COMMIT;
		visit(&n);
	}
	if (w->sent & SENT_ABORT) {
		n = *w;
		n.tgt_word = COMMIT_WORD_ABORT;
		visit(&n);
	}
}

static void check_safety(const struct world *w)
{
	cr_assert(!(w->src_real == R_RUNNING && w->tgt_real == R_RUNNING),
		  "both run: source %s, target %s",
		  journal_stage_name((enum journal_stage)w->src_stage),
		  journal_stage_name((enum journal_stage)w->tgt_stage));
	/* The source lets go only of what runs at the target, or has died there since. */
	if (w->src_stage == JOURNAL_DONE)
		cr_assert(w->tgt_real == R_RUNNING || (w->kills & 2));
	if (w->tgt_real == R_RUNNING) {
		cr_assert(w->src_stage == JOURNAL_COMMIT || w->src_stage == JOURNAL_DONE);
		cr_assert(!w->src_ran_on, "an older state of the guest runs than the source had");
	}
}

/* Once the blows stop and the peers meet, the two settle by themselves, and one
 * QEMU runs the guest if at least one that held it whole was left alone. */
static void check_settles(const struct world *start)
{
	struct world w = *start, n;
	int round;

	for (round = 0; round < 60; round++) {
		struct world before = w;

		if (w.src_real == R_STOPPED)
			source_socket_dies(&w);
		w.src_live = 0;
		w.tgt_live = 0;
		w.src_sees = seen(w.src_real);
		w.tgt_sees = seen(w.tgt_real);
		while (source_acts(&w, &n) && memcmp(&n, &w, sizeof(n)) != 0)
			w = n;
		if (w.src_stage == JOURNAL_COMMIT || w.src_stage == JOURNAL_DONE)
			w.tgt_word = COMMIT_WORD_COMMIT;
		else if (w.src_stage == JOURNAL_ABORTED || w.src_stage == JOURNAL_REVOKED)
			w.tgt_word = COMMIT_WORD_ABORT;
		while (target_acts(&w, &n) && memcmp(&n, &w, sizeof(n)) != 0)
			w = n;
		w.src_peer = (uint8_t)commit_target_stage((enum journal_stage)w.tgt_stage, false);
		if (memcmp(&before, &w, sizeof(w)) == 0)
			break;
	}
	cr_assert_lt(round, 60);
	if (!w.kills)
		cr_assert((w.src_real == R_RUNNING) != (w.tgt_real == R_RUNNING),
			  "settled with %d copies: source %s (%d), target %s (%d)",
			  (w.src_real == R_RUNNING) + (w.tgt_real == R_RUNNING),
			  journal_stage_name((enum journal_stage)w.src_stage), w.src_real,
			  journal_stage_name((enum journal_stage)w.tgt_stage), w.tgt_real);
	/* The target's death before it ran costs nothing. */
	if (w.kills == 2 && w.tgt_stage == JOURNAL_NEVER)
		cr_assert_eq(w.src_real, R_RUNNING);
}

Test(commit, no_order_of_events_runs_two_copies_or_none, .timeout = 300)
{
	struct world w = {
		.src_stage = JOURNAL_PREPARED, .src_real = R_RUNNING, .src_sees = Q(BUSY),
		.src_live = 1,
		.tgt_stage = JOURNAL_PREPARED, .tgt_real = R_PAUSED, .tgt_sees = Q(PAUSED),
		.tgt_live = 1,
	};
	struct world n;

	worlds = calloc(WORLDS_MAX, sizeof(*worlds));
	hashed = calloc(2 * (size_t)WORLDS_MAX, sizeof(*hashed));
	cr_assert(worlds && hashed);
	visit(&w);
	for (uint32_t i = 0; i < n_worlds; i++) {
		w = worlds[i];
		check_safety(&w);
		check_settles(&w);
		if (source_acts(&w, &n)) {
			visit(&n);
			if (n.src_stage == JOURNAL_ABORTED)
				visit_unwritten_abort(&w);
		}
		if (target_acts(&w, &n))
			visit(&n);
		visit_source_progress(&w);
		visit_target_progress(&w);
		visit_deliveries(&w);
	}
	cr_log_info("%u states", n_worlds);
	cr_assert_gt(n_worlds, 1000);
	free(worlds);
	free(hashed);
}

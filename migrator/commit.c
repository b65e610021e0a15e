/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/commit.h"

#include <string.h>

#define PEER(name) ((unsigned)TAGALONG__PEER_STAGE__PEER_##name)

static bool is_alive(enum commit_qemu qemu)
{
	return qemu != COMMIT_QEMU_DEAD;
}

static bool is_stopped(enum commit_qemu qemu)
{
	return qemu == COMMIT_QEMU_POSTMIGRATE || qemu == COMMIT_QEMU_PAUSED;
}

/* ---- The source ------------------------------------------------------------------ */

/* The source's QEMU died before the decision. What the target has loaded is then
 * all that is left of the guest. */
static enum commit_action source_lost(const struct commit_source *f)
{
	switch (f->peer) {
	case PEER(READY):
		return f->still ? COMMIT_TO_COMMIT : COMMIT_ASK_PEER;
	case PEER(RAN): /* an operator had it run there */
		return COMMIT_TO_COMMIT;
	case COMMIT_PEER_SILENT:
		return COMMIT_ASK_PEER;
	default:
		return COMMIT_TO_ABORTED;
	}
}

static bool is_broken(const struct commit_source *f)
{
	return f->qemu == COMMIT_QEMU_BROKEN || (f->post_copy && f->qemu == COMMIT_QEMU_DEAD);
}

static enum commit_action source_prepared(const struct commit_source *f)
{
	if (is_broken(f))
		return COMMIT_TO_ABORTED;
	if (f->qemu == COMMIT_QEMU_DEAD)
		return source_lost(f);
	if (!f->live)
		return f->qemu == COMMIT_QEMU_UNKNOWN ? COMMIT_WAIT : COMMIT_TO_ABORTED;
	if (f->peer == PEER(NEVER))
		return COMMIT_TO_ABORTED;
	if (f->post_copy)
		return f->peer == PEER(READY) ? COMMIT_TO_COMMIT : COMMIT_WAIT;
	if (f->qemu == COMMIT_QEMU_POSTMIGRATE)
		return f->peer == PEER(READY) ? COMMIT_TO_COMMIT : COMMIT_TO_ABORTED;
	return COMMIT_WAIT;
}

static enum commit_action source_committed(const struct commit_source *f)
{
	if (f->peer == PEER(RAN))
		return COMMIT_TO_DONE;
	if (f->peer == PEER(NEVER))
		return COMMIT_TO_REVOKED;
	if (f->qemu == COMMIT_QEMU_RUNNING)
		return COMMIT_STOP;
	if (is_broken(f))
		return COMMIT_SEND_ABORT; /* nobody can give the target the rest */
	return f->peer == PEER(TAKING) ? COMMIT_WAIT : COMMIT_SEND_COMMIT;
}

/* The guest is this side's: aborted, or revoked. */
static enum commit_action source_keeps(const struct commit_source *f)
{
	/* But it runs at the target: an operator said so there, or here when that one was away. Then
	 * this copy must not run, and only an operator knows which one is wanted. */
	if (f->peer == PEER(RAN))
		return f->qemu == COMMIT_QEMU_RUNNING ? COMMIT_STOP : COMMIT_ASK_PEER;
	if (is_stopped(f->qemu))
		return COMMIT_CONT;
	if (f->qemu == COMMIT_QEMU_BROKEN)
		return COMMIT_QUIT;
	if (f->peer != PEER(NEVER) && f->peer != PEER(UNKNOWN))
		return COMMIT_SEND_ABORT;
	if (f->qemu == COMMIT_QEMU_UNKNOWN || f->qemu == COMMIT_QEMU_BUSY)
		return COMMIT_WAIT;
	return COMMIT_SETTLE;
}

enum commit_action commit_source_next(const struct commit_source *f)
{
	switch (f->stage) {
	case JOURNAL_BEGUN:
		return f->live && is_alive(f->qemu) ? COMMIT_WAIT : COMMIT_TO_ABORTED;
	case JOURNAL_PREPARED:
		return source_prepared(f);
	case JOURNAL_COMMIT:
		return source_committed(f);
	case JOURNAL_DONE:
		return is_alive(f->qemu) ? COMMIT_QUIT : COMMIT_SETTLE;
	case JOURNAL_ABORTED:
	case JOURNAL_REVOKED:
		return source_keeps(f);
	case JOURNAL_READY:
	case JOURNAL_RUN:
	case JOURNAL_NEVER:
		break; /* the target's */
	}
	return COMMIT_ASK_PEER;
}

/* ---- The target ------------------------------------------------------------------ */

/* It waits for memory that nobody can give it any more. */
static bool is_starved(const struct commit_target *f)
{
	return f->qemu == COMMIT_QEMU_BROKEN ||
	       (f->partial && (!f->live || f->word == COMMIT_WORD_ABORT));
}

static enum commit_action target_ready(const struct commit_target *f)
{
	if (f->qemu == COMMIT_QEMU_DEAD || is_starved(f) || f->word == COMMIT_WORD_ABORT)
		return COMMIT_TO_NEVER;
	if (f->word == COMMIT_WORD_COMMIT)
		return COMMIT_TO_RUN;
	if (f->qemu == COMMIT_QEMU_RUNNING)
		return COMMIT_STOP;
	return COMMIT_ASK_PEER;
}

static enum commit_action target_run(const struct commit_target *f)
{
	if (f->refused && f->qemu != COMMIT_QEMU_RUNNING)
		return COMMIT_TO_NEVER; /* it never ran, and the source still has it whole */
	if (is_alive(f->qemu) && is_starved(f))
		return COMMIT_QUIT;
	if (is_stopped(f->qemu))
		return COMMIT_CONT;
	if (f->partial && f->qemu == COMMIT_QEMU_RUNNING)
		return COMMIT_WAIT;
	/* Dead: it ran here, for all that is known; the source must not revive an older state of it. */
	if (f->qemu == COMMIT_QEMU_RUNNING || f->qemu == COMMIT_QEMU_DEAD)
		return COMMIT_TO_DONE;
	return COMMIT_WAIT;
}

enum commit_action commit_target_next(const struct commit_target *f)
{
	switch (f->stage) {
	case JOURNAL_BEGUN:
	case JOURNAL_PREPARED:
		/* A COMMIT without READY is no word of a sane source: it gets NEVER. */
		if (f->word != COMMIT_WORD_NONE || !f->live || f->qemu == COMMIT_QEMU_DEAD)
			return COMMIT_TO_NEVER;
		return f->loaded && f->stage == JOURNAL_PREPARED ? COMMIT_TO_READY : COMMIT_WAIT;
	case JOURNAL_READY:
		return target_ready(f);
	case JOURNAL_RUN:
		return target_run(f);
	case JOURNAL_DONE:
		return COMMIT_SETTLE;
	case JOURNAL_NEVER:
		return is_alive(f->qemu) ? COMMIT_QUIT : COMMIT_SETTLE;
	case JOURNAL_COMMIT:
	case JOURNAL_ABORTED:
	case JOURNAL_REVOKED:
		break; /* the source's */
	}
	return COMMIT_ASK_PEER;
}

Tagalong__PeerStage commit_target_stage(enum journal_stage stage, bool loading)
{
	switch (stage) {
	case JOURNAL_PREPARED:
		return loading ? TAGALONG__PEER_STAGE__PEER_LOADING
			       : TAGALONG__PEER_STAGE__PEER_PREPARED;
	case JOURNAL_READY:
	case JOURNAL_RUN: /* not before cont has worked */
		return TAGALONG__PEER_STAGE__PEER_READY;
	case JOURNAL_DONE:
		return TAGALONG__PEER_STAGE__PEER_RAN;
	case JOURNAL_NEVER:
		return TAGALONG__PEER_STAGE__PEER_NEVER;
	default:
		return TAGALONG__PEER_STAGE__PEER_UNKNOWN;
	}
}

/* ---- Words ------------------------------------------------------------------------- */

const char *commit_action_name(enum commit_action action)
{
	static const char *const names[] = {
		[COMMIT_WAIT] = "wait",
		[COMMIT_ASK_PEER] = "ask-peer",
		[COMMIT_TO_ABORTED] = "to-aborted",
		[COMMIT_TO_COMMIT] = "to-commit",
		[COMMIT_TO_REVOKED] = "to-revoked",
		[COMMIT_TO_DONE] = "to-done",
		[COMMIT_TO_READY] = "to-ready",
		[COMMIT_TO_RUN] = "to-run",
		[COMMIT_TO_NEVER] = "to-never",
		[COMMIT_CONT] = "cont",
		[COMMIT_STOP] = "stop",
		[COMMIT_QUIT] = "quit",
		[COMMIT_SEND_COMMIT] = "send-commit",
		[COMMIT_SEND_ABORT] = "send-abort",
		[COMMIT_SETTLE] = "settle",
	};

	return names[action];
}

static bool is_one_of(const char *word, const char *const *words)
{
	for (; word && *words; words++)
		if (strcmp(word, *words) == 0)
			return true;
	return false;
}

enum commit_qemu commit_qemu_state(const char *run_state, const char *migration)
{
	/* MigrationStatus of QEMU's qapi/migration.json that will not change by itself. */
	static const char *const terminal[] = { "none", "completed", "failed", "cancelled", NULL };

	static const char *const broken[] = { "postcopy-paused", "postcopy-recover", NULL };

	if (!run_state)
		return COMMIT_QEMU_UNKNOWN;
	if (strcmp(run_state, "postmigrate") == 0)
		return COMMIT_QEMU_POSTMIGRATE;
	if (is_one_of(migration, broken))
		return COMMIT_QEMU_BROKEN;
	/* The target's, which has loaded the devices then. */
	if (migration && strcmp(migration, "postcopy-active") == 0 && strcmp(run_state, "paused") == 0)
		return COMMIT_QEMU_PAUSED;
	if (strcmp(run_state, "finish-migrate") == 0 || (migration && !is_one_of(migration, terminal)))
		return COMMIT_QEMU_BUSY;
	if (is_one_of(run_state, (const char *const[]){ "paused", "prelaunch", "inmigrate", NULL }))
		return COMMIT_QEMU_PAUSED;
	return COMMIT_QEMU_RUNNING;
}

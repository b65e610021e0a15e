/* SPDX-License-Identifier: Apache-2.0
 *
 * A guest that runs here before all of its memory has come, and what is known of that once the
 * stream which brought it has ended. QEMU pauses then and says so, unless its monitor waits for a page
 * that will not come. Its RAM file tells the two apart: what has not come is a hole there.
 */
#include <stdio.h>

#include "common/log.h"
#include "migrator/incoming_internal.h"
#include "migrator/ram_image.h"

#define SILENCE_NS (30 * NS_PER_S)

#define STATE(name) TAGALONG__MOVE_STATE__MOVE_##name

bool incoming_is_in_post_copy(const struct incoming *in)
{
	const struct journal_move *row = &in->m.row;

	return (row->stage == JOURNAL_READY || row->stage == JOURNAL_RUN) && row->info->figures &&
	       row->info->figures->post_copy;
}

/* 1 or 0, or a negative errno: that is not known. */
static int memory_is_whole(const struct incoming *in)
{
	const struct journal_move *row = &in->m.row;
	_cleanup_close_ int fd = guest_ram_open_left(&in->m.node->host, row->info->vm,
						     &row->incarnation);

	return fd < 0 ? fd : ram_image_is_whole(fd);
}

/* Journaled before its QEMU is ended: a restart would take it for one that had run and died. */
void incoming_note_lost(struct incoming *in, const char *why)
{
	MoveInfo *info = in->m.row.info;

	if (info->lost)
		return;
	info->has_lost = info->lost = true;
	move_explain(&in->m, "%s is lost, post-copy broke off: %s", info->vm, why);
	log_error("incoming", "move=%s vm=%s %s", in->m.id_text, info->vm, info->failure);
	(void)move_to_stage(&in->m, in->m.row.stage);
}

void incoming_lose(struct incoming *in, const char *why)
{
	if (!in->live || in->m.row.stage <= JOURNAL_PREPARED) {
		incoming_give_up(in, why);
		return;
	}
	in->live = false;
	in->partial = memory_is_whole(in) != 1;
	if (in->partial)
		incoming_note_lost(in, why);
	incoming_copy_end(in);
	in->qemu = COMMIT_QEMU_UNKNOWN;
	in->qemu_heard_ns = clock_mono_ns();
	incoming_poll(in);
	incoming_reconcile(in);
}

void incoming_check_lost(struct incoming *in)
{
	if (in->m.row.stage == JOURNAL_RUN && incoming_is_in_post_copy(in) &&
	    (in->partial || memory_is_whole(in) != 1))
		incoming_note_lost(in, "its QEMU died");
}

void incoming_restore_post_copy(struct incoming *in)
{
	if (!incoming_is_in_post_copy(in))
		return;
	in->partial = in->m.row.info->lost;
	in->qemu_heard_ns = clock_mono_ns();
	if (in->vm)
		in->vm->incomplete = true; /* for all that we know */
	if (in->qemu == COMMIT_QEMU_DEAD)
		incoming_check_lost(in);
}

/* A guest that is whole runs on, however busy its QEMU: it is let be. */
void incoming_judge_silence(struct incoming *in)
{
	MoveInfo *info = in->m.row.info;

	if (in->live || in->partial || !incoming_is_in_post_copy(in) || in->qemu != COMMIT_QEMU_UNKNOWN ||
	    clock_mono_ns() - in->qemu_heard_ns < SILENCE_NS)
		return;
	if (in->vm && in->vm->guest && memory_is_whole(in) == 0) {
		in->partial = true;
		incoming_note_lost(in, "its QEMU waits for memory whose stream has ended");
	} else if (info->state != STATE(IN_DOUBT)) {
		move_explain(&in->m, "QEMU of %s does not answer, and may have all of its memory",
			     info->vm);
		move_show(&in->m, STATE(IN_DOUBT));
	}
}

void incoming_discard_post_copy(struct incoming *in, const char *who)
{
	char why[128];

	if (!incoming_is_in_post_copy(in))
		return;
	in->partial = true;
	snprintf(why, sizeof(why), "%.64s discards it", who);
	incoming_note_lost(in, why);
}

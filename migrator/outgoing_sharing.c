/* SPDX-License-Identifier: Apache-2.0
 *
 * Several moves at once: whose turn it is, who goes first on the link, and moves that are paused.
 *
 * A paused move is one whose stream is not read: QEMU waits in the middle of a write. That must not
 * end in the guest's standing still. Should QEMU be about to stop it at that very moment, its STOP
 * says so, and the pause is over. And after the pause QEMU takes the bytes of a moment for those
 * of the whole pause: its bandwidth, times the downtime limit, comes out as 0 bytes, and with that it
 * ends its migration as soon as nothing is left, without a last look at what the guest wrote meanwhile
 * (QEMU migration/migration.c, migration_iteration_run()). So the stream begins again slowly and
 * with a long limit, by which QEMU stops the guest for no more than it sends in that time,
 * and has its own limits back when it has measured anew.
 */
#include <string.h>

#include "common/log.h"
#include "common/move_state.h"
#include "migrator/node_config.h"
#include "migrator/outgoing_internal.h"

#define EASE_NS (500 * NS_PER_MS) /* QEMU measures every 100 ms */
#define EASE_BANDWIDTH 10         /* bytes a second: a page every 100 ms, as it comes out */
#define EASE_LIMIT_MS 2000
#define BANDWIDTH_UNLIMITED ((json_int_t)1 << 40)
/* QEMU answers nobody while it first looks for dirty pages: half a second, on a busy host many. */
#define COMMAND_NS (30 * NS_PER_S)

#define STATE(name) TAGALONG__MOVE_STATE__MOVE_##name
#define PRIORITY(name) TAGALONG__MOVE_PRIORITY__PRIORITY_##name

/* ---- The queue ---------------------------------------------------------------------------- */

static bool is_under_way(const struct outgoing *o)
{
	return !o->waiting && !o->m.row.settled && !move_state_is_final(o->m.row.info->state);
}

static bool goes_before(const struct outgoing *a, const struct outgoing *b)
{
	if (a->priority != b->priority)
		return a->priority > b->priority;
	return a->m.begun_mono_ns < b->m.begun_mono_ns;
}

static bool is_its_turn(const struct outgoing *o)
{
	const struct node *n = o->m.node;
	const struct outgoing *other;
	uint32_t busy = 0;

	LIST_FOREACH(other, &n->outgoing, link) {
		if (other == o)
			continue;
		busy += is_under_way(other);
		if (other->waiting && other->live && goes_before(other, o))
			busy++;
	}
	return n->config->moves_out == 0 || busy < n->config->moves_out;
}

static void begin(struct outgoing *o)
{
	o->waiting = false;
	o->m.begun_mono_ns = clock_mono_ns();
	move_show(&o->m, STATE(CHECKING));
	check_begin(o);
}

static void show(struct outgoing *o)
{
	MoveInfo *info = o->m.row.info;

	info->has_priority = true;
	info->priority = o->priority;
	info->has_paused = info->paused = o->pause == PAUSED;
}

void sharing_order(struct outgoing *o)
{
	show(o);
	if (o->dry_run || is_its_turn(o)) {
		begin(o);
		return;
	}
	o->waiting = true;
	log_info("outgoing", "move=%s vm=%s waits: %u moves leave at a time", o->m.id_text,
		 o->m.row.info->vm, o->m.node->config->moves_out);
	move_tell_progress(&o->m);
}

void sharing_tick(struct outgoing *o)
{
	if (o->waiting && o->live && is_its_turn(o))
		begin(o);
	if (o->live && o->waiting)
		move_tell_progress(&o->m);
}

/* ---- The link ----------------------------------------------------------------------------- */

static enum share_priority share_priority(const struct outgoing *o)
{
	switch (o->priority) {
	case PRIORITY(LOW):
		return SHARE_LOW;
	case PRIORITY(HIGH):
		return SHARE_HIGH;
	default:
		return SHARE_NORMAL;
	}
}

int sharing_begin(struct outgoing *o, struct mg_error *err)
{
	struct node *n = o->m.node;
	int r = n->share ? 0 : share_new(&n->share);

	if (r == 0 && !o->share)
		r = share_join(n->share, o->m.row.peer, share_priority(o), &o->share);
	return r < 0 ? mg_error_set(err, r, "out of memory") : 0;
}

void sharing_end(struct outgoing *o)
{
	share_leave(o->share);
	o->share = NULL;
	sd_event_source_disable_unref(o->easing);
	o->easing = NULL;
	o->pause = PAUSE_NONE;
	if (o->m.row.info)
		show(o);
}

/* ---- Pausing -------------------------------------------------------------------------------- */

static void on_limits(struct qmp *q, int r, json_t *result, const struct mg_error *err,
		      void *userdata);

static bool set_limits(struct outgoing *o, json_int_t bandwidth, json_int_t limit_ms)
{
	return outgoing_command(o, "migrate-set-parameters",
				json_pack("{s:I, s:I}", "max-bandwidth", bandwidth, "downtime-limit",
					  limit_ms), COMMAND_NS, on_limits) >= 0;
}

static int on_eased(sd_event_source *source, uint64_t now, void *userdata)
{
	struct outgoing *o = userdata;

	(void)source;
	(void)now;
	if (o->pause != PAUSE_EASING)
		return 0;
	o->pause = PAUSE_NONE;
	(void)set_limits(o, BANDWIDTH_UNLIMITED, o->steer.limit_ms ? o->steer.limit_ms : 1);
	return 0;
}

static void on_limits(struct qmp *q, int r, json_t *result, const struct mg_error *err,
		      void *userdata)
{
	struct outgoing *o = userdata;

	(void)q;
	(void)result;
	o->pending--;
	if (r < 0)
		outgoing_give_up(o, "QEMU's limits after a pause: %s", err->text);
	if (o->live && o->outflow && o->pause == PAUSE_ENDING) {
		o->pause = PAUSE_EASING;
		outflow_pause(o->outflow, false);
		outgoing_set_timer(o, &o->easing, EASE_NS, on_eased, o);
	}
	outgoing_reconcile(o);
}

void sharing_stopped(struct outgoing *o)
{
	if (o->pause == PAUSE_NONE || !o->outflow)
		return;
	if (o->pause == PAUSED) {
		log_info("outgoing", "move=%s vm=%s was paused when the guest stopped; it goes on",
			 o->m.id_text, o->m.row.info->vm);
		o->timeout_ns += clock_mono_ns() - o->paused_ns;
	}
	o->pause = PAUSE_NONE;
	show(o);
	outflow_pause(o->outflow, false);
}

static int check_pause(const struct outgoing *o, bool paused, struct mg_error *err)
{
	if (paused == (o->pause == PAUSED))
		return 0;
	if (!o->outflow || o->step != COPY_FLOWING || o->post_copy ||
	    o->m.row.info->state != STATE(COPYING))
		return mg_error_set(err, -EBUSY, "the move of %s is %s; only one that is copying is "
				    "paused", o->m.row.info->vm,
				    move_state_name(o->m.row.info->state));
	if (paused && o->pause != PAUSE_NONE)
		return mg_error_set(err, -EAGAIN, "the move of %s has just been resumed; try again in a "
				    "moment", o->m.row.info->vm);
	return 0;
}

static int set_paused(struct outgoing *o, bool paused, struct mg_error *err)
{
	uint64_t now = clock_mono_ns();

	if (paused == (o->pause == PAUSED))
		return 0;
	if (paused) {
		o->pause = PAUSED;
		o->paused_ns = now;
		outflow_pause(o->outflow, true);
		return 0;
	}
	if (!set_limits(o, EASE_BANDWIDTH, EASE_LIMIT_MS))
		return mg_error_set(err, -ENOTCONN, "QEMU's monitor does not answer");
	o->pause = PAUSE_ENDING;
	o->timeout_ns += now - o->paused_ns;
	return 0;
}

int outgoing_adjust(struct outgoing *o, const Tagalong__MoveAdjust *adjust, const char *who,
		    struct mg_error *err)
{
	int r = 0;

	if (!o->live || o->m.row.stage > JOURNAL_PREPARED)
		return mg_error_set(err, -EBUSY, "it is too late: the move of %s is %s",
				    o->m.row.info->vm, move_state_name(o->m.row.info->state));
	if (adjust->has_paused)
		r = check_pause(o, adjust->paused, err);
	if (r < 0 || adjust->dry_run)
		return r;
	if (adjust->has_paused)
		r = set_paused(o, adjust->paused, err);
	if (r < 0)
		return r;
	if (adjust->has_priority)
		o->priority = adjust->priority;
	if (adjust->has_priority && o->share)
		share_set_priority(o->share, share_priority(o));
	log_info("outgoing", "move=%s vm=%s adjusted by %s: priority=%d paused=%d", o->m.id_text,
		 o->m.row.info->vm, who, (int)o->priority, o->pause == PAUSED);
	show(o);
	move_tell_progress(&o->m);
	return 0;
}

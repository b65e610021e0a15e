/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/outgoing.h"

#include <sodium.h>
#include <stdarg.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "migrator/node_config.h"
#include "migrator/outgoing_internal.h"

#define PROMISE_DEFAULT_NS (20 * NS_PER_MS)
#define MOST_DEFAULT_NS (2 * NS_PER_S)
#define TIMEOUT_DEFAULT_NS (600 * NS_PER_S)
#define PATIENCE_DEFAULT_NS (60 * NS_PER_S)
#define ATTEMPTS_DEFAULT 3

#define COMMAND_TIMEOUT_NS (10 * NS_PER_S)
#define POLL_NS (200 * NS_PER_MS)
#define TELL_ABORT_NS (30 * NS_PER_S)
#define QUIT_DELAY_NS (300 * NS_PER_MS) /* the guest that has just arrived somewhere goes first */

#define STATE(name) TAGALONG__MOVE_STATE__MOVE_##name
#define PEER(name) TAGALONG__PEER_STAGE__PEER_##name


/* ---- Finding ------------------------------------------------------------------------- */

struct outgoing *outgoing_find(struct node *n, const struct uuid *id)
{
	struct outgoing *o;

	LIST_FOREACH(o, &n->outgoing, link)
		if (uuid_equal(&o->m.row.id, id))
			return o;
	return NULL;
}

/* A move that was settled is looked for among all: its later attempts have other names. */
bool outgoing_find_for_peer(struct node *n, const struct uuid *id, struct outgoing **ret,
			    enum journal_stage *ret_stage)
{
	const struct journal_filter all = { 0 };
	struct journal_move *rows;
	struct outgoing *o;
	size_t count;
	bool found = false;

	*ret = NULL;
	LIST_FOREACH(o, &n->outgoing, link)
		if (uuid_equal(&o->peer_id, id)) {
			*ret = o;
			*ret_stage = o->m.row.stage;
			return true;
		}
	if (journal_moves(n->journal, &all, &rows, &count) < 0)
		return false;
	for (size_t i = 0; i < count && !found; i++) {
		const MoveInfo *info = rows[i].info;
		struct uuid known = info->has_attempt_id ? uuid_of(&info->attempt_id) : rows[i].id;

		found = !rows[i].incoming && uuid_equal(&known, id);
		if (found)
			*ret_stage = rows[i].stage;
	}
	journal_moves_free(rows, count);
	return found;
}

const MoveInfo *outgoing_info(const struct outgoing *o)
{
	return o->m.row.info;
}

size_t outgoing_infos(struct node *n, MoveInfo **infos)
{
	struct outgoing *o;
	size_t count = 0;

	LIST_FOREACH(o, &n->outgoing, link) {
		if (infos)
			infos[count] = o->m.row.info;
		count++;
	}
	return count;
}

bool outgoing_take_answer(struct node *n, uint64_t reply_to)
{
	struct outgoing *o;

	LIST_FOREACH(o, &n->outgoing, link)
		if (move_take_answer(&o->m, reply_to))
			return true;
	return false;
}

/* ---- QEMU ------------------------------------------------------------------------------ */

static struct qmp *monitor(struct outgoing *o)
{
	return o->vm && o->vm->guest ? guest_qmp(o->vm->guest) : NULL;
}

int outgoing_command(struct outgoing *o, const char *name, json_t *arguments, uint64_t timeout_ns,
		     qmp_reply_fn fn)
{
	struct qmp *q = monitor(o);
	int r;

	if (!q) {
		json_decref(arguments);
		return -ENOTCONN;
	}
	r = qmp_command(q, name, arguments, timeout_ns, fn, o);
	if (r >= 0)
		o->pending++;
	return r;
}

static void on_qemu_state(enum commit_qemu state, void *userdata)
{
	struct outgoing *o = userdata;

	o->pending--;
	o->qemu = state;
	o->ran_on |= state == COMMIT_QEMU_RUNNING && o->stop_utc_ns != 0;
	if (o->vm && state == COMMIT_QEMU_RUNNING)
		o->vm->stopped_by_move = false;
	if (state == COMMIT_QEMU_BUSY && o->step == COPY_SHUT_SENT)
		outgoing_poll(o, NS_PER_MS); /* "completed" comes a moment before "postmigrate" */
	if (state == COMMIT_QEMU_BROKEN)
		copy_lose(o, "the stream of its memory ended");
	if (state == COMMIT_QEMU_BUSY && o->m.row.stage == JOURNAL_ABORTED)
		outgoing_disk_undo(o); /* it may wait for its switch-over */
	if (state == COMMIT_QEMU_RUNNING && o->live && o->step >= COPY_FLOWING)
		outgoing_give_up(o, "QEMU ended its migration and runs on");
	outgoing_reconcile(o);
}

static int on_poll(sd_event_source *source, uint64_t now, void *userdata)
{
	struct outgoing *o = userdata;

	(void)source;
	(void)now;
	if (o->qemu != COMMIT_QEMU_DEAD &&
	    qemu_state_ask(&o->question, monitor(o), on_qemu_state, o) == 0)
		o->pending++;
	return 0;
}

void outgoing_set_timer(struct outgoing *o, sd_event_source **source, uint64_t delay_ns,
			sd_event_time_handler_t fn, void *userdata)
{
	uint64_t delay_us = delay_ns / NS_PER_US;

	if (*source) {
		sd_event_source_set_time_relative(*source, delay_us);
		sd_event_source_set_enabled(*source, SD_EVENT_ONESHOT);
	} else {
		/* 1 µs: sd-event would else be 250 ms late to save power. */
		sd_event_add_time_relative(o->m.node->loop, source, CLOCK_MONOTONIC, delay_us, 1,
					   fn, userdata);
	}
}

void outgoing_poll(struct outgoing *o, uint64_t delay_ns)
{
	if (delay_ns)
		outgoing_set_timer(o, &o->poll, delay_ns, on_poll, o);
	else
		on_poll(NULL, 0, o);
}

static void on_cont_or_stop(struct qmp *q, int r, json_t *result, const struct mg_error *err,
			    void *userdata)
{
	struct outgoing *o = userdata;

	(void)q;
	(void)result;
	o->pending--;
	o->commanding = false;
	if (r < 0)
		log_warning("outgoing", "move=%s vm=%s QEMU: %s", o->m.id_text, o->m.row.info->vm,
			    err->text);
	outgoing_poll(o, r < 0 ? POLL_NS : 0);
}

static void command_qemu(struct outgoing *o, const char *name)
{
	if (o->commanding)
		return;
	if (outgoing_command(o, name, NULL, COMMAND_TIMEOUT_NS, on_cont_or_stop) >= 0)
		o->commanding = true;
}

static void quit_qemu(struct outgoing *o)
{
	struct vm *vm = o->vm;

	if (!vm) {
		o->qemu = COMMIT_QEMU_DEAD;
		return;
	}
	if (!vm->guest) {
		o->vm = NULL;
		o->qemu = COMMIT_QEMU_DEAD;
		vm_let_go(vm, false);
	} else if (!o->quitting) {
		o->quitting = true;
		vm_let_go(vm, o->qemu == COMMIT_QEMU_BROKEN); /* on_vm_exit() follows */
	}
}

/* ---- The VM tells ---------------------------------------------------------------------- */

/* Its monitor is there again: nobody has heard what QEMU said meanwhile. */
static void on_vm_ready(struct vm *vm, void *userdata)
{
	struct outgoing *o = userdata;

	(void)vm;
	o->ran_on = true;
	outgoing_poll(o, 0);
}

static void on_vm_event(struct vm *vm, const char *event, json_t *data, uint64_t utc_ns,
			void *userdata)
{
	(void)vm;
	copy_event(userdata, event, data, utc_ns);
}

static void on_vm_exit(struct vm *vm, void *userdata)
{
	struct outgoing *o = userdata;

	o->pending = 0;
	o->commanding = o->asking_progress = o->asking_downtime = false;
	o->question = (struct qemu_question){ 0 };
	o->qemu = COMMIT_QEMU_DEAD;
	retry_forget(o);
	vm->stopped_by_move = false;
	if (vm->place == VM_LEAVING)
		o->vm = NULL; /* its memory goes when we return */
	if (o->peer_stage == PEER(PREPARED) || o->peer_stage == PEER(LOADING))
		o->peer_stage = COMMIT_PEER_SILENT; /* it may be READY by now: ask */
	if (o->post_copy && o->m.row.stage == JOURNAL_COMMIT)
		copy_lose(o, vm->exit_error.text);
	outgoing_give_up(o, "QEMU of %s died: %s", o->m.row.info->vm, vm->exit_error.text);
	outgoing_reconcile(o);
}

static const struct vm_watcher watcher = {
	.on_ready = on_vm_ready,
	.on_event = on_vm_event,
	.on_exit = on_vm_exit,
};

void outgoing_watch(struct outgoing *o, struct vm *vm)
{
	o->vm = vm;
	vm_watch(vm, &watcher, o, &o->m.row.id);
}

bool outgoing_make_way(struct vm *vm)
{
	struct outgoing *o = vm->watcher == &watcher ? vm->watcher_data : NULL;

	if (!o || !o->warm)
		return false;
	if (o->live) {
		outgoing_give_up(o, "a move of it was ordered");
		outgoing_reconcile(o);
	}
	return true;
}

/* The VM is nobody's move any more; it may be moved again at once. */
static void release_vm(struct outgoing *o)
{
	if (!o->vm || o->vm->place == VM_LEAVING)
		return;
	if (o->m.row.stage == JOURNAL_ABORTED)
		outgoing_disk_undo(o);
	vm_unwatch(o->vm);
	if (o->m.row.info->lost && o->qemu == COMMIT_QEMU_DEAD)
		vm_let_go(o->vm, true);
	o->vm = NULL;
}

/* ---- Deciding ------------------------------------------------------------------------------- */

void outgoing_give_up(struct outgoing *o, const char *fmt, ...)
{
	char text[sizeof(((struct mg_error *)0)->text)];
	va_list ap;

	if (!o->live || o->m.row.stage > JOURNAL_PREPARED)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	o->live = false;
	move_explain(&o->m, "%s", text);
}

/* What cannot be written down is right all the same: a move that does not go on can only be
 * aborted, also by a daemon that finds it after a restart. The guest need not wait for the disk. */
static void give_back(struct outgoing *o)
{
	copy_end(o);
	if (o->qemu == COMMIT_QEMU_BUSY)
		outgoing_disk_undo(o);
	if (o->qemu == COMMIT_QEMU_POSTMIGRATE || o->qemu == COMMIT_QEMU_PAUSED)
		command_qemu(o, "cont");
}

static void enter_stage(struct outgoing *o, enum journal_stage stage)
{
	enum journal_stage was = o->m.row.stage;

	if (move_to_stage(&o->m, stage) < 0) {
		o->live = false; /* tried again by the tick; the rules hold meanwhile */
		if (stage == JOURNAL_ABORTED)
			give_back(o);
		return;
	}
	o->again = true;
	switch (stage) {
	case JOURNAL_ABORTED:
		o->live = false;
		if (was == JOURNAL_BEGUN && !o->prepare_went)
			o->peer_stage = PEER(UNKNOWN);
		o->tell_until_ns = was == JOURNAL_BEGUN ? clock_mono_ns() + TELL_ABORT_NS : 0;
		copy_end(o);
		outgoing_poll(o, 0);
		break;
	case JOURNAL_COMMIT:
		move_explain(&o->m, NULL);
		move_show(&o->m, STATE(COMMITTED));
		break;
	case JOURNAL_DONE:
		if (o->vm) {
			o->vm->keep_image = !o->m.row.info->lost;
			o->vm->place = VM_LEAVING; /* nobody's business here any more */
			node_changed(o->m.node);
		}
		if (!o->m.row.info->lost)
			move_explain(&o->m, NULL);
		copy_end(o);
		move_show(&o->m, STATE(DONE));
		o->quit_after_ns = clock_mono_ns() + QUIT_DELAY_NS;
		break;
	case JOURNAL_REVOKED:
		if (o->peer_stage == PEER(NEVER))
			move_explain(&o->m, "%s had given it up", o->m.row.peer);
		if (o->post_copy)
			copy_break_off(o);
		copy_end(o);
		break;
	default:
		break;
	}
}

/* A copy runs on both sides because an operator said so. Ours is stopped; it is
 * for the operator again to say which one lives. */
static void enter_conflict(struct outgoing *o)
{
	MoveInfo *info = o->m.row.info;

	if (!o->vm) {
		o->vm = vm_find_incarnation(o->m.node, &o->m.row.incarnation);
		if (o->vm && o->vm->watcher)
			o->vm = NULL;
		if (o->vm)
			outgoing_watch(o, o->vm);
	}
	if (o->vm)
		o->vm->stopped_by_move = true;
	if (info->state == STATE(IN_DOUBT))
		return;
	move_explain(&o->m, "%s was told to run %s too; the copy here is stopped", o->m.row.peer,
		     info->vm);
	info->state = STATE(IN_DOUBT); /* the table knows no way back from an end */
	info->has_ended_utc_ns = false;
	info->has_both_ran = info->both_ran = true;
	(void)move_to_stage(&o->m, o->m.row.stage); /* so that a restart does not run it again */
	log_error("outgoing", "move=%s vm=%s %s", o->m.id_text, info->vm, info->failure);
	node_changed(o->m.node);
}

/* Aborted and revoked moves are at their end for people once the guest runs. */
static void show_end(struct outgoing *o)
{
	enum journal_stage stage = o->m.row.stage;
	bool here = stage == JOURNAL_ABORTED || stage == JOURNAL_REVOKED;

	if (!here || o->peer_stage == PEER(RAN) ||
	    (o->qemu != COMMIT_QEMU_RUNNING && o->qemu != COMMIT_QEMU_DEAD))
		return;
	if (o->retry.wanted) {
		move_show(&o->m, STATE(QUEUED));
		return;
	}
	if (o->qemu == COMMIT_QEMU_DEAD && !move_state_is_final(o->m.row.info->state)) {
		if (o->post_copy)
			copy_lose(o, "QEMU died before the move was done");
		else
			move_explain(&o->m, "QEMU of %s died before the move was done", o->m.row.info->vm);
	}
	release_vm(o);
	move_show(&o->m, stage == JOURNAL_ABORTED ? STATE(ABORTED) : STATE(REVOKED));
	(void)move_tell_result(&o->m);
}

static void settle(struct outgoing *o)
{
	struct vm *vm;

	if (o->retry.wanted) {
		retry_later(o);
		return;
	}
	show_end(o); /* before it is journaled for the last time */
	vm = o->vm;
	if (vm && o->m.row.stage == JOURNAL_DONE)
		vm_remove_files(vm);
	if (o->m.row.settled || move_settle(&o->m) < 0)
		return;
	o->vm = NULL;
	if (vm && o->m.row.stage == JOURNAL_DONE) /* its QEMU had died before it was told to */
		vm_let_go(vm, false);
	else if (vm)
		vm_unwatch(vm);
	bus_socket_free(o->peer);
	o->peer = NULL;
	o->word = WORD_NONE;
	(void)journal_tidy(o->m.node->journal, JOURNAL_KEEP_MOVES, NULL);
}

static void act(struct outgoing *o, enum commit_action action)
{
	switch (action) {
	case COMMIT_TO_ABORTED:
		enter_stage(o, JOURNAL_ABORTED);
		break;
	case COMMIT_TO_COMMIT:
		enter_stage(o, JOURNAL_COMMIT);
		break;
	case COMMIT_TO_REVOKED:
		enter_stage(o, JOURNAL_REVOKED);
		break;
	case COMMIT_TO_DONE:
		enter_stage(o, JOURNAL_DONE);
		break;
	case COMMIT_CONT:
		command_qemu(o, "cont");
		break;
	case COMMIT_STOP:
		if (o->m.row.stage != JOURNAL_COMMIT)
			enter_conflict(o);
		command_qemu(o, "stop");
		break;
	case COMMIT_QUIT:
		if (o->asking_downtime || clock_mono_ns() < o->quit_after_ns)
			break; /* it has one more answer to give; the tick comes back */
		quit_qemu(o);
		o->again = o->qemu == COMMIT_QEMU_DEAD;
		break;
	case COMMIT_SEND_COMMIT:
		outgoing_say(o, WORD_COMMIT);
		copy_ask_downtime(o);
		break;
	case COMMIT_SEND_ABORT:
		outgoing_say(o, WORD_ABORT);
		break;
	case COMMIT_ASK_PEER:
		outgoing_say(o, WORD_QUERY);
		break;
	case COMMIT_SETTLE:
		settle(o);
		break;
	default:
		break;
	}
}

void outgoing_reconcile(struct outgoing *o)
{
	if (o->m.row.settled)
		return;
	if (o->reconciling) {
		o->again = true;
		return;
	}
	o->reconciling = true;
	do {
		struct commit_source facts = { o->m.row.stage, o->qemu, o->peer_stage, o->live,
					       o->post_copy, o->stop_utc_ns && !o->ran_on };

		o->again = false;
		act(o, commit_source_next(&facts));
	} while (o->again);
	o->reconciling = false;
	show_end(o);
	if (o->m.row.stage == JOURNAL_DONE && !o->asking_downtime)
		(void)move_tell_result(&o->m);
}

/* ---- Time ------------------------------------------------------------------------------------ */

static bool is_over(struct outgoing *o)
{
	return o->m.row.settled && o->m.row.reported && !o->pending;
}

static int on_tick(sd_event_source *source, uint64_t now, void *userdata)
{
	struct outgoing *o = userdata;
	bool connecting = o->word != WORD_NONE && !o->word_went;

	(void)source;
	(void)now;
	sharing_tick(o);
	if (o->live && !o->waiting && !o->post_copy && o->pause != PAUSED &&
	    clock_mono_ns() - o->m.begun_mono_ns > o->timeout_ns)
		outgoing_give_up(o, "it took longer than it was allowed to");
	if (o->live)
		image_fetch_tick(o);
	copy_tick(o);
	retry_tick(o);
	if (!o->m.row.settled && !o->live && (o->qemu == COMMIT_QEMU_UNKNOWN || o->qemu == COMMIT_QEMU_BUSY))
		outgoing_poll(o, 0);
	if (o->word == WORD_PREPARE)
		outgoing_repeat(o);
	outgoing_check_patience(o);
	outgoing_reconcile(o);
	if (o->m.row.settled && move_tell_result(&o->m) && is_over(o)) {
		(void)move_settle(&o->m); /* now with `reported` */
		outgoing_free(o);
		return 0;
	}
	outgoing_tick_in(o, connecting ? OUTGOING_CONNECT_NS : OUTGOING_TICK_NS);
	return 0;
}

void outgoing_tick_in(struct outgoing *o, uint64_t delay_ns)
{
	outgoing_set_timer(o, &o->tick, delay_ns, on_tick, o);
}

/* ---- Beginning and ending ---------------------------------------------------------------------- */

struct outgoing *outgoing_new(struct node *n)
{
	struct outgoing *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->qemu_fd = -1;
	o->connections = n->config->connections;
	connection_init(o);
	o->promise_ns = PROMISE_DEFAULT_NS;
	o->most_ns = MOST_DEFAULT_NS;
	o->timeout_ns = TIMEOUT_DEFAULT_NS;
	o->retry = (struct retry){ .made = 1, .most = ATTEMPTS_DEFAULT };
	o->patience_ns = PATIENCE_DEFAULT_NS;
	o->priority = TAGALONG__MOVE_PRIORITY__PRIORITY_NORMAL;
	o->if_not_converging = TAGALONG__IF_NOT_CONVERGING__CONVERGE_LONGER;
	o->m.node = n;
	LIST_INSERT_HEAD(&n->outgoing, o, link);
	return o;
}

void outgoing_free(struct outgoing *o)
{
	if (!o)
		return;
	LIST_REMOVE(o, link);
	retry_forget(o);
	check_end(o);
	copy_end(o);
	image_fetch_free(o);
	release_vm(o);
	bus_socket_free(o->peer);
	sd_event_source_disable_unref(o->tick);
	sd_event_source_disable_unref(o->poll);
	sd_event_source_disable_unref(o->guard);
	sodium_memzero(o->session_key, sizeof(o->session_key));
	move_clear(&o->m);
	free(o);
}

/* ---- Restart, cancel, resolve --------------------------------------------------------------------- */

int outgoing_restore(struct node *n, struct journal_move *row)
{
	struct outgoing *o = outgoing_new(n);
	struct mg_error err = { 0 };

	if (!o)
		return -ENOMEM;
	move_restore(&o->m, n, row);
	row = &o->m.row;
	o->peer_id = row->info->has_attempt_id ? uuid_of(&row->info->attempt_id) : row->id;
	outgoing_tick_in(o, 0);
	if (row->settled)
		return 0;
	o->prepare_went = true; /* for all that we know */
	o->warm = row->info->reason && strcmp(row->info->reason->code, "warm") == 0;
	o->post_copy = row->info->figures && row->info->figures->post_copy;
	if (row->info->both_ran) {
		o->peer_stage = PEER(RAN);
		row->info->state = STATE(IN_DOUBT);
	}
	if (row->stage <= JOURNAL_PREPARED)
		move_explain(&o->m, "migratord of %s was restarted", n->config->name);
	o->vm = vm_find_incarnation(n, &row->incarnation);
	if (o->vm && o->vm->watcher) { /* it runs here, and is another move's: a later one, which goes first */
		o->vm = NULL;
		o->qemu = COMMIT_QEMU_RUNNING;
		return 0;
	}
	if (!o->vm && vm_adopt(n, row->spec, &row->incarnation, VM_LEAVING, &o->vm, &err) < 0)
		log_warning("outgoing", "move=%s vm=%s %s", o->m.id_text, row->info->vm, err.text);
	if (!o->vm)
		return 0;
	if (!o->vm->guest)
		o->qemu = COMMIT_QEMU_DEAD;
	outgoing_watch(o, o->vm);
	o->vm->stopped_by_move = row->stage == JOURNAL_COMMIT || row->info->both_ran;
	return 0;
}

static int check_cancel(const struct outgoing *o, struct mg_error *err)
{
	if (o->retry.wanted || (o->cancelled && !move_state_is_final(o->m.row.info->state)))
		return 0;
	if (o->post_copy)
		return mg_error_set(err, -EBUSY, "it is too late: %s is in post-copy, and cannot run "
				    "here any more", o->m.row.info->vm);
	if (o->m.row.stage > JOURNAL_PREPARED || !move_state_may_cancel(o->m.row.info->state))
		return mg_error_set(err, -EBUSY, "it is too late: the move of %s is %s",
				    o->m.row.info->vm, move_state_name(o->m.row.info->state));
	return 0;
}

int outgoing_cancel(struct outgoing *o, const Tagalong__MoveCancel *cancel, const char *who,
		    struct mg_error *err)
{
	int r = check_cancel(o, err);

	if (r < 0 || cancel->dry_run || o->cancelled)
		return r;
	o->cancelled = true;
	if (o->retry.wanted) {
		retry_forget(o);
		move_explain(&o->m, "cancelled by %s", who);
	} else {
		outgoing_give_up(o, "cancelled by %s", who);
	}
	outgoing_reconcile(o);
	return 0;
}

static int check_resolve(const struct outgoing *o, bool run_here, struct mg_error *err)
{
	if (o->m.row.info->state != STATE(IN_DOUBT))
		return mg_error_set(err, -EBUSY, "the move of %s is not in doubt: it is %s",
				    o->m.row.info->vm, move_state_name(o->m.row.info->state));
	if (o->post_copy && run_here)
		return mg_error_set(err, -ESRCH, "%s is in post-copy: what is here is only a part "
				    "of it", o->m.row.info->vm);
	/* Before the decision only a dead QEMU leaves a doubt. */
	if (o->m.row.stage == JOURNAL_PREPARED && run_here)
		return mg_error_set(err, -ESRCH, "there is no copy of %s left here; "
				    "resolve it at %s", o->m.row.info->vm, o->m.row.peer);
	return 0;
}

int outgoing_resolve(struct outgoing *o, const Tagalong__MoveResolve *resolve, const char *who,
		     struct mg_error *err)
{
	bool run_here = resolve->verdict == TAGALONG__MOVE_RESOLVE__VERDICT__RUN_HERE;
	enum journal_stage was = o->m.row.stage, to = was;
	int r = check_resolve(o, run_here, err);

	if (r < 0 || resolve->dry_run)
		return r;
	log_warning("outgoing", "move=%s vm=%s resolved by %s: %s", o->m.id_text, o->m.row.info->vm,
		    who, run_here ? "run here" : "discard");
	move_explain(&o->m, "resolved by %s", who);
	o->m.row.info->both_ran = false;
	switch (was) {
	case JOURNAL_PREPARED:
		o->peer_stage = PEER(UNKNOWN);
		break;
	case JOURNAL_COMMIT:
		/* The target is told, when it can be, and says if it ran it all the same. */
		o->peer_stage = run_here ? COMMIT_PEER_SILENT : PEER(RAN);
		to = run_here ? JOURNAL_REVOKED : was;
		break;
	default: /* both have run it, and the operator knows the right one */
		o->peer_stage = run_here ? PEER(NEVER) : PEER(RAN);
		to = run_here ? was : JOURNAL_DONE;
	}
	if (to != was)
		enter_stage(o, to);
	if (o->m.row.stage != to)
		return mg_error_set(err, -EIO, "the journal of %s cannot be written",
				    o->m.node->config->name);
	outgoing_reconcile(o);
	return 0;
}

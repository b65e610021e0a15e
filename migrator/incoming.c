/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/incoming_internal.h"

#include <string.h>

#include "common/log.h"
#include "migrator/announce.h"
#include "migrator/node_config.h"

#define TICK_NS (100 * NS_PER_MS)
#define ASK_AFTER_NS (2 * NS_PER_S) /* of silence, when only the source's word is missing */
#define ASK_NS (NS_PER_S)
#define DOUBT_NS (5 * NS_PER_S)
#define ALMOST_PART 8 /* of the memory: what is sent ahead of a move lacks less than that */

#define STATE(name) TAGALONG__MOVE_STATE__MOVE_##name

struct incoming *incoming_find(struct node *n, const struct uuid *id)
{
	struct incoming *in;

	LIST_FOREACH(in, &n->incoming, link)
		if (uuid_equal(&in->m.row.id, id))
			return in;
	return NULL;
}

struct incoming *incoming_find_order(struct node *n, const struct uuid *order)
{
	struct incoming *in;

	LIST_FOREACH(in, &n->incoming, link) /* newest first */
		if (memcmp(in->m.row.info->move.data, order->bytes, UUID_SIZE) == 0)
			return in;
	return NULL;
}

const MoveInfo *incoming_info(const struct incoming *in)
{
	return in->m.row.info;
}

size_t incoming_infos(struct node *n, MoveInfo **infos)
{
	struct incoming *in;
	size_t count = 0;

	LIST_FOREACH(in, &n->incoming, link) {
		if (infos)
			infos[count] = in->m.row.info;
		count++;
	}
	return count;
}

/* ---- QEMU ------------------------------------------------------------------------ */

struct qmp *incoming_monitor(struct incoming *in)
{
	return in->vm && in->vm->guest ? guest_qmp(in->vm->guest) : NULL;
}

int incoming_command(struct incoming *in, const char *name, json_t *arguments, qmp_reply_fn fn)
{
	struct qmp *q = incoming_monitor(in);
	int r;

	if (!q) {
		json_decref(arguments);
		return -ENOTCONN;
	}
	r = qmp_command(q, name, arguments, INCOMING_COMMAND_NS, fn, in);
	if (r >= 0)
		in->pending++;
	return r;
}

static void on_qemu_state(enum commit_qemu state, void *userdata)
{
	struct incoming *in = userdata;

	in->pending--;
	in->qemu = state;
	if (state != COMMIT_QEMU_UNKNOWN)
		in->qemu_heard_ns = clock_mono_ns();
	incoming_reconcile(in);
}

void incoming_poll(struct incoming *in)
{
	if (in->qemu != COMMIT_QEMU_DEAD &&
	    qemu_state_ask(&in->question, incoming_monitor(in), on_qemu_state, in) == 0)
		in->pending++;
}

/* It says that it runs. Without the stream of its memory that is not all: it is asked. */
static enum commit_qemu running(const struct incoming *in)
{
	return in->live || !incoming_is_in_post_copy(in) ? COMMIT_QEMU_RUNNING : COMMIT_QEMU_UNKNOWN;
}

static void on_cont(struct qmp *q, int r, json_t *result, const struct mg_error *err,
		    void *userdata)
{
	struct incoming *in = userdata;

	(void)q;
	(void)result;
	in->pending--;
	in->commanding = false;
	in->has_run |= r == 0;
	if (r == 0) {
		in->qemu = running(in);
	} else if (r == -EREMOTEIO && !in->has_run) {
		in->refused = true;
		move_explain(&in->m, "QEMU cannot run it: %s", err->text);
	} else {
		in->qemu = COMMIT_QEMU_UNKNOWN; /* it may have, or not: find out */
	}
	incoming_reconcile(in);
}

static void on_stop(struct qmp *q, int r, json_t *result, const struct mg_error *err,
		    void *userdata)
{
	struct incoming *in = userdata;

	(void)q;
	(void)r;
	(void)result;
	(void)err;
	in->pending--;
	in->commanding = false;
	incoming_poll(in);
}

void incoming_give_up(struct incoming *in, const char *why)
{
	if (!in->live || in->m.row.stage > JOURNAL_PREPARED)
		return;
	in->live = false;
	move_explain(&in->m, "%s", why);
	incoming_reconcile(in);
}

/* ---- The VM tells ---------------------------------------------------------------- */

static void on_vm_ready(struct vm *vm, void *userdata)
{
	struct incoming *in = userdata;

	(void)vm;
	in->reconnected |= in->cont_went;
	if (in->m.row.stage == JOURNAL_BEGUN && in->live)
		incoming_copy_begin(in);
	else
		incoming_poll(in);
}

static void on_vm_event(struct vm *vm, const char *event, json_t *data, uint64_t utc_ns,
			void *userdata)
{
	struct incoming *in = userdata;

	(void)vm;
	(void)data;
	if (strcmp(event, "RESUME") != 0)
		return;
	in->has_run = true;
	if (!in->resumed_utc_ns) {
		in->resumed_utc_ns = utc_ns;
		announce_begin(vm, &in->m.row.id);
	}
	in->qemu = running(in); /* sooner than the answer to cont */
	if (in->partial)
		incoming_tell_state(in);
	incoming_reconcile(in);
}

/* In the stage RUN, of a QEMU that has died. In doubt it has, and the source must not revive an
 * older state of the guest. */
static bool never_ran(const struct incoming *in, const struct vm *vm)
{
	return in->m.row.stage == JOURNAL_RUN && !incoming_is_in_post_copy(in) && in->told_here &&
	       !in->has_run && (!in->cont_went || (vm->heard_out && !in->reconnected));
}

static void on_vm_exit(struct vm *vm, void *userdata)
{
	struct incoming *in = userdata;

	in->pending = 0;
	in->commanding = false;
	in->question = (struct qemu_question){ 0 };
	in->qemu = COMMIT_QEMU_DEAD;
	if (vm->place == VM_LEAVING)
		in->vm = NULL; /* its memory goes when we return */
	if (never_ran(in, vm)) {
		in->refused = true;
		move_explain(&in->m, "QEMU of %s died before it ran: %s", in->m.node->config->name,
			     vm->exit_error.text);
	}
	incoming_check_lost(in);
	if (in->m.row.stage <= JOURNAL_READY && !in->m.row.info->failure)
		move_explain(&in->m, "QEMU of %s died: %s", in->m.node->config->name,
			     vm->exit_error.text);
	incoming_reconcile(in);
}

static const struct vm_watcher watcher = {
	.on_ready = on_vm_ready,
	.on_event = on_vm_event,
	.on_exit = on_vm_exit,
};

void incoming_watch(struct incoming *in, struct vm *vm)
{
	struct uuid order = uuid_of(&in->m.row.info->move);

	vm_watch(vm, &watcher, in, &order);
}

/* ---- Deciding -------------------------------------------------------------------- */

/* Written along with the stage. */
static void record_figures(struct incoming *in, enum journal_stage stage)
{
	incoming_copy_figures(in);
	if (stage == JOURNAL_DONE && in->commit_utc_ns && in->resumed_utc_ns >= in->commit_utc_ns) {
		Tagalong__MoveFigures *f = move_figures(&in->m);

		f->has_blackout_ns = true;
		f->blackout_ns = in->stopped_ns + in->resumed_utc_ns - in->commit_utc_ns;
	}
}

/* What is left of a VM that was lost goes. */
static void release_vm(struct incoming *in)
{
	struct vm *vm = in->vm;

	in->vm = NULL;
	if (!vm)
		return;
	vm_unwatch(vm);
	if (in->m.row.info->lost && vm->place != VM_LEAVING)
		vm_let_go(vm, true);
}

/* It takes the place of the image of an earlier visit only if it is as good: pages that did not
 * come are not in it. */
static bool is_worth_keeping(const struct incoming *in)
{
	const Tagalong__MoveFigures *f = in->m.row.info->figures;
	uint64_t ram = in->vm && in->vm->guest ? guest_ram_bytes(in->vm->guest) : 0;

	return in->may_come_again && (!in->image || (f && ram && f->guest_bytes >= ram - ram / ALMOST_PART));
}

static void enter_stage(struct incoming *in, enum journal_stage stage)
{
	enum journal_stage was = in->m.row.stage;

	if (stage == JOURNAL_DONE) {
		in->m.row.info->has_ended_utc_ns = true; /* a repeated COMMIT is answered with it */
		in->m.row.info->ended_utc_ns = in->resumed_utc_ns ? in->resumed_utc_ns
								  : clock_utc_ns();
		if (!in->m.row.info->lost)
			move_explain(&in->m, NULL); /* it may have been in doubt */
	}
	record_figures(in, stage);
	if (move_to_stage(&in->m, stage) < 0)
		return; /* tried again by the tick */
	in->again = true;
	switch (stage) {
	case JOURNAL_READY:
		in->heard_ns = clock_mono_ns();
		incoming_tell_state(in);
		if (in->vm)
			in->vm->stopped_by_move = true;
		move_show(&in->m, STATE(STOPPED));
		move_show(&in->m, STATE(READY));
		break;
	case JOURNAL_RUN:
		in->told_here = true;
		if (in->vm) {
			in->vm->place = VM_OURS;
			in->vm->keep_image = false;
		}
		move_explain(&in->m, NULL);
		if (in->partial)
			move_show(&in->m, STATE(COMMITTED)); /* for as long as it takes */
		break;
	case JOURNAL_DONE:
		incoming_tell_state(in);
		if (in->vm && in->vm->place != VM_LEAVING && !in->m.row.info->lost) {
			incoming_keep_tail(in);
			vm_drop_image(in->vm);
		}
		release_vm(in);
		incoming_copy_end(in);
		move_show(&in->m, STATE(COMMITTED));
		move_show(&in->m, STATE(DONE));
		break;
	case JOURNAL_NEVER:
		in->live = in->loaded = false;
		if (in->vm)
			in->vm->keep_image = is_worth_keeping(in);
		incoming_tell_state(in);
		incoming_copy_end(in);
		move_show(&in->m, was == JOURNAL_RUN ? STATE(REVOKED) : STATE(ABORTED));
		break;
	default:
		break;
	}
}

static void kill_qemu(struct incoming *in)
{
	struct vm *vm = in->vm;

	if (!vm || !vm->guest) {
		in->qemu = COMMIT_QEMU_DEAD;
		in->vm = NULL;
		in->again = true;
	}
	if (vm && vm->place != VM_LEAVING)
		vm_let_go(vm, true); /* on_vm_exit() follows, if there is a QEMU */
}

void incoming_doubt(struct incoming *in, const char *why)
{
	const MoveInfo *info = in->m.row.info;

	if (in->m.row.stage != JOURNAL_READY ||
	    (info->state == STATE(IN_DOUBT) && info->failure && strcmp(info->failure, why) == 0))
		return;
	move_explain(&in->m, "%s", why);
	if (info->state == STATE(IN_DOUBT))
		node_changed(in->m.node);
	else
		move_show(&in->m, STATE(IN_DOUBT));
}

static void ask_source(struct incoming *in)
{
	struct journal_move *row = &in->m.row;
	uint64_t now = clock_mono_ns();
	char why[256];

	if (now - in->heard_ns > DOUBT_NS) {
		snprintf(why, sizeof(why), "%s has to say whether %s runs here, and cannot be reached",
			 row->peer, row->info->vm);
		incoming_doubt(in, why);
	}
	if (now - in->heard_ns < ASK_AFTER_NS || now - in->asked_ns < ASK_NS || !in->ask)
		return;
	if (peer_send_word(in->ask, NULL, NULL, &row->id, TAGALONG__ENVELOPE__BODY_PEER_QUERY,
			   NULL) > 0)
		in->asked_ns = now;
}

/* While its connection is lost: so the source hears where this node is, which may have another
 * address by now. */
static void speak_up(struct incoming *in)
{
	uint64_t now = clock_mono_ns();

	if (!in->ask || !in->inflow || !in->deadline_ns || now - in->asked_ns < ASK_NS)
		return;
	in->asked_ns = now;
	(void)peer_send_word(in->ask, NULL, NULL, &in->m.row.id,
			     TAGALONG__ENVELOPE__BODY_PEER_QUERY, NULL);
}

static void settle(struct incoming *in)
{
	struct vm *vm = in->vm;

	if (vm && in->m.row.stage == JOURNAL_NEVER)
		vm_remove_files(vm);
	if (in->m.row.settled || move_settle(&in->m) < 0)
		return;
	in->vm = NULL;
	if (vm && in->m.row.stage == JOURNAL_NEVER) /* its QEMU had died before it was told to */
		vm_let_go(vm, true);
	else if (vm)
		vm_unwatch(vm);
	(void)journal_tidy(in->m.node->journal, JOURNAL_KEEP_MOVES, NULL);
}

static void act(struct incoming *in, enum commit_action action)
{
	switch (action) {
	case COMMIT_TO_READY:
		enter_stage(in, JOURNAL_READY);
		break;
	case COMMIT_TO_RUN:
		enter_stage(in, JOURNAL_RUN);
		break;
	case COMMIT_TO_DONE:
		enter_stage(in, JOURNAL_DONE);
		break;
	case COMMIT_TO_NEVER:
		enter_stage(in, JOURNAL_NEVER);
		break;
	case COMMIT_CONT:
		if (!in->commanding)
			in->commanding = incoming_command(in, "cont", NULL, on_cont) >= 0;
		in->cont_went |= in->commanding;
		break;
	case COMMIT_STOP:
		if (!in->commanding)
			in->commanding = incoming_command(in, "stop", NULL, on_stop) >= 0;
		break;
	case COMMIT_QUIT:
		if (in->m.row.stage == JOURNAL_RUN)
			incoming_note_lost(in, in->word == COMMIT_WORD_ABORT
						       ? "the source cannot give the rest of its memory"
						       : "its memory is not whole");
		kill_qemu(in);
		break;
	case COMMIT_ASK_PEER:
		ask_source(in);
		break;
	case COMMIT_SETTLE:
		settle(in);
		break;
	default:
		break;
	}
}

void incoming_reconcile(struct incoming *in)
{
	if (in->m.row.settled)
		return;
	if (in->reconciling) {
		in->again = true;
		return;
	}
	in->reconciling = true;
	do {
		struct commit_target facts = { in->m.row.stage, in->qemu,   in->word,   in->live,
					       in->loaded,	in->refused, in->partial };

		in->again = false;
		act(in, commit_target_next(&facts));
	} while (in->again);
	in->reconciling = false;
}

/* There is no giving up: the guest waits here for what only the source has. */
static void show_cut(struct incoming *in)
{
	if (in->m.row.stage < JOURNAL_READY)
		return;
	move_explain(&in->m, "a part of the memory of %s is on %s, to which there is no link: %s",
		     in->m.row.info->vm, in->m.row.peer, inflow_loss(in->inflow)->text);
	move_show(&in->m, STATE(IN_DOUBT));
}

static int on_tick(sd_event_source *source, uint64_t now, void *userdata)
{
	struct incoming *in = userdata;
	const MoveInfo *info = in->m.row.info;

	(void)now;
	if (in->deadline_ns && clock_mono_ns() > in->deadline_ns) {
		in->deadline_ns = 0;
		in->hung_up = in->inflow != NULL;
		if (in->partial)
			show_cut(in);
		else
			incoming_give_up(in, in->m.row.stage == JOURNAL_BEGUN ? "QEMU did not get ready in time"
				     : in->inflow ? inflow_loss(in->inflow)->text
						  : "the source did not connect in time");
	}
	if (in->live && in->m.row.stage == JOURNAL_PREPARED)
		speak_up(in);
	if (in->waits_for_image && in->m.row.stage == JOURNAL_BEGUN && in->live)
		incoming_become_prepared(in);
	if (in->m.row.stage == JOURNAL_PREPARED || in->partial)
		incoming_copy_figures(in); /* for who asks how far it is */
	/* What is in doubt needs to be known again and again; the rest comes as events. */
	if (in->m.row.stage != JOURNAL_BEGUN && !in->m.row.settled &&
	    (in->qemu == COMMIT_QEMU_UNKNOWN || info->state == STATE(IN_DOUBT) ||
	     (in->qemu == COMMIT_QEMU_BUSY && in->m.row.stage == JOURNAL_RUN)))
		incoming_poll(in);
	incoming_judge_silence(in);
	incoming_reconcile(in);
	if (in->m.row.settled && !in->pending && !incoming_owes_word(in)) {
		incoming_free(in);
		return 0;
	}
	sd_event_source_set_time_relative(source, TICK_NS / NS_PER_US);
	sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	return 0;
}

/* ---- Beginning and ending -------------------------------------------------------- */

struct incoming *incoming_new(struct node *n)
{
	struct incoming *in = calloc(1, sizeof(*in));

	if (!in)
		return NULL;
	in->qemu_fd = -1;
	in->m.node = n;
	in->heard_ns = clock_mono_ns();
	LIST_INSERT_HEAD(&n->incoming, in, link);
	sd_event_add_time_relative(n->loop, &in->tick, CLOCK_MONOTONIC, TICK_NS / NS_PER_US, 1,
				   on_tick, in);
	return in;
}

void incoming_free(struct incoming *in)
{
	if (!in)
		return;
	LIST_REMOVE(in, link);
	incoming_copy_end(in);
	if (in->vm)
		vm_unwatch(in->vm);
	bus_socket_free(in->ask);
	sd_event_source_disable_unref(in->tick);
	move_clear(&in->m);
	free(in->listens);
	free(in);
}

/* ---- Restart, resolve ------------------------------------------------------------ */

int incoming_restore(struct node *n, struct journal_move *row)
{
	struct incoming *in = incoming_new(n);
	struct mg_error err = { 0 };
	enum vm_place place;

	if (!in)
		return -ENOMEM;
	move_restore(&in->m, n, row);
	row = &in->m.row;
	if (row->stage <= JOURNAL_PREPARED)
		move_explain(&in->m, "migratord of %s was restarted", n->config->name);
	place = row->stage == JOURNAL_RUN || row->stage == JOURNAL_DONE ? VM_OURS : VM_ARRIVING;
	in->vm = vm_find_incarnation(n, &row->incarnation);
	if (!in->vm && vm_adopt(n, row->spec, &row->incarnation, place, &in->vm, &err) < 0)
		log_warning("incoming", "move=%s vm=%s %s", in->m.id_text, row->info->vm, err.text);
	if (in->vm)
		incoming_watch(in, in->vm);
	if (in->vm && !in->vm->guest)
		in->qemu = COMMIT_QEMU_DEAD;
	if (in->vm)
		in->vm->stopped_by_move = row->stage == JOURNAL_READY;
	incoming_restore_post_copy(in);
	incoming_connect_source(in);
	in->heard_ns = clock_mono_ns() - ASK_AFTER_NS; /* ask at once */
	return 0;
}

int incoming_resolve(struct incoming *in, const Tagalong__MoveResolve *resolve, const char *who,
		     struct mg_error *err)
{
	bool run_here = resolve->verdict == TAGALONG__MOVE_RESOLVE__VERDICT__RUN_HERE;

	if (in->m.row.info->state != STATE(IN_DOUBT))
		return mg_error_set(err, -EBUSY, "the move of %s is not in doubt: it is %s",
				    in->m.row.info->vm, move_state_name(in->m.row.info->state));
	if (resolve->dry_run)
		return 0;
	log_warning("incoming", "move=%s vm=%s resolved by %s: %s", in->m.id_text,
		    in->m.row.info->vm, who, run_here ? "run here" : "discard");
	move_explain(&in->m, "resolved by %s", who);
	in->word = run_here ? COMMIT_WORD_COMMIT : COMMIT_WORD_ABORT;
	if (!run_here)
		incoming_discard_post_copy(in, who);
	incoming_reconcile(in);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/placement/harness.h"

#define BODY(name) TAGALONG__ENVELOPE__BODY_##name
#define STATE(name) TAGALONG__MOVE_STATE__MOVE_##name

static const struct uuid phone = { { 1 } };
static uint8_t move_id[UUID_SIZE] = { 7, 7 };

static void start(struct harness *h)
{
	harness_start(h);
	node_hello(h, "tower-a", 8 * GIB, "web");
	node_hello(h, "tower-b", 2 * GIB, NULL);
	harness_forget(h);
}

static void setup(struct harness *h)
{
	harness_open(h);
	start(h);
}

static const Envelope *order(struct harness *h, const char *vm, const char *target, bool force,
			     bool dry_run)
{
	Tagalong__MoveOrder move = TAGALONG__MOVE_ORDER__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	move.move = (ProtobufCBinaryData){ UUID_SIZE, move_id };
	move.vm = (char *)vm;
	move.target = (char *)target;
	move.has_force = move.force = force;
	move.has_dry_run = move.dry_run = dry_run;
	e.body_case = BODY(MOVE_ORDER);
	e.move_order = &move;
	return ask(h, &e);
}

static const Envelope *cancel(struct harness *h)
{
	Tagalong__MoveCancel c = TAGALONG__MOVE_CANCEL__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	c.move = (ProtobufCBinaryData){ UUID_SIZE, move_id };
	e.body_case = BODY(MOVE_CANCEL);
	e.move_cancel = &c;
	return ask(h, &e);
}

static const Tagalong__MoveList *moves(struct harness *h, const char *vm, unsigned limit)
{
	Tagalong__MoveQuery query = TAGALONG__MOVE_QUERY__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	query.vm = (char *)vm;
	query.has_limit = limit > 0;
	query.limit = limit;
	e.body_case = BODY(MOVE_QUERY);
	e.move_query = &query;
	return ask(h, &e)->move_list;
}

static bool refused(const Envelope *e, int code, const char *says)
{
	return e && e->body_case == BODY(FAILURE) && e->failure->code == code &&
	       strstr(e->failure->text, says);
}

Test(requests, a_move_by_an_operator)
{
	const Tagalong__MoveOrder *sent;
	const struct sent *s;
	struct harness h;

	setup(&h);
	cr_assert_eq(order(&h, "web", "tower-b", false, false)->body_case, BODY(DONE));
	s = harness_next(&h, "tower-a", BODY(MOVE_ORDER));
	sent = s->e->move_order;
	cr_assert_str_eq(sent->target_endpoint, "tcp://10.0.0.1:7000");
	cr_assert_eq(sent->target_public_key[0], 'b');
	cr_assert_str_eq(sent->reason->code, "operator");
	cr_assert_str_eq(sent->reason->text, "ordered by alice");
	cr_assert_eq(memcmp(sent->move.data, move_id, UUID_SIZE), 0);
	cr_assert_eq(s->e->epoch, 1);
	answer_done(&h, s);
	/* The same order again is the same move; another one has to wait. */
	harness_forget(&h);
	cr_assert_eq(order(&h, "web", "tower-b", false, false)->body_case, BODY(DONE));
	cr_assert_null(harness_next(&h, "tower-a", BODY(MOVE_ORDER)));
	move_id[0]++;
	cr_assert(refused(order(&h, "web", "tower-b", false, false), EBUSY, "is moving to"));
	move_id[0]--;
	move_progress(&h, "tower-a", sent, STATE(COPYING));
	cr_assert_not_null(harness_next(&h, "alice", BODY(MOVE_PROGRESS)));
	cr_assert_eq(moves(&h, "web", 0)->moves[0]->state, STATE(COPYING));
	move_result(&h, "tower-a", sent, STATE(DONE));
	cr_assert_not_null(harness_next(&h, "alice", BODY(MOVE_RESULT)));
	cr_assert(refused(cancel(&h), ENOENT, "no such move"));
	/* Repeated after its end: no second move, also after a restart. */
	for (int i = 0; i < 2; i++) {
		harness_forget(&h);
		cr_assert_eq(order(&h, "web", "tower-a", false, false)->body_case, BODY(DONE));
		cr_assert_not_null(harness_next(&h, "alice", BODY(MOVE_RESULT)));
		cr_assert_eq(moves(&h, "web", 0)->n_moves, 1);
		harness_kill(&h);
		harness_start(&h);
	}
	harness_close(&h);
}

static void settle_many(struct harness *h, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		memcpy(&move_id[2], &i, sizeof(i));
		harness_forget(h);
		order(h, "web", "tower-b", true, false);
		move_result(h, "tower-a", harness_next(h, "tower-a", BODY(MOVE_ORDER))->e->move_order,
			    STATE(ABORTED));
	}
	memset(&move_id[2], 0, sizeof(n));
}

Test(requests, an_order_is_known_again_after_hundreds_of_others)
{
	struct harness h;

	harness_open(&h);
	h.limits.history = 1000;
	start(&h);
	settle_many(&h, 500);
	for (int i = 0; i < 2; i++) {
		harness_forget(&h);
		cr_assert_eq(order(&h, "web", "tower-b", true, false)->body_case, BODY(DONE));
		cr_assert_not_null(harness_next(&h, "alice", BODY(MOVE_RESULT)), "run %d", i);
		cr_assert_null(harness_next(&h, "tower-a", BODY(MOVE_ORDER)), "a second move");
		harness_kill(&h);
		start(&h);
	}
	harness_close(&h);
}

Test(requests, what_the_source_tells_of_a_move_is_shown)
{
	Tagalong__MoveProgress progress = TAGALONG__MOVE_PROGRESS__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	const Tagalong__MoveInfo *shown;
	Tagalong__MoveInfo info;
	const struct sent *s;
	struct harness h;

	setup(&h);
	order(&h, "web", "tower-b", false, false);
	s = harness_next(&h, "tower-a", BODY(MOVE_ORDER));
	answer_done(&h, s);
	move_info(&info, "tower-a", s->e->move_order, STATE(COPYING));
	info.has_priority = info.has_paused = info.paused = info.has_lost = info.lost = true;
	info.priority = TAGALONG__MOVE_PRIORITY__PRIORITY_HIGH;
	progress.info = &info;
	e.body_case = BODY(MOVE_PROGRESS);
	e.move_progress = &progress;
	harness_receive(&h, PEER_ROLE_NODE, "tower-a", 0, &e);
	shown = moves(&h, "web", 0)->moves[0];
	cr_assert_eq(shown->priority, TAGALONG__MOVE_PRIORITY__PRIORITY_HIGH);
	cr_assert(shown->paused && shown->lost);
	info.paused = false;
	harness_receive(&h, PEER_ROLE_NODE, "tower-a", 0, &e);
	shown = moves(&h, "web", 0)->moves[0];
	cr_assert(shown->has_priority && shown->has_paused && !shown->paused);
	harness_close(&h);
}

Test(requests, moves_that_cannot_be)
{
	struct harness h;

	setup(&h);
	cr_assert(refused(order(&h, "ghost", "tower-b", false, false), ENOENT, "no VM named"));
	cr_assert(refused(order(&h, "web", "tower-x", false, false), ENOENT, "no node named"));
	cr_assert(refused(order(&h, "web", "tower-a", false, false), EALREADY, "already"));
	migrator_hello(&h, "tower-b", GIB / 2, NULL, TAGALONG__VM_STATE__VM_RUNNING, NULL, 0);
	cr_assert(refused(order(&h, "web", "tower-b", false, false), ENOSPC, "no room"));
	cr_assert_eq(moves(&h, NULL, 0)->n_moves, 0);
	cr_assert_eq(order(&h, "web", "tower-b", true, false)->body_case, BODY(DONE));
	harness_run(&h, 20 * SECOND);
	move_id[1]++;
	cr_assert(refused(order(&h, "web", "tower-b", false, false), EBUSY, "moving"));
	move_id[1]--;
	harness_close(&h);
}

Test(requests, a_frozen_vm_is_moved_when_an_operator_insists)
{
	Tagalong__VmFreeze freeze = TAGALONG__VM_FREEZE__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	struct harness h;

	setup(&h);
	freeze.vm = (char *)"web";
	freeze.frozen = true;
	freeze.has_dry_run = freeze.dry_run = true;
	e.body_case = BODY(VM_FREEZE);
	e.vm_freeze = &freeze;
	cr_assert_eq(ask(&h, &e)->body_case, BODY(DONE));
	cr_assert_eq(harness_decided(&h, " freeze "), 0);
	freeze.dry_run = false;
	cr_assert_eq(ask(&h, &e)->body_case, BODY(DONE));
	cr_assert(refused(order(&h, "web", "tower-b", false, false), EBUSY, "is frozen; --force"));
	cr_assert_eq(order(&h, "web", "tower-b", true, false)->body_case, BODY(DONE));
	harness_close(&h);
}

Test(requests, a_dry_run_is_passed_on)
{
	const struct sent *s;
	const Envelope *answer;
	struct harness h;

	setup(&h);
	cr_assert_null(order(&h, "web", "tower-b", false, true), "answered by the node");
	s = harness_next(&h, "tower-a", BODY(MOVE_ORDER));
	cr_assert(s->e->move_order->dry_run);
	cr_assert_not_null(s->e->move_order->target_endpoint);
	harness_forget(&h);
	answer_failure(&h, s, EINVAL, "the machine type differs");
	answer = harness_next(&h, "alice", BODY(FAILURE))->e;
	cr_assert_str_eq(answer->failure->text, "the machine type differs");
	cr_assert_gt(answer->reply_to, 0);
	cr_assert_eq(moves(&h, NULL, 0)->n_moves, 0);
	harness_close(&h);
}

Test(requests, dry_runs_change_nothing)
{
	Tagalong__MoveCancel c = TAGALONG__MOVE_CANCEL__INIT;
	Tagalong__VmStop stop = TAGALONG__VM_STOP__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	const struct sent *s;
	struct harness h;

	setup(&h);
	c.move = (ProtobufCBinaryData){ UUID_SIZE, move_id };
	c.has_dry_run = c.dry_run = true;
	e.body_case = BODY(MOVE_CANCEL);
	e.move_cancel = &c;
	cr_assert(refused(ask(&h, &e), ENOENT, "no such move"));
	order(&h, "web", "tower-b", false, false);
	cr_assert_eq(ask(&h, &e)->body_case, BODY(DONE));
	cr_assert_null(harness_next(&h, "tower-a", BODY(MOVE_CANCEL)));
	cr_assert_eq(harness_decided(&h, " cancel "), 0);
	/* What a node has to judge goes there. */
	stop.name = (char *)"web";
	stop.has_dry_run = stop.dry_run = true;
	e.body_case = BODY(VM_STOP);
	e.vm_stop = &stop;
	cr_assert_null(ask(&h, &e));
	s = harness_next(&h, "tower-a", BODY(VM_STOP));
	cr_assert(s->e->vm_stop->dry_run);
	harness_close(&h);
}

static void report_forecast(struct harness *h, const struct sent *order, const char *node)
{
	Tagalong__MoveInfo info;
	Tagalong__MoveResult result = TAGALONG__MOVE_RESULT__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	move_info(&info, node, order->e->move_order, STATE(ABORTED));
	result.info = &info;
	e.body_case = BODY(MOVE_RESULT);
	e.move_result = &result;
	harness_receive(h, PEER_ROLE_NODE, node, 0, &e);
}

Test(requests, what_a_dry_run_found_is_passed_on_once)
{
	const struct sent *s;
	struct harness h;

	setup(&h);
	cr_assert_null(order(&h, "web", "tower-b", false, true));
	s = harness_next(&h, "tower-a", BODY(MOVE_ORDER));
	harness_forget(&h);
	answer_done(&h, s);
	cr_assert_not_null(harness_next(&h, "alice", BODY(DONE)));
	report_forecast(&h, s, "tower-b"); /* not for it to tell */
	cr_assert_null(harness_next(&h, "alice", BODY(MOVE_RESULT)));
	report_forecast(&h, s, "tower-a");
	cr_assert_not_null(harness_next(&h, "alice", BODY(MOVE_RESULT)));
	report_forecast(&h, s, "tower-a");
	cr_assert_null(harness_next(&h, "alice", BODY(MOVE_RESULT)));
	harness_run(&h, 60 * SECOND);
	cr_assert_null(harness_next(&h, "alice", BODY(FAILURE)), "answered twice");
	harness_close(&h);
}

static const Envelope *page(struct harness *h, const ProtobufCBinaryData *after)
{
	Tagalong__MoveQuery query = TAGALONG__MOVE_QUERY__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	query.has_limit = true;
	query.limit = 1;
	query.has_after = after != NULL;
	if (after)
		query.after = *after;
	e.body_case = BODY(MOVE_QUERY);
	e.move_query = &query;
	return ask(h, &e);
}

Test(requests, moves_page_by_page)
{
	uint8_t seen[4][UUID_SIZE], nobody[UUID_SIZE] = { 9 };
	ProtobufCBinaryData after = { UUID_SIZE, nobody };
	const Tagalong__MoveList *list;
	struct harness h;
	size_t n = 0;

	setup(&h);
	/* Two that are over, and one that is open. */
	for (int i = 0; i < 3; i++) {
		const struct sent *s;

		move_id[2] = (uint8_t)i;
		cr_assert_eq(order(&h, "web", "tower-b", false, false)->body_case, BODY(DONE));
		s = harness_next(&h, "tower-a", BODY(MOVE_ORDER));
		answer_done(&h, s);
		if (i < 2)
			move_result(&h, "tower-a", s->e->move_order, STATE(ABORTED));
		harness_run(&h, SECOND);
	}
	list = page(&h, NULL)->move_list;
	while (list->n_moves) {
		cr_assert_eq(list->n_moves, 1);
		cr_assert_lt(n, 3);
		memcpy(seen[n], list->moves[0]->move.data, UUID_SIZE);
		after.data = seen[n++];
		list = page(&h, &after)->move_list;
	}
	cr_assert_eq(n, 3);
	cr_assert_eq(seen[0][2], 2, "the open one is first");
	cr_assert_eq(seen[1][2], 1, "then the newest");
	cr_assert_eq(seen[2][2], 0);
	after.data = nobody;
	cr_assert(refused(page(&h, &after), ENOENT, "not remembered"));
	move_id[2] = 0;
	harness_close(&h);
}

Test(requests, cancel)
{
	const struct sent *s;
	struct harness h;

	setup(&h);
	order(&h, "web", "tower-b", false, false);
	s = harness_next(&h, "tower-a", BODY(MOVE_ORDER));
	answer_done(&h, s);
	cr_assert_null(cancel(&h), "the source has not answered");
	cr_assert_not_null(harness_next(&h, "tower-a", BODY(MOVE_CANCEL)));
	harness_run(&h, 2 * SECOND);
	cr_assert_not_null(harness_next(&h, "tower-a", BODY(MOVE_CANCEL)), "until it is answered");
	move_progress(&h, "tower-a", s->e->move_order, STATE(COMMITTED));
	cr_assert(refused(cancel(&h), EBUSY, "too late: the move is committed"));
	move_result(&h, "tower-a", s->e->move_order, STATE(ABORTED));
	cr_assert(refused(cancel(&h), ENOENT, "no such move"));
	cr_assert_eq(moves(&h, "web", 0)->moves[0]->state, STATE(ABORTED));
	cr_assert_eq(moves(&h, "mail", 0)->n_moves, 0);
	harness_close(&h);
}

/* To what was sent last: a move of its own, which is accepted and then called off. */
static const struct sent *cancel_another(struct harness *h)
{
	const struct sent *s;

	move_id[1]++;
	order(h, "web", "tower-b", false, false);
	answer_done(h, harness_next(h, "tower-a", BODY(MOVE_ORDER)));
	harness_forget(h);
	cr_assert_null(cancel(h), "the source has not answered");
	s = harness_next(h, "tower-a", BODY(MOVE_CANCEL));
	cr_assert_not_null(s);
	return s;
}

static void ends(struct harness *h, MoveState state)
{
	Tagalong__MoveOrder order = TAGALONG__MOVE_ORDER__INIT;

	order.move = (ProtobufCBinaryData){ UUID_SIZE, move_id };
	order.vm = (char *)"web";
	order.target = (char *)"tower-b";
	move_result(h, "tower-a", &order, state);
}

static bool told(struct harness *h, int code, const char *says)
{
	const struct sent *s = harness_next(h, "alice", BODY(FAILURE));

	return s && refused(s->e, code, says);
}

/* Whether it was is the source's word, or the move's end says it. */
Test(requests, a_cancel_is_answered_as_the_source_has)
{
	const struct sent *s;
	struct harness h;

	setup(&h);
	s = cancel_another(&h);
	answer_done(&h, s);
	cr_assert_not_null(harness_next(&h, "alice", BODY(DONE)));
	cr_assert_eq(cancel(&h)->body_case, BODY(DONE), "it is being called off");
	cr_assert_null(harness_next(&h, "tower-a", BODY(MOVE_CANCEL)), "which it has said");
	ends(&h, STATE(ABORTED));
	s = cancel_another(&h);
	cr_assert_null(cancel(&h), "both are answered");
	answer_failure(&h, s, EBUSY, "it is too late: the move of web is ready");
	cr_assert(told(&h, EBUSY, "is ready") && told(&h, EBUSY, "is ready"));
	ends(&h, STATE(ABORTED));
	cancel_another(&h);
	ends(&h, STATE(ABORTED));
	cr_assert_not_null(harness_next(&h, "alice", BODY(DONE)), "it was, or else it failed");
	cancel_another(&h);
	ends(&h, STATE(DONE));
	cr_assert(told(&h, EBUSY, "too late: the move is done"));
	move_id[1] = 7;
	harness_close(&h);
}

Test(requests, a_cancel_that_nobody_confirms_is_no_success)
{
	const struct sent *s;
	struct harness h;

	setup(&h);
	s = cancel_another(&h);
	harness_run(&h, 2 * SECOND);
	cr_assert_null(harness_next(&h, "alice", BODY(FAILURE)));
	harness_run(&h, 2 * SECOND);
	cr_assert(told(&h, ETIMEDOUT, "asked, but not confirmed yet: node 'tower-a'"));
	harness_run(&h, 2 * SECOND);
	cr_assert_not_null(harness_next(&h, "tower-a", BODY(MOVE_CANCEL)), "it is asked on");
	answer_done(&h, s);
	cr_assert_null(harness_next(&h, "alice", BODY(DONE)), "that was answered already");
	ends(&h, STATE(ABORTED));
	move_id[1] = 7;
	harness_close(&h);
}

Test(requests, history_is_limited_and_the_newest_first)
{
	const struct sent *s;
	struct harness h;

	setup(&h);
	for (uint8_t i = 0; i < 5; i++) {
		move_id[2] = i;
		harness_forget(&h);
		order(&h, "web", "tower-b", false, false);
		s = harness_next(&h, "tower-a", BODY(MOVE_ORDER));
		harness_run(&h, SECOND);
		move_result(&h, "tower-a", s->e->move_order, STATE(ABORTED));
	}
	cr_assert_eq(moves(&h, NULL, 0)->n_moves, 5);
	cr_assert_eq(moves(&h, NULL, 2)->n_moves, 2);
	cr_assert_eq(moves(&h, NULL, 2)->moves[0]->move.data[2], 4);
	cr_assert_eq(moves(&h, NULL, 2)->moves[1]->move.data[2], 3);
	move_id[2] = 0;
	harness_close(&h);
}

Test(requests, vms_are_started_where_there_is_room)
{
	Tagalong__VmSpec spec = TAGALONG__VM_SPEC__INIT;
	Tagalong__VmStart start = TAGALONG__VM_START__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	const struct sent *s;
	struct harness h;

	setup(&h);
	spec.name = (char *)"mail";
	spec.machine = spec.cpu = spec.accelerator = (char *)"x";
	spec.memory_bytes = 3 * GIB;
	start.spec = &spec;
	e.body_case = BODY(VM_START);
	e.vm_start = &start;
	cr_assert_null(ask(&h, &e));
	s = harness_next(&h, "tower-a", BODY(VM_START));
	cr_assert_not_null(s, "b is too small");
	answer_done(&h, s);
	cr_assert_not_null(harness_next(&h, "alice", BODY(DONE)));
	cr_assert(refused(ask(&h, &e), EEXIST, "is on 'tower-a' already"), "before the node tells of it");
	spec.name = (char *)"post";
	spec.memory_bytes = 100 * GIB;
	cr_assert(refused(ask(&h, &e), ENOSPC, "room"));
	start.node = (char *)"tower-b";
	cr_assert_null(ask(&h, &e));
	cr_assert_not_null(harness_next(&h, "tower-b", BODY(VM_START)), "as it was told");
	cr_assert(refused(ask(&h, &e), EBUSY, "is being started on 'tower-b'"));
	start.node = (char *)"tower-x";
	cr_assert(refused(ask(&h, &e), ENOENT, "no node named"));
	start.node = NULL;
	spec.name = (char *)"web";
	cr_assert(refused(ask(&h, &e), EEXIST, "already"));
	harness_close(&h);
}

/* An operator has it started on any node. */
static const Envelope *start_vm(struct harness *h, bool force, bool dry_run)
{
	Tagalong__VmSpec spec = TAGALONG__VM_SPEC__INIT;
	Tagalong__VmStart start = TAGALONG__VM_START__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	spec.name = (char *)"web";
	spec.machine = spec.cpu = spec.accelerator = (char *)"x";
	spec.memory_bytes = GIB;
	spec.vcpus = 1;
	start.spec = &spec;
	start.has_force = start.force = force;
	start.has_dry_run = start.dry_run = dry_run;
	e.body_case = BODY(VM_START);
	e.vm_start = &start;
	return ask(h, &e);
}

Test(requests, a_vm_whose_node_has_died_is_started_elsewhere)
{
	struct harness h;

	setup(&h);
	cr_assert(refused(start_vm(&h, true, false), EEXIST, "is on 'tower-a' already"));
	for (int i = 0; i < 4; i++) {
		harness_run(&h, 5 * SECOND);
		node_status(&h, "tower-b", NULL, TAGALONG__VM_STATE__VM_RUNNING);
	}
	harness_forget(&h);
	cr_assert(refused(start_vm(&h, false, false), EBUSY, "silent: once that is surely off"));
	start_vm(&h, true, true);
	cr_assert(refused(start_vm(&h, false, false), EBUSY, "silent"), "a dry run changes nothing");
	harness_forget(&h);
	start_vm(&h, true, false);
	cr_assert_not_null(harness_next(&h, "tower-b", BODY(VM_START)));
	cr_assert_eq(harness_decided(&h, " give-up vm=web node=tower-a by=alice"), 1);
	cr_assert(refused(start_vm(&h, true, false), EBUSY, "being started on 'tower-b'"));
	node_status(&h, "tower-b", "web", TAGALONG__VM_STATE__VM_RUNNING);
	cr_assert(refused(start_vm(&h, true, false), EEXIST, "is on 'tower-b' already"));
	/* What the dead one says when it is back. */
	node_hello(&h, "tower-a", 8 * GIB, NULL);
	cr_assert(refused(start_vm(&h, true, false), EEXIST, "is on 'tower-b' already"));
	harness_close(&h);
}

Test(requests, a_node_that_does_not_answer)
{
	Tagalong__VmStop stop = TAGALONG__VM_STOP__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	const struct sent *s;
	struct harness h;

	setup(&h);
	stop.name = (char *)"web";
	e.body_case = BODY(VM_STOP);
	e.vm_stop = &stop;
	cr_assert_null(ask(&h, &e));
	s = harness_next(&h, "tower-a", BODY(VM_STOP));
	cr_assert_not_null(s);
	harness_forget(&h);
	harness_run(&h, 31 * SECOND);
	cr_assert(refused(harness_next(&h, "alice", BODY(FAILURE))->e, ETIMEDOUT, "tower-a"));
	harness_forget(&h);
	answer_done(&h, s);
	cr_assert_null(harness_next(&h, "alice", BODY(DONE)), "too late");
	cr_assert(refused(ask(&h, &e), EHOSTUNREACH, "not connected"));
	stop.name = (char *)"ghost";
	cr_assert(refused(ask(&h, &e), ENOENT, "no VM named"));
	harness_close(&h);
}

Test(requests, status_has_it_all)
{
	Tagalong__StatusQuery query = TAGALONG__STATUS_QUERY__INIT;
	Tagalong__VmQuery vm_query = TAGALONG__VM_QUERY__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	const Tagalong__Status *status;
	struct harness h;

	setup(&h);
	set_pair(&h, &phone, "phone", "web");
	node_rtt(&h, "tower-b", &phone, 12.5);
	order(&h, "web", "tower-b", false, false);
	e.body_case = BODY(STATUS_QUERY);
	e.status_query = &query;
	status = ask(&h, &e)->status;
	cr_assert_eq(status->epoch, 1);
	cr_assert_eq(status->n_nodes, 2);
	cr_assert(status->nodes[0]->migrator_up && status->nodes[0]->telemetry_up);
	cr_assert_eq(status->nodes[0]->memory_used_bytes, GIB);
	cr_assert_eq(status->n_vms, 1);
	cr_assert_str_eq(status->vms[0]->node, "tower-a");
	cr_assert_eq(status->n_moves, 1);
	cr_assert_eq(status->n_pairs, 1);
	cr_assert_str_eq(status->pairs[0]->vm_node, "tower-a");
	cr_assert_eq(status->pairs[0]->n_rtts, 1);
	cr_assert_str_eq(status->pairs[0]->rtts[0]->node, "tower-b");
	cr_assert_eq(status->pairs[0]->rtts[0]->sample->srtt_ns, 12500 * 1000);
	e.body_case = BODY(VM_QUERY);
	e.vm_query = &vm_query;
	vm_query.name = (char *)"ghost";
	cr_assert_eq(ask(&h, &e)->vm_list->n_vms, 0);
	harness_close(&h);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/placement/harness.h"

#define BODY(name) TAGALONG__ENVELOPE__BODY_##name
#define STATE(name) TAGALONG__MOVE_STATE__MOVE_##name

static const struct uuid phone = { { 1 } };

static void setup(struct harness *h)
{
	harness_open(h);
	harness_start(h);
	node_hello(h, "tower-a", 8 * GIB, "web");
	node_hello(h, "tower-b", 4 * GIB, NULL);
	node_hello(h, "tower-c", 2 * GIB, NULL);
	harness_forget(h);
}

/* "web>tower-b", "web:it is frozen"; or the failure's text. */
static const char *drain(struct harness *h, const char *node, bool drained, bool dry_run)
{
	static char text[256];
	Tagalong__NodeDrain request = TAGALONG__NODE_DRAIN__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	const Envelope *answer;

	request.node = (char *)node;
	request.drained = drained;
	request.has_dry_run = request.dry_run = dry_run;
	e.body_case = BODY(NODE_DRAIN);
	e.node_drain = &request;
	answer = ask(h, &e);
	if (answer->body_case == BODY(FAILURE))
		return answer->failure->text;
	cr_assert_eq(answer->body_case, BODY(DRAIN_PLAN));
	text[0] = 0;
	for (size_t i = 0; i < answer->drain_plan->n_steps; i++) {
		const Tagalong__DrainStep *step = answer->drain_plan->steps[i];

		sprintf(text + strlen(text), "%s%s%s%s", i ? " " : "", step->vm,
			step->target ? ">" : ":", step->target ? step->target : step->problem);
	}
	return text;
}

static void evacuate(struct harness *h, const char *node)
{
	Tagalong__NodeDrain request = TAGALONG__NODE_DRAIN__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	request.node = (char *)node;
	request.drained = true;
	request.has_evacuate = request.evacuate = true;
	e.body_case = BODY(NODE_DRAIN);
	e.node_drain = &request;
	cr_assert_eq(ask(h, &e)->body_case, BODY(DRAIN_PLAN));
}

static const Envelope *freeze(struct harness *h, const char *vm, bool frozen)
{
	Tagalong__VmFreeze request = TAGALONG__VM_FREEZE__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	request.vm = (char *)vm;
	request.frozen = frozen;
	e.body_case = BODY(VM_FREEZE);
	e.vm_freeze = &request;
	return ask(h, &e);
}

/* All towers are still there after this time. */
static void pass(struct harness *h, unsigned seconds)
{
	while (seconds-- > 0) {
		harness_run(h, SECOND);
		node_status(h, "tower-a", "web", TAGALONG__VM_STATE__VM_RUNNING);
		node_status(h, "tower-b", NULL, TAGALONG__VM_STATE__VM_RUNNING);
		node_status(h, "tower-c", NULL, TAGALONG__VM_STATE__VM_RUNNING);
	}
}

Test(drain, a_dry_run_tells_the_plan_and_changes_nothing)
{
	struct harness h;

	setup(&h);
	cr_assert_str_eq(drain(&h, "tower-a", true, true), "web>tower-b");
	pass(&h, 3);
	cr_assert_null(harness_next(&h, "tower-a", BODY(MOVE_ORDER)));
	cr_assert_eq(harness_decided(&h, " drain "), 0);
	harness_close(&h);
}

Test(drain, vms_leave_and_none_comes)
{
	const Tagalong__MoveOrder *order;
	const struct sent *sent;
	struct harness h;

	setup(&h);
	cr_assert_str_eq(drain(&h, "tower-a", true, false), "web>tower-b");
	sent = harness_next(&h, "tower-a", BODY(MOVE_ORDER));
	cr_assert_not_null(sent);
	order = sent->e->move_order;
	cr_assert_str_eq(order->target, "tower-b");
	cr_assert_str_eq(order->reason->code, "drain");
	answer_done(&h, sent);
	move_result(&h, "tower-a", order, STATE(DONE));
	cr_assert_str_eq(drain(&h, "tower-a", true, true), "");
	/* The way back is barred, and so is draining into a drained node. */
	cr_assert_str_eq(drain(&h, "tower-b", true, true), "web>tower-c");
	cr_assert_str_eq(drain(&h, "tower-c", true, false), "");
	cr_assert_str_eq(drain(&h, "tower-b", true, true), "web:no node has room for it");
	cr_assert_str_eq(drain(&h, "tower-a", false, false), "");
	cr_assert_str_eq(drain(&h, "tower-b", true, true), "web>tower-a");
	harness_close(&h);
}

Test(drain, a_failed_move_is_tried_again_after_its_back_off)
{
	const struct sent *sent;
	struct harness h;

	setup(&h);
	drain(&h, "tower-a", true, false);
	sent = harness_next(&h, "tower-a", BODY(MOVE_ORDER));
	cr_assert_not_null(sent);
	answer_done(&h, sent);
	move_result(&h, "tower-a", sent->e->move_order, STATE(ABORTED));
	harness_forget(&h);
	pass(&h, 8);
	cr_assert_null(harness_next(&h, "tower-a", BODY(MOVE_ORDER)));
	pass(&h, 4);
	cr_assert_not_null(harness_next(&h, "tower-a", BODY(MOVE_ORDER)));
	harness_close(&h);
}

Test(drain, survives_a_restart)
{
	struct harness h;

	setup(&h);
	drain(&h, "tower-b", true, false);
	freeze(&h, "web", true);
	harness_kill(&h);
	harness_start(&h);
	node_hello(&h, "tower-a", 8 * GIB, "web");
	node_hello(&h, "tower-b", 4 * GIB, NULL);
	node_hello(&h, "tower-c", 2 * GIB, NULL);
	cr_assert_str_eq(drain(&h, "tower-a", true, true), "web:it is frozen");
	freeze(&h, "web", false);
	cr_assert_str_eq(drain(&h, "tower-a", true, true), "web>tower-c");
	harness_close(&h);
}

Test(drain, the_device_decides_where_to_when_its_times_are_known)
{
	struct harness h;

	setup(&h);
	set_pair(&h, &phone, "phone", "web");
	node_rtt(&h, "tower-c", &phone, 3);
	cr_assert_str_eq(drain(&h, "tower-a", true, true), "web>tower-c");
	harness_close(&h);
}

Test(drain, a_frozen_vm_stays_whatever_its_policy_wishes)
{
	struct harness h;

	setup(&h);
	set_pair(&h, &phone, "phone", "web");
	cr_assert_eq(freeze(&h, "web", true)->body_case, BODY(DONE));
	for (int i = 0; i < 5; i++) {
		pass(&h, 1);
		node_rtt(&h, "tower-a", &phone, 40);
		node_rtt(&h, "tower-b", &phone, 4);
	}
	cr_assert_null(harness_next(&h, "tower-a", BODY(MOVE_ORDER)));
	cr_assert_gt(harness_decided(&h, "why=it is frozen"), 0);
	cr_assert_eq(freeze(&h, "web", false)->body_case, BODY(DONE));
	pass(&h, 1);
	node_rtt(&h, "tower-a", &phone, 40);
	node_rtt(&h, "tower-b", &phone, 4);
	pass(&h, 1);
	cr_assert_not_null(harness_next(&h, "tower-a", BODY(MOVE_ORDER)));
	harness_close(&h);
}

Test(drain, what_is_not_there_is_named)
{
	struct harness h;
	const Envelope *answer;

	setup(&h);
	cr_assert_not_null(strstr(drain(&h, "tower-x", true, false), "no node named 'tower-x'"));
	answer = freeze(&h, "mail", true);
	cr_assert_eq(answer->body_case, BODY(FAILURE));
	cr_assert_not_null(strstr(answer->failure->text, "no VM named 'mail'"));
	harness_close(&h);
}

Test(drain, from_a_failing_node_at_once_and_again_soon)
{
	const struct sent *sent;
	struct harness h;

	setup(&h);
	set_pair(&h, &phone, "phone", "web");
	evacuate(&h, "tower-a");
	pass(&h, 1);
	for (int i = 0; i < 4; i++) {
		sent = harness_next(&h, "tower-a", BODY(MOVE_ORDER));
		cr_assert_not_null(sent, "try %d", i);
		cr_assert_str_eq(sent->e->move_order->reason->code, "evacuate");
		cr_assert_str_eq(sent->e->move_order->reason->text, "tower-a is evacuated");
		cr_assert_eq(sent->e->move_order->priority, TAGALONG__MOVE_PRIORITY__PRIORITY_HIGH);
		answer_done(&h, sent);
		move_result(&h, "tower-a", sent->e->move_order, STATE(ABORTED));
		/* Without what was repeated of that order: the next one is due after the
		 * shortest back-off each time, and not before. */
		harness_forget(&h);
		pass(&h, 8);
		cr_assert_null(harness_next(&h, "tower-a", BODY(MOVE_ORDER)), "try %d", i);
		pass(&h, 4);
	}
	harness_kill(&h);
	harness_start(&h);
	cr_assert_str_eq(drain(&h, "tower-a", false, false), "");
	cr_assert_eq(harness_decided(&h, " undrain "), 1, "it was kept");
	harness_close(&h);
}

Test(drain, what_is_on_its_way_to_a_failing_node_turns_back)
{
	const struct sent *sent;
	struct harness h;

	setup(&h);
	drain(&h, "tower-a", true, false);
	sent = harness_next(&h, "tower-a", BODY(MOVE_ORDER));
	cr_assert_str_eq(sent->e->move_order->target, "tower-b");
	answer_done(&h, sent);
	move_progress(&h, "tower-a", sent->e->move_order, STATE(COPYING));
	evacuate(&h, "tower-b");
	cr_assert_not_null(harness_next(&h, "tower-a", BODY(MOVE_CANCEL)));
	harness_close(&h);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/placement/harness.h"

#define BODY(name) TAGALONG__ENVELOPE__BODY_##name
#define STATE(name) TAGALONG__MOVE_STATE__MOVE_##name

/* Three towers; 'web' on the first one may go to the others. A quarantine comes after three
 * failures within 1000 s and is 60 s long at first, 100 s at most. */
static void setup(struct harness *h)
{
	harness_open(h);
	h->limits.has_quarantine_after = h->limits.has_quarantine_window_ns = true;
	h->limits.has_quarantine_ns = h->limits.has_quarantine_max_ns = true;
	h->limits.quarantine_after = 3;
	h->limits.quarantine_window_ns = 1000 * SECOND;
	h->limits.quarantine_ns = 60 * SECOND;
	h->limits.quarantine_max_ns = 100 * SECOND;
	harness_start(h);
	node_hello(h, "tower-a", 8 * GIB, "web");
	node_hello(h, "tower-b", 8 * GIB, NULL);
	node_hello(h, "tower-c", 8 * GIB, "mail");
	harness_forget(h);
}

/* An operator orders the move, and that is what comes of it: NULL, or why it is refused. */
static const char *move(struct harness *h, const char *vm, const char *from, const char *to,
			bool force, MoveState end)
{
	static uint8_t id[UUID_SIZE];
	Tagalong__MoveOrder order = TAGALONG__MOVE_ORDER__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	const struct sent *sent;
	const Envelope *answer;

	id[0]++;
	order.move = (ProtobufCBinaryData){ UUID_SIZE, id };
	order.vm = (char *)vm;
	order.target = (char *)to;
	order.has_force = order.force = force;
	e.body_case = BODY(MOVE_ORDER);
	e.move_order = &order;
	harness_forget(h);
	answer = ask(h, &e);
	if (answer->body_case == BODY(FAILURE))
		return answer->failure->text;
	sent = harness_next(h, from, BODY(MOVE_ORDER));
	cr_assert_not_null(sent);
	answer_done(h, sent);
	move_result(h, from, sent->e->move_order, end);
	return NULL;
}

static void fail(struct harness *h, unsigned times)
{
	while (times-- > 0)
		cr_assert_null(move(h, "web", "tower-a", "tower-b", true, STATE(ABORTED)));
}

static const Tagalong__NodeInfo *node(struct harness *h, const char *name)
{
	Tagalong__NodeQuery query = TAGALONG__NODE_QUERY__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	const Envelope *answer;

	e.body_case = BODY(NODE_QUERY);
	e.node_query = &query;
	answer = ask(h, &e);
	for (size_t i = 0; i < answer->node_list->n_nodes; i++)
		if (strcmp(answer->node_list->nodes[i]->name, name) == 0)
			return answer->node_list->nodes[i];
	cr_assert_fail("no node %s", name);
	return NULL;
}

static const Envelope *quarantine(struct harness *h, const char *name, bool on, bool dry_run)
{
	Tagalong__NodeQuarantine request = TAGALONG__NODE_QUARANTINE__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	request.node = (char *)name;
	request.quarantined = on;
	request.has_dry_run = request.dry_run = dry_run;
	e.body_case = BODY(NODE_QUARANTINE);
	e.node_quarantine = &request;
	return ask(h, &e);
}

static void pass(struct harness *h, unsigned seconds)
{
	for (; seconds > 0; seconds--) {
		harness_run(h, SECOND);
		node_status(h, "tower-a", "web", TAGALONG__VM_STATE__VM_RUNNING);
		node_status(h, "tower-b", NULL, TAGALONG__VM_STATE__VM_RUNNING);
		node_status(h, "tower-c", "mail", TAGALONG__VM_STATE__VM_RUNNING);
	}
}

Test(quarantine, after_failures_in_a_row_and_longer_each_time)
{
	const char *refusal;
	struct harness h;

	setup(&h);
	fail(&h, 2);
	cr_assert_not(node(&h, "tower-b")->quarantined);
	fail(&h, 1);
	cr_assert(node(&h, "tower-b")->quarantined);
	cr_assert_eq(node(&h, "tower-b")->quarantined_until_utc_ns, h.utc_ns + 60 * SECOND);
	refusal = move(&h, "web", "tower-a", "tower-b", false, STATE(DONE));
	cr_assert_str_eq(refusal, "node 'tower-b' is in quarantine; --force moves VM 'web' there "
				  "anyway");
	pass(&h, 59);
	cr_assert(node(&h, "tower-b")->quarantined);
	pass(&h, 2);
	cr_assert_not(node(&h, "tower-b")->quarantined);
	/* One more is enough, and twice 60 s are more than the most. */
	fail(&h, 1);
	cr_assert_eq(node(&h, "tower-b")->quarantined_until_utc_ns, h.utc_ns + 100 * SECOND);
	pass(&h, 101);
	cr_assert_null(move(&h, "web", "tower-a", "tower-b", false, STATE(DONE)));
	cr_assert_eq(node(&h, "tower-b")->failures, 0);
	harness_replay(&h);
	harness_close(&h);
}

Test(quarantine, not_for_failures_of_long_ago)
{
	struct harness h;

	setup(&h);
	fail(&h, 2);
	pass(&h, 1001);
	fail(&h, 2);
	cr_assert_not(node(&h, "tower-b")->quarantined);
	fail(&h, 1);
	cr_assert(node(&h, "tower-b")->quarantined);
	harness_close(&h);
}

Test(quarantine, not_for_a_vm_that_cannot_be_moved_anywhere)
{
	struct harness h;

	setup(&h);
	for (int i = 0; i < 4; i++) {
		move(&h, "web", "tower-a", "tower-b", true, STATE(ABORTED));
		move(&h, "web", "tower-a", "tower-c", true, STATE(ABORTED));
	}
	cr_assert_eq(node(&h, "tower-b")->failures, 1);
	cr_assert_eq(node(&h, "tower-c")->failures, 0);
	harness_close(&h);
}

Test(quarantine, nor_for_what_the_source_refuses_or_an_operator_calls_off)
{
	Tagalong__MoveOrder order = TAGALONG__MOVE_ORDER__INIT;
	Tagalong__MoveCancel cancel = TAGALONG__MOVE_CANCEL__INIT;
	uint8_t id[UUID_SIZE] = { 99 };
	Envelope e = TAGALONG__ENVELOPE__INIT;
	const struct sent *sent;
	struct harness h;

	setup(&h);
	order.move = cancel.move = (ProtobufCBinaryData){ UUID_SIZE, id };
	order.vm = (char *)"web";
	order.target = (char *)"tower-b";
	for (int i = 0; i < 6; i++) {
		id[1]++;
		e.body_case = BODY(MOVE_ORDER);
		e.move_order = &order;
		ask(&h, &e);
		sent = harness_next(&h, "tower-a", BODY(MOVE_ORDER));
		if (i % 2) {
			answer_failure(&h, sent, EBUSY, "being moved already");
		} else {
			answer_done(&h, sent);
			e.body_case = BODY(MOVE_CANCEL);
			e.move_cancel = &cancel;
			ask(&h, &e);
			move_result(&h, "tower-a", &order, STATE(ABORTED));
		}
		harness_forget(&h);
	}
	cr_assert_eq(harness_decided(&h, " result "), 6);
	cr_assert_eq(node(&h, "tower-b")->failures, 0);
	harness_close(&h);
}

Test(quarantine, survives_a_restart)
{
	struct harness h;

	setup(&h);
	fail(&h, 3);
	quarantine(&h, "tower-c", true, false);
	harness_kill(&h);
	harness_start(&h);
	cr_assert(node(&h, "tower-b")->quarantined);
	cr_assert_eq(node(&h, "tower-b")->failures, 3);
	cr_assert_eq(node(&h, "tower-b")->quarantined_until_utc_ns, h.utc_ns + 60 * SECOND);
	cr_assert(node(&h, "tower-c")->quarantined);
	cr_assert_not(node(&h, "tower-c")->has_quarantined_until_utc_ns);
	harness_close(&h);
}

Test(quarantine, by_hand)
{
	struct harness h;

	setup(&h);
	cr_assert_eq(quarantine(&h, "tower-b", true, true)->body_case, BODY(DONE));
	cr_assert_not(node(&h, "tower-b")->quarantined);
	cr_assert_eq(quarantine(&h, "tower-b", true, false)->body_case, BODY(DONE));
	pass(&h, 300);
	cr_assert(node(&h, "tower-b")->quarantined);
	cr_assert_eq(quarantine(&h, "tower-b", false, false)->body_case, BODY(DONE));
	cr_assert_not(node(&h, "tower-b")->quarantined);
	fail(&h, 3);
	quarantine(&h, "tower-b", false, false);
	cr_assert_eq(node(&h, "tower-b")->failures, 0, "who releases it says that it is well");
	cr_assert_eq(quarantine(&h, "tower-x", true, false)->body_case, BODY(FAILURE));
	harness_close(&h);
}

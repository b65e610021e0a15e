/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/placement/harness.h"

#define BODY(name) TAGALONG__ENVELOPE__BODY_##name
#define STATE(name) TAGALONG__MOVE_STATE__MOVE_##name

static const struct uuid phone = { { 1 } };

/* Its phone is served well at a, and better at b: for `seconds`. */
static void walk(struct harness *h, unsigned seconds, double here_ms)
{
	for (unsigned i = 0; i < seconds; i++) {
		harness_run(h, SECOND);
		node_rtt(h, "tower-a", &phone, here_ms);
		node_rtt(h, "tower-b", &phone, 4);
		/* They are heard of all the time. */
		if (i % 5 == 0) {
			node_status(h, "tower-a", "web", TAGALONG__VM_STATE__VM_RUNNING);
			node_status(h, "tower-b", NULL, TAGALONG__VM_STATE__VM_RUNNING);
		}
	}
}

static void set_up(struct harness *h, uint32_t warmings)
{
	harness_open(h);
	h->limits.has_warmings = true;
	h->limits.warmings = warmings;
	harness_start(h);
	node_hello(h, "tower-a", 8 * GIB, "web");
	node_hello(h, "tower-b", 8 * GIB, NULL);
	set_pair(h, &phone, "phone", "web");
	harness_forget(h);
}

static const struct sent *order(struct harness *h)
{
	return harness_next(h, "tower-a", BODY(MOVE_ORDER));
}

/* What is likely makes its memory go ahead: the order, which its source has taken. */
static const struct sent *warm(struct harness *h)
{
	const struct sent *sent;

	walk(h, 2, 15);
	sent = order(h);
	cr_assert_not_null(sent);
	cr_assert(sent->e->move_order->warm);
	answer_done(h, sent);
	return sent;
}

/* Until it is served so badly that its VM is to move: the order. */
static const struct sent *walk_away(struct harness *h)
{
	const struct sent *move;

	for (int i = 0; i < 4; i++) {
		harness_run(h, SECOND);
		node_rtt(h, "tower-a", &phone, 40);
		node_rtt(h, "tower-b", &phone, 4);
	}
	move = order(h);
	cr_assert_not_null(move);
	cr_assert_not(move->e->move_order->warm);
	return move;
}

static void end(struct harness *h, const struct sent *warming, const char *failure)
{
	Tagalong__MoveInfo info;
	Tagalong__MoveResult result = TAGALONG__MOVE_RESULT__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	move_info(&info, "tower-a", warming->e->move_order, STATE(ABORTED));
	info.failure = (char *)failure;
	result.info = &info;
	e.body_case = BODY(MOVE_RESULT);
	e.move_result = &result;
	harness_receive(h, PEER_ROLE_NODE, "tower-a", 0, &e);
}

Test(warming, memory_goes_ahead_once)
{
	const struct sent *sent;
	struct harness h;

	set_up(&h, 1);
	sent = warm(&h);
	cr_assert_str_eq(sent->e->move_order->vm, "web");
	cr_assert_str_eq(sent->e->move_order->target, "tower-b");
	cr_assert_eq(sent->e->move_order->priority, TAGALONG__MOVE_PRIORITY__PRIORITY_LOW);
	harness_forget(&h); /* it was told twice */
	walk(&h, 10, 15);
	cr_assert_null(order(&h), "while it is under way");
	end(&h, sent, NULL);
	cr_assert_eq(harness_decided(&h, "warmed vm=web to=tower-b done"), 1);
	walk(&h, 60, 15);
	cr_assert_null(order(&h), "and not so soon again");
	walk(&h, 600, 15);
	cr_assert_not_null(order(&h));
	harness_replay(&h);
	harness_close(&h);
}

Test(warming, none_unless_allowed)
{
	struct harness h;

	set_up(&h, 0);
	walk(&h, 20, 15);
	cr_assert_null(order(&h));
	harness_close(&h);

	/* Nor where nothing is likely: b is not better by the margin. */
	set_up(&h, 1);
	walk(&h, 20, 8);
	cr_assert_null(order(&h));
	harness_close(&h);
}

/* The move comes in the midst of it: it is ordered all the same. */
Test(warming, a_move_need_not_wait)
{
	const struct sent *warming, *move;
	struct harness h;

	set_up(&h, 1);
	warming = warm(&h);
	harness_forget(&h);
	node_status(&h, "tower-a", "web", TAGALONG__VM_STATE__VM_MOVING);
	move = walk_away(&h);
	harness_forget(&h);
	end(&h, warming, "a move of it was ordered");
	move = order(&h);
	cr_assert_not_null(move, "told at once that its way is free");
	answer_done(&h, move);
	move_result(&h, "tower-a", move->e->move_order, STATE(DONE));
	cr_assert_eq(harness_decided(&h, "result move="), 1);
	harness_replay(&h);
	harness_close(&h);
}

Test(warming, one_that_is_refused_or_lost_is_over)
{
	const struct sent *sent;
	struct harness h;

	set_up(&h, 1);
	walk(&h, 2, 15);
	sent = order(&h);
	cr_assert_not_null(sent);
	answer_failure(&h, sent, EBUSY, "not now");
	cr_assert_eq(harness_decided(&h, "warmed vm=web to=tower-b not now"), 1);
	harness_close(&h);

	/* Told again until it is answered, called off when it takes too long, and over when its
	 * source knows nothing of it. */
	set_up(&h, 1);
	walk(&h, 2, 15);
	sent = order(&h);
	cr_assert_not_null(sent);
	walk(&h, 2, 15);
	sent = order(&h);
	cr_assert_not_null(sent);
	answer_done(&h, sent);
	harness_forget(&h);
	walk(&h, 590, 15);
	cr_assert_null(order(&h));
	cr_assert_null(harness_next(&h, "tower-a", BODY(MOVE_CANCEL)));
	walk(&h, 20, 15);
	cr_assert_not_null(harness_next(&h, "tower-a", BODY(MOVE_CANCEL)));
	cr_assert_eq(harness_decided(&h, "warmed vm=web"), 0);
	migrator_hello(&h, "tower-a", 8 * GIB, "web", TAGALONG__VM_STATE__VM_RUNNING, NULL, 0);
	cr_assert_eq(harness_decided(&h, "warmed vm=web to=tower-b its source knows nothing"), 1);
	harness_replay(&h);
	harness_close(&h);
}

/* The one that comes after knows of it from the source, and the VM can be moved. */
Test(warming, a_restart_of_the_controller)
{
	Tagalong__MoveReason reason = TAGALONG__MOVE_REASON__INIT;
	Tagalong__MoveInfo info, *infos[] = { &info };
	const struct sent *sent;
	struct harness h;

	set_up(&h, 1);
	sent = warm(&h);
	move_info(&info, "tower-a", sent->e->move_order, STATE(COPYING));
	reason.code = (char *)"warm";
	reason.text = (char *)"a move there is likely";
	info.reason = &reason;
	harness_kill(&h);
	harness_start(&h);
	node_hello(&h, "tower-b", 8 * GIB, NULL);
	node_hello(&h, "tower-a", 8 * GIB, "web");
	migrator_hello(&h, "tower-a", 8 * GIB, "web", TAGALONG__VM_STATE__VM_MOVING, infos, 1);
	harness_forget(&h);
	walk_away(&h);
	harness_close(&h);
}

/* What has been sent to a target takes room there, but not from the move that it is for. */
Test(warming, a_tight_target_is_not_full)
{
	struct harness h;

	harness_open(&h);
	h.limits.has_warmings = true;
	h.limits.warmings = 1;
	harness_start(&h);
	node_hello(&h, "tower-a", 8 * GIB, "web");
	node_hello(&h, "tower-b", GIB, NULL); /* room for one */
	set_pair(&h, &phone, "phone", "web");
	harness_forget(&h);
	warm(&h);
	harness_forget(&h);
	node_status(&h, "tower-a", "web", TAGALONG__VM_STATE__VM_MOVING);
	node_status(&h, "tower-b", "web", TAGALONG__VM_STATE__VM_INCOMING);
	walk_away(&h);
	harness_close(&h);
}

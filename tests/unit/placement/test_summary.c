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
	node_hello(h, "tower-b", 8 * GIB, NULL);
	set_pair(h, &phone, "phone", "web");
	harness_forget(h);
}

/* A second in which web is on this tower, and these are the device's times in ms. */
static void second(struct harness *h, const char *on, double a, double b)
{
	bool at_a = strcmp(on, "tower-a") == 0;

	harness_run(h, SECOND);
	node_status(h, "tower-a", at_a ? "web" : NULL, TAGALONG__VM_STATE__VM_RUNNING);
	node_status(h, "tower-b", at_a ? NULL : "web", TAGALONG__VM_STATE__VM_RUNNING);
	node_rtt(h, "tower-a", &phone, a);
	node_rtt(h, "tower-b", &phone, b);
}

/* The policy moves web, which ends so. */
static void move(struct harness *h, const char *from, double a, double b, MoveState end)
{
	const struct sent *sent = NULL;

	for (int i = 0; i < 30 && !sent; i++) {
		second(h, from, a, b);
		sent = harness_next(h, from, BODY(MOVE_ORDER));
	}
	cr_assert_not_null(sent);
	answer_done(h, sent);
	move_result(h, from, sent->e->move_order, end);
	harness_forget(h);
}

static const Tagalong__Summary *summary(struct harness *h, uint64_t since_utc_ns)
{
	Tagalong__SummaryQuery query = TAGALONG__SUMMARY_QUERY__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	const Envelope *answer;

	query.since_utc_ns = since_utc_ns;
	e.body_case = BODY(SUMMARY_QUERY);
	e.summary_query = &query;
	answer = ask(h, &e);
	cr_assert_eq(answer->body_case, BODY(SUMMARY));
	return answer->summary;
}

Test(summary, of_nothing)
{
	struct harness h;

	setup(&h);
	cr_assert_eq(summary(&h, 0)->n_rows, 0);
	harness_close(&h);
}

Test(summary, says_what_moves_bought)
{
	const Tagalong__SummaryRow *row;
	uint64_t begin, there, middle;
	struct harness h;

	setup(&h);
	begin = h.utc_ns;
	move(&h, "tower-a", 40, 10, STATE(ABORTED));
	move(&h, "tower-a", 40, 10, STATE(DONE));
	there = h.utc_ns;
	for (int i = 0; i < 40; i++)
		second(&h, "tower-b", 40, 12);
	cr_assert_eq(harness_decided(&h, " outcome vm=web to=tower-b before_ns=40000000 "
					 "expected_ns=10000000 after_ns=12000000"), 1);
	row = summary(&h, begin)->rows[0];
	cr_assert_str_eq(row->code, "threshold");
	cr_assert_eq(row->done, 1);
	cr_assert_eq(row->failed, 1);
	cr_assert_eq(row->judged, 1);
	cr_assert_eq(row->worse, 0);
	cr_assert_eq(row->before_ns, 40 * MS);
	cr_assert_eq(row->after_ns, 12 * MS);
	cr_assert_eq(row->saved_ns, 28 * (int64_t)MS);
	cr_assert_eq(row->stay_ns, 40 * SECOND);
	/* The way back, which is a mistake. */
	middle = h.utc_ns;
	move(&h, "tower-b", 10, 40, STATE(DONE));
	for (int i = 0; i < 40; i++)
		second(&h, "tower-a", 45, 43);
	row = summary(&h, middle)->rows[0];
	cr_assert_eq(row->done, 1);
	cr_assert_eq(row->worse, 1);
	cr_assert_eq(row->saved_ns, -5 * (int64_t)MS);
	row = summary(&h, begin)->rows[0];
	cr_assert_eq(row->judged, 2);
	cr_assert_eq(row->stay_ns, h.utc_ns - there, "one stay ends where the next begins");
	cr_assert_eq(summary(&h, h.utc_ns)->n_rows, 0);
	harness_replay(&h);
	harness_close(&h);
}

Test(summary, a_move_that_lost_its_vm_is_not_done)
{
	const struct sent *sent = NULL;
	struct harness h;

	setup(&h);
	for (int i = 0; i < 30 && !sent; i++) {
		second(&h, "tower-a", 40, 10);
		sent = harness_next(&h, "tower-a", BODY(MOVE_ORDER));
	}
	cr_assert_not_null(sent);
	answer_done(&h, sent);
	move_lost(&h, "tower-a", sent->e->move_order);
	cr_assert_eq(summary(&h, 0)->rows[0]->done, 0);
	cr_assert_eq(summary(&h, 0)->rows[0]->failed, 1);
	harness_close(&h);
}

Test(summary, a_restart_loses_no_verdict)
{
	struct harness h;

	setup(&h);
	move(&h, "tower-a", 40, 10, STATE(DONE));
	harness_kill(&h);
	harness_start(&h);
	node_hello(&h, "tower-a", 8 * GIB, NULL);
	node_hello(&h, "tower-b", 8 * GIB, "web");
	for (int i = 0; i < 40; i++)
		second(&h, "tower-b", 40, 12);
	cr_assert_eq(summary(&h, 0)->rows[0]->judged, 1);
	harness_close(&h);
}

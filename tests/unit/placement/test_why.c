/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/placement/harness.h"

#define BODY(name) TAGALONG__ENVELOPE__BODY_##name
#define STATE(name) TAGALONG__MOVE_STATE__MOVE_##name

static const struct uuid phone = { { 1 } };

static const Envelope *why(struct harness *h, uint8_t id[UUID_SIZE])
{
	Tagalong__WhyQuery query = TAGALONG__WHY_QUERY__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	query.move = (ProtobufCBinaryData){ UUID_SIZE, id };
	e.body_case = BODY(WHY_QUERY);
	e.why_query = &query;
	return ask(h, &e);
}

/* Up to the order that the policy gives after its hold; returns it. */
static const struct sent *be_served_badly(struct harness *h)
{
	harness_open(h);
	harness_start(h);
	node_hello(h, "tower-a", 8 * GIB, "web");
	node_hello(h, "tower-b", 8 * GIB, NULL);
	node_hello(h, "tower-c", 8 * GIB, NULL);
	set_pair(h, &phone, "phone", "web");
	harness_forget(h);
	for (int i = 0; i < 5; i++) {
		harness_run(h, SECOND);
		node_rtt(h, "tower-a", &phone, 40);
		node_rtt(h, "tower-b", &phone, 4);
		node_rtt(h, "tower-c", &phone, 9);
	}
	return harness_next(h, "tower-a", BODY(MOVE_ORDER));
}

static void check_reasons(const Tagalong__MoveWhy *w)
{
	const Tagalong__MoveAlternative *b;

	cr_assert_str_eq(w->policy, "threshold");
	cr_assert_str_eq(w->parameters[0]->name, "threshold_ns");
	cr_assert_eq(w->parameters[0]->value, 20 * MS);
	cr_assert_eq(w->here_ns, 40 * MS);
	cr_assert_eq(w->target_ns, 4 * MS);
	cr_assert_geq(w->held_ns, 2 * SECOND);
	cr_assert_eq(w->n_alternatives, 3);
	cr_assert_not(w->alternatives[0]->has_benefit_ns); /* it is there */
	b = w->alternatives[1];
	cr_assert_str_eq(b->node, "tower-b");
	cr_assert(b->available);
	cr_assert_eq(b->srtt_ns, 4 * MS);
	cr_assert_eq(b->benefit_ns, 36 * MS);
	cr_assert_eq(w->alternatives[2]->benefit_ns, 31 * MS);
	/* How long it would take is a guess as yet, and the same for both. */
	cr_assert_gt(w->move_ns, SECOND);
	cr_assert_not(w->alternatives[0]->has_move_ns);
	cr_assert_eq(b->move_ns, w->move_ns);
	cr_assert_eq(w->alternatives[2]->move_ns, w->move_ns);
	cr_assert_not(b->image);
}

Test(why, a_policys_order_is_explained_and_compared)
{
	const Tagalong__MoveOrder *order;
	const Tagalong__MoveWhy *w;
	const struct sent *sent;
	struct harness h;

	sent = be_served_badly(&h);
	cr_assert_not_null(sent);
	order = sent->e->move_order;
	w = why(&h, order->move.data)->move_why;
	check_reasons(w);
	answer_done(&h, sent);
	move_result(&h, "tower-a", order, STATE(DONE));
	/* What was hoped for did not come. */
	node_rtt(&h, "tower-b", &phone, 12);
	w = why(&h, order->move.data)->move_why;
	check_reasons(w);
	cr_assert_eq(w->info->state, STATE(DONE));
	cr_assert(w->has_now_ns);
	cr_assert_eq(w->now_ns, 12 * MS);
	harness_close(&h);
}

Test(why, reasons_survive_a_restart)
{
	const struct sent *sent;
	uint8_t id[UUID_SIZE];
	struct harness h;

	sent = be_served_badly(&h);
	cr_assert_not_null(sent);
	memcpy(id, sent->e->move_order->move.data, UUID_SIZE);
	answer_done(&h, sent);
	move_result(&h, "tower-a", sent->e->move_order, STATE(ABORTED));
	harness_kill(&h);
	harness_start(&h);
	check_reasons(why(&h, id)->move_why);
	cr_assert_not(why(&h, id)->move_why->has_now_ns);
	harness_close(&h);
}

Test(why, a_move_that_nobody_knows)
{
	uint8_t id[UUID_SIZE] = { 9 };
	const Envelope *answer;
	struct harness h;

	harness_open(&h);
	harness_start(&h);
	answer = why(&h, id);
	cr_assert_eq(answer->body_case, BODY(FAILURE));
	cr_assert_not_null(strstr(answer->failure->text, "no such move is remembered"));
	harness_close(&h);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/placement/harness.h"

#define BODY(name) TAGALONG__ENVELOPE__BODY_##name

static const struct uuid phone = { { 1 } }, stranger = { { 2 } };
static char told[4096]; /* one word an event */

static void on_event(void *userdata, const PlacementEvent *event)
{
	size_t n = strlen(told);

	(void)userdata;
	if (event->what_case == TAGALONG__PLACEMENT__EVENT__WHAT_MOVE)
		snprintf(told + n, sizeof(told) - n, "%s:%s ", event->move->vm,
			 move_state_name(event->move->state));
	else
		snprintf(told + n, sizeof(told) - n, "%s@%s:%u ", event->rtt->device_name,
			 event->rtt->rtt->node, (unsigned)(event->rtt->rtt->sample->srtt_ns / MS));
}

static void setup(struct harness *h)
{
	harness_open(h);
	h->env.event = on_event;
	h->limits.moves = 1;
	harness_start(h);
	node_hello(h, "tower-a", 8 * GIB, "web");
	node_hello(h, "tower-b", 8 * GIB, NULL);
	set_pair(h, &phone, "phone", "web");
	told[0] = '\0';
}

Test(tell, each_state_of_a_move_once)
{
	Tagalong__MoveOrder order = TAGALONG__MOVE_ORDER__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	uint8_t id[UUID_SIZE] = { 7 };
	const struct sent *s;
	struct harness h;

	setup(&h);
	order.move = (ProtobufCBinaryData){ UUID_SIZE, id };
	order.vm = (char *)"web";
	order.target = (char *)"tower-b";
	e.body_case = BODY(MOVE_ORDER);
	e.move_order = &order;
	cr_assert_eq(ask(&h, &e)->body_case, BODY(DONE));
	s = harness_next(&h, "tower-a", BODY(MOVE_ORDER));
	answer_done(&h, s);
	move_progress(&h, "tower-a", s->e->move_order, TAGALONG__MOVE_STATE__MOVE_COPYING);
	move_progress(&h, "tower-a", s->e->move_order, TAGALONG__MOVE_STATE__MOVE_COPYING);
	move_result(&h, "tower-a", s->e->move_order, TAGALONG__MOVE_STATE__MOVE_DONE);
	move_result(&h, "tower-a", s->e->move_order, TAGALONG__MOVE_STATE__MOVE_DONE);
	cr_assert_str_eq(told, "web:queued web:copying web:done ");
	harness_close(&h);
}

Test(tell, a_round_trip_time_that_has_changed)
{
	struct harness h;

	setup(&h);
	node_rtt(&h, "tower-a", &phone, 16);
	node_rtt(&h, "tower-a", &phone, 16);
	node_rtt(&h, "tower-a", &phone, 17); /* too little, */
	node_rtt(&h, "tower-a", &phone, 18); /* and still */
	node_rtt(&h, "tower-a", &phone, 19); /* it has crept away */
	node_rtt(&h, "tower-b", &phone, 5);
	node_rtt(&h, "tower-a", &stranger, 5);
	node_rtt(&h, "tower-a", &phone, 4);
	cr_assert_str_eq(told,
			 "phone@tower-a:16 phone@tower-a:19 phone@tower-b:5 phone@tower-a:4 ");
	harness_close(&h);
}

Test(tell, nobody_listens)
{
	struct harness h;

	harness_open(&h);
	harness_start(&h);
	node_hello(&h, "tower-a", 8 * GIB, "web");
	set_pair(&h, &phone, "phone", "web");
	told[0] = '\0';
	node_rtt(&h, "tower-a", &phone, 16);
	cr_assert_str_empty(told);
	harness_close(&h);
}

/* Another controller has taken over, and this one does not know yet. */
Test(tell, what_is_not_in_the_store_is_not_told)
{
	const struct store_op epoch = { STORE_PUT, CONTROLLER_EPOCH_KEY, "", 0 };
	Tagalong__Placement__Received received = TAGALONG__PLACEMENT__RECEIVED__INIT;
	PlacementRecord record = TAGALONG__PLACEMENT__RECORD__INIT;
	Tagalong__MoveOrder order = TAGALONG__MOVE_ORDER__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	uint8_t id[UUID_SIZE] = { 7 };
	struct harness h;

	setup(&h);
	cr_assert_eq(store_txn(h.store, NULL, 0, &epoch, 1, NULL, &h.err), 0);
	order.move = (ProtobufCBinaryData){ UUID_SIZE, id };
	order.vm = (char *)"web";
	order.target = (char *)"tower-b";
	e.version = ENVELOPE_VERSION;
	e.sender = received.name = (char *)"alice";
	e.boot_id = order.move;
	e.seq = 1;
	e.body_case = BODY(MOVE_ORDER);
	e.move_order = &order;
	received.role = TAGALONG__PLACEMENT__PEER_ROLE__ROLE_OPERATOR;
	received.route = (ProtobufCBinaryData){ 5, (uint8_t *)"alice" };
	received.envelope = &e;
	record.input_case = TAGALONG__PLACEMENT__RECORD__INPUT_RECEIVED;
	record.received = &received;
	harness_forget(&h);
	cr_assert_eq(harness_input(&h, &record), -ESTALE);
	cr_assert_null(harness_next(&h, NULL, BODY(DONE)));
	cr_assert_str_empty(told);
	harness_close(&h);
}

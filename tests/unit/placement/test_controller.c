/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>

#include "placement/figures.h"
#include "placement/fleet.h"
#include "placement/takeover.h"
#include "tests/unit/placement/harness.h"

#define BODY(name) TAGALONG__ENVELOPE__BODY_##name
#define STATE(name) TAGALONG__MOVE_STATE__MOVE_##name

static const struct uuid phone = { { 0xaa, 1, 2, 3 } };

/* Two towers, a VM on A, a phone that is paired with it. */
static void setup(struct harness *h)
{
	harness_open(h);
	harness_start(h);
	node_hello(h, "tower-a", 8 * GIB, "web");
	node_hello(h, "tower-b", 8 * GIB, NULL);
	set_pair(h, &phone, "phone", "web");
}

/* The phone stands somewhere for a while; reports come each 200 ms. */
static void stand(struct harness *h, double ms_to_a, double ms_to_b, uint64_t ns)
{
	for (uint64_t t = 0; t < ns; t += 200 * MS) {
		node_rtt(h, "tower-a", &phone, ms_to_a);
		node_rtt(h, "tower-b", &phone, ms_to_b);
		harness_run(h, 200 * MS);
	}
}

static const Tagalong__MoveOrder *ordered(struct harness *h, const char *node,
					  const struct sent **ret)
{
	const struct sent *s = harness_next(h, node, BODY(MOVE_ORDER));

	if (ret)
		*ret = s;
	return s ? s->e->move_order : NULL;
}

/* Walks towards B until the move is ordered and taken. */
static const Tagalong__MoveOrder *walk(struct harness *h)
{
	const Tagalong__MoveOrder *order;
	const struct sent *s;

	harness_forget(h);
	stand(h, 30, 5, 2400 * MS);
	order = ordered(h, "tower-a", &s);
	cr_assert_not_null(order, "%s", h->decisions);
	answer_done(h, s);
	return order;
}

static size_t count_moves(struct harness *h, bool open)
{
	Tagalong__StatusQuery status = TAGALONG__STATUS_QUERY__INIT;
	Tagalong__MoveQuery query = TAGALONG__MOVE_QUERY__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	size_t n_open;

	e.body_case = BODY(STATUS_QUERY);
	e.status_query = &status;
	n_open = ask(h, &e)->status->n_moves;
	if (open)
		return n_open;
	e.body_case = BODY(MOVE_QUERY);
	e.move_query = &query;
	return ask(h, &e)->move_list->n_moves - n_open;
}

static void seen(struct harness *h, const char *node, bool attached, bool asleep)
{
	Tagalong__ClientSeen seen = TAGALONG__CLIENT_SEEN__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	seen.device = (ProtobufCBinaryData){ UUID_SIZE, (uint8_t *)phone.bytes };
	seen.address = (char *)"10.1.1.1:5000";
	seen.attached = attached;
	seen.has_asleep = seen.asleep = asleep;
	e.body_case = BODY(CLIENT_SEEN);
	e.client_seen = &seen;
	harness_receive(h, PEER_ROLE_NODE, node, 0, &e);
}

/* What the newest watch list for the node says of the phone; NULL: there is none. */
static const Tagalong__WatchEntry *watched(struct harness *h, const char *node)
{
	const Tagalong__WatchEntry *entry = NULL;
	const struct sent *s;

	while ((s = harness_next(h, node, BODY(WATCH_LIST))))
		entry = s->e->watch_list->n_clients ? s->e->watch_list->clients[0] : NULL;
	return entry;
}

Test(controller, a_sleeping_phone_is_left_alone_by_all_nodes_and_is_not_lost)
{
	Tagalong__PairQuery query = TAGALONG__PAIR_QUERY__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	const Tagalong__Pair *pair;
	struct harness h;

	setup(&h);
	stand(&h, 30, 5, SECOND);
	seen(&h, "tower-a", true, true);
	cr_assert(watched(&h, "tower-b")->asleep);
	harness_forget(&h);
	harness_run(&h, 3600 * SECOND);
	cr_assert_null(ordered(&h, NULL, NULL), "what is an hour old moves nothing");
	e.body_case = BODY(PAIR_QUERY);
	e.pair_query = &query;
	pair = ask(&h, &e)->pair_list->pairs[0];
	cr_assert(pair->asleep);
	cr_assert_str_eq(pair->device_node, "tower-a");
	cr_assert_eq(harness_decided(&h, "sleep device="), 1);

	harness_close(&h);
	setup(&h);
	seen(&h, "tower-a", true, true);
	harness_forget(&h);
	seen(&h, "tower-a", true, false);
	cr_assert(!watched(&h, "tower-b")->asleep);
	cr_assert_eq(harness_decided(&h, "wake device="), 1);
	harness_close(&h);
}

static void pair_in_background(struct harness *h)
{
	Tagalong__PairSet set = TAGALONG__PAIR_SET__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	set.device = (ProtobufCBinaryData){ UUID_SIZE, (uint8_t *)phone.bytes };
	set.device_name = (char *)"phone";
	set.vm = (char *)"web";
	e.body_case = BODY(PAIR_SET);
	e.pair_set = &set;
	ask(h, &e);
}

Test(controller, a_phone_without_foreground_is_measured_only_while_a_vm_moves)
{
	const Tagalong__MoveOrder *order;
	struct harness h;

	setup(&h);
	order = walk(&h);
	cr_assert(!watched(&h, "tower-b"), "nothing has changed");
	harness_forget(&h);
	pair_in_background(&h);
	cr_assert(!watched(&h, "tower-b"), "its VM is on the move");
	move_result(&h, "tower-a", order, STATE(DONE));
	harness_run(&h, 2 * SECOND);
	cr_assert(watched(&h, "tower-b")->idle);
	harness_forget(&h);
	set_pair(&h, &phone, "phone", "web");
	cr_assert(!watched(&h, "tower-b")->idle);
	harness_close(&h);
}

Test(controller, a_phone_walks_there_and_back_and_its_vm_follows)
{
	const Tagalong__MoveOrder *order;
	const struct sent *s;
	struct harness h;

	setup(&h);
	s = harness_next(&h, "tower-a", BODY(WATCH_LIST));
	cr_assert_eq(s->e->watch_list->n_clients, 0);
	s = harness_next(&h, "tower-a", BODY(WATCH_LIST));
	cr_assert_eq(s->e->watch_list->n_clients, 1);
	cr_assert_str_eq(s->e->watch_list->clients[0]->name, "phone");
	stand(&h, 4, 30, 10 * SECOND);
	cr_assert_null(ordered(&h, "tower-a", NULL));

	order = walk(&h);
	cr_assert_str_eq(order->vm, "web");
	cr_assert_str_eq(order->target, "tower-b");
	cr_assert_str_eq(order->target_endpoint, "tcp://10.0.0.1:7000");
	cr_assert_eq(order->target_public_key[0], 'b');
	cr_assert_str_eq(order->reason->code, "threshold");
	cr_assert_str_eq(order->reason->text,
			 "RTT 30.0 ms at tower-a, 5.00 ms at tower-b, for 2.00 s");
	cr_assert_eq(memcmp(order->device.data, phone.bytes, UUID_SIZE), 0);
	move_progress(&h, "tower-a", order, STATE(COPYING));
	stand(&h, 30, 5, 3 * SECOND);
	cr_assert_null(ordered(&h, "tower-a", NULL), "one move a VM");
	move_result(&h, "tower-a", order, STATE(DONE));
	cr_assert_not_null(harness_next(&h, "tower-a", BODY(DONE)));
	node_status(&h, "tower-a", NULL, TAGALONG__VM_STATE__VM_RUNNING);
	node_status(&h, "tower-b", "web", TAGALONG__VM_STATE__VM_RUNNING);
	stand(&h, 30, 5, 10 * SECOND);
	cr_assert_null(ordered(&h, NULL, NULL), "content");

	stand(&h, 5, 30, 2400 * MS);
	order = ordered(&h, "tower-b", &s);
	cr_assert_not_null(order);
	cr_assert_str_eq(order->target, "tower-a");
	answer_done(&h, s);
	move_result(&h, "tower-b", order, STATE(DONE));
	cr_assert_eq(harness_decided(&h, " order "), 2);
	cr_assert_eq(harness_decided(&h, "state=done blackout_ns=17000000"), 2);
	cr_assert_eq(count_moves(&h, false), 2);
	cr_assert_eq(count_moves(&h, true), 0);
	harness_close(&h);
}

Test(controller, a_vm_that_was_lost_in_post_copy_is_nowhere)
{
	Tagalong__StatusQuery status = TAGALONG__STATUS_QUERY__INIT;
	Tagalong__MoveQuery query = TAGALONG__MOVE_QUERY__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	const Tagalong__MoveInfo *info;
	struct harness h;

	setup(&h);
	move_lost(&h, "tower-a", walk(&h));
	cr_assert_eq(harness_decided(&h, "state=lost"), 1);
	e.body_case = BODY(STATUS_QUERY);
	e.status_query = &status;
	cr_assert_eq(ask(&h, &e)->status->n_pairs, 1);
	cr_assert_null(ask(&h, &e)->status->pairs[0]->vm_node);
	e.body_case = BODY(MOVE_QUERY);
	e.move_query = &query;
	info = ask(&h, &e)->move_list->moves[0];
	cr_assert(info->lost);
	cr_assert_str_eq(info->failure, "it is lost, post-copy broke off");
	harness_kill(&h);
	harness_start(&h);
	cr_assert(ask(&h, &e)->move_list->moves[0]->lost);
	harness_close(&h);
}

Test(controller, a_restart_in_the_middle_of_a_move_loses_nothing)
{
	const Tagalong__MoveOrder *order;
	Tagalong__MoveInfo info, *infos[] = { &info };
	struct harness h;

	setup(&h);
	order = walk(&h);
	move_progress(&h, "tower-a", order, STATE(COPYING));
	harness_kill(&h);
	harness_run(&h, 5 * SECOND);
	harness_start(&h);
	cr_assert_eq(count_moves(&h, true), 1);
	/* Nodes that were not asked to say hello again say something else first. */
	node_status(&h, "tower-a", "web", TAGALONG__VM_STATE__VM_MOVING);
	cr_assert_eq(harness_next(&h, "tower-a", BODY(FAILURE))->e->failure->code, ESTALE);
	move_info(&info, "tower-a", order, STATE(COPYING));
	migrator_hello(&h, "tower-a", 8 * GIB, "web", TAGALONG__VM_STATE__VM_MOVING, infos, 1);
	node_hello(&h, "tower-b", 8 * GIB, NULL);
	stand(&h, 30, 5, 5 * SECOND);
	cr_assert_null(ordered(&h, "tower-a", NULL), "it has that order");
	move_result(&h, "tower-a", order, STATE(DONE));
	cr_assert_eq(count_moves(&h, true), 0);
	cr_assert_eq(count_moves(&h, false), 1);
	cr_assert_eq(harness_decided(&h, " result "), 1);
	harness_close(&h);
}

Test(controller, an_order_that_never_arrived_is_sent_again_after_a_restart)
{
	const Tagalong__MoveOrder *again;
	struct uuid id;
	struct harness h;

	setup(&h);
	harness_forget(&h);
	stand(&h, 30, 5, 2400 * MS);
	again = ordered(&h, "tower-a", NULL);
	cr_assert_not_null(again);
	memcpy(id.bytes, again->move.data, UUID_SIZE);
	harness_kill(&h);
	harness_start(&h);
	node_hello(&h, "tower-a", 8 * GIB, "web");
	again = ordered(&h, "tower-a", NULL);
	cr_assert_not_null(again);
	cr_assert_eq(memcmp(again->move.data, id.bytes, UUID_SIZE), 0, "the same move");
	cr_assert_eq(harness_next(&h, "tower-a", BODY(MOVE_ORDER)), NULL);
	harness_run(&h, 1 * SECOND);
	cr_assert_not_null(ordered(&h, "tower-a", NULL), "until it is answered");
	harness_close(&h);
}

Test(controller, late_and_repeated_results_are_answered_and_harmless)
{
	Tagalong__MoveOrder order;
	uint8_t stranger[UUID_SIZE] = { 9 };
	struct harness h;

	setup(&h);
	order = *walk(&h);
	/* Not from the source. */
	move_result(&h, "tower-b", &order, STATE(DONE));
	cr_assert_eq(count_moves(&h, true), 1);
	/* A result that is none. */
	move_result(&h, "tower-a", &order, STATE(COPYING));
	cr_assert_eq(count_moves(&h, true), 1);
	for (int i = 0; i < 3; i++) {
		harness_forget(&h);
		move_result(&h, "tower-a", &order, STATE(DONE));
		cr_assert_not_null(harness_next(&h, "tower-a", BODY(DONE)));
	}
	move_progress(&h, "tower-a", &order, STATE(COPYING));
	order.move.data = stranger;
	move_result(&h, "tower-a", &order, STATE(ABORTED));
	cr_assert_not_null(harness_next(&h, "tower-a", BODY(DONE)));
	cr_assert_eq(harness_decided(&h, " result "), 1);
	cr_assert_eq(count_moves(&h, false), 1);
	harness_close(&h);
}

static int count(const struct store_entry *e, void *userdata)
{
	unsigned *n = userdata;

	(void)e;
	++*n;
	return 0;
}

static unsigned vms_stored(struct harness *h)
{
	unsigned n = 0;

	cr_assert_geq(store_range(h->store, &(struct store_range){ "vms/", 0, false }, count, &n,
				  NULL, &h->err), 0);
	return n;
}

Test(controller, a_vm_of_which_nothing_is_left_is_not_kept)
{
	struct harness h;
	unsigned before;

	setup(&h);
	before = vms_stored(&h);
	node_status(&h, "tower-b", "batch", TAGALONG__VM_STATE__VM_RUNNING);
	cr_assert_eq(vms_stored(&h), before + 1);
	node_status(&h, "tower-b", "batch", TAGALONG__VM_STATE__VM_GONE);
	cr_assert_eq(vms_stored(&h), before + 1, "its node has something of it still");
	node_status(&h, "tower-b", NULL, TAGALONG__VM_STATE__VM_RUNNING);
	cr_assert_eq(vms_stored(&h), before);
	/* One that has a device is kept. */
	node_status(&h, "tower-a", NULL, TAGALONG__VM_STATE__VM_RUNNING);
	cr_assert_eq(vms_stored(&h), before);
	harness_close(&h);
}

static void restart(struct harness *h)
{
	harness_kill(h);
	harness_start(h);
	node_hello(h, "tower-a", 8 * GIB, "web");
	node_hello(h, "tower-b", 8 * GIB, NULL);
}

Test(controller, a_clock_that_was_ahead_holds_nothing_up_when_it_is_set_back)
{
	const uint64_t year = 365 * 24 * UINT64_C(3600) * SECOND;
	struct harness h;

	for (int restarts = 0; restarts < 2; restarts++) {
		setup(&h);
		h.limits.node_timeout_ns = 600 * SECOND;
		restart(&h);
		h.utc_ns += year;
		move_result(&h, "tower-a", walk(&h), STATE(ABORTED));
		harness_forget(&h);
		h.utc_ns -= year;
		if (restarts)
			restart(&h);
		stand(&h, 30, 5, 90 * SECOND);
		cr_assert_not_null(ordered(&h, "tower-a", NULL), "restarts: %d", restarts);
		harness_close(&h);
	}
}

Test(controller, after_a_failed_move_it_waits_longer_each_time)
{
	const Tagalong__MoveOrder *order;
	const struct sent *s;
	struct harness h;

	setup(&h);
	order = walk(&h);
	move_result(&h, "tower-a", order, STATE(ABORTED));
	cr_assert_eq(harness_decided(&h, "failure=the link was cut"), 1);
	harness_forget(&h);
	stand(&h, 30, 5, 9 * SECOND);
	cr_assert_null(ordered(&h, "tower-a", NULL));
	cr_assert_eq(harness_decided(&h, "why=it waits after a failed move"), 1);
	/* The answer to the first of two sendings. */
	stand(&h, 30, 5, 3 * SECOND);
	cr_assert_not_null(ordered(&h, "tower-a", &s));
	answer_failure(&h, s, ENOSPC, "no space");
	/* Doubled, and kept over a restart. */
	h.limits.node_timeout_ns = 60 * SECOND;
	harness_kill(&h);
	harness_start(&h);
	node_hello(&h, "tower-a", 8 * GIB, "web");
	node_hello(&h, "tower-b", 8 * GIB, NULL);
	stand(&h, 30, 5, 19 * SECOND);
	cr_assert_null(ordered(&h, "tower-a", NULL));
	stand(&h, 30, 5, 2 * SECOND);
	cr_assert_not_null(ordered(&h, "tower-a", NULL));
	harness_close(&h);
}

Test(controller, a_source_that_vanishes)
{
	const Tagalong__MoveOrder *order;
	const struct sent *s;
	struct harness h;

	setup(&h);
	harness_forget(&h);
	stand(&h, 30, 5, 2400 * MS);
	cr_assert_not_null(ordered(&h, "tower-a", NULL));
	/* It never answers: after a while the order is withdrawn. */
	harness_run(&h, 30 * SECOND);
	cr_assert_eq(harness_decided(&h, "why=the source did not take the order in time"), 1);
	cr_assert_eq(harness_decided(&h, "node name=tower-a program=migratord down"), 1);
	cr_assert_eq(count_moves(&h, true), 1, "it may have it all the same");
	harness_forget(&h);
	node_hello(&h, "tower-a", 8 * GIB, "web");
	s = harness_next(&h, "tower-a", BODY(MOVE_CANCEL));
	cr_assert_not_null(s);
	answer_failure(&h, s, ENOENT, "no such move");
	cr_assert_eq(count_moves(&h, true), 0);
	cr_assert_eq(harness_decided(&h, "state=aborted"), 1);
	order = ordered(&h, "tower-a", NULL);
	cr_assert_null(order);
	harness_close(&h);
}

Test(controller, a_source_that_forgot_a_move_that_was_done)
{
	const Tagalong__MoveOrder *order;
	struct harness h;

	setup(&h);
	order = walk(&h);
	node_status(&h, "tower-a", NULL, TAGALONG__VM_STATE__VM_RUNNING);
	node_status(&h, "tower-b", "web", TAGALONG__VM_STATE__VM_RUNNING);
	(void)order;
	migrator_hello(&h, "tower-a", 8 * GIB, NULL, TAGALONG__VM_STATE__VM_RUNNING, NULL, 0);
	cr_assert_eq(count_moves(&h, true), 0);
	cr_assert_eq(harness_decided(&h, "state=done"), 1);
	harness_close(&h);
}

Test(controller, a_source_that_is_lost_for_good_after_the_move)
{
	const Tagalong__MoveOrder *order;
	struct harness h;

	setup(&h);
	order = walk(&h);
	move_progress(&h, "tower-a", order, STATE(COMMITTED));
	for (int i = 0; i < 25; i++) {
		harness_run(&h, SECOND);
		node_status(&h, "tower-b", "web", TAGALONG__VM_STATE__VM_RUNNING);
	}
	cr_assert_eq(count_moves(&h, true), 1, "it may come back");
	for (int i = 0; i < 10; i++) {
		harness_run(&h, SECOND);
		node_status(&h, "tower-b", "web", TAGALONG__VM_STATE__VM_RUNNING);
	}
	cr_assert_eq(count_moves(&h, true), 0);
	cr_assert_eq(harness_decided(&h, "state=done"), 1);
	/* The word of a source that came back after all changes nothing. */
	migrator_hello(&h, "tower-a", 8 * GIB, NULL, TAGALONG__VM_STATE__VM_RUNNING, NULL, 0);
	move_result(&h, "tower-a", order, STATE(DONE));
	cr_assert_eq(harness_decided(&h, "state=done"), 1);
	harness_close(&h);
}

Test(controller, a_source_that_is_lost_for_good_before_the_move_was_done)
{
	struct harness h;

	setup(&h);
	(void)walk(&h);
	for (int i = 0; i < 40; i++) {
		harness_run(&h, SECOND);
		node_status(&h, "tower-b", NULL, TAGALONG__VM_STATE__VM_RUNNING);
	}
	cr_assert_eq(count_moves(&h, true), 1);
	harness_close(&h);
}

Test(controller, silence_about_a_move_is_asked_after)
{
	Tagalong__MoveList list = TAGALONG__MOVE_LIST__INIT;
	const Tagalong__MoveOrder *order;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	Tagalong__MoveInfo info, *infos[] = { &info };
	const struct sent *query;
	struct harness h;

	setup(&h);
	order = walk(&h);
	for (int i = 0; i < 7; i++) {
		harness_run(&h, SECOND);
		node_status(&h, "tower-a", "web", TAGALONG__VM_STATE__VM_STOPPED);
	}
	query = harness_next(&h, "tower-a", BODY(MOVE_QUERY));
	cr_assert_not_null(query);
	move_info(&info, "tower-a", order, STATE(DONE));
	list.moves = infos;
	list.n_moves = 1;
	e.body_case = BODY(MOVE_LIST);
	e.move_list = &list;
	harness_receive(&h, PEER_ROLE_NODE, "tower-a", query->request, &e);
	cr_assert_eq(count_moves(&h, true), 0);
	cr_assert_eq(harness_decided(&h, "state=done"), 1);
	harness_close(&h);
}

Test(controller, no_capacity_no_move)
{
	struct harness h;

	harness_open(&h);
	harness_start(&h);
	node_hello(&h, "tower-a", 8 * GIB, "web");
	node_hello(&h, "tower-b", GIB - 1, NULL);
	set_pair(&h, &phone, "phone", "web");
	stand(&h, 30, 5, 10 * SECOND);
	cr_assert_null(ordered(&h, "tower-a", NULL));
	cr_assert_eq(harness_decided(&h, "refuse vm=web to=tower-b why=the target is full"), 1);
	cr_assert_eq(harness_decided(&h, " wish "), 1, "told once");
	harness_close(&h);
}

Test(controller, a_node_with_a_key_that_is_not_its_own_is_no_target)
{
	struct harness h;

	harness_open(&h);
	harness_start(&h);
	node_hello(&h, "tower-a", 8 * GIB, "web");
	/* Allowed to speak, by another key than that of the list in the start. */
	node_hello(&h, "tower-x", 8 * GIB, NULL);
	set_pair(&h, &phone, "phone", "web");
	for (int i = 0; i < 20; i++) {
		node_rtt(&h, "tower-a", &phone, 30);
		node_rtt(&h, "tower-x", &phone, 5);
		harness_run(&h, 200 * MS);
	}
	cr_assert_null(ordered(&h, "tower-a", NULL));
	harness_close(&h);
}

Test(controller, roles_are_checked_and_nonsense_is_refused)
{
	Tagalong__NodeHello hello = TAGALONG__NODE_HELLO__INIT;
	Tagalong__PeerQuery peer = TAGALONG__PEER_QUERY__INIT;
	Tagalong__StatusQuery query = TAGALONG__STATUS_QUERY__INIT;
	PlacementRecord record = TAGALONG__PLACEMENT__RECORD__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	struct harness h;

	setup(&h);
	hello.role = TAGALONG__NODE_ROLE__NODE_MIGRATOR;
	e.body_case = BODY(NODE_HELLO);
	e.node_hello = &hello;
	cr_assert_eq(ask(&h, &e)->failure->code, EACCES);
	harness_forget(&h);
	e.body_case = BODY(STATUS_QUERY);
	e.status_query = &query;
	harness_receive(&h, PEER_ROLE_NODE, "tower-a", 0, &e);
	cr_assert_eq(harness_next(&h, "tower-a", BODY(FAILURE))->e->failure->code, EACCES);
	e.body_case = BODY(PEER_QUERY);
	peer.move = (ProtobufCBinaryData){ UUID_SIZE, (uint8_t *)phone.bytes };
	e.peer_query = &peer;
	cr_assert_eq(ask(&h, &e)->failure->code, EPROTO);
	cr_assert_eq(harness_input(&h, &record), -EPROTO);
	harness_close(&h);
}

Test(controller, a_deposed_controller_stops)
{
	Tagalong__Placement__Start start = TAGALONG__PLACEMENT__START__INIT;
	Tagalong__PairSet set = TAGALONG__PAIR_SET__INIT;
	Tagalong__Placement__Received received = TAGALONG__PLACEMENT__RECEIVED__INIT;
	PlacementRecord record = TAGALONG__PLACEMENT__RECORD__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	size_t before;
	uint64_t revision;
	struct harness h;

	setup(&h);
	cr_assert_eq(takeover(h.store, NULL, &start, &revision, &h.err), 0);
	cr_assert_eq(start.epoch, 2);
	takeover_clear(&start);
	set.device = (ProtobufCBinaryData){ UUID_SIZE, (uint8_t *)phone.bytes };
	set.device_name = (char *)"phone";
	set.vm = (char *)"mail";
	e.version = ENVELOPE_VERSION;
	e.sender = (char *)"alice";
	e.boot_id = set.device;
	e.body_case = BODY(PAIR_SET);
	e.pair_set = &set;
	received.role = TAGALONG__PLACEMENT__PEER_ROLE__ROLE_OPERATOR;
	received.name = (char *)"alice";
	received.route = set.device;
	received.envelope = &e;
	record.input_case = TAGALONG__PLACEMENT__RECORD__INPUT_RECEIVED;
	record.received = &received;
	before = h.n_sent;
	cr_assert_eq(harness_input(&h, &record), -ESTALE);
	cr_assert_eq(h.n_sent, before, "nothing that is not stored is told");
	cr_assert_eq(harness_decided(&h, "vm=mail"), 0);
	harness_close(&h);
}

/* ---- What nodes keep ------------------------------------------------------------------- */

#define TOLD 100

static void tell_images(struct harness *h, const char *node)
{
	Tagalong__NodeHello hello = TAGALONG__NODE_HELLO__INIT;
	Tagalong__ImageInfo infos[TOLD], *list[TOLD];
	uint8_t ids[TOLD][UUID_SIZE] = { { 0 } };
	char names[TOLD][16], key[41] = "";
	Envelope e = TAGALONG__ENVELOPE__INIT;

	for (unsigned i = 0; i < TOLD; i++) {
		snprintf(names[i], sizeof(names[i]), "vm%u", i);
		ids[i][0] = (uint8_t)i;
		tagalong__image_info__init(&infos[i]);
		infos[i].image = (ProtobufCBinaryData){ UUID_SIZE, ids[i] };
		infos[i].vm = names[i];
		list[i] = &infos[i];
	}
	memset(key, node[strlen(node) - 1], 40);
	hello.role = TAGALONG__NODE_ROLE__NODE_MIGRATOR;
	hello.control_endpoint = (char *)"tcp://10.0.0.1:7000";
	hello.public_key = key;
	hello.images = list;
	hello.n_images = TOLD;
	e.body_case = BODY(NODE_HELLO);
	e.node_hello = &hello;
	harness_receive(h, PEER_ROLE_NODE, node, 0, &e);
}

Test(controller, knows_the_newest_images_of_nodes)
{
	Tagalong__NodeQuery query = TAGALONG__NODE_QUERY__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	const Tagalong__NodeList *list;
	struct harness h;

	setup(&h);
	tell_images(&h, "tower-b");
	e.body_case = BODY(NODE_QUERY);
	e.node_query = &query;
	list = ask(&h, &e)->node_list;
	cr_assert_eq(list->n_nodes, 2);
	cr_assert_eq(list->nodes[0]->hello->n_images, 0);
	cr_assert_eq(list->nodes[1]->hello->n_images, FLEET_IMAGES_MAX);
	cr_assert_str_eq(list->nodes[1]->hello->images[1]->vm, "vm1");
	harness_close(&h);
}

/* However many nodes and images there are, they are told in one message. */
Test(controller, nodes_with_images_fit_into_a_message)
{
	Tagalong__NodeQuery query = TAGALONG__NODE_QUERY__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	const Envelope *answer;
	struct harness h;

	setup(&h);
	for (char name[] = "node-aa"; name[5] <= 'j'; name[5]++)
		for (name[6] = 'a'; name[6] <= 'j'; name[6]++)
			tell_images(&h, name);
	e.body_case = BODY(NODE_QUERY);
	e.node_query = &query;
	answer = ask(&h, &e);
	cr_assert_eq(answer->node_list->n_nodes, 102);
	for (size_t i = 0; i < answer->node_list->n_nodes; i++)
		cr_assert_leq(answer->node_list->nodes[i]->hello->n_images, 20);
	harness_close(&h);
}

static void report(struct harness *h, const char *node, uint64_t number)
{
	Tagalong__RttReport body = TAGALONG__RTT_REPORT__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	body.has_number = number > 0;
	body.number = number;
	e.body_case = BODY(RTT_REPORT);
	e.rtt_report = &body;
	harness_receive(h, PEER_ROLE_NODE, node, 0, &e);
}

/* An instance may be at any number when it is first heard, and an older release has none. */
Test(controller, a_gap_in_the_reports_is_seen)
{
	struct controller_figures figures;
	struct harness h;

	setup(&h);
	report(&h, "tower-a", 7);
	report(&h, "tower-a", 8);
	report(&h, "tower-a", 0);
	cr_assert_eq(harness_decided(&h, " missed "), 0);
	report(&h, "tower-a", 11);
	cr_assert_eq(harness_decided(&h, "missed node=tower-a reports=2"), 1);
	report(&h, "tower-b", 3);
	report(&h, "tower-a", 11);
	report(&h, "tower-a", 2);
	report(&h, "tower-a", 12);
	cr_assert_eq(harness_decided(&h, " missed "), 1);
	controller_figures(h.controller, &figures);
	cr_assert_eq(figures.reports_missed, 2);
	harness_replay(&h);
	harness_close(&h);
}

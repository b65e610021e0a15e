/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/placement/harness.h"

#define BODY(name) TAGALONG__ENVELOPE__BODY_##name
#define STATE(name) TAGALONG__MOVE_STATE__MOVE_##name

static const struct uuid phone = { { 1 } };

/* 'web' is on tower-a, 'mail' on tower-b; tower-c is empty. */
static void say_hello(struct harness *h)
{
	node_hello(h, "tower-a", 8 * GIB, "web");
	node_hello(h, "tower-b", 8 * GIB, "mail");
	node_hello(h, "tower-c", 4 * GIB, NULL);
	harness_forget(h);
}

static void setup(struct harness *h)
{
	harness_open(h);
	harness_start(h);
	say_hello(h);
}

/* NULL, or why it is refused. */
static const char *set(struct harness *h, const char *group, const char *vm, bool apart,
		       bool dry_run)
{
	Tagalong__AffinitySet request = TAGALONG__AFFINITY_SET__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	const Envelope *answer;

	request.group = (char *)group;
	request.vm = (char *)vm;
	request.apart = apart;
	request.has_dry_run = request.dry_run = dry_run;
	e.body_case = BODY(AFFINITY_SET);
	e.affinity_set = &request;
	answer = ask(h, &e);
	return answer->body_case == BODY(FAILURE) ? answer->failure->text : NULL;
}

static const Envelope *leave(struct harness *h, const char *group, const char *vm)
{
	Tagalong__AffinityRemove request = TAGALONG__AFFINITY_REMOVE__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	request.group = (char *)group;
	request.vm = (char *)vm;
	e.body_case = BODY(AFFINITY_REMOVE);
	e.affinity_remove = &request;
	return ask(h, &e);
}

/* "office apart: mail web; ..." */
static const char *groups(struct harness *h)
{
	static char text[256];
	Tagalong__AffinityQuery query = TAGALONG__AFFINITY_QUERY__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	const Envelope *answer;

	e.body_case = BODY(AFFINITY_QUERY);
	e.affinity_query = &query;
	answer = ask(h, &e);
	text[0] = 0;
	for (size_t i = 0; i < answer->affinity_list->n_groups; i++) {
		const Tagalong__Affinity *g = answer->affinity_list->groups[i];

		sprintf(text + strlen(text), "%s %s:", g->group, g->apart ? "apart" : "together");
		for (size_t k = 0; k < g->n_vms; k++)
			sprintf(text + strlen(text), " %s", g->vms[k]);
		strcat(text, ";");
	}
	return text;
}

static void drain(struct harness *h, const char *node)
{
	Tagalong__NodeDrain request = TAGALONG__NODE_DRAIN__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	request.node = (char *)node;
	request.drained = true;
	e.body_case = BODY(NODE_DRAIN);
	e.node_drain = &request;
	cr_assert_eq(ask(h, &e)->body_case, BODY(DRAIN_PLAN));
}

static void pass(struct harness *h, unsigned seconds)
{
	for (; seconds > 0; seconds--) {
		harness_run(h, SECOND);
		node_status(h, "tower-a", "web", TAGALONG__VM_STATE__VM_RUNNING);
		node_status(h, "tower-b", "mail", TAGALONG__VM_STATE__VM_RUNNING);
		node_status(h, "tower-c", NULL, TAGALONG__VM_STATE__VM_RUNNING);
	}
}

/* Where a node is told to send its VM; NULL: nowhere. */
static const Tagalong__MoveOrder *ordered(struct harness *h, const char *node)
{
	const struct sent *sent = harness_next(h, node, BODY(MOVE_ORDER));

	return sent ? sent->e->move_order : NULL;
}

Test(affinity, groups_are_kept_over_a_restart)
{
	struct harness h;

	setup(&h);
	cr_assert_null(set(&h, "office", "web", false, true));
	cr_assert_str_eq(groups(&h), "", "a dry run");
	cr_assert_null(set(&h, "office", "web", false, false));
	cr_assert_null(set(&h, "office", "web", false, false));
	cr_assert_null(set(&h, "spread", "web", true, false));
	cr_assert_null(set(&h, "spread", "mail", true, false));
	harness_kill(&h);
	harness_start(&h);
	cr_assert_str_eq(groups(&h), "office together: web;spread apart: mail web;");
	cr_assert_eq(leave(&h, "office", "web")->body_case, BODY(DONE));
	cr_assert_eq(leave(&h, "office", "web")->body_case, BODY(FAILURE));
	harness_kill(&h);
	harness_start(&h);
	cr_assert_str_eq(groups(&h), "spread apart: mail web;");
	harness_close(&h);
}

Test(affinity, what_makes_no_sense_is_refused)
{
	struct harness h;

	setup(&h);
	set(&h, "office", "web", false, false);
	cr_assert_str_eq(set(&h, "office", "mail", true, false),
			 "group 'office' keeps its VMs together");
	cr_assert_str_eq(set(&h, "home", "web", false, true),
			 "VM 'web' is kept together with group 'office' already");
	cr_assert_not_null(strstr(set(&h, "office", "ghost", false, false), "no VM named 'ghost'"));
	cr_assert_not_null(strstr(set(&h, "a/b", "mail", false, false), "names have"));
	cr_assert_str_eq(groups(&h), "office together: web;");
	harness_close(&h);
}

Test(affinity, those_in_the_background_come_after_their_leader)
{
	const Tagalong__MoveOrder *order;
	struct harness h;

	setup(&h);
	set_pair(&h, &phone, "phone", "web");
	set(&h, "office", "web", false, false);
	pass(&h, 2);
	cr_assert_null(ordered(&h, "tower-b"), "it is alone");
	set(&h, "office", "mail", false, false);
	pass(&h, 1);
	order = ordered(&h, "tower-b");
	cr_assert_not_null(order);
	cr_assert_str_eq(order->target, "tower-a");
	cr_assert_str_eq(order->reason->code, "together");
	cr_assert_str_eq(order->reason->text, "kept together with web");
	move_result(&h, "tower-b", order, STATE(DONE));
	cr_assert_null(ordered(&h, "tower-a"), "the leader stays");
	harness_close(&h);
}

Test(affinity, a_follower_goes_nowhere_else)
{
	static const struct uuid tablet = { { 2 } };
	struct harness h;

	setup(&h);
	/* Both in the foreground: mail leads, by its name. */
	set_pair(&h, &phone, "phone", "web");
	set_pair(&h, &tablet, "tablet", "mail");
	set(&h, "office", "web", false, false);
	set(&h, "office", "mail", false, false);
	pass(&h, 1);
	cr_assert_str_eq(ordered(&h, "tower-a")->target, "tower-b");
	harness_close(&h);
	/* And when it cannot be there, it stays all the same. */
	setup(&h);
	set_pair(&h, &phone, "phone", "web");
	set_pair(&h, &tablet, "tablet", "mail");
	set(&h, "office", "web", false, false);
	set(&h, "office", "mail", false, false);
	set(&h, "spread", "web", true, false);
	set(&h, "spread", "mail", true, false);
	for (int i = 0; i < 5; i++) {
		pass(&h, 1);
		node_rtt(&h, "tower-a", &phone, 40);
		node_rtt(&h, "tower-c", &phone, 4);
	}
	cr_assert_eq(harness_decided(&h, "code=threshold"), 0);
	cr_assert_null(ordered(&h, "tower-a"));
	harness_close(&h);
}

Test(affinity, apart_also_from_a_drained_node)
{
	struct harness h;

	setup(&h);
	set(&h, "spread", "web", true, false);
	set(&h, "spread", "mail", true, false);
	drain(&h, "tower-a");
	pass(&h, 1);
	/* tower-b has more room. */
	cr_assert_str_eq(ordered(&h, "tower-a")->target, "tower-c");
	/* While web is on its way, mail does not go there either. */
	drain(&h, "tower-b");
	pass(&h, 2);
	cr_assert_null(ordered(&h, "tower-b"));
	harness_close(&h);
}

Test(affinity, operators_may_insist)
{
	static uint8_t id[UUID_SIZE] = { 7 };
	Tagalong__MoveOrder order = TAGALONG__MOVE_ORDER__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	const Envelope *answer;
	struct harness h;

	setup(&h);
	set(&h, "spread", "web", true, false);
	set(&h, "spread", "mail", true, false);
	order.move = (ProtobufCBinaryData){ UUID_SIZE, id };
	order.vm = (char *)"web";
	order.target = (char *)"tower-b";
	e.body_case = BODY(MOVE_ORDER);
	e.move_order = &order;
	answer = ask(&h, &e);
	cr_assert_eq(answer->body_case, BODY(FAILURE));
	cr_assert_str_eq(answer->failure->text, "a VM that 'web' is kept apart from is on 'tower-b'; "
						"--force moves it there anyway");
	order.has_force = order.force = true;
	cr_assert_eq(ask(&h, &e)->body_case, BODY(DONE));
	harness_replay(&h);
	harness_close(&h);
}

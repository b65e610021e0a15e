/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/placement/harness.h"

#define BODY(name) TAGALONG__ENVELOPE__BODY_##name
#define STATE(name) TAGALONG__MOVE_STATE__MOVE_##name

static void say_hello(struct harness *h)
{
	node_hello(h, "tower-a", 8 * GIB, "web");
	node_hello(h, "tower-b", 8 * GIB, NULL);
	harness_forget(h);
}

/* Nodes are drained 10 s before. */
static void setup(struct harness *h)
{
	harness_open(h);
	h->limits.has_maintenance_lead_ns = true;
	h->limits.maintenance_lead_ns = 10 * SECOND;
	harness_start(h);
	say_hello(h);
}

/* A window from so many seconds from now; NULL, or why it is refused. */
static const char *maintain(struct harness *h, const char *node, int from, int to, bool dry_run)
{
	Tagalong__MaintenanceWindow window = TAGALONG__MAINTENANCE_WINDOW__INIT;
	Tagalong__NodeMaintain request = TAGALONG__NODE_MAINTAIN__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	const Envelope *answer;

	window.start_utc_ns = (uint64_t)((int64_t)h->utc_ns + from * (int64_t)SECOND);
	window.end_utc_ns = (uint64_t)((int64_t)h->utc_ns + to * (int64_t)SECOND);
	request.node = (char *)node;
	request.window = from || to ? &window : NULL;
	request.has_dry_run = request.dry_run = dry_run;
	e.body_case = BODY(NODE_MAINTAIN);
	e.node_maintain = &request;
	answer = ask(h, &e);
	return answer->body_case == BODY(FAILURE) ? answer->failure->text : NULL;
}

static void unmaintain(struct harness *h, const char *node)
{
	cr_assert_null(maintain(h, node, 0, 0, false));
}

static const Tagalong__NodeInfo *tower_a(struct harness *h)
{
	Tagalong__NodeQuery query = TAGALONG__NODE_QUERY__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	e.body_case = BODY(NODE_QUERY);
	e.node_query = &query;
	return ask(h, &e)->node_list->nodes[0];
}

static void pass(struct harness *h, unsigned seconds)
{
	for (; seconds > 0; seconds--) {
		harness_run(h, SECOND);
		node_status(h, "tower-a", "web", TAGALONG__VM_STATE__VM_RUNNING);
		node_status(h, "tower-b", NULL, TAGALONG__VM_STATE__VM_RUNNING);
	}
}

Test(maintenance, a_node_is_emptied_before_and_opened_after)
{
	const struct sent *sent;
	struct harness h;

	setup(&h);
	cr_assert_null(maintain(&h, "tower-a", 20, 30, false));
	pass(&h, 9);
	cr_assert_not(tower_a(&h)->maintained);
	cr_assert_null(harness_next(&h, "tower-a", BODY(MOVE_ORDER)));
	pass(&h, 2);
	cr_assert(tower_a(&h)->maintained);
	sent = harness_next(&h, "tower-a", BODY(MOVE_ORDER));
	cr_assert_not_null(sent);
	cr_assert_str_eq(sent->e->move_order->reason->code, "maintenance");
	cr_assert_str_eq(sent->e->move_order->reason->text, "tower-a is to be maintained");
	pass(&h, 18);
	cr_assert(tower_a(&h)->maintained);
	pass(&h, 2);
	cr_assert_not(tower_a(&h)->maintained);
	cr_assert_eq(tower_a(&h)->n_windows, 0);
	harness_replay(&h);
	harness_close(&h);
}

Test(maintenance, a_drained_node_stays_drained)
{
	Tagalong__NodeDrain drain = TAGALONG__NODE_DRAIN__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	struct harness h;

	setup(&h);
	drain.node = (char *)"tower-a";
	drain.drained = true;
	e.body_case = BODY(NODE_DRAIN);
	e.node_drain = &drain;
	ask(&h, &e);
	maintain(&h, "tower-a", 1, 5, false);
	pass(&h, 7);
	cr_assert_not(tower_a(&h)->maintained);
	cr_assert(tower_a(&h)->drained);
	harness_close(&h);
}

Test(maintenance, windows_are_kept_over_a_restart)
{
	struct harness h;

	setup(&h);
	maintain(&h, "tower-a", 5, 60, false);
	maintain(&h, "tower-a", 500, 600, false);
	maintain(&h, "tower-a", 700, 800, true);
	harness_kill(&h);
	harness_start(&h);
	say_hello(&h);
	cr_assert(tower_a(&h)->maintained);
	cr_assert_eq(tower_a(&h)->n_windows, 2);
	cr_assert_eq(tower_a(&h)->windows[1]->end_utc_ns, h.utc_ns + 600 * SECOND);
	unmaintain(&h, "tower-a");
	cr_assert_not(tower_a(&h)->maintained);
	harness_close(&h);
}

Test(maintenance, what_makes_no_sense_is_refused)
{
	struct harness h;

	setup(&h);
	cr_assert_not_null(strstr(maintain(&h, "tower-x", 1, 2, false), "no node named"));
	cr_assert_str_eq(maintain(&h, "tower-a", 5, 5, false), "the window ends before it begins");
	cr_assert_str_eq(maintain(&h, "tower-a", -5, -1, true), "the window is over already");
	for (int i = 0; i < 8; i++)
		cr_assert_null(maintain(&h, "tower-a", 100 + i, 200, false));
	cr_assert_null(maintain(&h, "tower-a", 100, 200, false), "the same again is no other one");
	cr_assert_not_null(strstr(maintain(&h, "tower-a", 150, 200, false), "has 8 windows"));
	harness_close(&h);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/placement/harness.h"

#define BODY(name) TAGALONG__ENVELOPE__BODY_##name
#define STATE(name) TAGALONG__MOVE_STATE__MOVE_##name

static const struct uuid phone = { { 1 } }, car = { { 2 } };

static void say_hello(struct harness *h)
{
	node_hello(h, "tower-a", 8 * GIB, "web");
	node_hello(h, "tower-b", 8 * GIB, NULL);
	node_hello(h, "tower-c", 8 * GIB, "mail");
}

/* 'web' of a phone on tower-a and 'mail' of a car on tower-c. */
static void setup(struct harness *h)
{
	harness_open(h);
	harness_start(h);
	say_hello(h);
	set_pair(h, &phone, "phone", "web");
	set_pair(h, &car, "car-1", "mail");
	harness_forget(h);
}

/* What follows is as the harness has it, but for this. */
struct change {
	const char *policy;
	uint64_t threshold_ns, hold_ns;
	bool recommend;
	Tagalong__Placement__DeviceGroup *group;
	bool without_keys;
	unsigned moves;
};

static int reload(struct harness *h, const struct change *change)
{
	Tagalong__Placement__Start start = TAGALONG__PLACEMENT__START__INIT;
	Tagalong__Placement__NodeKey keys[3], *pointers[3];
	Tagalong__Placement__DeviceGroup *group = change->group;
	PlacementRecord record = TAGALONG__PLACEMENT__RECORD__INIT;

	for (int i = 0; i < 3; i++) {
		tagalong__placement__node_key__init(&keys[i]);
		keys[i].name = (char *[]){ "tower-a", "tower-b", "tower-c" }[i];
		keys[i].public_key = (char *[]){ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
						 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
						 "cccccccccccccccccccccccccccccccccccccccc" }[i];
		pointers[i] = &keys[i];
	}
	h->parameters.threshold_ns = change->threshold_ns ? change->threshold_ns : 20 * MS;
	h->parameters.hold_ns = change->hold_ns ? change->hold_ns : 2 * SECOND;
	if (change->moves)
		h->limits.moves = change->moves;
	start.policy = (char *)(change->policy ? change->policy : h->policy);
	start.parameters = &h->parameters;
	start.limits = &h->limits;
	start.interval_ns = 100 * MS;
	start.node_keys = pointers;
	start.n_node_keys = change->without_keys ? 0 : 3;
	start.has_recommend = start.recommend = change->recommend;
	start.groups = &group;
	start.n_groups = group ? 1 : 0;
	record.input_case = TAGALONG__PLACEMENT__RECORD__INPUT_RELOAD;
	record.reload = &start;
	return harness_input(h, &record);
}

/* So many seconds in which both are served by tower-b in 4 ms and in 30 ms where they are. */
static void pass(struct harness *h, unsigned seconds)
{
	for (; seconds > 0; seconds--) {
		harness_run(h, SECOND);
		node_status(h, "tower-a", "web", TAGALONG__VM_STATE__VM_RUNNING);
		node_status(h, "tower-b", NULL, TAGALONG__VM_STATE__VM_RUNNING);
		node_status(h, "tower-c", "mail", TAGALONG__VM_STATE__VM_RUNNING);
		node_rtt(h, "tower-a", &phone, 30);
		node_rtt(h, "tower-b", &phone, 4);
		node_rtt(h, "tower-c", &car, 30);
		node_rtt(h, "tower-b", &car, 4);
	}
}

static bool moves(struct harness *h, const char *node)
{
	return harness_next(h, node, BODY(MOVE_ORDER));
}

/* "phone cars tower-b": its group and where it is recommended to be. */
static const char *pair(struct harness *h, const char *device)
{
	static char text[256];
	Tagalong__PairQuery query = TAGALONG__PAIR_QUERY__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	const Envelope *answer;

	e.body_case = BODY(PAIR_QUERY);
	e.pair_query = &query;
	answer = ask(h, &e);
	for (size_t i = 0; i < answer->pair_list->n_pairs; i++) {
		const Tagalong__Pair *p = answer->pair_list->pairs[i];

		if (strcmp(p->device_name, device) == 0)
			snprintf(text, sizeof(text), "%s %s", p->group ? p->group : "-",
				 p->recommended ? p->recommended : "-");
	}
	return text;
}

static Tagalong__Placement__DeviceGroup cars(struct harness *h,
					     Tagalong__Placement__PolicyParameters *parameters)
{
	static char *patterns[] = { (char *)"van", (char *)"car-*" };
	Tagalong__Placement__DeviceGroup group = TAGALONG__PLACEMENT__DEVICE_GROUP__INIT;

	*parameters = h->parameters;
	group.name = (char *)"cars";
	group.devices = patterns;
	group.n_devices = 2;
	group.parameters = parameters;
	return group;
}

Test(parameters, change_at_run_time)
{
	struct harness h;

	setup(&h);
	cr_assert_eq(reload(&h, &(struct change){ .threshold_ns = 50 * MS }), 0);
	cr_assert_eq(harness_next(&h, "tower-a", BODY(WATCH_LIST))->e->watch_list->threshold_ns,
		     50 * MS);
	pass(&h, 5);
	cr_assert_not(moves(&h, "tower-a"));
	cr_assert_eq(reload(&h, &(struct change){ 0 }), 0);
	pass(&h, 5);
	cr_assert(moves(&h, "tower-a"));
	harness_close(&h);
}

Test(parameters, limits_too)
{
	struct harness h;

	setup(&h);
	cr_assert_eq(reload(&h, &(struct change){ .moves = 1 }), 0);
	pass(&h, 5);
	cr_assert_eq(harness_decided(&h, " order "), 1);
	cr_assert_eq(harness_decided(&h, "why=too many moves at once"), 1);
	cr_assert_eq(reload(&h, &(struct change){ .moves = 2 }), 0);
	pass(&h, 1);
	cr_assert_eq(harness_decided(&h, " order "), 2);
	harness_close(&h);
}

Test(parameters, a_mistake_changes_nothing)
{
	struct harness h;

	setup(&h);
	cr_assert_eq(reload(&h, &(struct change){ .policy = "oracle", .threshold_ns = SECOND }),
		     -EINVAL);
	cr_assert_eq(reload(&h, &(struct change){ .threshold_ns = 1 }), -EINVAL);
	pass(&h, 5);
	cr_assert(moves(&h, "tower-a"));
	harness_close(&h);
}

Test(parameters, groups_have_their_own)
{
	Tagalong__Placement__PolicyParameters parameters;
	Tagalong__Placement__DeviceGroup group;
	struct harness h;

	setup(&h);
	group = cars(&h, &parameters);
	parameters.threshold_ns = 50 * MS;
	cr_assert_eq(reload(&h, &(struct change){ .group = &group }), 0);
	pass(&h, 5);
	cr_assert(moves(&h, "tower-a"));
	harness_forget(&h);
	cr_assert_not(moves(&h, "tower-c"));
	cr_assert_str_eq(pair(&h, "car-1"), "cars -");
	cr_assert_str_eq(pair(&h, "phone"), "- -");
	harness_close(&h);
}

Test(parameters, what_is_recommended_is_told_and_not_done)
{
	struct harness h;

	setup(&h);
	cr_assert_eq(reload(&h, &(struct change){ .recommend = true, .moves = 1 }), 0);
	pass(&h, 8);
	cr_assert_eq(harness_decided(&h, " order "), 0);
	cr_assert_eq(harness_decided(&h, " recommend "), 1, "one fits, and it is told once");
	cr_assert_str_eq(pair(&h, "phone"), "- tower-b");
	cr_assert_eq(reload(&h, &(struct change){ .moves = 8 }), 0);
	cr_assert_str_eq(pair(&h, "phone"), "- -");
	pass(&h, 1);
	cr_assert_eq(harness_decided(&h, " order "), 2);
	harness_close(&h);
}

Test(parameters, who_acts_goes_before_who_is_only_told)
{
	Tagalong__Placement__PolicyParameters parameters;
	Tagalong__Placement__DeviceGroup group;
	struct harness h;

	setup(&h);
	group = cars(&h, &parameters);
	group.has_recommend = group.recommend = true;
	cr_assert_eq(reload(&h, &(struct change){ .group = &group, .moves = 1 }), 0);
	pass(&h, 5);
	cr_assert_eq(harness_decided(&h, " order "), 1);
	cr_assert_eq(harness_decided(&h, "recommend vm=mail"), 0, "web has the only place");
	harness_close(&h);
}

Test(parameters, another_policy_begins_anew)
{
	struct harness h;

	setup(&h);
	pass(&h, 1);
	h.parameters.has_horizon_ns = h.parameters.has_order = true;
	cr_assert_eq(reload(&h, &(struct change){ .policy = "rent-or-buy" }), 0);
	pass(&h, 8);
	cr_assert_gt(harness_decided(&h, "code=rent-or-buy"), 0);
	harness_close(&h);
}

Test(parameters, a_node_whose_key_is_gone_gets_no_vms)
{
	struct harness h;

	setup(&h);
	cr_assert_eq(reload(&h, &(struct change){ .without_keys = true }), 0);
	pass(&h, 5);
	cr_assert_not(moves(&h, "tower-a"));
	cr_assert_eq(reload(&h, &(struct change){ 0 }), 0);
	pass(&h, 4);
	cr_assert(moves(&h, "tower-a"));
	harness_close(&h);
}

/* The same inputs lead to the same decisions, reloads among them. */
Test(parameters, a_reload_is_replayed)
{
	struct harness h;

	setup(&h);
	cr_assert_eq(reload(&h, &(struct change){ .recommend = true }), 0);
	pass(&h, 5);
	cr_assert_eq(reload(&h, &(struct change){ 0 }), 0);
	pass(&h, 2);
	harness_replay(&h);
	harness_close(&h);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>

#include "placement/affinity.h"
#include "placement/planner.h"

#define GIB (UINT64_C(1) << 30)
#define NODES 4
#define NOW UINT64_C(1000)

/* Nodes n0 to n3 with 4 GiB and 4 vCPUs each; VMs that run on n0. */
struct fixture {
	struct fleet fleet;
	struct node *nodes[NODES];
	Tagalong__NodeHello hellos[NODES];
	struct node_traffic node_traffic[NODES];
	struct route routes[16];
	struct traffic traffic;
	struct planner_limits limits;
	struct plan_item items[8];
	size_t n;
};

static void setup(struct fixture *f)
{
	*f = (struct fixture){ .limits = { .moves = 10, .moves_per_node = 10 } };
	fleet_init(&f->fleet);
	for (int i = 0; i < NODES; i++) {
		char name[3] = { 'n', (char)('0' + i), 0 };

		cr_assert_eq(fleet_add_node(&f->fleet, name, &f->nodes[i]), 0);
		tagalong__node_hello__init(&f->hellos[i]);
		f->hellos[i].has_memory_bytes = f->hellos[i].has_vcpus = true;
		f->hellos[i].memory_bytes = 4 * GIB;
		f->hellos[i].vcpus = 4;
		f->nodes[i]->hello = &f->hellos[i];
		f->nodes[i]->programs[PROGRAM_MIGRATOR].up = true;
	}
	f->traffic.nodes = f->node_traffic;
	f->traffic.routes = f->routes;
}

static void teardown(struct fixture *f)
{
	for (int i = 0; i < NODES; i++)
		f->nodes[i]->hello = NULL;
	fleet_clear(&f->fleet);
}

/* A VM that wishes for these targets ("12": n1, else n2). */
static struct vm *wish(struct fixture *f, const char *name, uint64_t benefit, const char *targets)
{
	struct plan_item *item = &f->items[f->n++];
	struct vm *vm;

	cr_assert_eq(fleet_add_vm(&f->fleet, name, &vm), 0);
	vm->node = f->nodes[0];
	vm->state = TAGALONG__VM_STATE__VM_RUNNING;
	vm->memory = 2 * GIB;
	vm->vcpus = 1;
	vm->foreground = true;
	item->vm = vm;
	for (; *targets; targets++)
		item->wishes[item->n_wishes++] = (struct policy_wish){
			.target = (uint32_t)(*targets - '0'), .benefit_ns = benefit
		};
	return vm;
}

/* "web>1 mail:the target is full": in the order of the wishes. */
static const char *plan(struct fixture *f)
{
	static char text[512];

	text[0] = 0;
	cr_assert_eq(planner_plan(&f->fleet, &f->limits, NOW, &f->traffic, f->items, f->n), 0);
	for (size_t i = 0; i < f->n; i++) {
		const struct plan_item *item = &f->items[i];
		char *end = text + strlen(text);

		if (item->granted)
			sprintf(end, "%s%s>%u", i ? " " : "", item->vm->name,
				item->granted->target);
		else
			sprintf(end, "%s%s:%s", i ? " " : "", item->vm->name, item->refusal);
	}
	return text;
}

Test(planner, the_largest_gain_first_and_within_memory)
{
	struct fixture f;

	setup(&f);
	wish(&f, "a", 10, "1");
	wish(&f, "b", 30, "1");
	wish(&f, "c", 20, "1");
	cr_assert_str_eq(plan(&f), "a:the target is full b>1 c>1");
	cr_assert_eq(f.traffic.moves, 2);
	cr_assert_eq(f.node_traffic[1].reserved.memory, 4 * GIB);
	teardown(&f);
}

Test(planner, the_next_best_when_the_best_is_full)
{
	struct fixture f;

	setup(&f);
	f.nodes[1]->load.memory = UINT64_MAX - GIB;
	f.nodes[2]->load.vcpus = UINT32_MAX;
	wish(&f, "a", 10, "123");
	cr_assert_str_eq(plan(&f), "a>3");
	teardown(&f);
}

Test(planner, a_node_that_sets_no_limits_has_none)
{
	struct fixture f;

	setup(&f);
	f.hellos[1].has_memory_bytes = f.hellos[1].has_vcpus = false;
	f.nodes[1]->load.memory = 1000 * GIB;
	wish(&f, "a", 10, "1");
	cr_assert_str_eq(plan(&f), "a>1");
	teardown(&f);
}

Test(planner, room_is_taken_once)
{
	struct fixture f;
	struct claim claim;
	struct vm *a;

	/* The target has reported the VM that it is receiving: it is in its load. */
	setup(&f);
	a = wish(&f, "a", 10, "1");
	f.n = 0;
	claim = (struct claim){ .node = f.nodes[1] };
	a->claims = &claim;
	a->n_claims = 1;
	f.nodes[1]->load.memory = 2 * GIB;
	traffic_add(&f.traffic, a, f.nodes[0], f.nodes[1]);
	cr_assert_eq(f.node_traffic[1].reserved.memory, 0);
	memset(f.items, 0, sizeof(f.items));
	wish(&f, "b", 10, "1");
	cr_assert_str_eq(plan(&f), "b>1");
	a->claims = NULL;
	a->n_claims = 0;
	teardown(&f);
}

Test(planner, caps)
{
	struct fixture f;

	setup(&f);
	f.limits.moves = 1;
	wish(&f, "a", 10, "1");
	wish(&f, "b", 20, "2");
	cr_assert_str_eq(plan(&f), "a:too many moves at once b>2");
	teardown(&f);
	setup(&f);
	f.limits.moves_per_node = 1;
	wish(&f, "a", 10, "1");
	wish(&f, "b", 20, "2");
	cr_assert_str_eq(plan(&f), "a:too many moves at once on a node b>2");
	teardown(&f);
}

Test(planner, who_may_not_leave)
{
	struct fixture f;
	struct move *some_move = (struct move *)&f;

	setup(&f);
	wish(&f, "a", 9, "1")->state = TAGALONG__VM_STATE__VM_PAUSED;
	wish(&f, "b", 8, "1")->node = NULL;
	wish(&f, "c", 7, "1")->move = some_move;
	wish(&f, "d", 6, "1")->retry_utc_ns = 1001;
	wish(&f, "e", 5, "1")->retry_utc_ns = 1000;
	wish(&f, "f", 4, "1")->node = f.nodes[3];
	f.nodes[3]->programs[PROGRAM_MIGRATOR].up = false;
	cr_assert_str_eq(plan(&f), "a:it does not run b:it does not run c:it is moving "
				   "d:it waits after a failed move e>1 f:its node is down");
	teardown(&f);
	setup(&f);
	f.nodes[1]->programs[PROGRAM_MIGRATOR].up = false;
	wish(&f, "a", 9, "1");
	cr_assert_str_eq(plan(&f), "a:the target is down");
	teardown(&f);
}

Test(planner, foreground_first_whatever_the_gain)
{
	struct fixture f;

	setup(&f);
	f.limits.moves = 2;
	wish(&f, "a", 99, "3")->foreground = false;
	wish(&f, "b", 10, "2");
	wish(&f, "c", 10, "1");
	cr_assert_str_eq(plan(&f), "a:too many moves at once b>2 c>1");
	teardown(&f);
}

Test(planner, the_most_together_not_the_largest_first)
{
	struct fixture f;

	/* Whoever gains most would take the place that two others could share. */
	setup(&f);
	f.nodes[1]->load.memory = 2 * GIB;
	f.nodes[2]->load.memory = 2 * GIB;
	wish(&f, "a", 30, "12");
	wish(&f, "b", 20, "1");
	cr_assert_str_eq(plan(&f), "a>2 b>1");
	teardown(&f);
}

Test(planner, in_and_out_of_a_node_are_counted_apart)
{
	struct fixture f;

	setup(&f);
	f.limits.moves_per_node = 1;
	wish(&f, "a", 10, "1");
	wish(&f, "b", 10, "2")->node = f.nodes[1];
	cr_assert_str_eq(plan(&f), "a>1 b>2");
	cr_assert_eq(f.node_traffic[1].in, 1);
	cr_assert_eq(f.node_traffic[1].out, 1);
	teardown(&f);
}

Test(planner, links_have_a_cap_of_their_own)
{
	struct fixture f;
	struct vm *open;

	/* One move goes from n0 to n1 already; the other way is another link. */
	setup(&f);
	f.limits.moves_per_link = 2;
	open = wish(&f, "open", 1, "1");
	f.n = 0;
	traffic_add(&f.traffic, open, f.nodes[0], f.nodes[1]);
	memset(f.items, 0, sizeof(f.items));
	f.hellos[1].memory_bytes = 100 * GIB;
	f.hellos[1].vcpus = 100;
	wish(&f, "a", 10, "1");
	wish(&f, "b", 20, "1");
	wish(&f, "c", 5, "12");
	wish(&f, "d", 1, "0")->node = f.nodes[1];
	cr_assert_str_eq(plan(&f), "a:too many moves at once on a link b>1 c>2 d>0");
	teardown(&f);
}

Test(planner, a_vm_stays_for_a_while)
{
	struct fixture f;
	struct vm *vms[3];

	setup(&f);
	vms[0] = wish(&f, "a", 10, "1");
	vms[1] = wish(&f, "b", 10, "1");
	vms[2] = wish(&f, "c", 10, "2");
	for (int i = 0; i < 3; i++) {
		vms[i]->n_visits = 1;
		vms[i]->visits[0] = (struct visit){ f.nodes[0], NOW - 99 };
		f.items[i].min_stay_ns = 100;
	}
	vms[1]->visits[0].since_utc_ns = NOW - 100;
	/* The clock was set back since. */
	vms[2]->visits[0].since_utc_ns = NOW + 1;
	cr_assert_str_eq(plan(&f), "a:it has just arrived b>1 c>2");
	teardown(&f);
}

Test(planner, vms_of_a_failing_node_go_first_and_many_at_once)
{
	struct fixture f;

	setup(&f);
	f.limits = (struct planner_limits){ .moves = 1, .moves_per_node = 1, .evacuation = 3 };
	f.nodes[0]->drained = f.nodes[0]->evacuated = true;
	f.hellos[1].memory_bytes = 100 * GIB;
	f.hellos[1].vcpus = 100;
	wish(&f, "a", 90, "1")->node = f.nodes[2];
	wish(&f, "b", 50, "1")->foreground = false;
	wish(&f, "c", 40, "1")->foreground = false;
	wish(&f, "d", 10, "1");
	wish(&f, "e", 5, "1");
	cr_assert_str_eq(plan(&f), "a:too many moves at once b>1 c:too many moves at once d>1 e>1");
	cr_assert_eq(f.node_traffic[0].out, 3);
	teardown(&f);
}

Test(planner, nothing_comes_to_a_node_in_quarantine_but_vms_leave)
{
	struct fixture f;

	setup(&f);
	f.nodes[1]->quarantine.on = f.nodes[2]->quarantine.on = true;
	wish(&f, "a", 10, "13");
	wish(&f, "b", 10, "1");
	wish(&f, "c", 10, "3")->node = f.nodes[2];
	cr_assert_str_eq(plan(&f), "a>3 b:the target is in quarantine c>3");
	teardown(&f);
}

Test(planner, vms_that_are_kept_apart_do_not_meet)
{
	struct fixture f;
	struct vm *vms[3], *there;

	setup(&f);
	there = wish(&f, "there", 1, "3");
	there->node = f.nodes[2];
	f.n = 0;
	memset(f.items, 0, sizeof(f.items));
	vms[0] = wish(&f, "a", 10, "1");
	vms[1] = wish(&f, "b", 90, "1");
	vms[2] = wish(&f, "c", 50, "23");
	wish(&f, "d", 5, "1");
	for (int i = 0; i < 3; i++)
		cr_assert_eq(affinity_join(&f.fleet, vms[i], "spread", true), 0);
	cr_assert_eq(affinity_join(&f.fleet, there, "spread", true), 0);
	cr_assert_eq(affinity_join(&f.fleet, there, "spread", false), -EEXIST);
	/* They start from one node, and what the second leaves is free for others in the next. */
	cr_assert_str_eq(plan(&f), "a>1 b:a VM that it is kept apart from goes there c>3 "
				   "d:the target is full");
	cr_assert_null(vms[0]->planned);
	memset(&f.node_traffic, 0, sizeof(f.node_traffic));
	f.traffic.moves = 0;
	vms[0]->node = f.nodes[3];
	vms[1]->bound = f.nodes[1];
	cr_assert_str_eq(plan(&f), "a:a VM that it is kept apart from is there "
				   "b>1 c:a VM that it is kept apart from is there d>1");
	teardown(&f);
}

/* A benefit is there from the move's end on: a bit less, but at once, is worth more. */
Test(planner, a_short_move_beats_a_bit_more_benefit)
{
	struct fixture f;

	setup(&f);
	wish(&f, "a", 1000, "12");
	f.items[0].wishes[1].benefit_ns = 900;
	cr_assert_str_eq(plan(&f), "a>1");
	teardown(&f);

	setup(&f);
	wish(&f, "a", 1000, "12");
	f.items[0].wishes[1].benefit_ns = 900;
	f.items[0].move_ns[0] = 80;
	f.items[0].move_ns[1] = 2;
	cr_assert_str_eq(plan(&f), "a>1", "without a horizon a benefit counts for ever");
	f.items[0].granted = NULL;
	f.traffic.moves = 0;
	f.items[0].horizon_ns = 600;
	f.items[0].move_ns[0] = 80;
	f.items[0].move_ns[1] = 2;
	cr_assert_str_eq(plan(&f), "a>2");
	teardown(&f);

	/* One that takes longer than the horizon is made all the same if there is no other. */
	setup(&f);
	wish(&f, "a", 1000, "1");
	f.items[0].horizon_ns = 600;
	f.items[0].move_ns[0] = UINT64_MAX;
	cr_assert_str_eq(plan(&f), "a>1");
	teardown(&f);
}

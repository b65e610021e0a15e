/* SPDX-License-Identifier: Apache-2.0
 *
 * Drained nodes. Their VMs wish to be elsewhere, each round anew and with the planner's
 * limits, until none is left: VMs whose moves fail are tried again after their back-off,
 * and those that find no room leave when there is some. An evacuated node is a drained one
 * that is failing: limits are raised for it, and back-offs do not grow.
 */
#include <string.h>

#include "common/clock.h"
#include "common/move_state.h"
#include "placement/affinity.h"
#include "placement/controller_private.h"

/* Where the VM's group is, counts before where a device's round-trip time is known, and that
 * before where there is much room. */
#define BENEFIT_TOGETHER (3 * NS_PER_S)
#define BENEFIT_NEAR (2 * NS_PER_S)
#define BENEFIT_ROOM NS_PER_S

static uint64_t srtt_from(const struct vm *vm, const struct node *node)
{
	for (size_t i = 0; vm->device && i < vm->device->n_rtts; i++)
		if (vm->device->rtts[i].node == node)
			return vm->device->rtts[i].srtt_ns;
	return 0;
}

static uint64_t benefit(const struct vm *vm, const struct node *target)
{
	const Tagalong__NodeHello *hello = target->hello;
	const struct vm *leader = affinity_leader(vm);
	uint64_t srtt = srtt_from(vm, target);

	if (leader && leader->node == target)
		return BENEFIT_TOGETHER;
	if (srtt)
		return BENEFIT_NEAR - (srtt < BENEFIT_ROOM ? srtt : BENEFIT_ROOM);
	if (!hello->has_memory_bytes || hello->memory_bytes == 0)
		return BENEFIT_ROOM / 2;
	/* It fits: the load is not larger than the memory. */
	return (uint64_t)((double)BENEFIT_ROOM *
			  ((double)(hello->memory_bytes - target->load.memory) /
			   (double)hello->memory_bytes));
}

static void add_wish(struct plan_item *item, const struct policy_wish *wish)
{
	size_t at = item->n_wishes;

	while (at > 0 && item->wishes[at - 1].benefit_ns < wish->benefit_ns)
		at--;
	if (at == POLICY_WISHES_MAX)
		return;
	if (item->n_wishes < POLICY_WISHES_MAX)
		item->n_wishes++;
	memmove(&item->wishes[at + 1], &item->wishes[at],
		(item->n_wishes - at - 1) * sizeof(*item->wishes));
	item->wishes[at] = *wish;
}

const char *drain_word(const struct node *node)
{
	if (node->evacuated)
		return "evacuate";
	return node->drained ? "drain" : "maintenance";
}

const char *drain_state(const struct node *node)
{
	if (node->evacuated)
		return "evacuated";
	return node->drained ? "drained" : "to be maintained";
}

/* The best nodes that have room as it is now. */
static void wish_away(const struct controller *c, struct vm *vm, struct plan_item *item)
{
	static const struct load none = { 0 };
	struct node *node;

	*item = (struct plan_item){ .vm = vm, .urgent = true };
	INDEX_FOREACH(node, &c->fleet.nodes) {
		if (node == vm->node || node_refusal(node) || !node->admitted ||
		    affinity_refusal(vm, node) || !planner_fits(node, &none, vm))
			continue;
		add_wish(item, &(struct policy_wish){
				.target = node->number,
				.benefit_ns = benefit(vm, node),
				.code = drain_word(vm->node),
				.here_ns = srtt_from(vm, vm->node),
				.target_ns = srtt_from(vm, node),
			});
	}
}

static size_t gather_from(const struct controller *c, const struct node *node,
			  struct plan_item *items)
{
	struct vm *vm;
	size_t n = 0;

	INDEX_FOREACH(vm, &node->claimed)
		if (vm->node == node && !vm->move)
			wish_away(c, vm, &items[n++]);
	return n;
}

size_t drain_count(const struct controller *c)
{
	struct node *node;
	size_t n = 0;

	INDEX_FOREACH(node, &c->fleet.nodes)
		n += node_is_emptied(node) && node_is_up(node) ? node->claimed.n : 0;
	return n;
}

size_t drain_gather(const struct controller *c, struct plan_item *items)
{
	struct node *node;
	size_t n = 0;

	INDEX_FOREACH(node, &c->fleet.nodes)
		if (node_is_emptied(node) && node_is_up(node))
			n += gather_from(c, node, items + n);
	return n;
}

void drain_tick(struct controller *c)
{
	if (drain_count(c) > 0)
		decide_soon(c);
}

/* ---- What operators ask -------------------------------------------------------------- */

static void fill_step(const struct controller *c, const struct plan_item *item,
		      Tagalong__DrainStep *step)
{
	const char *problem = item->refusal ? item->refusal : "no node has room for it";

	tagalong__drain_step__init(step);
	step->vm = item->vm->name;
	if (item->granted)
		step->target = c->fleet.by_number[item->granted->target]->name;
	else
		step->problem = (char *)problem;
}

/* The whole drain as one plan, as if any number of VMs could move at once. */
static int make_plan(struct controller *c, const struct node *node, struct arena *arena,
		     Tagalong__DrainPlan *ret)
{
	const struct planner_limits limits = { .moves = UINT32_MAX, .moves_per_node = UINT32_MAX };
	struct plan_item *items = arena_alloc(arena, node->claimed.n + 1, sizeof(*items));
	struct traffic traffic = {
		.nodes = arena_alloc(arena, c->fleet.nodes.n + 1, sizeof(*traffic.nodes)),
	};
	Tagalong__DrainStep *steps;
	size_t n;

	if (arena->failed)
		return -ENOMEM;
	n = gather_from(c, node, items);
	executor_traffic(&c->executor, &traffic);
	if (planner_plan(&c->fleet, &limits, c->fx.now_utc_ns, &traffic, items, n) < 0)
		return -ENOMEM;
	steps = arena_alloc(arena, n + 1, sizeof(*steps));
	ret->steps = arena_alloc(arena, n + 1, sizeof(*ret->steps));
	if (arena->failed)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		fill_step(c, &items[i], &steps[i]);
		ret->steps[ret->n_steps++] = &steps[i];
	}
	return 0;
}

/* What is on its way to a failing node turns back while it can. */
static void turn_back(struct controller *c, const struct node *node)
{
	struct move *move;

	INDEX_FOREACH(move, &c->executor.moves)
		if (move->target == node && move_state_may_cancel(move->entry->info->state))
			executor_cancel(&c->executor, move, "its target is evacuated");
}

static void set_drained(struct controller *c, struct node *node, const Tagalong__NodeDrain *request,
			const char *who)
{
	bool evacuated = request->drained && request->evacuate;

	if (node->drained == request->drained && node->evacuated == evacuated)
		return;
	node->drained = request->drained;
	node->evacuated = evacuated;
	fleet_touch_node(&c->fleet, node);
	effects_decide(&c->fx, node->drained ? drain_word(node) : "undrain", "node=%s by=%s",
		       node->name, who);
	if (evacuated)
		turn_back(c, node);
}

void drain_on_request(struct controller *c, const struct bus_peer *from, const Envelope *e)
{
	const Tagalong__NodeDrain *request = e->node_drain;
	Tagalong__DrainPlan plan = TAGALONG__DRAIN_PLAN__INIT;
	Envelope answer = TAGALONG__ENVELOPE__INIT;
	struct arena arena = { 0 };
	struct mg_error err = { 0 };
	struct node *node;
	int r = request_find_node(c, request->node, &node, &err);

	if (r < 0) {
		request_reply(c, from, e, r, &err);
		return;
	}
	if (request->drained)
		r = make_plan(c, node, &arena, &plan);
	if (r < 0) {
		c->fx.error = r;
	} else {
		answer.body_case = TAGALONG__ENVELOPE__BODY_DRAIN_PLAN;
		answer.drain_plan = &plan;
		effects_reply(&c->fx, from, e->seq, &answer);
		if (!request->dry_run)
			set_drained(c, node, request, from->name);
		drain_tick(c);
	}
	arena_free(&arena);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "placement/planner.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "placement/affinity.h"
#include "placement/assign.h"

/* What it takes of the node already, and counts in its load; NULL: nothing. */
static const struct claim *claim_at(const struct vm *vm, const struct node *node)
{
	for (size_t i = 0; i < vm->n_claims; i++)
		if (vm->claims[i].node == node &&
		    vm->claims[i].state != TAGALONG__VM_STATE__VM_GONE)
			return &vm->claims[i];
	return NULL;
}

bool planner_fits(const struct node *node, const struct load *reserved, const struct vm *vm)
{
	const Tagalong__NodeHello *hello = node->hello;
	const struct claim *there = claim_at(vm, node);
	uint64_t memory;

	if (!hello)
		return false;
	/* Nodes may tell any number: nothing here must wrap around. */
	if (hello->has_memory_bytes &&
	    (__builtin_add_overflow(node->load.memory, reserved->memory, &memory) ||
	     __builtin_add_overflow(memory, there ? 0 : vm->memory, &memory) ||
	     memory > hello->memory_bytes))
		return false;
	return !hello->has_vcpus || (uint64_t)node->load.vcpus + reserved->vcpus +
						    (there ? 0 : vm->vcpus) <= hello->vcpus;
}

void traffic_add(struct traffic *traffic, const struct vm *vm, const struct node *source,
		 const struct node *target)
{
	struct node_traffic *to = &traffic->nodes[target->number];

	if (traffic->routes)
		traffic->routes[traffic->moves] = (struct route){ source->number, target->number };
	traffic->moves++;
	traffic->nodes[source->number].out++;
	to->in++;
	if (!claim_at(vm, target)) {
		to->reserved.memory += vm->memory;
		to->reserved.vcpus += vm->vcpus;
	}
}

/* Why the VM may not leave now, whatever the target; NULL: it may. */
static const char *vm_refusal(const struct plan_item *item, uint64_t now_utc_ns)
{
	const struct vm *vm = item->vm;
	uint64_t since = vm->n_visits > 0 ? vm->visits[0].since_utc_ns : 0;

	if (!vm->node || (vm->state != TAGALONG__VM_STATE__VM_RUNNING &&
			  !(vm->warming && vm->state == TAGALONG__VM_STATE__VM_MOVING)))
		return "it does not run";
	if (!node_is_up(vm->node))
		return "its node is down";
	if (vm->move)
		return "it is moving";
	if (vm->frozen)
		return "it is frozen";
	if (now_utc_ns < vm->retry_utc_ns)
		return "it waits after a failed move";
	/* A clock that was set back must not hold a VM for long. */
	return !item->urgent && since && now_utc_ns >= since && now_utc_ns - since < item->min_stay_ns ?
		       "it has just arrived" :
		       NULL;
}

/* ---- From wishes to a problem ---------------------------------------------------------- */

#define NOT_YET UINT32_MAX
#define LEAST_PART 0.0625

struct link {
	struct route route;
	uint32_t number; /* NOT_YET: a free slot */
};

struct planning {
	const struct fleet *fleet;
	const struct planner_limits *limits;
	struct traffic *traffic;
	struct assign assign;
	uint32_t *local;      /* the problem's number of a node, by its own */
	struct link *links;   /* a hash table, at most half full */
	size_t link_slots;    /* a power of two */
	struct plan_item **of; /* each of the problem's items */
};

static uint32_t minus(unsigned limit, unsigned used)
{
	return limit > used ? limit - used : 0;
}

static uint64_t room(bool limited, uint64_t limit, uint64_t used, uint64_t reserved)
{
	uint64_t taken;

	if (!limited)
		return UINT64_MAX;
	/* Nodes may tell any number: nothing here must wrap around. */
	if (__builtin_add_overflow(used, reserved, &taken) || taken > limit)
		return 0;
	return limit - taken;
}

static uint32_t local_number(struct planning *p, const struct node *node)
{
	uint32_t *local = &p->local[node->number];
	const struct node_traffic *traffic = &p->traffic->nodes[node->number];
	const Tagalong__NodeHello *hello = node->hello;

	if (*local != NOT_YET)
		return *local;
	*local = (uint32_t)p->assign.n_nodes++;
	p->assign.nodes[*local] = (struct assign_node){
		.out = minus(p->limits->moves_per_node, traffic->out),
		.in = minus(p->limits->moves_per_node, traffic->in),
		.memory = hello ? room(hello->has_memory_bytes, hello->memory_bytes,
				       node->load.memory, traffic->reserved.memory) : 0,
		.vcpus = hello ? room(hello->has_vcpus, hello->vcpus, node->load.vcpus,
				      traffic->reserved.vcpus) : 0,
	};
	return *local;
}

static uint32_t link_number(struct planning *p, const struct node *from, const struct node *to)
{
	uint64_t key = (uint64_t)from->number << 32 | to->number;
	size_t at = (key * UINT64_C(0x9e3779b97f4a7c15)) >> 20 & (p->link_slots - 1);
	struct link *link;

	for (;; at = (at + 1) & (p->link_slots - 1)) {
		link = &p->links[at];
		if (link->number == NOT_YET)
			break;
		if (link->route.from == from->number && link->route.to == to->number)
			return link->number;
	}
	link->route = (struct route){ from->number, to->number };
	link->number = (uint32_t)p->assign.n_links++;
	p->assign.links[link->number] = p->limits->moves_per_link;
	for (unsigned m = 0; m < p->traffic->moves; m++)
		if (p->traffic->routes[m].from == from->number &&
		    p->traffic->routes[m].to == to->number && p->assign.links[link->number] > 0)
			p->assign.links[link->number]--;
	return link->number;
}

/* What a wish is worth: its benefit, for what is left of the horizon when the move is done. However
 * long that takes, something is left. */
static int64_t value_of(const struct plan_item *item, size_t i)
{
	uint64_t benefit = item->wishes[i].benefit_ns, move = item->move_ns[i];
	double part = 1;

	if (item->horizon_ns > 0)
		part = fmax(1 - (double)move / (double)item->horizon_ns, LEAST_PART);
	if (part < 1)
		benefit = (uint64_t)((double)benefit * part);
	return benefit < ASSIGN_VALUE_MAX ? (int64_t)benefit + 1 : ASSIGN_VALUE_MAX;
}

/* What a VM takes of the target already, as when it is sent ahead, is no hindrance to itself. */
static void give_back_claim(struct assign_node *node, const struct claim *claim)
{
	if (__builtin_add_overflow(node->memory, claim->memory, &node->memory))
		node->memory = UINT64_MAX;
	if (__builtin_add_overflow(node->vcpus, claim->vcpus, &node->vcpus))
		node->vcpus = UINT64_MAX;
}

/* The wishes that could be granted if nothing else were; the rest of the problem
 * learns of the nodes and links in them. */
static void add_item(struct planning *p, struct plan_item *item)
{
	struct assign_item *to = &p->assign.items[p->assign.n_items];
	const struct vm *vm = item->vm;

	*to = (struct assign_item){ .from = local_number(p, vm->node),
				    .vcpus = vm->vcpus,
				    .memory = vm->memory,
				    .chosen = -1 };
	for (size_t i = 0; i < item->n_wishes; i++) {
		const struct policy_wish *wish = &item->wishes[i];
		const struct node *target = p->fleet->by_number[wish->target];
		uint32_t local;

		if (node_refusal(target) || target == vm->node || affinity_refusal(vm, target))
			continue;
		local = local_number(p, target);
		if (claim_at(vm, target))
			give_back_claim(&p->assign.nodes[local], claim_at(vm, target));
		to->options[to->n_options++] = (struct assign_option){
			.to = local,
			.link = p->links ? link_number(p, vm->node, target) : ASSIGN_NO_LINK,
			.value = value_of(item, i),
		};
	}
	p->of[p->assign.n_items++] = item;
}

/* ---- From a solution to grants ---------------------------------------------------------- */

static const char *target_refusal(const struct planning *p, const struct vm *vm,
				  const struct node *target)
{
	const struct assign *a = &p->assign;
	const char *closed = node_refusal(target);
	const struct assign_node *to;

	if (closed)
		return closed;
	if (target == vm->node)
		return "it is there already";
	closed = affinity_refusal(vm, target);
	if (closed)
		return closed;
	to = &a->nodes[p->local[target->number]];
	if (to->memory < vm->memory || to->vcpus < vm->vcpus)
		return "the target is full";
	if (a->moves == 0)
		return "too many moves at once";
	if (to->in == 0 || a->nodes[p->local[vm->node->number]].out == 0)
		return "too many moves at once on a node";
	return "too many moves at once on a link";
}

/* A VM that it is kept apart from goes to the same node by this very plan. */
static bool is_forestalled(const struct vm *vm, const struct node *target)
{
	for (size_t i = 0; i < vm->n_affinities; i++) {
		const struct affinity *group = vm->affinities[i];

		for (size_t k = 0; group->apart && k < group->n_vms; k++)
			if (group->vms[k]->planned == target)
				return true;
	}
	return false;
}

static void grant(struct planning *p, struct plan_item *item, const struct assign_item *solved)
{
	uint32_t to = solved->options[solved->chosen].to;
	struct node *target;

	item->refusal = NULL;
	for (size_t i = 0; i < item->n_wishes && !item->granted; i++)
		if (p->local[item->wishes[i].target] == to)
			item->granted = &item->wishes[i];
	target = p->fleet->by_number[item->granted->target];
	if (is_forestalled(item->vm, target)) {
		item->granted = NULL;
		item->refusal = "a VM that it is kept apart from goes there";
		assign_give_back(&p->assign, solved, &solved->options[solved->chosen]);
		return;
	}
	item->vm->planned = target;
	traffic_add(p->traffic, item->vm, item->vm->node, target);
}

static bool is_evacuated(const struct vm *vm)
{
	return vm->node && vm->node->evacuated;
}

/* Those in the foreground, or those in the background, within what is left. */
static int plan_kind(struct planning *p, uint64_t now_utc_ns, struct plan_item *items, size_t n,
		     bool evacuated, bool foreground)
{
	struct assign_result result;
	int r;

	p->assign.n_items = 0;
	for (size_t i = 0; i < n; i++) {
		struct plan_item *item = &items[i];

		if (item->vm->foreground != foreground || is_evacuated(item->vm) != evacuated)
			continue;
		item->granted = NULL;
		item->refusal = vm_refusal(item, now_utc_ns);
		if (!item->refusal && item->n_wishes > 0)
			add_item(p, item);
	}
	r = assign_solve(&p->assign, &result);
	if (r < 0)
		return r;
	for (size_t i = 0; i < p->assign.n_items; i++)
		if (p->assign.items[i].chosen < 0)
			p->of[i]->refusal = target_refusal(
				p, p->of[i]->vm, p->fleet->by_number[p->of[i]->wishes[0].target]);
	for (size_t i = 0; i < p->assign.n_items; i++)
		if (p->assign.items[i].chosen >= 0)
			grant(p, p->of[i], &p->assign.items[i]);
	return 0;
}

static uint32_t count_nodes(const struct plan_item *items, size_t n)
{
	uint32_t last = 0;

	for (size_t i = 0; i < n; i++) {
		if (items[i].vm->node && items[i].vm->node->number > last)
			last = items[i].vm->node->number;
		for (size_t k = 0; k < items[i].n_wishes; k++)
			if (items[i].wishes[k].target > last)
				last = items[i].wishes[k].target;
	}
	return last + 1;
}

static int plan_within(const struct fleet *fleet, const struct planner_limits *limits,
		       uint64_t now_utc_ns, struct traffic *traffic, struct plan_item *items,
		       size_t n, bool evacuated)
{
	uint32_t n_nodes = count_nodes(items, n);
	size_t n_links = limits->moves_per_link ? n * POLICY_WISHES_MAX : 0, slots = 1;
	_cleanup_free_ uint32_t *local = malloc(n_nodes * sizeof(*local));
	_cleanup_free_ struct assign_node *nodes = calloc(n_nodes, sizeof(*nodes));
	_cleanup_free_ struct assign_item *assigned = calloc(n + 1, sizeof(*assigned));
	_cleanup_free_ struct plan_item **of = calloc(n + 1, sizeof(*of));
	_cleanup_free_ uint32_t *left = calloc(n_links + 1, sizeof(*left));
	_cleanup_free_ struct link *links = NULL;
	struct planning p = { .fleet = fleet, .limits = limits, .traffic = traffic, .local = local,
			      .of = of };
	int r;

	while (slots < 2 * n_links)
		slots *= 2;
	links = n_links ? malloc(slots * sizeof(*links)) : NULL;
	if (!local || !nodes || !assigned || !of || !left || (n_links && !links))
		return -ENOMEM;
	memset(local, 0xff, n_nodes * sizeof(*local));
	if (links)
		memset(links, 0xff, slots * sizeof(*links));
	p.links = links;
	p.link_slots = slots;
	p.assign = (struct assign){ .items = assigned, .nodes = nodes, .links = left,
				    .moves = minus(limits->moves, traffic->moves) };
	r = plan_kind(&p, now_utc_ns, items, n, evacuated, true);
	return r < 0 ? r : plan_kind(&p, now_utc_ns, items, n, evacuated, false);
}

static unsigned times(unsigned limit, unsigned factor)
{
	unsigned product;

	return __builtin_mul_overflow(limit, factor, &product) ? UINT_MAX : product;
}

static bool any_is_evacuated(const struct plan_item *items, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (is_evacuated(items[i].vm))
			return true;
	return false;
}

int planner_plan(const struct fleet *fleet, const struct planner_limits *limits,
		 uint64_t now_utc_ns, struct traffic *traffic, struct plan_item *items, size_t n)
{
	struct planner_limits raised = *limits;
	int r = 0;

	if (limits->evacuation > 1) {
		raised.moves = times(limits->moves, limits->evacuation);
		raised.moves_per_node = times(limits->moves_per_node, limits->evacuation);
		raised.moves_per_link = times(limits->moves_per_link, limits->evacuation);
	}
	if (any_is_evacuated(items, n))
		r = plan_within(fleet, &raised, now_utc_ns, traffic, items, n, true);
	if (r == 0)
		r = plan_within(fleet, limits, now_utc_ns, traffic, items, n, false);
	for (size_t i = 0; i < n; i++)
		if (items[i].granted)
			items[i].vm->planned = NULL;
	return r;
}

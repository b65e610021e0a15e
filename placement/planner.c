/* SPDX-License-Identifier: Apache-2.0 */
#include "placement/planner.h"

#include <stdlib.h>
#include <string.h>

bool planner_fits(const struct node *node, const struct load *reserved, const struct vm *vm)
{
	const Tagalong__NodeHello *hello = node->hello;
	uint64_t memory;

	if (!hello)
		return false;
	/* Nodes may tell any number: nothing here must wrap around. */
	if (hello->has_memory_bytes &&
	    (__builtin_add_overflow(node->load.memory, reserved->memory, &memory) ||
	     __builtin_add_overflow(memory, vm->memory, &memory) || memory > hello->memory_bytes))
		return false;
	return !hello->has_vcpus ||
	       (uint64_t)node->load.vcpus + reserved->vcpus + vm->vcpus <= hello->vcpus;
}

static bool has_claim(const struct vm *vm, const struct node *node)
{
	for (size_t i = 0; i < vm->n_claims; i++)
		if (vm->claims[i].node == node)
			return true;
	return false;
}

void traffic_add(struct traffic *traffic, const struct vm *vm, const struct node *source,
		 const struct node *target)
{
	struct node_traffic *to = &traffic->nodes[target->number];

	traffic->moves++;
	traffic->nodes[source->number].moves++;
	to->moves++;
	if (!has_claim(vm, target)) {
		to->reserved.memory += vm->memory;
		to->reserved.vcpus += vm->vcpus;
	}
}

/* Why the VM may not leave now, whatever the target; NULL: it may. */
static const char *vm_refusal(const struct vm *vm, uint64_t now_utc_ns)
{
	if (!vm->node || vm->state != TAGALONG__VM_STATE__VM_RUNNING)
		return "it does not run";
	if (!node_is_up(vm->node))
		return "its node is down";
	if (vm->move)
		return "it is moving";
	return now_utc_ns < vm->retry_utc_ns ? "it waits after a failed move" : NULL;
}

static const char *target_refusal(const struct planner_limits *limits,
				  const struct traffic *traffic, const struct vm *vm,
				  const struct node *target)
{
	const struct node_traffic *to = &traffic->nodes[target->number];

	if (!node_is_up(target))
		return "the target is down";
	if (!planner_fits(target, &to->reserved, vm))
		return "the target is full";
	if (traffic->moves >= limits->moves)
		return "too many moves at once";
	if (to->moves >= limits->moves_per_node ||
	    traffic->nodes[vm->node->number].moves >= limits->moves_per_node)
		return "too many moves at once on a node";
	return NULL;
}

static void plan_one(const struct fleet *fleet, const struct planner_limits *limits,
		     uint64_t now_utc_ns, struct traffic *traffic, struct plan_item *item)
{
	item->granted = NULL;
	item->refusal = vm_refusal(item->vm, now_utc_ns);
	if (item->refusal)
		return;
	for (size_t i = 0; i < item->n_wishes; i++) {
		struct node *target = fleet->by_number[item->wishes[i].target];
		const char *refusal = target_refusal(limits, traffic, item->vm, target);

		if (i == 0)
			item->refusal = refusal;
		if (refusal)
			continue;
		item->granted = &item->wishes[i];
		traffic_add(traffic, item->vm, item->vm->node, target);
		return;
	}
}

/* Foreground first, then the largest gain, then the name. */
static int compare_items(const void *a, const void *b)
{
	const struct plan_item *x = a, *y = b;
	uint64_t gain_x = x->n_wishes ? x->wishes[0].benefit_ns : 0;
	uint64_t gain_y = y->n_wishes ? y->wishes[0].benefit_ns : 0;

	if (x->vm->foreground != y->vm->foreground)
		return x->vm->foreground ? -1 : 1;
	if (gain_x != gain_y)
		return gain_x > gain_y ? -1 : 1;
	return strcmp(x->vm->name, y->vm->name);
}

void planner_plan(const struct fleet *fleet, const struct planner_limits *limits,
		  uint64_t now_utc_ns, struct traffic *traffic, struct plan_item *items, size_t n)
{
	qsort(items, n, sizeof(*items), compare_items);
	for (size_t i = 0; i < n; i++)
		plan_one(fleet, limits, now_utc_ns, traffic, &items[i]);
}

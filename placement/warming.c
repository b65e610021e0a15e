/* SPDX-License-Identifier: Apache-2.0
 *
 * Sends a VM's memory ahead of a move that will probably come, so that the move itself is short:
 * the source's migratord is ordered to warm the target (migrator(1), warm). The policy says where
 * a VM will be wanted; that costs bandwidth that nobody needs, for nothing if it was wrong.
 *
 * A warming is nobody's move: no store has it, and it is over when the source says so. When
 * the VM is ordered to move meanwhile, its source calls the warming off by itself and takes the order
 * when that is over; what had arrived counts all the same.
 */
#include <inttypes.h>
#include <string.h>

#include "common/clock.h"
#include "placement/affinity.h"
#include "placement/controller_private.h"
#include "placement/move_cost.h"

#define LIKELY_PERMILLE 500
#define AGAIN_NS (600 * NS_PER_S) /* the same target is not warmed again before */
#define GIVE_UP_NS (600 * NS_PER_S)
#define STREAM_WARMINGS 3

struct warming {
	struct uuid id;
	struct vm *vm;
	struct node *source;
	uint64_t request, begun_ns;
	struct warming *next;
};

static bool fits(const struct vm *vm, const struct node *target)
{
	static const struct load nothing;

	return target->admitted && !node_refusal(target) && !affinity_refusal(vm, target) &&
	       planner_fits(target, &nothing, vm);
}

static bool was_warmed(const struct controller *c, const struct vm *vm, const struct node *target)
{
	return vm->warmed_at == target && c->fx.now_ns - vm->warmed_ns < AGAIN_NS;
}

static void send_order(struct controller *c, const struct warming *w, const struct node *target)
{
	Tagalong__MoveReason reason = TAGALONG__MOVE_REASON__INIT;
	Tagalong__MoveOrder order = TAGALONG__MOVE_ORDER__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	const char *key = NULL;

	if (executor_target_key(&c->executor, target, &key, NULL) < 0)
		return;
	reason.code = (char *)"warm";
	reason.text = (char *)"a move there is likely";
	order.move = (ProtobufCBinaryData){ UUID_SIZE, (uint8_t *)w->id.bytes };
	order.vm = w->vm->name;
	order.target = (char *)target->name;
	order.target_endpoint = target->hello->control_endpoint;
	order.target_public_key = (char *)key;
	order.reason = &reason;
	order.has_priority = true;
	order.priority = TAGALONG__MOVE_PRIORITY__PRIORITY_LOW;
	order.has_warm = order.warm = true;
	order.limits = c->start->limits->move;
	e.body_case = TAGALONG__ENVELOPE__BODY_MOVE_ORDER;
	e.move_order = &order;
	effects_send(&c->fx, &w->source->programs[PROGRAM_MIGRATOR].peer, w->request, &e);
}

static void begin(struct controller *c, struct vm *vm, struct node *target, uint32_t permille)
{
	struct warming *w = calloc(1, sizeof(*w));

	if (!w) {
		c->fx.error = -ENOMEM;
		return;
	}
	decide_make_id(c, STREAM_WARMINGS, w->id.bytes);
	w->vm = vm;
	w->source = vm->node;
	w->request = effects_request(&c->fx);
	w->begun_ns = c->fx.now_ns;
	w->next = c->warmings;
	c->warmings = w;
	vm->warming = true;
	vm->warmed_at = target;
	vm->warmed_ns = c->fx.now_ns;
	effects_decide(&c->fx, "warm", "vm=%s from=%s to=%s likely=%" PRIu32 "%%", vm->name,
		       vm->node->name, target->name, permille / 10);
	send_order(c, w, target);
}

static unsigned count(const struct controller *c)
{
	unsigned n = 0;

	for (const struct warming *w = c->warmings; w; w = w->next)
		n++;
	return n;
}

void warming_consider(struct controller *c, struct device *device, const struct policy_view *view)
{
	struct vm *vm = device_foreground(device);
	struct policy_prospect p;
	struct node *target;

	if (count(c) >= c->start->limits->warmings || !c->policy->foresee || vm->warming ||
	    vm->move || vm->frozen || vm->state != TAGALONG__VM_STATE__VM_RUNNING ||
	    !node_is_up(vm->node) || parameters_group(c, device)->recommend)
		return;
	if (!c->policy->foresee(parameters_of(c, device), c->learnt, device->policy_state, view,
				&p) ||
	    p.permille < LIKELY_PERMILLE)
		return;
	target = c->fleet.by_number[p.target];
	if (target != vm->node && !was_warmed(c, vm, target) && fits(vm, target) &&
	    !move_cost_predict(vm, target).has_image)
		begin(c, vm, target, p.permille);
}

/* ---- The end --------------------------------------------------------------------------- */

static void end(struct controller *c, struct warming **at, const char *how)
{
	struct warming *w = *at;

	effects_decide(&c->fx, "warmed", "vm=%s to=%s %s", w->vm->name,
		       w->vm->warmed_at ? w->vm->warmed_at->name : "-", how);
	w->vm->warming = false;
	if (w->vm->move) /* ordered meanwhile: its source may have waited for this */
		executor_repeat_order(&c->executor, w->vm->move);
	*at = w->next;
	free(w);
}

bool warming_answer(struct controller *c, uint64_t request, const Envelope *e)
{
	for (struct warming **at = &c->warmings; *at; at = &(*at)->next) {
		if ((*at)->request != request)
			continue;
		if (e->body_case == TAGALONG__ENVELOPE__BODY_FAILURE)
			end(c, at, e->failure->text);
		return true;
	}
	return false;
}

/* One that was done ends as aborted, as it is meant to; and says why only if it failed. */
bool warming_result(struct controller *c, const struct node *node, const Tagalong__MoveInfo *info)
{
	for (struct warming **at = &c->warmings; *at; at = &(*at)->next) {
		if ((*at)->source != node ||
		    memcmp((*at)->id.bytes, info->move.data, UUID_SIZE) != 0)
			continue;
		end(c, at, info->failure ? info->failure : "done");
		return true;
	}
	return false;
}

/* Their source has gone, or the order was lost: nobody waits for them. */
void warming_tick(struct controller *c)
{
	struct warming **at = &c->warmings;

	while (*at) {
		if (!node_is_up((*at)->source) || c->fx.now_ns - (*at)->begun_ns >= GIVE_UP_NS)
			end(c, at, "nothing was heard of it");
		else
			at = &(*at)->next;
	}
}

void warming_clear(struct controller *c)
{
	struct warming *next;

	for (struct warming *w = c->warmings; w; w = next) {
		next = w->next;
		free(w);
	}
}

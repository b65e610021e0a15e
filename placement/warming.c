/* SPDX-License-Identifier: Apache-2.0
 *
 * Sends a VM's memory ahead of a move that will probably come, so that the move itself is short:
 * the source's migratord is ordered to warm the target (migrator(1), warm). The policy says where
 * a VM will be wanted; that costs bandwidth that nobody needs, for nothing if it was wrong.
 *
 * A warming is nobody's move, and the store has none: what is under way, hellos tell, also of those
 * that an operator or an earlier controller ordered. It is over when its source says so, or says
 * hello without it. When the VM is ordered to move meanwhile, its source calls the warming off by itself
 * and takes the order when that is over; what had arrived counts all the same.
 */
#include <inttypes.h>
#include <string.h>

#include "common/clock.h"
#include "placement/affinity.h"
#include "placement/controller_private.h"
#include "placement/move_cost.h"

#define CODE "warm" /* of the reason, for which nodes know a warming */
#define LIKELY_PERMILLE 500
#define AGAIN_NS (600 * NS_PER_S)   /* the same target is not warmed again before, */
#define ANOTHER_NS (60 * NS_PER_S)  /* nor another one for the same VM */
#define TOO_LONG_NS (600 * NS_PER_S) /* then it is called off */
#define STREAM_WARMINGS 3

struct warming {
	struct uuid id;
	struct vm *vm;
	struct node *source, *target;
	uint64_t request, cancel_request, begun_ns;
	bool answered; /* the source has the order */
	struct warming *next;
};

static bool is_likely_to_fit(const struct vm *vm, const struct node *target)
{
	static const struct load nothing;

	return target->admitted && !node_refusal(target) && !affinity_refusal(vm, target) &&
	       planner_fits(target, &nothing, vm);
}

static bool was_warmed(const struct controller *c, const struct vm *vm, const struct node *target)
{
	uint64_t ago = c->fx.now_ns - vm->warmed_ns;

	return vm->warmed_at && ago < (vm->warmed_at == target ? AGAIN_NS : ANOTHER_NS);
}

/* ---- What sources are told ------------------------------------------------------------------ */

static void tell_source(struct controller *c, const struct warming *w, uint64_t request, Envelope *e)
{
	const struct program *p = &w->source->programs[PROGRAM_MIGRATOR];

	if (p->up)
		effects_send(&c->fx, &p->peer, request, e);
}

static void send_order(struct controller *c, const struct warming *w)
{
	Tagalong__MoveReason reason = TAGALONG__MOVE_REASON__INIT;
	Tagalong__MoveOrder order = TAGALONG__MOVE_ORDER__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	const char *key = NULL;

	if (executor_target_key(&c->executor, w->target, &key, NULL) < 0)
		return;
	reason.code = (char *)CODE;
	reason.text = (char *)"a move there is likely";
	order.move = (ProtobufCBinaryData){ UUID_SIZE, (uint8_t *)w->id.bytes };
	order.vm = w->vm->name;
	order.target = w->target->name;
	order.target_endpoint = w->target->hello->control_endpoint;
	order.target_public_key = (char *)key;
	order.reason = &reason;
	order.has_priority = true;
	order.priority = TAGALONG__MOVE_PRIORITY__PRIORITY_LOW;
	order.has_warm = order.warm = true;
	order.limits = c->start->limits->move;
	e.body_case = TAGALONG__ENVELOPE__BODY_MOVE_ORDER;
	e.move_order = &order;
	tell_source(c, w, w->request, &e);
}

static void send_cancel(struct controller *c, struct warming *w)
{
	Tagalong__MoveCancel cancel = TAGALONG__MOVE_CANCEL__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	if (!w->cancel_request)
		w->cancel_request = effects_request(&c->fx);
	cancel.move = (ProtobufCBinaryData){ UUID_SIZE, w->id.bytes };
	e.body_case = TAGALONG__ENVELOPE__BODY_MOVE_CANCEL;
	e.move_cancel = &cancel;
	tell_source(c, w, w->cancel_request, &e);
}

/* ---- The beginning -------------------------------------------------------------------------- */

static struct warming *add(struct controller *c, struct vm *vm, struct node *source,
			   struct node *target)
{
	struct warming *w = calloc(1, sizeof(*w));

	if (!w) {
		c->fx.error = -ENOMEM;
		return NULL;
	}
	*w = (struct warming){ .vm = vm, .source = source, .target = target,
			       .begun_ns = c->fx.now_ns, .next = c->warmings };
	c->warmings = w;
	vm->warming = true;
	vm->warmed_at = target;
	vm->warmed_ns = c->fx.now_ns;
	return w;
}

static void begin(struct controller *c, struct vm *vm, struct node *target, uint32_t permille)
{
	struct warming *w = add(c, vm, vm->node, target);

	if (!w)
		return;
	decide_make_id(c, STREAM_WARMINGS, w->id.bytes);
	w->request = effects_request(&c->fx);
	effects_decide(&c->fx, CODE, "vm=%s from=%s to=%s likely=%" PRIu32 "%%", vm->name,
		       vm->node->name, target->name, permille / 10);
	send_order(c, w);
}

/* Those of nodes that are down take no place: they may never come back. */
static unsigned count(const struct controller *c)
{
	unsigned n = 0;

	for (const struct warming *w = c->warmings; w; w = w->next)
		n += node_is_up(w->source);
	return n;
}

static bool may_be_warmed(const struct vm *vm)
{
	return !vm->warming && !vm->move && !vm->frozen &&
	       vm->state == TAGALONG__VM_STATE__VM_RUNNING && node_is_up(vm->node) &&
	       vm->node->hello && vm->node->hello->makes_way;
}

void warming_consider(struct controller *c, struct device *device, const struct policy_view *view)
{
	struct vm *vm = device_foreground(device);
	struct policy_prospect p;
	struct node *target;

	if (count(c) >= c->start->limits->warmings || !c->policy->foresee || !may_be_warmed(vm) ||
	    parameters_group(c, device)->recommend)
		return;
	if (!c->policy->foresee(parameters_of(c, device), c->learnt, device->policy_state, view,
				&p) ||
	    p.permille < LIKELY_PERMILLE)
		return;
	target = c->fleet.by_number[p.target];
	if (target != vm->node && !was_warmed(c, vm, target) && is_likely_to_fit(vm, target) &&
	    !move_cost_predict(vm, target).has_image)
		begin(c, vm, target, p.permille);
}

/* ---- The end -------------------------------------------------------------------------------- */

static struct warming **find(struct controller *c, const struct node *source,
			     const ProtobufCBinaryData *id)
{
	struct warming **at = &c->warmings;

	while (*at && ((*at)->source != source || id->len != UUID_SIZE ||
		       memcmp((*at)->id.bytes, id->data, UUID_SIZE) != 0))
		at = &(*at)->next;
	return at;
}

static void end(struct controller *c, struct warming **at, const char *how)
{
	struct warming *w = *at;

	effects_decide(&c->fx, "warmed", "vm=%s to=%s %s", w->vm->name, w->target->name, how);
	w->vm->warming = false;
	if (w->vm->move) /* ordered meanwhile: its source may have waited for this */
		executor_repeat_order(&c->executor, w->vm->move);
	*at = w->next;
	free(w);
}

bool warming_answer(struct controller *c, uint64_t request, const Envelope *e)
{
	bool failed = e->body_case == TAGALONG__ENVELOPE__BODY_FAILURE;

	for (struct warming **at = &c->warmings; *at; at = &(*at)->next) {
		if ((*at)->cancel_request == request)
			return true;
		if ((*at)->request != request)
			continue;
		(*at)->answered = true;
		if (failed)
			end(c, at, e->failure->text);
		return true;
	}
	return false;
}

/* One that was done ends as aborted, as it is meant to; and says why only if it failed. */
bool warming_result(struct controller *c, const struct node *node, const Tagalong__MoveInfo *info)
{
	struct warming **at = find(c, node, &info->move);

	if (!*at)
		return false;
	end(c, at, info->failure ? info->failure : "done");
	return true;
}

/* ---- What hellos tell ----------------------------------------------------------------------- */

static void learn(struct controller *c, struct node *node, const Tagalong__MoveInfo *info)
{
	struct vm *vm = fleet_vm(&c->fleet, info->vm);
	struct warming *w;
	struct node *target;

	if (!vm || vm->warming || vm->node != node || !node->hello->makes_way)
		return;
	if (fleet_add_node(&c->fleet, info->target, &target) < 0) {
		c->fx.error = -ENOMEM;
		return;
	}
	w = add(c, vm, node, target);
	if (!w)
		return;
	memcpy(w->id.bytes, info->move.data, UUID_SIZE);
	w->answered = true;
}

void warming_hello(struct controller *c, struct node *node, const Tagalong__NodeHello *hello)
{
	struct warming **at = &c->warmings;

	for (size_t i = 0; i < hello->n_moves; i++) {
		const Tagalong__MoveInfo *info = hello->moves[i];

		if (!info->incoming && info->reason && strcmp(info->reason->code, CODE) == 0 &&
		    peer_name_is_valid(info->target) && !*find(c, node, &info->move))
			learn(c, node, info);
	}
	while (*at) {
		bool told = (*at)->source != node || !(*at)->answered;

		for (size_t i = 0; i < hello->n_moves && !told; i++)
			told = memcmp(hello->moves[i]->move.data, (*at)->id.bytes, UUID_SIZE) == 0;
		if (told)
			at = &(*at)->next;
		else
			end(c, at, "its source knows nothing of it");
	}
}

void warming_tick(struct controller *c)
{
	for (struct warming *w = c->warmings; w; w = w->next) {
		if (c->fx.now_ns - w->begun_ns >= TOO_LONG_NS)
			send_cancel(c, w);
		else if (!w->answered)
			send_order(c, w);
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

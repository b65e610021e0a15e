/* SPDX-License-Identifier: Apache-2.0
 *
 * From evidence to orders: each sample is shown to the policy at once; a round
 * asks it for wishes, has the planner grant some and orders those moves. Rounds
 * follow samples, but not more often than the interval.
 */
#include <inttypes.h>
#include <string.h>

#include "common/units.h"
#include "placement/affinity.h"
#include "placement/controller_private.h"
#include "placement/move_cost.h"

/* The random stream that move ids come from. */
#define STREAM_MOVES 1

static bool can_take(const struct node *node, const struct vm *vm, void *userdata)
{
	(void)vm;
	(void)userdata;
	return node->admitted && !node_refusal(node);
}

/* False: there is nothing to see. */
static bool view(struct controller *c, const struct device *device, struct policy_view *ret)
{
	const struct vm *vm = device_foreground(device);

	if (!vm || !vm->node || device->n_rtts == 0)
		return false;
	if (c->candidates_room < c->fleet.nodes.n) {
		struct policy_candidate *candidates =
			reallocarray(c->candidates, c->fleet.nodes.n, sizeof(*candidates));

		if (!candidates) {
			c->fx.error = -ENOMEM;
			return false;
		}
		c->candidates = candidates;
		c->candidates_room = c->fleet.nodes.n;
	}
	fleet_view(device, vm, c->fx.now_ns, c->fx.now_utc_ns, can_take, c, c->candidates, ret);
	return true;
}

void decide_wake(struct controller *c, struct device *device)
{
	if (device->awake)
		return;
	device->awake = true;
	device->next_awake = NULL;
	*c->awake_end = device;
	c->awake_end = &device->next_awake;
}

void decide_sample(struct controller *c, struct device *device)
{
	struct policy_view v;

	if (!view(c, device, &v))
		return;
	c->policy->on_sample(parameters_of(c, device), c->learnt, device->policy_state, &v);
	decide_wake(c, device);
}

/* ---- What the decision log is told ---------------------------------------------------- */

/* A wish is told when it comes, changes or goes, not in every round. */
static void tell_wish(struct controller *c, struct device *device, const struct plan_item *item)
{
	const struct policy_wish *wish = item ? &item->wishes[0] : NULL;
	struct node *target = wish ? c->fleet.by_number[wish->target] : NULL;
	char id[UUID_TEXT_SIZE];

	if (target == device->wished)
		return;
	if (!target)
		device->recommended = NULL;
	device->wished = target;
	device->refused = NULL;
	uuid_format(&device->id, id);
	if (wish)
		effects_decide(&c->fx, "wish",
			       "device=%s vm=%s from=%s to=%s code=%s here_ns=%" PRIu64
			       " target_ns=%" PRIu64 " held_ns=%" PRIu64,
			       id, item->vm->name, item->vm->node->name, target->name, wish->code,
			       wish->here_ns, wish->target_ns, wish->held_ns);
	else
		effects_decide(&c->fx, "content", "device=%s", id);
}

static void tell_refusal(struct controller *c, const struct plan_item *item)
{
	struct device *device = item->vm->device;

	/* Why VMs stay on a drained node, the plan of the drain tells; those in the background
	 * can wait. */
	if (!device || node_is_emptied(item->vm->node) || !item->vm->foreground)
		return;
	/* The phrases are constants: the same one has the same address. */
	if (item->refusal == device->refused)
		return;
	device->refused = item->refusal;
	effects_decide(&c->fx, "refuse", "vm=%s to=%s why=%s", item->vm->name,
		       c->fleet.by_number[item->wishes[0].target]->name, item->refusal);
}

/* ---- Orders ---------------------------------------------------------------------------- */

void decide_make_id(struct controller *c, uint64_t stream, uint8_t id[UUID_SIZE])
{
	for (int i = 0; i < 2; i++) {
		uint64_t v = c->env->random(c->env->userdata, stream, c->random_counter++);

		memcpy(id + 8 * i, &v, sizeof(v));
	}
	id[6] = (uint8_t)((id[6] & 0x0f) | 0x40);
	id[8] = (uint8_t)((id[8] & 0x3f) | 0x80);
}

static void reason_text(const struct plan_item *item, const struct node *target, char *text,
			size_t size)
{
	const struct policy_wish *w = item->granted;
	char here[UNITS_TEXT_SIZE], there[UNITS_TEXT_SIZE], held[UNITS_TEXT_SIZE];

	if (node_is_emptied(item->vm->node))
		snprintf(text, size, "%s is %s", item->vm->node->name,
			 drain_state(item->vm->node));
	else if (affinity_leader(item->vm))
		snprintf(text, size, "kept together with %s", affinity_leader(item->vm)->name);
	else if (!item->vm->foreground)
		snprintf(text, size, "follows %s", device_foreground(item->vm->device)->name);
	else if (w->code == mec012_code)
		snprintf(text, size, "its device is in the cell of %s", target->name);
	else if (item->vm->summoned)
		snprintf(text, size, "brought to the front; RTT %s at %s",
			 duration_format(w->target_ns, there), target->name);
	else
		snprintf(text, size, "RTT %s at %s, %s at %s, for %s",
			 duration_format(w->here_ns, here), item->vm->node->name,
			 duration_format(w->target_ns, there), target->name,
			 duration_format(w->held_ns, held));
}

static void order(struct controller *c, const struct plan_item *item)
{
	const struct policy_wish *w = item->granted;
	struct node *target = c->fleet.by_number[w->target];
	Tagalong__Placement__Evidence evidence = TAGALONG__PLACEMENT__EVIDENCE__INIT;
	Tagalong__MoveOrder move = TAGALONG__MOVE_ORDER__INIT;
	Tagalong__MoveReason reason = TAGALONG__MOVE_REASON__INIT;
	struct arena arena = { 0 };
	struct policy_view seen;
	uint8_t id[UUID_SIZE];
	struct mg_error err;
	char text[256];
	int r;

	decide_make_id(c, STREAM_MOVES, id);
	reason_text(item, target, text, sizeof(text));
	reason.code = (char *)w->code;
	reason.text = text;
	evidence.here_ns = w->here_ns;
	evidence.target_ns = w->target_ns;
	evidence.held_ns = w->held_ns;
	evidence.benefit_ns = w->benefit_ns;
	evidence.has_move_ns = true;
	evidence.move_ns = move_cost_predict(item->vm, target).total_ns;
	move.move = (ProtobufCBinaryData){ UUID_SIZE, id };
	move.vm = item->vm->name;
	move.target = target->name;
	move.reason = &reason;
	move.limits = c->start->limits->move;
	if (item->vm->node->evacuated && item->vm->foreground) {
		move.has_priority = true;
		move.priority = TAGALONG__MOVE_PRIORITY__PRIORITY_HIGH;
	}
	move.has_device = item->vm->device != NULL;
	if (move.has_device)
		move.device = (ProtobufCBinaryData){ UUID_SIZE, item->vm->device->id.bytes };
	if (item->vm->foreground && !item->urgent && !affinity_leader(item->vm) && view(c, item->vm->device, &seen))
		why_record(c, item, &seen, &arena, &evidence);
	r = executor_order(&c->executor, item->vm, target, &move, &evidence, NULL, &err);
	arena_free(&arena);
	if (r < 0) {
		effects_decide(&c->fx, "fail", "vm=%s to=%s %s", item->vm->name, target->name,
			       err.text);
		return;
	}
	if (!move.has_device)
		return;
	item->vm->device->wished = NULL;
	item->vm->device->recommended = NULL;
	item->vm->device->refused = NULL;
}

static void recommend(struct controller *c, const struct plan_item *item)
{
	char text[256];

	reason_text(item, c->fleet.by_number[item->granted->target], text, sizeof(text));
	parameters_recommend(c, item, text);
}

/* ---- Rounds ----------------------------------------------------------------------------- */

/* What the device's VMs wish: the one in the foreground, or when it is content those that
 * follow it. */
static size_t gather_device(struct controller *c, struct device *device, struct plan_item *items)
{
	struct vm *front = device_foreground(device);
	struct policy_view v;
	bool seen;

	/* From a drained node it leaves anyhow; see drain.c. */
	if (front && (front->move || (front->node && node_is_emptied(front->node))))
		return 0;
	items[0] = (struct plan_item){ .vm = front };
	seen = view(c, device, &v);
	/* It goes where its group is; see affinity.h. */
	if (seen && affinity_leader(front))
		return 0;
	if (front && mec012_wishes(c, front, &items[0]) > 0)
		; /* the network knows sooner than what is measured */
	else if (seen && front->summoned)
		pairs_summon(c, front, &v, &items[0]);
	else if (seen)
		items[0].n_wishes = c->policy->wishes(parameters_of(c, device), c->learnt,
						      device->policy_state, &v, items[0].wishes);
	tell_wish(c, device, items[0].n_wishes > 0 ? &items[0] : NULL);
	if (items[0].n_wishes > 0) {
		decide_wake(c, device);
		return 1;
	}
	if (!seen || front->summoned)
		return 0;
	warming_consider(c, device, &v);
	return pairs_gather_followers(c, device, &v, items);
}

/* The wishes of devices, as items of a plan. There is news of all that are asked, or they
 * had a wish in the last round: so what a round costs depends on the samples that came, not
 * on how many devices there are. */
static size_t gather(struct controller *c, struct plan_item *items)
{
	struct device *next = c->awake, *device;
	size_t n = 0;

	c->awake = NULL;
	c->awake_end = &c->awake;
	while ((device = next)) {
		next = device->next_awake;
		device->awake = false;
		n += gather_device(c, device, items + n);
	}
	return n;
}

static size_t count_items(const struct controller *c)
{
	size_t n = drain_count(c) + affinity_count(c);

	for (const struct device *device = c->awake; device; device = device->next_awake)
		n += 1 + device->n_vms;
	return n;
}

/* What the planner wants to know beside the wishes. The benefits of others than the policy are
 * ranks, which the length of a move must not change. */
static void complete(struct controller *c, struct plan_item *item)
{
	const struct policy_parameters *p = parameters_of(c, item->vm->device);

	item->min_stay_ns = p->min_stay_ns;
	if (item->n_wishes == 0 || strcmp(item->wishes[0].code, c->policy->name) != 0)
		return;
	item->horizon_ns = p->horizon_ns;
	for (size_t i = 0; item->vm->node && i < item->n_wishes; i++)
		item->move_ns[i] = move_cost_predict(
			item->vm, c->fleet.by_number[item->wishes[i].target]).total_ns;
}

/* Returns how many come first, each in the order that it had. */
static size_t put_recommended_last(struct controller *c, struct plan_item *items, size_t n)
{
	_cleanup_free_ struct plan_item *last = NULL;
	size_t n_acts = 0, n_last = 0;

	for (size_t i = 0; i < n; i++)
		n_last += parameters_only_recommend(c, &items[i]);
	if (n_last == 0)
		return n;
	last = calloc(n_last, sizeof(*last));
	if (!last) {
		c->fx.error = -ENOMEM;
		return 0;
	}
	n_last = 0;
	for (size_t i = 0; i < n; i++)
		*(parameters_only_recommend(c, &items[i]) ? &last[n_last++] : &items[n_acts++]) =
			items[i];
	memcpy(items + n_acts, last, n_last * sizeof(*last));
	return n_acts;
}

void decide_now(struct controller *c)
{
	const struct planner_limits limits = {
		.moves = c->start->limits->moves,
		.moves_per_node = c->start->limits->moves_per_node,
		.moves_per_link = c->start->limits->moves_per_link,
		.evacuation = c->start->limits->evacuation,
	};
	size_t room = count_items(c);
	_cleanup_free_ struct plan_item *items = calloc(room + 1, sizeof(*items));
	_cleanup_free_ struct node_traffic *nodes = calloc(c->fleet.nodes.n + 1, sizeof(*nodes));
	_cleanup_free_ struct route *routes =
		calloc(c->executor.moves.n + room + 1, sizeof(*routes));
	struct traffic traffic = { .nodes = nodes, .routes = routes };
	size_t n, n_acts;

	c->plan_is_due = false;
	c->planned_ns = c->fx.now_ns;
	if (!items || !nodes || !routes) {
		c->fx.error = -ENOMEM;
		return;
	}
	n = gather(c, items);
	n += drain_gather(c, items + n);
	n += affinity_gather(c, items + n);
	executor_traffic(&c->executor, &traffic);
	for (size_t i = 0; i < n; i++)
		complete(c, &items[i]);
	n_acts = put_recommended_last(c, items, n);
	if (planner_plan(&c->fleet, &limits, c->fx.now_utc_ns, &traffic, items, n_acts) < 0 ||
	    planner_plan(&c->fleet, &limits, c->fx.now_utc_ns, &traffic, items + n_acts,
			 n - n_acts) < 0) {
		c->fx.error = -ENOMEM;
		return;
	}
	for (size_t i = 0; i < n; i++) {
		if (items[i].granted && i >= n_acts)
			recommend(c, &items[i]);
		else if (items[i].granted)
			order(c, &items[i]);
		else
			tell_refusal(c, &items[i]);
	}
}

void decide_soon(struct controller *c)
{
	uint64_t at = c->planned_ns + c->start->interval_ns;

	if (!c->planned_ns || at <= c->fx.now_ns) {
		decide_now(c);
	} else if (!c->plan_is_due) {
		c->plan_is_due = true;
		c->env->timer_set(c->env->userdata, TIMER_PLAN, at);
	}
}

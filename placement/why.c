/* SPDX-License-Identifier: Apache-2.0
 *
 * The reasons of moves. What a policy saw and was told goes with its order into the store,
 * and is there as long as the move is in the history.
 */
#include <string.h>

#include "placement/controller_private.h"
#include "placement/move_cost.h"

static void name_parameters(const struct policy_parameters *p, struct arena *arena,
			    Tagalong__Placement__Evidence *evidence)
{
	const struct {
		const char *name;
		uint64_t value;
	} all[] = {
		{ "threshold_ns", p->threshold_ns },
		{ "hold_ns", p->hold_ns },
		{ "margin_ns", p->margin_ns },
		{ "min_stay_ns", p->min_stay_ns },
		{ "return_guard_ns", p->return_guard_ns },
		{ "max_age_ns", p->max_age_ns },
		{ "min_confidence", p->min_confidence },
		{ "horizon_ns", p->horizon_ns },
		{ "order", p->order },
	};
	Tagalong__NamedNumber *numbers = arena_alloc(arena, ARRAY_SIZE(all), sizeof(*numbers));

	evidence->parameters = arena_alloc(arena, ARRAY_SIZE(all), sizeof(*evidence->parameters));
	if (arena->failed)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		tagalong__named_number__init(&numbers[i]);
		numbers[i].name = (char *)all[i].name;
		numbers[i].value = all[i].value;
		evidence->parameters[evidence->n_parameters++] = &numbers[i];
	}
}

static void fill_cost(const struct vm *vm, const struct node *target,
		      Tagalong__MoveAlternative *ret)
{
	struct move_cost cost;

	if (target == vm->node)
		return;
	cost = move_cost_predict(vm, target);
	ret->has_move_ns = true;
	ret->move_ns = cost.total_ns;
	ret->has_image = ret->image = cost.has_image;
}

static void fill_alternative(const struct controller *c, const struct plan_item *item,
			     const struct policy_candidate *candidate,
			     Tagalong__MoveAlternative *ret)
{
	tagalong__move_alternative__init(ret);
	ret->node = c->fleet.by_number[candidate->node]->name;
	ret->available = candidate->available;
	ret->has_srtt_ns = ret->has_rttvar_ns = ret->has_confidence = ret->has_age_ns =
		candidate->measured;
	ret->srtt_ns = candidate->srtt_ns;
	ret->rttvar_ns = candidate->rttvar_ns;
	ret->confidence = candidate->confidence;
	ret->age_ns = candidate->age_ns;
	fill_cost(item->vm, c->fleet.by_number[candidate->node], ret);
	for (size_t i = 0; i < item->n_wishes; i++) {
		if (item->wishes[i].target != candidate->node)
			continue;
		ret->has_benefit_ns = true;
		ret->benefit_ns = item->wishes[i].benefit_ns;
	}
}

void why_record(struct controller *c, const struct plan_item *item, const struct policy_view *view,
		struct arena *arena, Tagalong__Placement__Evidence *evidence)
{
	size_t n = view->n_candidates;
	Tagalong__MoveAlternative *alternatives = arena_alloc(arena, n + 1, sizeof(*alternatives));

	evidence->policy = (char *)c->policy->name;
	name_parameters(parameters_of(c, item->vm->device), arena, evidence);
	evidence->alternatives = arena_alloc(arena, n + 1, sizeof(*evidence->alternatives));
	for (size_t i = 0; !arena->failed && i < n; i++) {
		fill_alternative(c, item, &view->candidates[i], &alternatives[i]);
		evidence->alternatives[evidence->n_alternatives++] = &alternatives[i];
	}
	if (arena->failed)
		c->fx.error = -ENOMEM;
}

/* ---- What operators ask -------------------------------------------------------------- */

/* What the target's node says of the device by now. */
static void compare(const struct controller *c, Tagalong__MoveWhy *why)
{
	const struct vm *vm = fleet_vm(&c->fleet, why->info->vm);

	for (size_t i = 0; vm && vm->device && i < vm->device->n_rtts; i++) {
		const struct rtt_entry *rtt = &vm->device->rtts[i];

		if (strcmp(rtt->node->name, why->info->target) != 0)
			continue;
		why->has_now_ns = true;
		why->now_ns = rtt->srtt_ns;
	}
}

static void tell(struct controller *c, const struct bus_peer *from, const Envelope *request,
		 const Tagalong__Placement__MoveEntry *entry)
{
	const Tagalong__Placement__Evidence *evidence = entry->evidence;
	Tagalong__MoveWhy why = TAGALONG__MOVE_WHY__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	why.info = entry->info;
	if (evidence) {
		why.policy = evidence->policy;
		why.parameters = evidence->parameters;
		why.n_parameters = evidence->n_parameters;
		why.alternatives = evidence->alternatives;
		why.n_alternatives = evidence->n_alternatives;
		why.has_here_ns = evidence->here_ns > 0;
		why.here_ns = evidence->here_ns;
		why.has_target_ns = evidence->target_ns > 0;
		why.target_ns = evidence->target_ns;
		why.has_held_ns = evidence->held_ns > 0;
		why.held_ns = evidence->held_ns;
		why.has_move_ns = evidence->has_move_ns;
		why.move_ns = evidence->move_ns;
	}
	why.has_after_ns = entry->has_after_ns;
	why.after_ns = entry->after_ns;
	compare(c, &why);
	e.body_case = TAGALONG__ENVELOPE__BODY_MOVE_WHY;
	e.move_why = &why;
	effects_reply(&c->fx, from, request->seq, &e);
}

void why_on_query(struct controller *c, const struct bus_peer *from, const Envelope *e)
{
	const struct move *open = executor_find(&c->executor, &e->why_query->move);
	Tagalong__MoveQuery query = TAGALONG__MOVE_QUERY__INIT;
	Tagalong__Placement__MoveEntry **entries;
	struct mg_error err;
	size_t n;

	if (open) {
		tell(c, from, e, open->entry);
		return;
	}
	query.has_move = true;
	query.move = e->why_query->move;
	if (history_list(c->store, &query, 1, &entries, &n, &err) < 0) {
		effects_reply_failure(&c->fx, from, e->seq, err.code, "%s", err.text);
		return;
	}
	if (n > 0)
		tell(c, from, e, entries[0]);
	else
		effects_reply_failure(&c->fx, from, e->seq, ENOENT,
				      "no such move is remembered; 'migrator history' shows those "
				      "that are");
	history_free(entries, n);
}

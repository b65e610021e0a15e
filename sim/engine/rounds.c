/* SPDX-License-Identifier: Apache-2.0
 *
 * Rounds, as placement/decide.c holds them: those who wish are asked again, the
 * planner grants some wishes, and these become moves. Here only phones that came
 * to a wish since the last round are asked.
 */
#include <string.h>

#include "sim/engine/run.h"

/* When the first of those that wait is heard of, but not too soon after the last round. */
static void expect_round(struct run *run)
{
	uint64_t at = run->n_wishes > 0 ? run->wishes[0].heard_ns : 0;

	if (run->round_is_due || run->n_wishes == 0)
		return;
	if (run->had_round && run->round_ns + run->set->round_ns > at)
		at = run->round_ns + run->set->round_ns;
	run->round_is_due = true;
	if (queue_push(&run->queue, event_make(at, EVENT_ROUND, 0)) < 0)
		run->error = -ENOMEM;
}

void round_wish(struct run *run, uint32_t i)
{
	if (run->n_wishes == run->room_wishes) {
		uint32_t room = run->room_wishes ? 2 * run->room_wishes : 64;
		struct wish_told *wishes = reallocarray(run->wishes, room, sizeof(*wishes));

		if (!wishes) {
			run->error = -ENOMEM;
			return;
		}
		run->wishes = wishes;
		run->room_wishes = room;
	}
	run->phones[i].wishing = true;
	run->wishes[run->n_wishes++] =
		(struct wish_told){ run->now_ns + run->set->probing.delay_ns, i };
	expect_round(run);
}

/* What the planner sees of a phone's VM. */
static void make_vm(const struct run *run, uint32_t i, bool background, struct vm *vm)
{
	uint32_t host = background ? run->background[i].host : phone_host(&run->phones[i]);

	snprintf(vm->name, sizeof(vm->name), "%010u", i);
	vm->node = &run->nodes[host];
	vm->state = TAGALONG__VM_STATE__VM_RUNNING;
	vm->memory = move_machine(run, background)->memory;
	vm->foreground = !background;
}

/* The policy's wishes, or when it is content that of the second VM. */
static void wish(const struct run *run, uint32_t i, const struct policy_view *view,
		 struct plan_item *item, struct vm *vm)
{
	bool background;

	item->n_wishes = run->in->policy->wishes(&run->in->parameters, run->learnt,
						 policy_state(run, i), view, item->wishes);
	item->horizon_ns = run->in->parameters.horizon_ns;
	for (size_t k = 0; k < item->n_wishes; k++)
		item->move_ns[k] = move_expected_ns(run, i, item->wishes[k].target);
	background = item->n_wishes == 0 && background_follows(run, i, view);
	if (background) {
		item->wishes[0] = (struct policy_wish){
			.target = phone_host(&run->phones[i]),
			.code = "follow",
		};
		item->n_wishes = 1;
	}
	make_vm(run, i, background, vm);
	item->vm = vm;
}

/* Of those that have been heard of by now. */
static size_t gather(struct run *run, struct plan_item *items, struct vm *vms)
{
	uint32_t k = 0;
	size_t n = 0;

	for (; k < run->n_wishes && run->wishes[k].heard_ns <= run->now_ns; k++) {
		struct policy_candidate candidates[CANDIDATES_MAX];
		uint32_t i = run->wishes[k].phone;
		struct phone *p = &run->phones[i];
		struct policy_view view;

		p->wishing = false;
		if (!p->present || p->moving)
			continue;
		phone_view(run, i, candidates, &view);
		wish(run, i, &view, &items[n], &vms[n]);
		if (items[n].n_wishes > 0)
			n++;
	}
	run->n_wishes -= k;
	memmove(run->wishes, run->wishes + k, run->n_wishes * sizeof(*run->wishes));
	return n;
}

/* VMs on their way are in their target's load already: nothing is reserved. */
static void count_traffic(const struct run *run, struct traffic *traffic)
{
	traffic->moves = run->n_open;
	for (uint32_t m = 0; m < run->set->moves; m++) {
		if (!run->moves[m].open)
			continue;
		traffic->nodes[run->moves[m].from].out++;
		traffic->nodes[run->moves[m].to].in++;
	}
}

void round_hold(struct run *run)
{
	const struct planner_limits limits = {
		.moves = run->set->moves,
		.moves_per_node = run->set->moves_per_node,
	};
	_cleanup_free_ struct plan_item *items = calloc(run->n_wishes, sizeof(*items));
	_cleanup_free_ struct vm *vms = calloc(run->n_wishes, sizeof(*vms));
	_cleanup_free_ struct node_traffic *nodes = calloc(run->world->towers.n, sizeof(*nodes));
	struct fleet fleet = { .by_number = run->by_number };
	struct traffic traffic = { .nodes = nodes };
	size_t n;

	run->round_is_due = false;
	run->had_round = true;
	run->round_ns = run->now_ns;
	if (!items || !vms || !nodes) {
		run->error = -ENOMEM;
		return;
	}
	n = gather(run, items, vms);
	expect_round(run);
	count_traffic(run, &traffic);
	if (planner_plan(&fleet, &limits, run->now_ns, &traffic, items, n) < 0) {
		run->error = -ENOMEM;
		return;
	}
	for (size_t k = 0; k < n; k++) {
		if (items[k].granted)
			move_begin(run, (uint32_t)strtoul(items[k].vm->name, NULL, 10),
				   items[k].granted->target, !items[k].vm->foreground);
		else if (items[k].vm->foreground)
			run->f.refused++;
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "placement/assign.h"

#define EXACT_ITEMS 128
#define EXACT_WORK (UINT64_C(1) << 22) /* edges: some 10 ms */

bool assign_fits(const struct assign *a, const struct assign_item *item,
		 const struct assign_option *option)
{
	const struct assign_node *to = &a->nodes[option->to];

	return a->moves > 0 && a->nodes[item->from].out > 0 && to->in > 0 &&
	       to->memory >= item->memory && to->vcpus >= item->vcpus &&
	       (option->link == ASSIGN_NO_LINK || a->links[option->link] > 0);
}

void assign_take(struct assign *a, const struct assign_item *item,
		 const struct assign_option *option)
{
	struct assign_node *to = &a->nodes[option->to];

	a->moves--;
	a->nodes[item->from].out--;
	to->in--;
	if (to->memory != UINT64_MAX)
		to->memory -= item->memory;
	if (to->vcpus != UINT64_MAX)
		to->vcpus -= item->vcpus;
	if (option->link != ASSIGN_NO_LINK)
		a->links[option->link]--;
}

void assign_give_back(struct assign *a, const struct assign_item *item,
		      const struct assign_option *option)
{
	struct assign_node *to = &a->nodes[option->to];

	a->moves++;
	a->nodes[item->from].out++;
	to->in++;
	if (to->memory != UINT64_MAX)
		to->memory += item->memory;
	if (to->vcpus != UINT64_MAX)
		to->vcpus += item->vcpus;
	if (option->link != ASSIGN_NO_LINK)
		a->links[option->link]++;
}

static const struct assign_option *best_option(const struct assign_item *item)
{
	const struct assign_option *best = &item->options[0];

	for (uint32_t o = 1; o < item->n_options; o++)
		if (item->options[o].value > best->value)
			best = &item->options[o];
	return best;
}

/* Everybody's first choice, if there is room for all of them. */
static bool take_first_choices(struct assign *a, struct assign_result *ret)
{
	size_t i;

	*ret = (struct assign_result){ .exact = true };
	for (i = 0; i < a->n_items; i++) {
		struct assign_item *item = &a->items[i];
		const struct assign_option *best = best_option(item);

		item->chosen = -1;
		if (item->n_options == 0)
			continue;
		if (!assign_fits(a, item, best))
			break;
		item->chosen = (int32_t)(best - item->options);
		assign_take(a, item, best);
		ret->value += best->value;
	}
	ret->bound = (double)ret->value;
	if (i == a->n_items)
		return true;
	while (i-- > 0)
		if (a->items[i].chosen >= 0)
			assign_give_back(a, &a->items[i],
					 &a->items[i].options[a->items[i].chosen]);
	return false;
}

int assign_solve(struct assign *a, struct assign_result *ret)
{
	int r;

	if (take_first_choices(a, ret))
		return 0;
	r = assign_by_prices(a, ret);
	if (r < 0 || a->n_items > EXACT_ITEMS)
		return r;
	return assign_exact(a, EXACT_WORK, ret);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Between which nodes a device may go: those that are in one list of the configuration are
 * neighbours. A node that is in none is everybody's, and so is each where there are no lists.
 */
#include <string.h>

#include "placement/controller_private.h"

static bool is_in(const Tagalong__Placement__Neighbourhood *list, const char *name)
{
	for (size_t i = 0; i < list->n_nodes; i++)
		if (strcmp(list->nodes[i], name) == 0)
			return true;
	return false;
}

/* Once for each configuration. */
static void find_lists(const struct controller *c, struct node *node)
{
	if (node->lists_edition == c->neighbourhoods_edition)
		return;
	node->lists_edition = c->neighbourhoods_edition;
	node->n_lists = 0;
	for (size_t i = 0; i < c->start->n_neighbourhoods; i++)
		if (node->n_lists < NODE_LISTS_MAX && is_in(c->start->neighbourhoods[i], node->name))
			node->lists[node->n_lists++] = (uint32_t)i;
}

bool neighbours_are(const struct controller *c, struct node *a, struct node *b)
{
	if (a == b || c->start->n_neighbourhoods == 0)
		return true;
	find_lists(c, a);
	find_lists(c, b);
	for (size_t i = 0; i < a->n_lists; i++)
		for (size_t k = 0; k < b->n_lists; k++)
			if (a->lists[i] == b->lists[k])
				return true;
	return a->n_lists == 0 || b->n_lists == 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "placement/assign.h"
#include "placement/mincost.h"

#define FREE (-1)
#define SOURCE 0
#define SINK 1

/* A part of the tree: some items are settled, some options are ruled out. */
struct search {
	struct assign *a; /* what is left besides the settled items */
	struct mincost *net;
	int32_t *settled;  /* an option each, or FREE */
	uint8_t *excluded; /* a bit an option */
	uint32_t *edges;   /* of each item's options */
	int32_t *found;    /* the best choice so far */
	int64_t best, settled_value;
	uint64_t work;
};

static bool is_open(const struct search *s, size_t i, uint32_t k)
{
	const struct assign_item *item = &s->a->items[i];

	return s->settled[i] == FREE && !(s->excluded[i] & 1u << k) &&
	       assign_fits(s->a, item, &item->options[k]);
}

static int compare_sizes(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static uint32_t count_fitting(uint64_t *sizes, uint32_t n, uint64_t room)
{
	uint32_t fit = 0;

	if (room == UINT64_MAX)
		return n;
	qsort(sizes, n, sizeof(*sizes), compare_sizes);
	while (fit < n && sizes[fit] <= room)
		room -= sizes[fit++];
	return fit;
}

/* How many items the node takes at most: the smallest of those that want there. */
static int slots(const struct search *s, uint32_t node, uint32_t *ret)
{
	const struct assign_node *left = &s->a->nodes[node];
	size_t n = s->a->n_items;
	_cleanup_free_ uint64_t *sizes = calloc(2 * n + 1, sizeof(*sizes));
	uint32_t n_sizes = 0, fit, other;

	if (!sizes)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		bool wants = false;

		for (uint32_t k = 0; k < s->a->items[i].n_options; k++)
			wants = wants || (s->a->items[i].options[k].to == node && is_open(s, i, k));
		if (!wants)
			continue;
		sizes[n_sizes] = s->a->items[i].memory;
		sizes[n + n_sizes++] = s->a->items[i].vcpus;
	}
	fit = count_fitting(sizes, n_sizes, left->memory);
	other = count_fitting(sizes + n, n_sizes, left->vcpus);
	fit = other < fit ? other : fit;
	*ret = left->in < fit ? left->in : fit;
	return 0;
}

/* source -> node it leaves -> item -> link -> node it goes to -> sink */
static int build(struct search *s)
{
	const struct assign *a = s->a;
	uint32_t n = (uint32_t)a->n_nodes, out = 2, in = out + n, links = in + n;
	uint32_t items = links + (uint32_t)a->n_links, room;
	_cleanup_free_ bool *linked = calloc(a->n_links + 1, sizeof(*linked));

	if (!linked)
		return -ENOMEM;
	mincost_reset(s->net);
	for (uint32_t v = 0; v < n; v++) {
		int r = slots(s, v, &room);

		if (r < 0)
			return r;
		mincost_edge(s->net, SOURCE, out + v, a->nodes[v].out, 0);
		mincost_edge(s->net, in + v, SINK, room, 0);
	}
	for (size_t i = 0; i < a->n_items; i++) {
		const struct assign_item *item = &a->items[i];

		if (s->settled[i] != FREE)
			continue;
		mincost_edge(s->net, out + item->from, items + (uint32_t)i, 1, 0);
		for (uint32_t k = 0; k < item->n_options; k++) {
			const struct assign_option *o = &item->options[k];
			bool by_link = o->link != ASSIGN_NO_LINK;

			if (!is_open(s, i, k))
				continue;
			s->edges[i * ASSIGN_OPTIONS_MAX + k] = mincost_edge(
				s->net, items + (uint32_t)i,
				by_link ? links + o->link : in + o->to, 1, -o->value);
			if (by_link && !linked[o->link])
				mincost_edge(s->net, links + o->link, in + o->to,
					     a->links[o->link], 0);
			if (by_link)
				linked[o->link] = true;
		}
	}
	return 0;
}

/* What the flow chose for the item, or -1. */
static int32_t flow_choice(const struct search *s, size_t i)
{
	for (uint32_t k = 0; k < s->a->items[i].n_options; k++)
		if (is_open(s, i, k) &&
		    mincost_flow(s->net, s->edges[i * ASSIGN_OPTIONS_MAX + k]) > 0)
			return (int32_t)k;
	return -1;
}

/* The largest item at a node that the flow has filled beyond its room; false: there is none. */
static bool find_conflict(const struct search *s, const int32_t *choice, size_t *ret)
{
	const struct assign *a = s->a;

	for (uint32_t v = 0; v < a->n_nodes; v++) {
		uint64_t memory = 0, vcpus = 0, largest = 0;
		bool found = false;

		for (size_t i = 0; i < a->n_items; i++) {
			const struct assign_item *item = &a->items[i];

			if (choice[i] < 0 || item->options[choice[i]].to != v)
				continue;
			memory += item->memory;
			vcpus += item->vcpus;
			if (!found || item->memory > largest) {
				*ret = i;
				largest = item->memory;
			}
			found = true;
		}
		if (memory > a->nodes[v].memory || vcpus > a->nodes[v].vcpus)
			return true;
	}
	return false;
}

static void keep_best(struct search *s, const int32_t *choice, int64_t value)
{
	s->best = value;
	for (size_t i = 0; i < s->a->n_items; i++)
		s->found[i] = s->settled[i] != FREE ? s->settled[i] : choice[i];
}

static int descend(struct search *s);

/* Both ways to go on: the item goes there for sure, or does not. */
static int branch(struct search *s, size_t i, int32_t k)
{
	const struct assign_item *item = &s->a->items[i];
	const struct assign_option *o = &item->options[k];
	int r;

	s->settled[i] = k;
	s->settled_value += o->value;
	assign_take(s->a, item, o);
	r = descend(s);
	assign_give_back(s->a, item, o);
	s->settled_value -= o->value;
	s->settled[i] = FREE;
	if (r < 0)
		return r;
	s->excluded[i] |= (uint8_t)(1u << k);
	r = descend(s);
	s->excluded[i] &= (uint8_t)~(1u << k);
	return r;
}

static int descend(struct search *s)
{
	_cleanup_free_ int32_t *choice = calloc(s->a->n_items + 1, sizeof(*choice));
	uint64_t look = s->a->n_items * s->a->n_nodes; /* what slots() looks at */
	int64_t value;
	size_t at = 0;
	int r;

	if (!choice)
		return -ENOMEM;
	s->work -= look < s->work ? look : s->work;
	if (s->work == 0)
		return 0;
	r = build(s);
	if (r < 0)
		return r;
	value = s->settled_value - mincost_run(s->net, SOURCE, SINK, s->a->moves, &s->work);
	if (s->work == 0 || value <= s->best)
		return 0;
	for (size_t i = 0; i < s->a->n_items; i++)
		choice[i] = flow_choice(s, i);
	if (find_conflict(s, choice, &at))
		return branch(s, at, choice[at]);
	keep_best(s, choice, value);
	return 0;
}

/* Puts the choices of the items into effect, or takes that back. */
static void apply(struct assign *a, bool take)
{
	for (size_t i = 0; i < a->n_items; i++) {
		const struct assign_item *item = &a->items[i];

		if (item->chosen >= 0)
			(take ? assign_take : assign_give_back)(a, item,
								&item->options[item->chosen]);
	}
}

static int search(struct search *s, struct assign_result *ret)
{
	struct assign *a = s->a;
	int r;

	for (size_t i = 0; i < a->n_items; i++) {
		s->settled[i] = FREE;
		s->found[i] = a->items[i].chosen;
	}
	s->best = ret->value;
	apply(a, false);
	r = descend(s);
	for (size_t i = 0; i < a->n_items && r == 0; i++)
		a->items[i].chosen = s->found[i];
	apply(a, true);
	if (r < 0)
		return r;
	ret->value = s->best;
	ret->exact = s->work > 0;
	if (ret->exact)
		ret->bound = (double)s->best;
	return 0;
}

int assign_exact(struct assign *a, uint64_t work, struct assign_result *ret)
{
	size_t n = a->n_items;
	_cleanup_free_ int32_t *settled = calloc(2 * n + 1, sizeof(*settled));
	_cleanup_free_ uint8_t *excluded = calloc(n + 1, sizeof(*excluded));
	_cleanup_free_ uint32_t *edges = calloc(n * ASSIGN_OPTIONS_MAX + 1, sizeof(*edges));
	_cleanup_(mincost_free_p) struct mincost *net = NULL;
	struct search s = { .a = a, .settled = settled, .excluded = excluded, .edges = edges,
			    .work = work };
	int r;

	if (!settled || !excluded || !edges)
		return -ENOMEM;
	s.found = settled + n;
	r = mincost_new((uint32_t)(2 + 2 * a->n_nodes + a->n_links + n),
			(uint32_t)(2 * a->n_nodes + a->n_links + n * (1 + ASSIGN_OPTIONS_MAX)),
			&net);
	if (r < 0)
		return r;
	s.net = net;
	return search(&s, ret);
}

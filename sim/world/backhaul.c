/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/world/backhaul.h"

#include <math.h>
#include <string.h>

#include "sim/engine/queue.h"

#define UNREACHED UINT32_MAX

void backhaul_clear(struct backhaul *b)
{
	free(b->edges);
	free(b->delay_us);
	free(b->via);
	*b = (struct backhaul){ 0 };
}

static int add_edge(struct backhaul *b, uint32_t from, uint32_t to)
{
	struct backhaul_edge e = { from < to ? from : to, from < to ? to : from };

	if (b->n_edges == b->room) {
		uint32_t room = b->room ? b->room * 2 : 64;
		struct backhaul_edge *edges = reallocarray(b->edges, room, sizeof(*edges));

		if (!edges)
			return -ENOMEM;
		b->edges = edges;
		b->room = room;
	}
	b->edges[b->n_edges++] = e;
	return 0;
}

static int link_neighbours(struct backhaul *b, unsigned links, const struct towers *t)
{
	uint32_t near[BACKHAUL_LINKS_MAX + 1];
	int r = 0;

	for (uint32_t i = 0; i < t->n && r == 0; i++) {
		size_t n = towers_nearest(t, t->at[i], links + 1, near);

		for (size_t k = 0; k < n && r == 0; k++)
			if (near[k] != i)
				r = add_edge(b, i, near[k]);
	}
	return r;
}

/* The shortest tree over all towers (Prim): with it there are no islands. */
static int link_tree(struct backhaul *b, const struct towers *t)
{
	_cleanup_free_ double *best = calloc(t->n, sizeof(*best));
	_cleanup_free_ uint32_t *from = calloc(t->n, sizeof(*from));
	uint32_t at = 0;
	int r = best && from ? 0 : -ENOMEM;

	for (uint32_t i = 1; i < t->n && r == 0; i++)
		best[i] = INFINITY;
	for (uint32_t done = 1; done < t->n && r == 0; done++) {
		uint32_t next = UNREACHED;

		best[at] = -1; /* is in the tree */
		for (uint32_t i = 0; i < t->n; i++) {
			double d = distance_squared(t->at[at], t->at[i]);

			if (best[i] < 0)
				continue;
			if (d < best[i]) {
				best[i] = d;
				from[i] = at;
			}
			if (next == UNREACHED || best[i] < best[next])
				next = i;
		}
		r = add_edge(b, from[next], next);
		at = next;
	}
	return r;
}

static int compare_edges(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct backhaul_edge));
}

/* Links found from both ends, or twice, are one. */
static void drop_doubles(struct backhaul *b)
{
	uint32_t n = 0;

	if (b->n_edges == 0)
		return;
	qsort(b->edges, b->n_edges, sizeof(*b->edges), compare_edges);
	for (uint32_t i = 0; i < b->n_edges; i++)
		if (n == 0 || compare_edges(&b->edges[i], &b->edges[n - 1]) != 0)
			b->edges[n++] = b->edges[i];
	b->n_edges = n;
}

/* ---- Ways ------------------------------------------------------------------------------ */

/* The edges of tower i are of[first[i]] up to of[first[i + 1] - 1]. */
struct adjacency {
	uint32_t *first, *of, *delay_us;
};

static void adjacency_clear(struct adjacency *a)
{
	free(a->first);
	free(a->of);
	free(a->delay_us);
}

static int adjacency_make(const struct backhaul_parameters *p, const struct backhaul *b,
			  const struct towers *t, struct adjacency *a)
{
	a->first = calloc((size_t)b->n + 2, sizeof(*a->first));
	a->of = calloc((size_t)b->n_edges * 2 + 1, sizeof(*a->of));
	a->delay_us = calloc((size_t)b->n_edges + 1, sizeof(*a->delay_us));
	if (!a->first || !a->of || !a->delay_us)
		return -ENOMEM;
	for (uint32_t i = 0; i < b->n_edges; i++) {
		const struct backhaul_edge *e = &b->edges[i];
		double km = sqrt(distance_squared(t->at[e->a], t->at[e->b])) / 1000;

		a->delay_us[i] = (uint32_t)lround(((double)p->hop_ns + km * p->ns_per_km) / 1000);
		a->first[e->a + 2]++;
		a->first[e->b + 2]++;
	}
	for (uint32_t i = 2; i < b->n + 2; i++)
		a->first[i] += a->first[i - 1];
	for (uint32_t i = 0; i < b->n_edges; i++) {
		a->of[a->first[b->edges[i].a + 1]++] = i;
		a->of[a->first[b->edges[i].b + 1]++] = i;
	}
	return 0;
}

/* Dijkstra from `to`: for every tower the delay to it and the first link. Links
 * have the same delay both ways. Of equal ways the one found first stays, which
 * the order of towers and links fixes. */
static int find_ways(struct backhaul *b, const struct adjacency *a, uint32_t to,
		     struct event_queue *queue)
{
	int r = queue_push(queue, (struct event){ 0, to });

	b->delay_us[(size_t)to * b->n + to] = 0;
	while (r == 0 && queue->n > 0) {
		struct event first = queue->events[0];
		uint32_t at = (uint32_t)first.what;

		queue_pop(queue);
		if (first.t_ns > b->delay_us[(size_t)at * b->n + to])
			continue;
		for (uint32_t i = a->first[at]; i < a->first[at + 1] && r == 0; i++) {
			const struct backhaul_edge *e = &b->edges[a->of[i]];
			uint32_t other = e->a == at ? e->b : e->a;
			uint64_t delay = first.t_ns + a->delay_us[a->of[i]];

			if (delay >= UNREACHED)
				delay = UNREACHED - 1;
			if (delay >= b->delay_us[(size_t)other * b->n + to])
				continue;
			b->delay_us[(size_t)other * b->n + to] = (uint32_t)delay;
			b->via[(size_t)other * b->n + to] = a->of[i];
			r = queue_push(queue, (struct event){ delay, other });
		}
	}
	return r;
}

static int find_all_ways(const struct backhaul_parameters *p, struct backhaul *b,
			 const struct towers *t)
{
	_cleanup_(adjacency_clear) struct adjacency a = { 0 };
	_cleanup_(queue_clear) struct event_queue queue = { 0 };
	size_t pairs = (size_t)b->n * b->n;
	int r = adjacency_make(p, b, t, &a);

	if (r < 0)
		return r;
	b->delay_us = malloc(pairs * sizeof(*b->delay_us));
	b->via = calloc(pairs, sizeof(*b->via));
	if (!b->delay_us || !b->via)
		return -ENOMEM;
	memset(b->delay_us, 0xff, pairs * sizeof(*b->delay_us)); /* UNREACHED */
	for (uint32_t to = 0; to < b->n && r == 0; to++)
		r = find_ways(b, &a, to, &queue);
	return r;
}

int backhaul_make(const struct backhaul_parameters *p, const struct towers *towers,
		  struct backhaul *ret, struct mg_error *err)
{
	_cleanup_(backhaul_clear) struct backhaul b = { .n = towers->n, .rate_bps = p->rate_bps };
	int r;

	if (towers->n > BACKHAUL_TOWERS_MAX)
		return mg_error_set(err, -E2BIG, "%u towers: a backhaul has at most %d", towers->n,
				    BACKHAUL_TOWERS_MAX);
	r = link_neighbours(&b, p->links, towers);
	if (r == 0)
		r = link_tree(&b, towers);
	drop_doubles(&b);
	if (r == 0)
		r = find_all_ways(p, &b, towers);
	if (r < 0)
		return mg_error_set(err, r, "out of memory");
	*ret = b;
	b = (struct backhaul){ 0 };
	return 0;
}

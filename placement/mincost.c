/* SPDX-License-Identifier: Apache-2.0 */
#include "placement/mincost.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define NONE UINT32_MAX
#define FAR INT64_MAX

/* An edge and its reverse are neighbours: e ^ 1. What flows is the reverse's capacity. */
struct edge {
	uint32_t to, next, capacity;
	int64_t cost;
};

struct vertex {
	uint32_t first; /* edge */
	uint32_t by;    /* edge on the shortest path to here */
	int64_t distance;
	bool queued;
};

struct mincost {
	struct vertex *vertices;
	struct edge *edges;
	uint32_t *queue; /* a ring: each vertex is in it once at most */
	uint32_t n_vertices, n_edges;
};

int mincost_new(uint32_t n_vertices, uint32_t n_edges, struct mincost **ret)
{
	_cleanup_(mincost_free_p) struct mincost *net = calloc(1, sizeof(*net));

	if (!net)
		return -ENOMEM;
	net->n_vertices = n_vertices;
	net->vertices = calloc((size_t)n_vertices + 1, sizeof(*net->vertices));
	net->edges = calloc(2 * (size_t)n_edges + 1, sizeof(*net->edges));
	net->queue = calloc((size_t)n_vertices + 1, sizeof(*net->queue));
	if (!net->vertices || !net->edges || !net->queue)
		return -ENOMEM;
	mincost_reset(net);
	*ret = TAKE_PTR(net);
	return 0;
}

void mincost_free(struct mincost *net)
{
	if (!net)
		return;
	free(net->vertices);
	free(net->edges);
	free(net->queue);
	free(net);
}

void mincost_reset(struct mincost *net)
{
	net->n_edges = 0;
	for (uint32_t v = 0; v < net->n_vertices; v++)
		net->vertices[v] = (struct vertex){ .first = NONE };
}

static void add_half(struct mincost *net, uint32_t from, uint32_t to, uint32_t capacity,
		     int64_t cost)
{
	struct vertex *v = &net->vertices[from];

	net->edges[net->n_edges] = (struct edge){ to, v->first, capacity, cost };
	v->first = net->n_edges++;
}

uint32_t mincost_edge(struct mincost *net, uint32_t from, uint32_t to, uint32_t capacity,
		      int64_t cost)
{
	uint32_t number = net->n_edges;

	add_half(net, from, to, capacity, cost);
	add_half(net, to, from, 0, -cost);
	return number;
}

/* Leaves each vertex with its distance and the edge by which it is reached. */
static void find_paths(struct mincost *net, uint32_t source, uint64_t *work)
{
	uint32_t head = 0, tail = 0, n = net->n_vertices;

	for (uint32_t v = 0; v < n; v++) {
		net->vertices[v].distance = FAR;
		net->vertices[v].by = NONE;
	}
	net->vertices[source].distance = 0;
	net->queue[tail++] = source;
	while (head != tail && *work > 0) {
		struct vertex *v = &net->vertices[net->queue[head]];

		head = head == n ? 0 : head + 1;
		v->queued = false;
		for (uint32_t e = v->first; e != NONE && *work > 0; e = net->edges[e].next) {
			const struct edge *edge = &net->edges[e];
			struct vertex *to = &net->vertices[edge->to];

			--*work;
			if (edge->capacity == 0 || v->distance + edge->cost >= to->distance)
				continue;
			to->distance = v->distance + edge->cost;
			to->by = e;
			if (to->queued)
				continue;
			to->queued = true;
			net->queue[tail] = edge->to;
			tail = tail == n ? 0 : tail + 1;
		}
	}
	while (head != tail) {
		net->vertices[net->queue[head]].queued = false;
		head = head == n ? 0 : head + 1;
	}
}

/* Sends what the path to the sink carries, at most `limit`; returns how much. */
static uint32_t send_along(struct mincost *net, uint32_t source, uint32_t sink, uint32_t limit)
{
	uint32_t amount = limit;

	for (uint32_t v = sink; v != source;) {
		const struct edge *e = &net->edges[net->vertices[v].by];

		if (e->capacity < amount)
			amount = e->capacity;
		v = net->edges[net->vertices[v].by ^ 1].to;
	}
	for (uint32_t v = sink; v != source;) {
		uint32_t e = net->vertices[v].by;

		net->edges[e].capacity -= amount;
		net->edges[e ^ 1].capacity += amount;
		v = net->edges[e ^ 1].to;
	}
	return amount;
}

int64_t mincost_run(struct mincost *net, uint32_t source, uint32_t sink, uint32_t limit,
		    uint64_t *work)
{
	int64_t cost = 0;

	while (limit > 0) {
		int64_t distance;
		uint32_t sent;

		find_paths(net, source, work);
		distance = net->vertices[sink].distance;
		/* Cut off in the middle, a path may not be the shortest. */
		if (*work == 0 || distance == FAR || distance >= 0)
			break;
		sent = send_along(net, source, sink, limit);
		limit -= sent;
		cost += sent * distance;
	}
	return cost;
}

uint32_t mincost_flow(const struct mincost *net, uint32_t edge)
{
	return net->edges[edge ^ 1].capacity;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * The network between towers: each is linked with its nearest neighbours, and
 * where that leaves islands, by the shortest links that join them. Packets take
 * the way of least delay. A link's rate is shared by the moves on it.
 */
#ifndef SIM_WORLD_BACKHAUL_H
#define SIM_WORLD_BACKHAUL_H

#include "sim/world/towers.h"

#define BACKHAUL_TOWERS_MAX 4096 /* all pairs of towers are tabled */
#define BACKHAUL_LINKS_MAX 16

struct backhaul_parameters {
	unsigned links;    /* to nearest neighbours, at least */
	uint64_t hop_ns;   /* one way, for each link: queues and switches */
	double ns_per_km;  /* one way */
	uint64_t rate_bps; /* bytes a second, of each link and direction */
};

struct backhaul {
	uint32_t n;
	uint64_t rate_bps;
	struct backhaul_edge {
		uint32_t a, b;
	} * edges;
	uint32_t n_edges, room;
	uint32_t *delay_us; /* [from * n + to], one way */
	uint32_t *via;      /* [from * n + to], the edge that a packet to `to` takes at `from` */
};

int backhaul_make(const struct backhaul_parameters *p, const struct towers *towers,
		  struct backhaul *ret, struct mg_error *err);
void backhaul_clear(struct backhaul *b);

static inline uint64_t backhaul_delay_ns(const struct backhaul *b, uint32_t from, uint32_t to)
{
	return (uint64_t)b->delay_us[(size_t)from * b->n + to] * 1000;
}

/* The link that leads on from `*at` to `to`; moves `*at` to its other end. The
 * number is that of the direction: twice the edge's, plus one when it is walked from
 * b to a. `*at` is not `to`. */
static inline uint32_t backhaul_step(const struct backhaul *b, uint32_t *at, uint32_t to)
{
	uint32_t i = b->via[(size_t)*at * b->n + to];
	bool backwards = b->edges[i].b == *at;

	*at = backwards ? b->edges[i].a : b->edges[i].b;
	return 2 * i + backwards;
}

#endif

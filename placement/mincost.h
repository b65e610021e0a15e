/* SPDX-License-Identifier: Apache-2.0
 *
 * Minimum-cost flow by successive shortest paths (Ahuja, Magnanti, Orlin: Network
 * Flows, 9.7; the paths by Bellman and Ford with a queue, so costs may be negative
 * as long as no cycle is). Integers only: the same network gives the same flow.
 */
#ifndef PLACEMENT_MINCOST_H
#define PLACEMENT_MINCOST_H

#include <stdint.h>

#include "common/cleanup.h"

struct mincost;

/* Room for so many vertices and edges. -ENOMEM. */
int mincost_new(uint32_t n_vertices, uint32_t n_edges, struct mincost **ret);
void mincost_free(struct mincost *net);
DEFINE_CLEANUP(struct mincost, mincost_free)

/* Without edges again, for another network of the same size. */
void mincost_reset(struct mincost *net);

/* Adds an edge; the number by which mincost_flow() knows it. */
uint32_t mincost_edge(struct mincost *net, uint32_t from, uint32_t to, uint32_t capacity,
		      int64_t cost);

/* Sends at most `limit` units from source to sink, as long as one more lowers the
 * cost. Takes the edges that were looked at from `work` and stops at 0. Returns the cost. */
int64_t mincost_run(struct mincost *net, uint32_t source, uint32_t sink, uint32_t limit,
		    uint64_t *work);

uint32_t mincost_flow(const struct mincost *net, uint32_t edge);

#endif

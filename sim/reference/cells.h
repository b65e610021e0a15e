/* SPDX-License-Identifier: Apache-2.0
 *
 * Users who are in one cell of a network in each slot, or absent, and services
 * that may follow them: every cell is a host, without limits. Times are slots.
 *
 * A move over d hops costs 1 + m - m 0.8^d, being d hops away 1 - 0.8^d a slot, both nothing at
 * d = 0 (Wang, Urgaonkar et al., arXiv 1506.05261). In each slot the user's cell is known, the
 * service may move once, and then pays for its distance. After each absence it starts, free, in the
 * user's cell.
 */
#ifndef SIM_REFERENCE_CELLS_H
#define SIM_REFERENCE_CELLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

#define CELL_ABSENT UINT16_MAX
#define CELLS_MAX 4096
#define CELL_USERS_MAX 65536
#define CELL_SLOTS_MAX 1000000
#define CELL_HOPS_MAX 1024

struct cell_map {
	size_t n;
	double *lat, *lon;
	uint16_t *hops; /* n x n */
};

/* A table id,lat,lon with ids from 1 in order. Hops are ceil(distance in degrees / degrees
 * per hop), at most CELL_HOPS_MAX. An error names the line. */
int cell_map_parse(const char *text, size_t len, double degrees_per_hop, struct cell_map *ret,
		   struct mg_error *err);
void cell_map_clear(struct cell_map *map);

struct cell_trace {
	size_t users, slots;
	uint16_t *cell; /* users x slots, in the order of time: from 0, or CELL_ABSENT */
};

/* A row a slot and a column a user, 1 to `cells` or 0 for absent; `reversed`: the first row is the
 * last slot. */
int cell_trace_parse(const char *text, size_t len, size_t cells, bool reversed,
		     struct cell_trace *ret, struct mg_error *err);
void cell_trace_clear(struct cell_trace *trace);

static inline const uint16_t *cell_trace_user(const struct cell_trace *trace, size_t user)
{
	return trace->cell + user * trace->slots;
}

struct cell_costs {
	size_t n;
	float *move, *away; /* n x n */
	float move_min;     /* the cheapest move */
};

/* -ENOMEM. */
int cell_costs_make(const struct cell_map *map, double m, struct cell_costs *ret);
void cell_costs_clear(struct cell_costs *costs);

/* values[s] = min over a of move(s, a) + rest[a]. Both have n items, and do not overlap. */
void cell_costs_relocate(const struct cell_costs *costs, const float *rest, float *values);

struct cell_score {
	double cost;
	size_t slots; /* in which a user was there */
};

/* The least that slots first to end - 1 can cost, with all of the future known: dynamic
 * programming. -ENOMEM. */
int cell_optimum(const struct cell_costs *costs, const struct cell_trace *trace, size_t first,
		 size_t end, struct cell_score *ret);

/* Policies without parameters but T. */
struct cell_score cell_never(const struct cell_costs *costs, const struct cell_trace *trace,
			     size_t first, size_t end);
/* To the user's cell as soon as it is T hops away. */
struct cell_score cell_threshold(const struct cell_costs *costs, const struct cell_map *map,
				 const struct cell_trace *trace, unsigned T, size_t first,
				 size_t end);
/* When what the distance has cost reaches what the move costs; from 0 after a
 * move and whenever the service is in the user's cell. */
struct cell_score cell_rent_or_buy(const struct cell_costs *costs, const struct cell_trace *trace,
				   size_t first, size_t end);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * How devices move. All movement is a row of legs: from one place to another,
 * evenly, between two times; staying is a leg too. A model makes the next leg of
 * a device when the last has been walked. A new model is one file with a function
 * `next` and a line in the table of mobility.c.
 */
#ifndef SIM_MOBILITY_MOBILITY_H
#define SIM_MOBILITY_MOBILITY_H

#include <math.h>

#include "sim/engine/draws.h"
#include "sim/trace/trace.h"

/* A leg whose `from` is no number is an absence. */
struct leg {
	uint64_t t0_ns, t1_ns; /* t1 > t0; UINT64_MAX: for good */
	struct point from, to;
};

/* What a model keeps of a device. */
struct walker {
	struct leg leg;
	uint32_t draws; /* the counter of its random stream */
	uint32_t step;  /* of the model: which part of its pattern comes next */
	float a, b, c;  /* of the model */
};

/* All above zero but pause and memory; speed_min is at most speed_max. */
struct mobility_parameters {
	double speed_min, speed_max; /* m/s */
	double pause_s;              /* the longest */
	double step_s;               /* gauss_markov: between two changes */
	double memory;               /* gauss_markov: 0 (none) to 1 (straight on) */
	double block_m;              /* manhattan: between two streets */
	double flight_exponent;      /* levy_walk */
	double flight_max_m;         /* levy_walk */
	double work_from_s, work_s;  /* commuter: when it begins, how long it lasts */
	double work_spread_s;        /* commuter: standard deviation of both */
};

struct mobility {
	const struct mobility_model *model;
	struct mobility_parameters p;
	struct point min, max;     /* where generated devices are */
	const struct trace *trace; /* of the model "trace" */
};

struct mobility_model {
	const char *name;
	const char *what; /* for people */
	/* Makes the leg that follows walker->leg; the first time that is a moment
	 * at 0 s and (0, 0), and `step` is 0. It begins where and when that ended, but
	 * for the first. `device` is its number. */
	void (*next)(const struct mobility *m, struct walker *w, uint32_t device, struct draws d);
};

extern const struct mobility_model mobility_models[];
extern const size_t n_mobility_models;
extern const struct mobility_model mobility_trace; /* not generated: not in the table */

/* By name; NULL when there is none. */
const struct mobility_model *mobility_find(const char *name);

/* Goes on to the leg of that time. */
void mobility_walk(const struct mobility *m, struct walker *w, uint32_t device, uint64_t seed,
		   uint64_t t_ns);

/* Where the device is; times must not fall. False: it is absent, until *ret_until. */
static inline bool mobility_at(const struct mobility *m, struct walker *w, uint32_t device,
			       uint64_t seed, uint64_t t_ns, struct point *ret, uint64_t *ret_until)
{
	const struct leg *leg = &w->leg;
	double part;

	if (t_ns >= leg->t1_ns)
		mobility_walk(m, w, device, seed, t_ns);
	if (isnan(leg->from.x)) {
		*ret_until = leg->t1_ns;
		return false;
	}
	part = (double)(int64_t)(t_ns - leg->t0_ns) / (double)(int64_t)(leg->t1_ns - leg->t0_ns);
	ret->x = leg->from.x + (leg->to.x - leg->from.x) * part;
	ret->y = leg->from.y + (leg->to.y - leg->from.y) * part;
	return true;
}

/* ---- For models --------------------------------------------------------------------------- */

/* Makes the next leg begin where the last ended. */
void walker_go(struct walker *w, struct point to, double speed);
void walker_stay(struct walker *w, double seconds);

/* Anywhere in the area, evenly. */
struct point mobility_anywhere(const struct mobility *m, struct draws d);

/* Folds a place outside of the area back, as a billiard ball comes back. */
struct point mobility_reflect(const struct mobility *m, struct point p);

void next_commuter(const struct mobility *m, struct walker *w, uint32_t device, struct draws d);
void next_gauss_markov(const struct mobility *m, struct walker *w, uint32_t device, struct draws d);
void next_levy_walk(const struct mobility *m, struct walker *w, uint32_t device, struct draws d);
void next_manhattan(const struct mobility *m, struct walker *w, uint32_t device, struct draws d);
void next_random_waypoint(const struct mobility *m, struct walker *w, uint32_t device,
			  struct draws d);
void next_recorded(const struct mobility *m, struct walker *w, uint32_t device, struct draws d);

#endif

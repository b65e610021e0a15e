/* SPDX-License-Identifier: Apache-2.0
 *
 * Which tower a device is attached to.
 *
 *   a3     A neighbour's signal is better than the serving one's by the
 *          hysteresis for the time to trigger (3GPP TS 38.331, 5.5.4.4, event A3
 *          with offset 0). The signal falls by 37.6 dB a decade of distance
 *          (3GPP TR 36.942, 4.5.2, urban macro), so the comparison is one of
 *          distances; shadowing is not modelled.
 *   range  The serving tower is `range` away or farther: the nearest takes
 *          over. With whole metres, as MobFogSim computes.
 *
 * A tower covers what is as near as its radius. Where the serving one does not reach, the
 * nearest that does takes over at once; where none does, a device is not attached.
 */
#ifndef SIM_WORLD_ATTACHMENT_H
#define SIM_WORLD_ATTACHMENT_H

#include "sim/world/towers.h"

#define ATTACHMENT_NONE UINT32_MAX

enum attachment_rule { ATTACHMENT_A3, ATTACHMENT_RANGE };

struct attachment_parameters {
	enum attachment_rule rule;
	double hysteresis_db;        /* a3 */
	uint64_t time_to_trigger_ns; /* a3 */
	double range_m;              /* range */
	double coverage_m;           /* radius of towers that have none of their own; 0: no end */
};

struct attachment {
	uint32_t serving;   /* ATTACHMENT_NONE: not attached */
	uint32_t candidate; /* a3: has been better since */
	uint64_t since_ns;
};

static inline void attachment_init(struct attachment *a)
{
	*a = (struct attachment){ ATTACHMENT_NONE, ATTACHMENT_NONE, 0 };
}

/* What the hysteresis comes to; to be computed once. */
struct attachment_ratio {
	double squared; /* of how many times farther away the serving tower must be */
	double clear;   /* a square distance times this that is less than towers.clear_squared: no
			 * other tower is near enough */
};

struct attachment_ratio attachment_ratio(const struct attachment_parameters *p);

/* No other tower is near enough for event A3: a3 would forget its candidate and do nothing
 * else. The device is attached. */
static inline bool attachment_is_clear(const struct attachment_ratio *ratio,
				       const struct towers *towers, const struct attachment *a,
				       struct point at)
{
	return distance_squared(at, towers->at[a->serving]) * ratio->clear <
	       towers->clear_squared[a->serving];
}

/* Whether the tower reaches a place. */
static inline bool attachment_covers(const struct attachment_parameters *p,
				     const struct towers *towers, uint32_t tower, struct point at)
{
	double radius = p->coverage_m;

	if (towers->any_radius && towers->radius[tower] > 0)
		radius = towers->radius[tower];
	return radius == 0 || distance_squared(at, towers->at[tower]) <= radius * radius;
}

/* The device looks around. True: it is attached to another tower than before, for
 * the first time, or no longer to any. Looks are in the order of time. */
bool attachment_look(const struct attachment_parameters *p, const struct attachment_ratio *ratio,
		     const struct towers *towers, struct attachment *a, uint64_t now_ns,
		     struct point at);

#endif

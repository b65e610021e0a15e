/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/world/attachment.h"

#include <math.h>

#define DB_A_DECADE 37.6

/* At x from the serving tower, all others being at least d from it, none is nearer than d - x. That
 * is too far while (d - x) r > x, or x² (1 + 1/r)² < d²; and clear_squared is d²/4. */
struct attachment_ratio attachment_ratio(const struct attachment_parameters *p)
{
	double r = pow(10, p->hysteresis_db / DB_A_DECADE);

	return (struct attachment_ratio){ r * r, (1 + 1 / r) * (1 + 1 / r) / 4 };
}

static bool attach(struct attachment *a, uint32_t tower)
{
	bool other = a->serving != tower;

	*a = (struct attachment){ tower, ATTACHMENT_NONE, 0 };
	return other;
}

static bool look_a3(const struct attachment_parameters *p, const struct attachment_ratio *ratio,
		    const struct towers *towers, struct attachment *a, uint64_t now_ns,
		    struct point at)
{
	uint32_t nearest;

	if (a->serving == ATTACHMENT_NONE) {
		towers_nearest(towers, at, 1, &nearest);
		return attach(a, nearest);
	}
	nearest = a->serving;
	if (!attachment_is_clear(ratio, towers, a, at))
		nearest = towers_nearest_by(towers, at, a->serving);
	if (nearest == a->serving || distance_squared(at, towers->at[nearest]) * ratio->squared >=
					     distance_squared(at, towers->at[a->serving])) {
		a->candidate = ATTACHMENT_NONE;
		return false;
	}
	if (a->candidate != nearest) {
		a->candidate = nearest;
		a->since_ns = now_ns;
	}
	return now_ns - a->since_ns >= p->time_to_trigger_ns && attach(a, nearest);
}

static bool look_range(const struct attachment_parameters *p, const struct towers *towers,
		       struct attachment *a, struct point at)
{
	const struct point metres = { trunc(at.x), trunc(at.y) };
	uint32_t nearest;

	if (a->serving != ATTACHMENT_NONE &&
	    distance_squared(metres, towers->at[a->serving]) < p->range_m * p->range_m)
		return false;
	towers_nearest(towers, metres, 1, &nearest);
	return attach(a, nearest);
}

bool attachment_look(const struct attachment_parameters *p, const struct attachment_ratio *ratio,
		     const struct towers *towers, struct attachment *a, uint64_t now_ns,
		     struct point at)
{
	if (p->rule == ATTACHMENT_RANGE)
		return look_range(p, towers, a, at);
	return look_a3(p, ratio, towers, a, now_ns, at);
}

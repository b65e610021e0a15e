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

/* ATTACHMENT_NONE: there is none. */
static uint32_t nearest_that_covers(const struct attachment_parameters *p,
				    const struct towers *towers, struct point at)
{
	uint32_t nearest, best = ATTACHMENT_NONE;

	towers_nearest(towers, at, 1, &nearest);
	if (attachment_covers(p, towers, nearest, at))
		return nearest;
	for (uint32_t t = 0; towers->any_radius && t < towers->n; t++)
		if (attachment_covers(p, towers, t, at) &&
		    (best == ATTACHMENT_NONE || distance_squared(at, towers->at[t]) <
							distance_squared(at, towers->at[best])))
			best = t;
	return best;
}

static bool look_a3(const struct attachment_parameters *p, const struct attachment_ratio *ratio,
		    const struct towers *towers, struct attachment *a, uint64_t now_ns,
		    struct point at)
{
	uint32_t nearest = a->serving;

	if (!attachment_is_clear(ratio, towers, a, at))
		nearest = towers_nearest_by(towers, at, a->serving);
	if (!attachment_covers(p, towers, nearest, at))
		nearest = nearest_that_covers(p, towers, at);
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
	return distance_squared(at, towers->at[a->serving]) >= p->range_m * p->range_m &&
	       attach(a, nearest_that_covers(p, towers, at));
}

bool attachment_look(const struct attachment_parameters *p, const struct attachment_ratio *ratio,
		     const struct towers *towers, struct attachment *a, uint64_t now_ns,
		     struct point at)
{
	if (p->rule == ATTACHMENT_RANGE)
		at = (struct point){ trunc(at.x), trunc(at.y) };
	if (a->serving == ATTACHMENT_NONE || !attachment_covers(p, towers, a->serving, at))
		return attach(a, nearest_that_covers(p, towers, at));
	if (p->rule == ATTACHMENT_RANGE)
		return look_range(p, towers, a, at);
	return look_a3(p, ratio, towers, a, now_ns, at);
}

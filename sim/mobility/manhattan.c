/* SPDX-License-Identifier: Apache-2.0
 *
 * Manhattan (Bai, Sadagopan and Helmy, "IMPORTANT", INFOCOM 2003; 3GPP TR 36.885,
 * A.1.2): along the streets of a grid; at a crossing straight on with probability
 * 0.5, left and right with 0.25 each. At a border the ways that are left count.
 */
#include "sim/mobility/mobility.h"

static const int dx[] = { 1, 0, -1, 0 }, dy[] = { 0, 1, 0, -1 };

static bool is_inside(const struct mobility *m, struct point p)
{
	return p.x >= m->min.x && p.x <= m->max.x && p.y >= m->min.y && p.y <= m->max.y;
}

static struct point crossing(const struct mobility *m, struct point at, unsigned heading)
{
	return (struct point){ at.x + m->p.block_m * dx[heading],
			       at.y + m->p.block_m * dy[heading] };
}

static double snap(double at, double min, double max, double block)
{
	return min + block * fmin(round((at - min) / block), floor((max - min) / block));
}

/* walker: a is the heading, 0 to 3. */
void next_manhattan(const struct mobility *m, struct walker *w, uint32_t device, struct draws d)
{
	/* Straight on twice, so that one draw of four says it all. */
	static const unsigned turns[] = { 0, 0, 1, 3 };
	unsigned heading = (unsigned)w->a, first;

	(void)device;
	if (w->step++ == 0) {
		struct point at = mobility_anywhere(m, d);

		w->leg.to = (struct point){ snap(at.x, m->min.x, m->max.x, m->p.block_m),
					    snap(at.y, m->min.y, m->max.y, m->p.block_m) };
		heading = (unsigned)(4 * draw_uniform(d));
	}
	first = (unsigned)(4 * draw_uniform(d));
	for (unsigned i = 0; i < 4; i++) {
		unsigned way = (heading + turns[(first + i) % 4]) % 4;

		if (!is_inside(m, crossing(m, w->leg.to, way)))
			continue;
		w->a = (float)way;
		walker_go(w, crossing(m, w->leg.to, way),
			  draw_between(d, m->p.speed_min, m->p.speed_max));
		return;
	}
	/* A dead end. */
	w->a = (float)((heading + 2) % 4);
	if (is_inside(m, crossing(m, w->leg.to, (heading + 2) % 4)))
		walker_go(w, crossing(m, w->leg.to, (heading + 2) % 4), m->p.speed_min);
	else
		walker_stay(w, 3600); /* the area is smaller than a block */
}

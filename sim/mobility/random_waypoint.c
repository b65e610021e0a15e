/* SPDX-License-Identifier: Apache-2.0
 *
 * Random waypoint (Johnson and Maltz, "Dynamic source routing in ad hoc wireless
 * networks", 1996). The slowest speed is above zero, or devices would come to
 * rest in the long run (Yoon, Liu and Noble, "Random waypoint considered
 * harmful", INFOCOM 2003).
 */
#include "sim/mobility/mobility.h"

void next_random_waypoint(const struct mobility *m, struct walker *w, uint32_t device,
			  struct draws d)
{
	struct point to;

	(void)device;
	if (w->step++ == 0)
		w->leg.to = mobility_anywhere(m, d);
	else if (w->step % 2 == 1 && m->p.pause_s > 0) {
		walker_stay(w, draw_between(d, 0, m->p.pause_s));
		return;
	}
	to = mobility_anywhere(m, d);
	walker_go(w, to, draw_between(d, m->p.speed_min, m->p.speed_max));
}

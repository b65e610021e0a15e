/* SPDX-License-Identifier: Apache-2.0
 *
 * Days of a commuter: at home until about `work_from`, straight to work, there for
 * about `work`, straight home. Both times scatter normally. Each has a home and a
 * place of work, anywhere in the area. Time 0 is a midnight.
 */
#include "sim/mobility/mobility.h"

#include "common/clock.h"

#define DAY_NS (86400 * NS_PER_S)

/* Stays until about that time of this day, or goes at once when it has passed. */
static void stay_until(const struct mobility *m, struct walker *w, uint64_t midnight_ns,
		       double about_s, struct draws d)
{
	double until = about_s + m->p.work_spread_s * draw_normal(d);
	double now = (double)(w->leg.t1_ns - midnight_ns) / 1e9;

	walker_stay(w, fmax(until - now, 0));
}

/* The places are what the stream begins with: so nobody has to keep them. */
enum place { HOME = 0, WORK = 2, PLACES_END = 4 };

static struct point place_of(const struct mobility *m, struct draws d, enum place place)
{
	uint32_t counter = place;

	d.counter = &counter;
	return mobility_anywhere(m, d);
}

/* walker: step 0: begins, then 1 at home, 2 to work, 3 at work, 4 home, 5 night, and from 1
 * on. */
void next_commuter(const struct mobility *m, struct walker *w, uint32_t device, struct draws d)
{
	uint64_t midnight = w->leg.t1_ns / DAY_NS * DAY_NS;

	(void)device;
	switch (w->step) {
	case 0:
		w->leg.to = place_of(m, d, HOME);
		*d.counter = PLACES_END;
		__attribute__((fallthrough));
	case 1:
		stay_until(m, w, midnight, m->p.work_from_s, d);
		w->step = 2;
		break;
	case 2:
		walker_go(w, place_of(m, d, WORK), draw_between(d, m->p.speed_min, m->p.speed_max));
		w->step = 3;
		break;
	case 3:
		walker_stay(w, fmax(m->p.work_s + m->p.work_spread_s * draw_normal(d), 0));
		w->step = 4;
		break;
	case 4:
		walker_go(w, place_of(m, d, HOME), draw_between(d, m->p.speed_min, m->p.speed_max));
		w->step = 5;
		break;
	default: /* until the next midnight */
		walker_stay(w, (double)(midnight + DAY_NS - w->leg.t1_ns) / 1e9);
		w->step = 1;
	}
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Lévy walk (Rhee, Shin, Hong, Lee, Kim and Chong, "On the Levy-walk nature of
 * human mobility", IEEE/ACM ToN 2011): lengths of flights, from 10 m on, have a
 * Pareto law cut at a longest one, and so do pauses, from 1 s on with exponent
 * 0.8; directions are even; borders reflect.
 */
#include "sim/mobility/mobility.h"

#define FLIGHT_MIN_M 10.0
#define PAUSE_MIN_S 1.0
#define PAUSE_EXPONENT 0.8

/* Pareto between min and max, by the inverse of its distribution. */
static double truncated_pareto(double u, double min, double max, double exponent)
{
	double rest = pow(min / max, exponent);

	return min * pow(1 - u * (1 - rest), -1 / exponent);
}

void next_levy_walk(const struct mobility *m, struct walker *w, uint32_t device, struct draws d)
{
	double length, direction;
	struct point to;

	(void)device;
	if (w->step++ == 0)
		w->leg.to = mobility_anywhere(m, d);
	else if (w->step % 2 == 1 && m->p.pause_s > PAUSE_MIN_S) {
		walker_stay(w, truncated_pareto(draw_uniform(d), PAUSE_MIN_S, m->p.pause_s,
						PAUSE_EXPONENT));
		return;
	}
	length = truncated_pareto(draw_uniform(d), FLIGHT_MIN_M, m->p.flight_max_m,
				  m->p.flight_exponent);
	direction = draw_between(d, 0, 2 * M_PI);
	to = (struct point){ w->leg.to.x + length * cos(direction),
			     w->leg.to.y + length * sin(direction) };
	walker_go(w, mobility_reflect(m, to), draw_between(d, m->p.speed_min, m->p.speed_max));
}

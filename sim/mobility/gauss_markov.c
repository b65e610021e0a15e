/* SPDX-License-Identifier: Apache-2.0
 *
 * Gauss-Markov (Liang and Haas, "Predictive distance-based mobility management for
 * PCS networks", INFOCOM 1999): in each step
 *
 *     s' = αs + (1 - α)m + √(1 - α²) σ w
 *
 * for speed and for direction, w standard normal. The mean of the speed lies in
 * the middle of its range and σ is a quarter of the range; the mean of the
 * direction is what it was at first, σ is one radian. Borders reflect.
 */
#include "sim/mobility/mobility.h"

/* walker: a is the speed, b the direction; c the mean direction. */
void next_gauss_markov(const struct mobility *m, struct walker *w, uint32_t device, struct draws d)
{
	double mean = (m->p.speed_min + m->p.speed_max) / 2, alpha = m->p.memory;
	double noise = sqrt(1 - alpha * alpha), way, speed;
	struct point to;

	(void)device;
	if (w->step++ == 0) {
		w->leg.to = mobility_anywhere(m, d);
		w->c = (float)draw_between(d, 0, 2 * M_PI);
		w->a = (float)mean;
		w->b = w->c;
	}
	speed = alpha * w->a + (1 - alpha) * mean +
		noise * (m->p.speed_max - m->p.speed_min) / 4 * draw_normal(d);
	speed = fmin(fmax(speed, m->p.speed_min), m->p.speed_max);
	w->a = (float)speed;
	w->b = (float)(alpha * w->b + (1 - alpha) * w->c + noise * draw_normal(d));
	way = speed * m->p.step_s;
	to = (struct point){ w->leg.to.x + way * cos(w->b), w->leg.to.y + way * sin(w->b) };
	/* A ball that came back goes the other way from then on. */
	if (to.x < m->min.x || to.x > m->max.x) {
		w->b = (float)(M_PI - w->b);
		w->c = (float)M_PI - w->c;
	}
	if (to.y < m->min.y || to.y > m->max.y) {
		w->b = -w->b;
		w->c = -w->c;
	}
	to = mobility_reflect(m, to);
	walker_stay(w, m->p.step_s);
	w->leg.to = to;
}

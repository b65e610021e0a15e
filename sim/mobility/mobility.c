/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/mobility/mobility.h"

#include <string.h>

#include "common/clock.h"

const struct mobility_model mobility_models[] = {
	{ "commuter", "between a home and a place of work, day by day", next_commuter },
	{ "gauss_markov", "speed and direction change little by little", next_gauss_markov },
	{ "levy_walk", "many short flights and a few long ones", next_levy_walk },
	{ "manhattan", "along the streets of a grid", next_manhattan },
	{ "random_waypoint", "straight to anywhere, pause, and so on", next_random_waypoint },
};
const size_t n_mobility_models = ARRAY_SIZE(mobility_models);

const struct mobility_model mobility_trace = { "trace", "as recorded", next_recorded };

const struct mobility_model *mobility_find(const char *name)
{
	for (size_t i = 0; i < n_mobility_models; i++)
		if (strcmp(mobility_models[i].name, name) == 0)
			return &mobility_models[i];
	return NULL;
}

void mobility_walk(const struct mobility *m, struct walker *w, uint32_t device, uint64_t seed,
		   uint64_t t_ns)
{
	while (t_ns >= w->leg.t1_ns && w->leg.t1_ns != UINT64_MAX)
		m->model->next(m, w, device, draws_of(seed, PURPOSE_MOVEMENT, device, &w->draws));
}

static void lead(struct walker *w, struct point to, double seconds)
{
	double ns = ceil(fmax(seconds, 1e-3) * (double)NS_PER_S);

	w->leg.from = w->leg.to;
	w->leg.to = to;
	w->leg.t0_ns = w->leg.t1_ns;
	w->leg.t1_ns += (uint64_t)ns;
}

void walker_go(struct walker *w, struct point to, double speed)
{
	lead(w, to, hypot(to.x - w->leg.to.x, to.y - w->leg.to.y) / speed);
}

void walker_stay(struct walker *w, double seconds)
{
	lead(w, w->leg.to, seconds);
}

struct point mobility_anywhere(const struct mobility *m, struct draws d)
{
	double x = draw_between(d, m->min.x, m->max.x);

	return (struct point){ x, draw_between(d, m->min.y, m->max.y) };
}

static double reflect(double at, double min, double max)
{
	double width = max - min;
	/* Twice the width is where the pattern repeats. */
	double u = fmod(fabs(at - min), 2 * width);

	return min + (u > width ? 2 * width - u : u);
}

struct point mobility_reflect(const struct mobility *m, struct point p)
{
	return (struct point){ reflect(p.x, m->min.x, m->max.x), reflect(p.y, m->min.y, m->max.y) };
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/reference/mdp.h"

#include <math.h>
#include <string.h>

#include "common/cleanup.h"

#define TOLERANCE 1e-9
/* A target is changed for more than rounding errors only, or equal ones would
 * take turns for ever. */
#define GAIN_MIN 1e-10

int mdp_init(struct mdp *mdp, size_t n, double discount)
{
	*mdp = (struct mdp){ .n = n, .discount = discount };
	mdp->states = calloc(n, sizeof(*mdp->states));
	mdp->move = calloc(n * n, sizeof(*mdp->move));
	if (mdp->states && mdp->move)
		return 0;
	mdp_clear(mdp);
	return -ENOMEM;
}

void mdp_clear(struct mdp *mdp)
{
	free(mdp->states);
	free(mdp->move);
	*mdp = (struct mdp){ 0 };
}

static double after(const struct mdp *mdp, size_t a, const double *values)
{
	const struct mdp_state *s = &mdp->states[a];
	double sum = 0;

	for (size_t i = 0; i < s->n_steps; i++)
		sum += s->steps[i].probability * values[s->steps[i].to];
	return s->hold + mdp->discount * sum;
}

void mdp_evaluate(const struct mdp *mdp, const size_t *target, double *values)
{
	double change;

	do {
		change = 0;
		for (size_t s = 0; s < mdp->n; s++) {
			double v = *mdp_move(mdp, s, target[s]) + after(mdp, target[s], values);

			change = fmax(change, fabs(v - values[s]));
			values[s] = v;
		}
	} while (change > TOLERANCE * (1 - mdp->discount));
}

static bool improve(const struct mdp *mdp, const double *rest, size_t *target)
{
	bool changed = false;

	for (size_t s = 0; s < mdp->n; s++) {
		double best = *mdp_move(mdp, s, target[s]) + rest[target[s]];

		for (size_t a = 0; a < mdp->n; a++) {
			double v = *mdp_move(mdp, s, a) + rest[a];

			if (!mdp->states[a].allowed || v >= best - GAIN_MIN)
				continue;
			best = v;
			target[s] = a;
			changed = true;
		}
	}
	return changed;
}

int mdp_solve(const struct mdp *mdp, size_t *target, double *values)
{
	_cleanup_free_ double *rest = calloc(mdp->n, sizeof(*rest));
	size_t first = 0;

	if (!rest)
		return -ENOMEM;
	while (first < mdp->n && !mdp->states[first].allowed)
		first++;
	if (first == mdp->n)
		return -EDOM;
	for (size_t s = 0; s < mdp->n; s++)
		target[s] = mdp->states[s].allowed ? s : first;
	memset(values, 0, mdp->n * sizeof(*values));
	do {
		mdp_evaluate(mdp, target, values);
		for (size_t a = 0; a < mdp->n; a++)
			rest[a] = after(mdp, a, values);
	} while (improve(mdp, rest, target));
	return 0;
}

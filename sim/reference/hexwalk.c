/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/reference/hexwalk.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "common/philox.h"
#include "sim/reference/mdp.h"

struct cell {
	int q, r; /* axial coordinates */
};

static const struct cell neighbours[6] = { { 1, 0 },  { 0, 1 },  { -1, 1 },
					   { -1, 0 }, { 0, -1 }, { 1, -1 } };

static int ring(struct cell c)
{
	return (abs(c.q) + abs(c.r) + abs(c.q + c.r)) / 2;
}

static struct cell minus(struct cell a, struct cell b)
{
	return (struct cell){ a.q - b.q, a.r - b.r };
}

/* Of the Euclidean distance to the centre. */
static int squared(struct cell c)
{
	return c.q * c.q + c.q * c.r + c.r * c.r;
}

static double remote_cost(struct cell c)
{
	return 1 - pow(0.8, ceil(sqrt(squared(c)) - 1e-9));
}

static double move_cost(struct cell c, double m)
{
	return squared(c) == 0 ? 0 : 1 + m * remote_cost(c);
}

/* Cells by number, ring by ring, and back. */
struct grid {
	struct cell cells[HEX_CELLS];
	size_t number[2 * HEX_RINGS + 1][2 * HEX_RINGS + 1];
};

static size_t number_of(const struct grid *g, struct cell c)
{
	return g->number[c.q + HEX_RINGS][c.r + HEX_RINGS];
}

static void make_grid(struct grid *g)
{
	size_t n = 0;

	for (int k = 0; k <= HEX_RINGS; k++)
		for (int q = -k; q <= k; q++)
			for (int r = -k; r <= k; r++)
				if (ring((struct cell){ q, r }) == k) {
					g->number[q + HEX_RINGS][r + HEX_RINGS] = n;
					g->cells[n++] = (struct cell){ q, r };
				}
}

static int make_process(const struct grid *g, const struct hex_case *c, struct mdp *mdp)
{
	int r = mdp_init(mdp, HEX_CELLS, c->discount);

	for (size_t s = 0; r == 0 && s < HEX_CELLS; s++) {
		struct mdp_state *state = &mdp->states[s];

		for (size_t a = 0; a < HEX_CELLS; a++)
			*mdp_move(mdp, s, a) = move_cost(minus(g->cells[s], g->cells[a]), c->m);
		state->allowed = ring(g->cells[s]) < HEX_RINGS;
		state->hold = remote_cost(g->cells[s]);
		if (!state->allowed)
			continue;
		state->steps[state->n_steps++] = (struct mdp_step){ s, 1 - 6 * c->p };
		for (size_t i = 0; i < 6; i++)
			state->steps[state->n_steps++] = (struct mdp_step){
				number_of(g, (struct cell){ g->cells[s].q + neighbours[i].q,
							    g->cells[s].r + neighbours[i].r }),
				c->p,
			};
	}
	return r;
}

/* ---- The approximation by distance ------------------------------------------------ */

/* On average over a ring, 2.5 of a cell's neighbours lie further out and 1.5 further in
 * (section V of the paper). */
static int solve_distances(const struct hex_case *c, size_t target[HEX_RINGS + 1])
{
	double values[HEX_RINGS + 1];
	struct mdp mdp;
	int r = mdp_init(&mdp, HEX_RINGS + 1, c->discount);

	if (r < 0)
		return r;
	for (size_t d = 0; d <= HEX_RINGS; d++) {
		struct mdp_state *state = &mdp.states[d];
		double out = d == 0 ? 6 * c->p : 2.5 * c->p, in = d == 0 ? 0 : 1.5 * c->p;

		for (size_t to = 0; to <= HEX_RINGS; to++)
			if (to != d)
				*mdp_move(&mdp, d, to) =
					1 + c->m - c->m * pow(0.8, fabs((double)d - (double)to));
		state->allowed = d < HEX_RINGS;
		state->hold = 1 - pow(0.8, (double)d);
		state->steps[0] = (struct mdp_step){ d, 1 - out - in };
		state->steps[1] = (struct mdp_step){ d < HEX_RINGS ? d + 1 : d, out };
		state->steps[2] = (struct mdp_step){ d > 0 ? d - 1 : 0, in };
		state->n_steps = 3;
	}
	r = mdp_solve(&mdp, target, values);
	mdp_clear(&mdp);
	return r;
}

/* The cell of the ring that is the fewest steps away; of those the nearest. */
static size_t nearest_in_ring(const struct grid *g, size_t s, int k)
{
	size_t best = HEX_CELLS;
	int best_steps = 0, best_squared = 0;

	for (size_t a = 0; a < HEX_CELLS; a++) {
		struct cell way = minus(g->cells[a], g->cells[s]);

		if (ring(g->cells[a]) != k ||
		    (best < HEX_CELLS &&
		     (ring(way) > best_steps ||
		      (ring(way) == best_steps && squared(way) >= best_squared))))
			continue;
		best = a;
		best_steps = ring(way);
		best_squared = squared(way);
	}
	return best;
}

static int choose_by_distance(const struct grid *g, const struct hex_case *c,
			      size_t target[HEX_CELLS])
{
	size_t to[HEX_RINGS + 1];
	int r = solve_distances(c, to);

	for (size_t s = 0; r == 0 && s < HEX_CELLS; s++)
		target[s] = nearest_in_ring(g, s, (int)to[ring(g->cells[s])]);
	return r;
}

/* ---- All policies -------------------------------------------------------------------- */

static void choose_simply(const struct grid *g, const struct hex_case *c, enum hex_policy policy,
			  size_t target[HEX_CELLS])
{
	for (size_t s = 0; s < HEX_CELLS; s++) {
		bool stays = policy == HEX_NEVER ||
			     (policy == HEX_MYOPIC &&
			      remote_cost(g->cells[s]) <= move_cost(g->cells[s], c->m));

		target[s] = stays && ring(g->cells[s]) < HEX_RINGS ? s : 0;
	}
}

int hexwalk_solve(const struct hex_case *c, enum hex_policy policy, size_t target[HEX_CELLS],
		  double *ret_cost)
{
	double values[HEX_CELLS] = { 0 }, sum = 0;
	struct grid grid;
	struct mdp mdp;
	int r;

	make_grid(&grid);
	r = make_process(&grid, c, &mdp);
	if (r < 0)
		return r;
	if (policy == HEX_OPTIMAL) {
		r = mdp_solve(&mdp, target, values);
	} else {
		if (policy == HEX_PROPOSED)
			r = choose_by_distance(&grid, c, target);
		else
			choose_simply(&grid, c, policy, target);
		if (r == 0)
			mdp_evaluate(&mdp, target, values);
	}
	mdp_clear(&mdp);
	for (size_t s = 0; s < HEX_CELLS; s++)
		sum += values[s];
	if (r == 0)
		*ret_cost = sum / HEX_CELLS;
	return r;
}

/* ---- By chance ------------------------------------------------------------------------ */

static double uniform(uint64_t key, uint64_t stream, uint64_t counter)
{
	return (double)(philox_u64(key, stream, counter) >> 11) * 0x1p-53;
}

static struct cell walk(struct cell at, double p, double u)
{
	size_t way = (size_t)(u / p);

	if (way >= 6)
		return at;
	return (struct cell){ at.q + neighbours[way].q, at.r + neighbours[way].r };
}

static double walk_once(const struct grid *g, const double remote[HEX_CELLS],
			const struct hex_case *c, const size_t target[HEX_CELLS], uint64_t key,
			uint64_t stream)
{
	uint64_t counter = 0;
	size_t at = (size_t)(uniform(key, stream, counter++) * HEX_CELLS);
	double sum = 0;

	for (double worth = 1; worth > 1e-7; worth *= c->discount) {
		size_t to = target[at];

		if (to != at)
			sum += worth * move_cost(minus(g->cells[at], g->cells[to]), c->m);
		sum += worth * remote[to];
		at = number_of(g, walk(g->cells[to], c->p, uniform(key, stream, counter++)));
	}
	return sum;
}

void hexwalk_simulate(const struct hex_case *c, const size_t target[HEX_CELLS], uint64_t key,
		      uint64_t stream, size_t paths, double *costs)
{
	double remote[HEX_CELLS];
	struct grid grid;

	make_grid(&grid);
	for (size_t s = 0; s < HEX_CELLS; s++)
		remote[s] = remote_cost(grid.cells[s]);
	for (size_t i = 0; i < paths; i++)
		costs[i] = walk_once(&grid, remote, c, target, key, stream + i);
}

double hexwalk_mean_stay(int T)
{
	const double p = 1.0 / 6;
	double left[HEX_CELLS] = { 0 }, change;
	struct grid g;

	make_grid(&g);
	do {
		change = 0;
		for (size_t s = 0; s < HEX_CELLS && ring(g.cells[s]) < T; s++) {
			double sum = 1;

			for (size_t i = 0; i < 6; i++) {
				struct cell to = walk(g.cells[s], p, ((double)i + 0.5) * p);

				sum += p * (ring(to) < T ? left[number_of(&g, to)] : 0);
			}
			change = fmax(change, fabs(sum - left[s]));
			left[s] = sum;
		}
	} while (change > 1e-12);
	return p * left[0];
}

double hexwalk_draw_stay(int T, double p, uint64_t key, uint64_t stream)
{
	struct cell at = { 0, 0 };
	uint64_t slots = 0;

	while (ring(at) < T)
		at = walk(at, p, uniform(key, stream, slots++));
	return (double)slots;
}

double linewalk_mean_stay(int T)
{
	const double p = 0.5;
	double left[2 * HEX_RINGS + 1] = { 0 }, change;

	do {
		change = 0;
		for (int at = 1 - T; at < T; at++) {
			double *here = &left[at + HEX_RINGS], sum = 1 + p * (here[-1] + here[1]);

			change = fmax(change, fabs(sum - *here));
			*here = sum;
		}
	} while (change > 1e-12);
	return p * left[HEX_RINGS];
}

double linewalk_draw_stay(int T, double p, uint64_t key, uint64_t stream)
{
	uint64_t slots = 0;
	int at = 0;

	while (abs(at) < T) {
		double u = uniform(key, stream, slots++);

		at += u < p ? 1 : u < 2 * p ? -1 : 0;
	}
	return (double)slots;
}

void gauss_legendre(size_t n, double *points, double *weights)
{
	for (size_t i = 0; i < n; i++) {
		double x = cos(M_PI * ((double)i + 0.75) / ((double)n + 0.5)), slope = 0, step;

		do { /* Newton's method on the polynomial, by its recurrence */
			double p0 = 1, p1 = x;

			for (size_t k = 2; k <= n; k++) {
				double p2 = ((2 * (double)k - 1) * x * p1 - ((double)k - 1) * p0) /
					    (double)k;

				p0 = p1;
				p1 = p2;
			}
			slope = (double)n * (x * p1 - p0) / (x * x - 1);
			step = p1 / slope;
			x -= step;
		} while (fabs(step) > 1e-14);
		points[i] = (1 - x) / 2;
		weights[i] = 1 / ((1 - x * x) * slope * slope);
	}
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * A user on a random walk over hexagonal cells, and a service that may follow:
 * the uniform case of Wang, Urgaonkar, Zafer, He, Chan and Leung, "Dynamic service migration in
 * mobile edge computing based on Markov decision process" (arXiv 1506.05261), section VI and
 * figure 6. A state is the user's offset from the service, `HEX_RINGS` rings of them; one in the
 * last ring must be moved inwards. Costs depend on the Euclidean distance in cells, rounded up:
 * moving over d costs 1 + m - m 0.8^d, being d away costs 1 - 0.8^d, both nothing at d = 0.
 */
#ifndef SIM_REFERENCE_HEXWALK_H
#define SIM_REFERENCE_HEXWALK_H

#include <stddef.h>
#include <stdint.h>

#define HEX_RINGS 10
#define HEX_CELLS (1 + 3 * HEX_RINGS * (HEX_RINGS + 1))

enum hex_policy {
	HEX_OPTIMAL,
	HEX_PROPOSED, /* the paper's: solved over the distance alone, then the nearest cell */
	HEX_NEVER,    /* until it must, then to the user's cell */
	HEX_ALWAYS,   /* to the user's cell */
	HEX_MYOPIC,   /* the cheaper of staying and the user's cell, in this slot */
	HEX_POLICIES,
};

struct hex_case {
	double p; /* of each neighbour, in (0, 1/6) */
	double discount, m;
};

/* The discounted cost of a policy, averaged over all states, and for each state
 * (numbered ring by ring) the one that it moves to. -ENOMEM. */
int hexwalk_solve(const struct hex_case *c, enum hex_policy policy, size_t target[HEX_CELLS],
		  double *ret_cost);

/* Costs of that many paths, each from a state drawn uniformly until what is left is below
 * 1e-7 of a slot's cost. Path i draws from the key's stream `stream` + i. */
void hexwalk_simulate(const struct hex_case *c, const size_t target[HEX_CELLS], uint64_t key,
		      uint64_t stream, size_t paths, double *costs);

/* The points and weights of Gauss and Legendre's rule of `n` points on (0, 1). */
void gauss_legendre(size_t n, double *points, double *weights);

/* The mean number of slots between moves to the user's cell, times p, if it moves as soon
 * as the user is T steps away, 1 to HEX_RINGS; and one such time drawn. On hexagons
 * each of six neighbours has probability p, on a line each of two. */
double hexwalk_mean_stay(int T);
double hexwalk_draw_stay(int T, double p, uint64_t key, uint64_t stream);
double linewalk_mean_stay(int T);
double linewalk_draw_stay(int T, double p, uint64_t key, uint64_t stream);

#endif

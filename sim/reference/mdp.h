/* SPDX-License-Identifier: Apache-2.0
 *
 * Markov decision processes whose decision is a relocation: in state s one goes
 * to a at the price move(s, a), or stays for nothing, pays hold(a) there, and
 * chance leads on. The value is the expected discounted cost.
 *
 *     V(s) = min over allowed a of move(s, a) + W(a),   W(a) = hold(a) + discount * sum P(a, s')
 * V(s')
 *
 * Solved by policy iteration (Howard 1960).
 */
#ifndef SIM_REFERENCE_MDP_H
#define SIM_REFERENCE_MDP_H

#include <stdbool.h>
#include <stddef.h>

#define MDP_STEPS_MAX 7

struct mdp_step {
	size_t to;
	double probability;
};

struct mdp_state {
	bool allowed; /* to be in when chance moves */
	double hold;
	struct mdp_step steps[MDP_STEPS_MAX]; /* of an allowed state: they sum up to 1 */
	size_t n_steps;
};

struct mdp {
	size_t n;
	struct mdp_state *states; /* owned */
	double *move;             /* n x n, by rows of the state left; owned */
	double discount;          /* in [0, 1) */
};

/* -ENOMEM; all zero. */
int mdp_init(struct mdp *mdp, size_t n, double discount);
void mdp_clear(struct mdp *mdp);

static inline double *mdp_move(const struct mdp *mdp, size_t from, size_t to)
{
	return &mdp->move[from * mdp->n + to];
}

/* The value of always going to target[s], which is allowed, to within 1e-9. `values`
 * has its first guess. */
void mdp_evaluate(const struct mdp *mdp, const size_t *target, double *values);

/* The best targets and their value. -ENOMEM; -EDOM: no state is allowed. */
int mdp_solve(const struct mdp *mdp, size_t *target, double *values);

#endif

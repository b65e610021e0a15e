/* SPDX-License-Identifier: Apache-2.0
 *
 * A policy that learns where users go and moves services by what that is worth: a
 * Markov chain of order 2 (the user's cell and the other cell before it), shared by all
 * users, whose probabilities are backed off to those of the cell alone where there are
 * few observations; and the decision process over its states and the service's places,
 * solved by value iteration. A user's absence ends the process: the service then
 * starts anew.
 */
#ifndef SIM_REFERENCE_MARKOV_H
#define SIM_REFERENCE_MARKOV_H

#include "sim/reference/cells.h"

struct markov;

/* How many observations a simpler context is worth: all cells' to a cell's, and a
 * cell's to those of the cell and the one before. */
struct markov_parameters {
	float cell_prior, before_prior;
};

/* What is known of a user now. Starts as zero. */
struct markov_context {
	bool present;
	uint16_t cell, before; /* the other cell before; CELL_ABSENT: none since it appeared */
};

/* The user is there in the next slot, or CELL_ABSENT. */
void markov_step(struct markov_context *context, uint16_t cell);

/* The costs must outlive it. -ENOMEM. */
int markov_new(const struct cell_costs *costs, const struct markov_parameters *parameters,
	       struct markov **ret);
void markov_free(struct markov *markov);

/* The user in this context was in `next` thereafter, or absent. -ENOMEM. */
int markov_observe(struct markov *markov, const struct markov_context *context, uint16_t next);

/* Solves the decision process of what was observed. -ENOMEM. */
int markov_solve(struct markov *markov);

/* Where the service that is `at` should be, with the user in this context. -ENOMEM. */
int markov_decide(struct markov *markov, const struct markov_context *context, uint16_t at,
		  uint16_t *ret);

/* Learns from slots 0 to learnt - 1, then runs first to end - 1 without learning. -ENOMEM. */
int markov_score(const struct cell_costs *costs, const struct cell_trace *trace,
		 const struct markov_parameters *parameters, size_t learnt, size_t first,
		 size_t end, struct cell_score *ret);

#endif

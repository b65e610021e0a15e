/* SPDX-License-Identifier: Apache-2.0
 *
 * How well common/cost.h, by which moves are simulated, predicts moves that were measured
 * (moves.def; docs/benchmarks.md tells how). Two figures of the guest, what it uses besides
 * its working memory and what a byte of it is on the wire, are fitted to what went over
 * the wire in all other moves, by least squares; and two of the machines, what a move takes beyond the
 * model's time and a blackout beyond the model's, to the medians of all other moves. All else is what the
 * move was told.
 *
 * Beside it stands the rule that a blackout is 0.15 of the time that a move takes, as MobFogSim has
 * it (Puliafito et al., 2020).
 */
#ifndef SIM_REFERENCE_FIDELITY_H
#define SIM_REFERENCE_FIDELITY_H

#include <stddef.h>
#include <stdint.h>

struct measured_move {
	uint64_t memory, working_set; /* bytes */
	uint64_t dirty_bps, link_bps; /* bytes a second */
	uint64_t rtt_ms, promise_ms;
	uint64_t total_us,
		blackout_us; /* from the source's start, and from its stop, to running there */
	uint64_t wire_bytes;
};

extern const struct measured_move measured_moves[];
extern const size_t n_measured_moves;

#define MEASURED_MOVES_MAX 1024

/* Of |predicted - measured| / measured. */
struct error_figures {
	double mean, median, p90;
};

struct fidelity {
	size_t moves;
	double own_bytes;                           /* besides the working memory, fitted to all */
	double wire;                                /* of a byte, fitted to all */
	double start_ns, stop_ns;                   /* beyond the model, fitted to all */
	struct error_figures total, blackout, rule; /* rule: 0.15 of the measured total time */
};

/* Of n moves, 4 to MEASURED_MOVES_MAX, at least two each of two sizes. */
void fidelity_score(const struct measured_move *moves, size_t n, struct fidelity *ret);

#endif

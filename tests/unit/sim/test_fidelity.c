/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/reference/fidelity.h"

#include <criterion/criterion.h>
#include <math.h>

#include "common/clock.h"
#include "common/cost.h"

#define MOVES 8
#define OWN 80000000
#define MIB (UINT64_C(1) << 20)

/* Moves as the model has them, of guests that use OWN besides their memory, half of which goes over
 * the wire; the last takes so many times as long. */
static void make(struct measured_move moves[MOVES], double last)
{
	for (uint64_t i = 0; i < MOVES; i++) {
		struct measured_move *m = &moves[i];
		struct cost cost;

		*m = (struct measured_move){ .memory = (32 + i % 4 * 32) * MIB,
					     .link_bps = 5000000 * (1 + i / 4),
					     .rtt_ms = 10,
					     .promise_ms = 100 };
		cost_predict(&(struct cost_facts){ .remaining_bytes = m->memory + OWN,
						   .link_bps = m->link_bps,
						   .wire_permille = 500,
						   .rtt_ns = 10 * NS_PER_MS,
						   .promise_ns = 100 * NS_PER_MS },
			     &cost);
		m->wire_bytes = (m->memory + OWN) / 2;
		m->total_us = cost.total_ns / NS_PER_US;
		m->blackout_us = cost.blackout_ns / NS_PER_US;
	}
	moves[MOVES - 1].total_us = (uint64_t)((double)moves[MOVES - 1].total_us * last);
}

Test(fidelity, what_the_model_says_is_no_error)
{
	struct measured_move moves[MOVES];
	struct fidelity f;

	make(moves, 1);
	fidelity_score(moves, MOVES, &f);
	cr_assert_eq(f.moves, MOVES);
	cr_assert_float_eq(f.wire, 0.5, 1e-6);
	cr_assert_float_eq(f.own_bytes, OWN, 100);
	cr_assert_lt(f.total.p90, 1e-4);
	cr_assert_lt(f.blackout.p90, 1e-4);
	/* A blackout is some 25 ms of several seconds. */
	cr_assert_gt(f.rule.median, 1);
}

Test(fidelity, what_machines_take_beyond_is_fitted)
{
	struct measured_move moves[MOVES];
	struct fidelity f;

	make(moves, 1);
	for (unsigned i = 0; i < MOVES; i++) {
		moves[i].total_us += 900000;
		moves[i].blackout_us += 7000;
	}
	fidelity_score(moves, MOVES, &f);
	cr_assert_lt(f.total.p90, 1e-4);
	cr_assert_lt(f.blackout.p90, 1e-3);
	cr_assert_float_eq(f.start_ns, 900e6, 1e6);
	cr_assert_float_eq(f.stop_ns, 7e6, 1e5);
	/* By the others: what is one's own only stays an error. */
	moves[2].blackout_us *= 2;
	fidelity_score(moves, MOVES, &f);
	cr_assert_float_eq(f.blackout.mean, 0.5 / MOVES, 0.02);
}

Test(fidelity, one_move_that_is_off_is_seen_as_that)
{
	struct measured_move moves[MOVES];
	struct fidelity f;

	make(moves, 2);
	fidelity_score(moves, MOVES, &f);
	cr_assert_lt(f.total.median, 1e-4);
	cr_assert_float_eq(f.total.p90, 0.5, 1e-3);
	cr_assert_float_eq(f.total.mean, 0.5 / MOVES, 1e-3);
	/* What was measured is what the last move was, not what others were. */
	moves[0].wire_bytes += 10000000;
	fidelity_score(moves, MOVES, &f);
	cr_assert_gt(f.total.median, 1e-3);
}

Test(fidelity, the_measured_moves_are_moves)
{
	struct fidelity f;

	cr_assert_geq(n_measured_moves, 30);
	cr_assert_leq(n_measured_moves, MEASURED_MOVES_MAX);
	for (size_t i = 0; i < n_measured_moves; i++) {
		const struct measured_move *m = &measured_moves[i];

		/* Nothing is faster than its link. */
		cr_assert_gt((double)m->total_us * 1e-6 * (double)m->link_bps,
			     0.98 * (double)m->wire_bytes, "%zu", i);
		cr_assert_gt(m->total_us, m->blackout_us);
		cr_assert_gt(m->blackout_us, m->rtt_ms * 1000, "%zu", i);
	}
	fidelity_score(measured_moves, n_measured_moves, &f);
	cr_assert(f.wire > 0 && f.wire < 1 && f.own_bytes > 0);
	/* So good it is, and shall not become worse unseen. */
	cr_assert_lt(f.total.mean, 0.10);
	cr_assert_lt(f.blackout.mean, 0.30);
	cr_assert_gt(f.rule.mean, 1);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/reference/fidelity.h"

#include <math.h>
#include <stdlib.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/cost.h"

#define RULE 0.15

#define MOVE(memory, working_set, dirty_bps, link_bps, rtt_ms, promise_ms, total_us, blackout_us,  \
	     wire_bytes)                                                                           \
	{ memory,     working_set, dirty_bps,   link_bps,  rtt_ms,                                 \
	  promise_ms, total_us,    blackout_us, wire_bytes },
const struct measured_move measured_moves[] = {
#include "sim/reference/moves.def"
};
const size_t n_measured_moves = ARRAY_SIZE(measured_moves);

struct line {
	double own_bytes, wire;
};

/* The line wire_bytes = wire * (memory + own_bytes) through all moves but one; n: through all. */
static struct line fit(const struct measured_move *moves, size_t n, size_t but)
{
	double x = 0, y = 0, xx = 0, xy = 0, k = 0;
	struct line line;

	for (size_t i = 0; i < n; i++) {
		double memory = (double)moves[i].memory, sent = (double)moves[i].wire_bytes;

		if (i == but)
			continue;
		k++;
		x += memory;
		y += sent;
		xx += memory * memory;
		xy += memory * sent;
	}
	line.wire = (k * xy - x * y) / (k * xx - x * x);
	line.own_bytes = y / k / line.wire - x / k;
	return line;
}

static struct cost predict(const struct measured_move *m, const struct line *line)
{
	const struct cost_facts facts = {
		.remaining_bytes = m->memory + (uint64_t)fmax(line->own_bytes, 0),
		.working_set_bytes = m->working_set,
		.dirty_bps = m->dirty_bps,
		.link_bps = m->link_bps,
		.wire_permille = (uint32_t)lround(line->wire * 1000),
		.rtt_ns = m->rtt_ms * NS_PER_MS,
		.promise_ns = m->promise_ms * NS_PER_MS,
	};
	struct cost cost;

	cost_predict(&facts, &cost);
	return cost;
}

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static double median(const double *sorted, size_t n)
{
	return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

/* Of all but one; n: of all. */
static double median_but(const double *values, size_t n, size_t but)
{
	double sorted[MEASURED_MOVES_MAX];
	size_t k = 0;

	for (size_t i = 0; i < n; i++)
		if (i != but)
			sorted[k++] = values[i];
	qsort(sorted, k, sizeof(*sorted), compare);
	return median(sorted, k);
}

static struct error_figures summarize(double *errors, size_t n)
{
	double sum = 0;

	qsort(errors, n, sizeof(*errors), compare);
	for (size_t i = 0; i < n; i++)
		sum += errors[i];
	return (struct error_figures){
		.mean = sum / (double)n,
		.median = median(errors, n),
		.p90 = errors[(size_t)ceil(0.9 * (double)n) - 1],
	};
}

static double ns(uint64_t us)
{
	return (double)us * NS_PER_US;
}

/* With what all other moves took beyond the model. */
static void correct(const double *predicted_ns, const double *beyond_ns, size_t n, double *ret_errors)
{
	for (size_t i = 0; i < n; i++) {
		double measured = predicted_ns[i] + beyond_ns[i];

		ret_errors[i] = fabs((predicted_ns[i] + median_but(beyond_ns, n, i)) / measured - 1);
	}
}

void fidelity_score(const struct measured_move *moves, size_t n, struct fidelity *ret)
{
	double total[MEASURED_MOVES_MAX], blackout[MEASURED_MOVES_MAX], rule[MEASURED_MOVES_MAX];
	double start[MEASURED_MOVES_MAX], stop[MEASURED_MOVES_MAX];
	struct line all = fit(moves, n, n);

	for (size_t i = 0; i < n; i++) {
		const struct measured_move *m = &moves[i];
		struct line others = fit(moves, n, i);
		struct cost cost = predict(m, &others);

		total[i] = (double)cost.total_ns;
		blackout[i] = (double)cost.blackout_ns;
		start[i] = ns(m->total_us) - total[i];
		stop[i] = ns(m->blackout_us) - blackout[i];
		rule[i] = fabs(RULE * ns(m->total_us) / ns(m->blackout_us) - 1);
	}
	correct(total, start, n, total);
	correct(blackout, stop, n, blackout);
	*ret = (struct fidelity){
		.moves = n,
		.own_bytes = all.own_bytes,
		.wire = all.wire,
		.start_ns = median_but(start, n, n),
		.stop_ns = median_but(stop, n, n),
		.total = summarize(total, n),
		.blackout = summarize(blackout, n),
		.rule = summarize(rule, n),
	};
}

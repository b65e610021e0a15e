/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/reference/markov.h"

#include <math.h>
#include <string.h>

#include "common/cleanup.h"

#define TOLERANCE 2e-4f
#define SWEEPS_MAX 1000
#define PROBABILITY_MIN 1e-5f

/* Observations of what came next: cells, then absence. */
struct counts {
	float total;
	float of[];
};

struct state {
	uint16_t cell, before;
	struct counts *counts;
	float *values; /* by where the service is */
};

struct markov {
	const struct cell_costs *costs;
	struct markov_parameters parameters;
	size_t n;
	uint32_t *index; /* of (before, cell): the state's number + 1, or 0 */
	struct state *states;
	size_t n_states, room;
	struct counts **cells;
	uint16_t **followers; /* of a cell: what was seen to come next; n is absence */
	size_t *n_followers;
	float stayed, vanished, all; /* observations in all cells */
	float *probability, *rest;   /* n + 1 items to work with */
};

void markov_step(struct markov_context *context, uint16_t cell)
{
	if (cell == CELL_ABSENT) {
		context->present = false;
	} else if (!context->present) {
		*context = (struct markov_context){ true, cell, CELL_ABSENT };
	} else if (cell != context->cell) {
		context->before = context->cell;
		context->cell = cell;
	}
}

/* ---- States ------------------------------------------------------------------------ */

static struct counts *counts_new(size_t n)
{
	return calloc(1, sizeof(struct counts) + (n + 1) * sizeof(float));
}

static uint32_t *slot_of(const struct markov *m, uint16_t cell, uint16_t before)
{
	size_t row = before == CELL_ABSENT ? m->n : before;

	return &m->index[row * m->n + cell];
}

/* Until it is solved, a state is worth what the cell is to a user that just appeared
 * there, or else as if the user stayed for a while. */
static void guess_values(const struct markov *m, struct state *s)
{
	uint32_t fresh = *slot_of(m, s->cell, CELL_ABSENT);
	const float *away = m->costs->away + s->cell * m->n;

	if (fresh > 0)
		memcpy(s->values, m->states[fresh - 1].values, m->n * sizeof(*s->values));
	else
		for (size_t a = 0; a < m->n; a++)
			s->values[a] = 3 * away[a];
}

static int add_state(struct markov *m, uint16_t cell, uint16_t before)
{
	struct state *s;

	if (m->n_states == m->room) {
		size_t room = m->room ? 2 * m->room : 1024;
		struct state *states = reallocarray(m->states, room, sizeof(*states));

		if (!states)
			return -ENOMEM;
		m->states = states;
		m->room = room;
	}
	s = &m->states[m->n_states];
	*s = (struct state){ .cell = cell, .before = before };
	s->counts = counts_new(m->n);
	s->values = calloc(m->n, sizeof(*s->values));
	if (!s->counts || !s->values) {
		free(s->counts);
		free(s->values);
		return -ENOMEM;
	}
	guess_values(m, s);
	m->n_states++;
	return 0;
}

/* The number of a state, which is made if need be; a negative errno. */
static ssize_t find_state(struct markov *m, uint16_t cell, uint16_t before)
{
	uint32_t *slot = slot_of(m, cell, before);

	if (*slot == 0) {
		int r = add_state(m, cell, before);

		if (r < 0)
			return r;
		*slot = (uint32_t)m->n_states;
	}
	return *slot - 1;
}

/* The state after s in which the user is in a cell. */
static ssize_t next_state(struct markov *m, size_t s, uint16_t cell)
{
	return cell == m->states[s].cell ? (ssize_t)s : find_state(m, cell, m->states[s].cell);
}

int markov_new(const struct cell_costs *costs, const struct markov_parameters *parameters,
	       struct markov **ret)
{
	struct markov *m = calloc(1, sizeof(*m));
	size_t n = costs->n;

	if (!m)
		return -ENOMEM;
	m->costs = costs;
	m->parameters = *parameters;
	m->n = n;
	m->index = calloc((n + 1) * n, sizeof(*m->index));
	m->cells = calloc(n, sizeof(struct counts *));
	m->followers = calloc(n, sizeof(uint16_t *));
	m->n_followers = calloc(n, sizeof(*m->n_followers));
	m->probability = calloc(n + 1, sizeof(*m->probability));
	m->rest = calloc(n, sizeof(*m->rest));
	if (!m->index || !m->cells || !m->followers || !m->n_followers || !m->probability ||
	    !m->rest) {
		markov_free(m);
		return -ENOMEM;
	}
	*ret = m;
	return 0;
}

void markov_free(struct markov *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->n_states; i++) {
		free(m->states[i].counts);
		free(m->states[i].values);
	}
	for (size_t i = 0; i < m->n; i++) {
		if (m->cells)
			free(m->cells[i]);
		if (m->followers)
			free(m->followers[i]);
	}
	free(m->index);
	free(m->states);
	free(m->cells);
	free(m->followers);
	free(m->n_followers);
	free(m->probability);
	free(m->rest);
	free(m);
}

/* ---- What comes next ------------------------------------------------------------------ */

static float back_off(const struct counts *counts, uint16_t next, float prior, float simpler)
{
	return (counts->of[next] + prior * simpler) / (counts->total + prior);
}

/* The probabilities of the cell's followers, in m->probability. */
static void predict(struct markov *m, const struct state *s)
{
	const uint16_t *followers = m->followers[s->cell];
	float sum = 0;

	for (size_t i = 0; i < m->n_followers[s->cell]; i++) {
		uint16_t next = followers[i];
		float p = next == s->cell ? (m->stayed + 1) / (m->all + 4)
			  : next == m->n  ? (m->vanished + 1) / (m->all + 4)
					  : 0;

		p = back_off(m->cells[s->cell], next, m->parameters.cell_prior, p);
		p = back_off(s->counts, next, m->parameters.before_prior, p);
		m->probability[i] = p;
		sum += p;
	}
	for (size_t i = 0; i < m->n_followers[s->cell]; i++)
		m->probability[i] /= sum;
}

static int add_follower(struct markov *m, uint16_t cell, uint16_t next)
{
	if (!m->cells[cell]) {
		m->cells[cell] = counts_new(m->n);
		m->followers[cell] = calloc(m->n + 1, sizeof(uint16_t));
		if (!m->cells[cell] || !m->followers[cell])
			return -ENOMEM;
	}
	for (size_t i = 0; i < m->n_followers[cell]; i++)
		if (m->followers[cell][i] == next)
			return 0;
	m->followers[cell][m->n_followers[cell]++] = next;
	return 0;
}

static void count(struct counts *counts, uint16_t next)
{
	counts->total++;
	counts->of[next]++;
}

int markov_observe(struct markov *m, const struct markov_context *context, uint16_t next)
{
	ssize_t number = find_state(m, context->cell, context->before);
	int r;

	if (number < 0)
		return (int)number;
	if (next == CELL_ABSENT)
		next = (uint16_t)m->n;
	r = add_follower(m, context->cell, next);
	if (r < 0)
		return r;
	if (next < m->n) {
		ssize_t after = next_state(m, (size_t)number, next);

		if (after < 0)
			return (int)after;
	}
	m->stayed += next == context->cell;
	m->vanished += next == m->n;
	m->all++;
	count(m->cells[context->cell], next);
	count(m->states[number].counts, next);
	return 0;
}

/* ---- What it is worth -------------------------------------------------------------------- */

/* rest[a]: the cost from now on with the service at a, after this slot's move. */
static int back_up(struct markov *m, size_t number)
{
	uint16_t cell = m->states[number].cell;
	const float *away = m->costs->away + cell * m->n;

	memcpy(m->rest, away, m->n * sizeof(*m->rest));
	predict(m, &m->states[number]);
	for (size_t i = 0; i < m->n_followers[cell]; i++) {
		uint16_t next = m->followers[cell][i];
		float p = m->probability[i];
		const float *values;
		ssize_t after;

		if (next == m->n || p < PROBABILITY_MIN)
			continue;
		after = next_state(m, number, next);
		if (after < 0)
			return (int)after;
		values = m->states[after].values;
		for (size_t a = 0; a < m->n; a++)
			m->rest[a] += p * values[a];
	}
	return 0;
}

/* One round over all states; how much the values changed against that of being in the user's
 * cell. Decisions depend on these differences alone, which settle long before the values do: a
 * service that is elsewhere soon comes to where it would be anyway. */
static int sweep(struct markov *m, float *values, float *ret_change)
{
	float change = 0;

	for (size_t s = m->n_states; s-- > 0;) {
		float *old = m->states[s].values, rise;
		int r = back_up(m, s);

		if (r < 0)
			return r;
		cell_costs_relocate(m->costs, m->rest, values);
		rise = values[m->states[s].cell] - old[m->states[s].cell];
		for (size_t a = 0; a < m->n; a++)
			change = fmaxf(change, fabsf(values[a] - old[a] - rise));
		memcpy(old, values, m->n * sizeof(*values));
	}
	*ret_change = change;
	return 0;
}

int markov_solve(struct markov *m)
{
	_cleanup_free_ float *values = calloc(m->n, sizeof(*values));
	float change = INFINITY;
	int r = values ? 0 : -ENOMEM;

	for (int i = 0; r == 0 && i < SWEEPS_MAX && change > TOLERANCE; i++)
		r = sweep(m, values, &change);
	return r;
}

int markov_decide(struct markov *m, const struct markov_context *context, uint16_t at,
		  uint16_t *ret)
{
	ssize_t number = find_state(m, context->cell, context->before);
	const float *move = m->costs->move + at * m->n;
	uint16_t best = at;
	int r;

	if (number < 0)
		return (int)number;
	/* Nobody was ever seen to go on from here: all that is known is to stay. */
	if (!m->cells[context->cell]) {
		r = add_follower(m, context->cell, context->cell);
		if (r < 0)
			return r;
	}
	r = back_up(m, (size_t)number);
	if (r < 0)
		return r;
	for (uint16_t a = 0; a < m->n; a++)
		if (move[a] + m->rest[a] < move[best] + m->rest[best])
			best = a;
	*ret = best;
	return 0;
}

/* ---- On a trace ------------------------------------------------------------------------- */

static int learn(struct markov *m, const struct cell_trace *trace, size_t slots)
{
	for (size_t u = 0; u < trace->users; u++) {
		const uint16_t *cell = cell_trace_user(trace, u);
		struct markov_context context = { 0 };

		for (size_t t = 0; t < slots; t++) {
			int r = context.present ? markov_observe(m, &context, cell[t]) : 0;

			if (r < 0)
				return r;
			markov_step(&context, cell[t]);
		}
	}
	return markov_solve(m);
}

static int serve(struct markov *m, const uint16_t *cell, size_t first, size_t end,
		 struct cell_score *score)
{
	struct markov_context context = { 0 };
	uint16_t at = CELL_ABSENT;

	for (size_t t = first; t < end; t++) {
		uint16_t to;
		int r;

		markov_step(&context, cell[t]);
		if (!context.present) {
			at = CELL_ABSENT;
			continue;
		}
		if (at == CELL_ABSENT)
			at = cell[t];
		r = markov_decide(m, &context, at, &to);
		if (r < 0)
			return r;
		score->cost += (double)(m->costs->move[at * m->n + to] +
					m->costs->away[to * m->n + cell[t]]);
		score->slots++;
		at = to;
	}
	return 0;
}

int markov_score(const struct cell_costs *costs, const struct cell_trace *trace,
		 const struct markov_parameters *parameters, size_t learnt, size_t first,
		 size_t end, struct cell_score *ret)
{
	struct cell_score score = { 0 };
	struct markov *m = NULL;
	int r = markov_new(costs, parameters, &m);

	if (r == 0)
		r = learn(m, trace, learnt);
	for (size_t u = 0; r == 0 && u < trace->users; u++)
		r = serve(m, cell_trace_user(trace, u), first, end, &score);
	markov_free(m);
	if (r == 0)
		*ret = score;
	return r;
}

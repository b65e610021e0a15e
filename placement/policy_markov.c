/* SPDX-License-Identifier: Apache-2.0
 *
 * Prediction: a Markov chain says where the device goes next, and a decision process over it
 * what each place of the VM will have cost by then (Wang, Urgaonkar et al., "Dynamic service
 * migration in mobile edge computing", arXiv 1506.05261).
 *
 * The device's *cell* is the node that serves it best; another takes its place when it betters
 * it by `margin`. Where devices went from a cell, and after how long, is learnt from all devices:
 * for the cell, and for the cell and the one before it (order 2), which is backed off to the cell's
 * figures where there are few. What the device itself did there before comes on top. What it
 * costs to be at a node while in a cell is learnt too: the mean of its RTT above the cell's, while
 * it is above the threshold. A move costs `margin` for the time of `hold`, as for rent-or-buy.
 *
 * A stay in a cell is memoryless, with the mean T that was learnt, and costs count less the
 * later they come, by e^(-t / horizon). With D = 1 / (1/T + 1/horizon) and b = 1 / (1 + T/horizon),
 *
 *     W(context, node) = D excess(cell, node) + b sum over next of p(next) V(next context, node)
 *     V(context, node) = min(W(context, node), price + min over a of W(context, a))
 *
 * is the value of a semi-Markov decision process. It is solved by value iteration as devices go:
 * the context that one comes to and the one that it has left are backed up (real-time dynamic
 * programming, Barto, Bradtke, Singh, "Learning to act using real-time dynamic programming", 1995).
 *
 * The tables have room for so many cells and contexts; of those beyond nothing is learnt, and
 * the VM is then best in the cell. Guard, minimal stay and evidence are as in policy_threshold.c.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "common/clock.h"
#include "placement/policy_evidence.h"

#define NONE UINT32_MAX
#define CELLS 4096
#define CONTEXTS 16384 /* a power of two */
#define PROBES 16      /* of the table of contexts */
#define FOLLOWERS 8    /* cells that come after a context's */
#define PLACES 8       /* nodes of which a cell knows what they cost */
#define OWN 8          /* departures that a device remembers */

/* How many observations a simpler context is worth to the next. */
#define PRIOR 5.0
/* A cost is the mean of at least so many samples, and forgets older ones thereafter. */
#define MEMORY 256

/* What being at a node costs a device of the cell, in ms of RTT. */
struct place {
	uint32_t node, n;
	float excess_ms;
};

struct follower {
	uint32_t cell, count;
};

/* A cell, and the one before or NONE: then of all devices that were in the cell. */
struct context {
	uint32_t before, cell; /* cell: plus 1; 0: this is free */
	uint32_t departures;
	float stayed_s; /* before these, in all */
	struct follower followers[FOLLOWERS];
	float cost[PLACES]; /* W, of the cell's places, in ms of RTT times s */
	float elsewhere;    /* the least of them and a move */
};

struct shared {
	struct cell {
		struct place places[PLACES];
	} cells[CELLS];
	struct context contexts[CONTEXTS];
};

struct departure {
	uint32_t before, cell, next, count; /* count 0: this is free */
};

struct state {
	uint64_t since_ns, heard_ns;
	uint32_t cell, before; /* or NONE */
	struct departure own[OWN];
};

static_assert(sizeof(struct state) <= POLICY_STATE_SIZE, "fits");

struct next {
	uint32_t cell;
	double p;
};

static int markov_init(const struct policy_parameters *p, struct mg_error *err)
{
	int r = policy_check_parameters(p, err);

	if (r == 0 && p->horizon_ns == 0)
		r = mg_error_set(err, -EINVAL, "horizon: must be greater than 0");
	if (r == 0 && p->order != 1 && p->order != 2)
		r = mg_error_set(err, -EINVAL, "order: must be 1 or 2");
	return r;
}

static void markov_dev_init(void *state)
{
	struct state *s = state;

	*s = (struct state){ .cell = NONE, .before = NONE };
}

/* In ms of RTT times s. */
static double price(const struct policy_parameters *p)
{
	return (double)p->margin_ns / NS_PER_MS * ((double)p->hold_ns / NS_PER_S);
}

/* ---- Contexts ------------------------------------------------------------------------ */

/* Where it is or could be; NULL: there is no room. */
static const struct context *context_slot(const struct shared *shared, uint32_t before,
					  uint32_t cell)
{
	uint64_t hash = ((uint64_t)before << 32 | cell) * UINT64_C(0x9e3779b97f4a7c15);

	for (uint32_t i = 0; i < PROBES; i++) {
		const struct context *c = &shared->contexts[((hash >> 32) + i) & (CONTEXTS - 1)];

		if (c->cell == 0 || (c->cell == cell + 1 && c->before == before))
			return c;
	}
	return NULL;
}

static const struct context *context_find(const struct shared *shared, uint32_t before,
					  uint32_t cell)
{
	const struct context *c = context_slot(shared, before, cell);

	return c && c->departures > 0 ? c : NULL;
}

/* The context from which most is known of a device that is in a cell. */
static const struct context *context_best(const struct policy_parameters *p,
					  const struct shared *shared, uint32_t before,
					  uint32_t cell)
{
	const struct context *c =
		p->order == 2 && before != NONE ? context_find(shared, before, cell) : NULL;

	return c ? c : context_find(shared, NONE, cell);
}

/* ---- Places --------------------------------------------------------------------------- */

static const struct place *place_find(const struct shared *shared, uint32_t cell, uint32_t node)
{
	for (int k = 0; cell < CELLS && k < PLACES; k++) {
		const struct place *at = &shared->cells[cell].places[k];

		if (at->n > 0 && at->node == node)
			return at;
	}
	return NULL;
}

/* Adds a sample. The place that was seen the least gives way to a new one. */
static void place_learn(struct cell *cell, uint32_t node, double excess_ms)
{
	struct place *least = &cell->places[0];

	for (int k = 0; k < PLACES; k++) {
		struct place *at = &cell->places[k];

		if (at->n > 0 && at->node == node) {
			at->n += at->n < MEMORY;
			at->excess_ms += ((float)excess_ms - at->excess_ms) / (float)at->n;
			return;
		}
		if (at->n < least->n)
			least = at;
	}
	if (least->n > 1)
		least->n--;
	else
		*least = (struct place){ node, 1, (float)excess_ms };
}

static double excess_ms(const struct policy_parameters *p, const struct policy_candidate *at,
			const struct policy_candidate *best)
{
	if (at->srtt_ns <= p->threshold_ns)
		return 0;
	return ((double)at->srtt_ns - (double)best->srtt_ns) / NS_PER_MS;
}

/* ---- What comes next -------------------------------------------------------------------- */

static double stay_s(const struct context *c, const struct context *simpler)
{
	double mean = simpler->stayed_s / simpler->departures;

	return c ? (c->stayed_s + PRIOR * mean) / (c->departures + PRIOR) : mean;
}

static uint32_t count_of(const struct context *c, uint32_t cell)
{
	for (int k = 0; k < FOLLOWERS; k++)
		if (c->followers[k].count > 0 && c->followers[k].cell == cell)
			return c->followers[k].count;
	return 0;
}

static uint32_t own_count(const struct policy_parameters *p, const struct state *s, uint32_t before,
			  uint32_t cell, uint32_t next)
{
	uint32_t n = 0;

	for (int k = 0; k < OWN; k++) {
		const struct departure *d = &s->own[k];

		if (d->cell == cell && (next == NONE || d->next == next) &&
		    (p->order == 1 || d->before == before))
			n += d->count;
	}
	return n;
}

/* The cells that come next and their probabilities, from what was learnt of the cell, of the
 * context if there is one, and of the device if that is asked for. How many. */
static int predict(const struct policy_parameters *p, const struct context *simple,
		   const struct context *c, const struct state *own, uint32_t before,
		   struct next next[FOLLOWERS])
{
	uint32_t cell = simple->cell - 1;
	double own_all = own ? own_count(p, own, before, cell, NONE) : 0, sum = 0;
	int n = 0;

	for (int k = 0; k < FOLLOWERS; k++) {
		const struct follower *f = &simple->followers[k];
		double v = (double)f->count / simple->departures;

		if (f->count == 0)
			continue;
		if (c)
			v = (count_of(c, f->cell) + PRIOR * v) / (c->departures + PRIOR);
		if (own)
			v = (own_count(p, own, before, cell, f->cell) + PRIOR * v) /
			    (own_all + PRIOR);
		next[n++] = (struct next){ f->cell, v };
		sum += v;
	}
	for (int k = 0; k < n; k++)
		next[k].p /= sum;
	return n;
}

/* ---- What it is worth --------------------------------------------------------------------- */

/* V: of a device that comes to the cell from `before`, its VM at the node. */
static double value(const struct policy_parameters *p, const struct shared *shared, uint32_t before,
		    uint32_t cell, uint32_t node)
{
	const struct context *c = context_best(p, shared, before, cell);
	const struct place *at = place_find(shared, cell, node);
	double moved;

	if (!c)
		return node == cell ? 0 : price(p);
	moved = (double)c->elsewhere;
	if (!at)
		return moved;
	return (double)c->cost[at - shared->cells[cell].places] < moved
		       ? (double)c->cost[at - shared->cells[cell].places]
		       : moved;
}

/* What is known of a device's cell. */
struct outlook {
	uint32_t cell;
	double weight_s; /* D */
	double discount; /* b */
	struct next next[FOLLOWERS];
	int n;
};

/* False: nothing is. `own` is the device's, or NULL for all. */
static bool look_ahead(const struct policy_parameters *p, const struct shared *shared,
		       uint32_t before, uint32_t cell, const struct state *own, struct outlook *ret)
{
	const struct context *simple = context_find(shared, NONE, cell);
	const struct context *c =
		p->order == 2 && before != NONE ? context_find(shared, before, cell) : NULL;
	double horizon_s = (double)p->horizon_ns / NS_PER_S, mean_s;

	if (!simple)
		return false;
	mean_s = stay_s(c, simple);
	*ret = (struct outlook){
		.cell = cell,
		.weight_s = mean_s * horizon_s / (mean_s + horizon_s),
		.discount = horizon_s / (mean_s + horizon_s),
	};
	ret->n = predict(p, simple, c, own, before, ret->next);
	return true;
}

/* W. */
static double cost_of(const struct policy_parameters *p, const struct shared *shared,
		      const struct outlook *o, uint32_t node, double excess)
{
	double later = 0;

	for (int k = 0; k < o->n; k++)
		later += o->next[k].p * value(p, shared, o->cell, o->next[k].cell, node);
	return o->weight_s * (excess > 0 ? excess : 0) + o->discount * later;
}

static void back_up(const struct policy_parameters *p, struct shared *shared, uint32_t before,
		    uint32_t cell)
{
	struct context *c = (struct context *)context_find(shared, before, cell);
	const struct place *places = shared->cells[cell].places;
	struct outlook o;
	double least = 0;
	bool any = false;

	if (!c || !look_ahead(p, shared, before, cell, NULL, &o))
		return;
	for (int k = 0; k < PLACES; k++) {
		double cost;

		if (places[k].n == 0)
			continue;
		cost = cost_of(p, shared, &o, places[k].node, (double)places[k].excess_ms);
		c->cost[k] = (float)cost;
		least = !any || cost < least ? cost : least;
		any = true;
	}
	c->elsewhere = (float)(least + price(p));
}

/* ---- Learning ------------------------------------------------------------------------------ */

/* One more; where there is no room, the rarest gets rarer until it gives way. */
static void count_follower(struct context *c, uint32_t next)
{
	struct follower *least = &c->followers[0];

	for (int k = 0; k < FOLLOWERS; k++) {
		struct follower *f = &c->followers[k];

		if (f->count > 0 && f->cell == next) {
			f->count++;
			return;
		}
		if (f->count < least->count)
			least = f;
	}
	if (least->count > 1)
		least->count--;
	else
		*least = (struct follower){ next, 1 };
}

static void count_departure(struct shared *shared, uint32_t before, uint32_t cell, uint32_t next,
			    double stayed_s)
{
	struct context *c = (struct context *)context_slot(shared, before, cell);

	if (!c || c->departures == UINT32_MAX)
		return;
	c->before = before;
	c->cell = cell + 1;
	c->departures++;
	c->stayed_s += (float)stayed_s;
	count_follower(c, next);
}

static void count_own(struct state *s, uint32_t next)
{
	struct departure *least = &s->own[0];

	for (int k = 0; k < OWN; k++) {
		struct departure *d = &s->own[k];

		if (d->count > 0 && d->cell == s->cell && d->before == s->before &&
		    d->next == next) {
			d->count += d->count < UINT16_MAX;
			return;
		}
		if (d->count < least->count)
			least = d;
	}
	if (least->count > 1)
		least->count--;
	else
		*least = (struct departure){ s->before, s->cell, next, 1 };
}

static void go_to(const struct policy_parameters *p, struct shared *shared, struct state *s,
		  uint32_t next, uint64_t now_ns)
{
	double stayed_s = (double)(now_ns - s->since_ns) / NS_PER_S;
	uint32_t before = s->before, cell = s->cell;

	if (cell < CELLS) {
		count_departure(shared, NONE, cell, next, stayed_s);
		if (p->order == 2 && before != NONE)
			count_departure(shared, before, cell, next, stayed_s);
		count_own(s, next);
	}
	s->before = cell;
	s->cell = next;
	s->since_ns = now_ns;
	if (next < CELLS) {
		back_up(p, shared, NONE, next);
		back_up(p, shared, cell, next);
	}
	if (cell < CELLS) {
		back_up(p, shared, NONE, cell);
		back_up(p, shared, before, cell);
	}
}

static const struct policy_candidate *find_candidate(const struct policy_parameters *p,
						     const struct policy_view *view, uint32_t node)
{
	for (size_t i = 0; i < view->n_candidates; i++)
		if (view->candidates[i].node == node)
			return policy_is_evidence(p, &view->candidates[i]) ? &view->candidates[i]
									   : NULL;
	return NULL;
}

/* The candidate that serves the device best, with evidence; the first of equals. */
static const struct policy_candidate *find_best(const struct policy_parameters *p,
						const struct policy_view *view)
{
	const struct policy_candidate *best = NULL;

	for (size_t i = 0; i < view->n_candidates; i++) {
		const struct policy_candidate *c = &view->candidates[i];

		if (policy_is_evidence(p, c) && (!best || c->srtt_ns < best->srtt_ns))
			best = c;
	}
	return best;
}

static void markov_on_sample(const struct policy_parameters *p, void *shared, void *state,
			     const struct policy_view *view)
{
	const struct policy_candidate *best = find_best(p, view), *cell;
	struct state *s = state;

	if (!best)
		return;
	/* It was away: nobody knows where it went from there. */
	if (s->cell != NONE && view->now_ns - s->heard_ns > p->max_age_ns)
		s->cell = s->before = NONE;
	s->heard_ns = view->now_ns;
	cell = find_candidate(p, view, s->cell);
	if (s->cell == NONE) {
		s->cell = best->node;
		s->since_ns = view->now_ns;
	} else if (best->node != s->cell &&
		   (!cell || policy_betters(p, best, cell, p->margin_ns))) {
		go_to(p, shared, s, best->node, view->now_ns);
	}
	cell = find_candidate(p, view, s->cell);
	for (size_t i = 0; cell && cell->node < CELLS && i < view->n_candidates; i++)
		if (policy_is_evidence(p, &view->candidates[i]))
			place_learn(&((struct shared *)shared)->cells[cell->node],
				    view->candidates[i].node,
				    excess_ms(p, &view->candidates[i], cell));
}

/* ---- Wishes --------------------------------------------------------------------------------- */

/* W for this device, by what it is known to do; before anything is learnt, as if it stayed for the
 * horizon. */
static double expect(const struct policy_parameters *p, const struct shared *shared,
		     const struct state *s, const struct outlook *o,
		     const struct policy_candidate *at, const struct policy_candidate *cell)
{
	const struct place *place = place_find(shared, s->cell, at->node);
	double excess = place ? (double)place->excess_ms : excess_ms(p, at, cell);

	if (!o)
		return (excess > 0 ? excess : 0) * (double)p->horizon_ns / NS_PER_S;
	return cost_of(p, shared, o, at->node, excess);
}

static size_t markov_wishes(const struct policy_parameters *p, const void *shared,
			    const void *state, const struct policy_view *view,
			    struct policy_wish *out)
{
	const struct policy_candidate *here = policy_here(p, view), *cell;
	const struct state *s = state;
	struct outlook outlook, *o;
	double stays;
	size_t n = 0;

	cell = find_candidate(p, view, s->cell);
	if (!here || !cell || view->visits[0].ago_ns < p->min_stay_ns)
		return 0;
	o = look_ahead(p, shared, s->before, s->cell, s, &outlook) ? &outlook : NULL;
	stays = expect(p, shared, s, o, here, cell);
	for (size_t i = 0; i < view->n_candidates; i++) {
		const struct policy_candidate *c = &view->candidates[i];
		double gain;

		if (c == here || !c->available || !policy_is_evidence(p, c) ||
		    policy_is_guarded(p, view, c->node))
			continue;
		gain = stays - expect(p, shared, s, o, c, cell) - price(p);
		if (!(gain > 0))
			continue;
		n = policy_insert_wish(
			out, n,
			&(struct policy_wish){
				.target = c->node,
				/* As RTT over the horizon. */
				.benefit_ns = (uint64_t)(gain * NS_PER_MS /
							 ((double)p->horizon_ns / NS_PER_S)),
				.code = "markov",
				.here_ns = here->srtt_ns,
				.target_ns = c->srtt_ns,
				.held_ns = view->now_ns - s->since_ns,
			});
	}
	return n;
}

/* The cell that comes next, if its own node is not where the VM is. */
static bool markov_foresee(const struct policy_parameters *p, const void *shared, const void *state,
			   const struct policy_view *view, struct policy_prospect *out)
{
	const struct policy_candidate *here = policy_here(p, view), *cell;
	const struct state *s = state;
	const struct next *likeliest = NULL;
	struct outlook o;

	cell = find_candidate(p, view, s->cell);
	if (!here || !cell || !look_ahead(p, shared, s->before, s->cell, s, &o))
		return false;
	for (int k = 0; k < o.n; k++)
		if (!likeliest || o.next[k].p > likeliest->p)
			likeliest = &o.next[k];
	if (!likeliest || likeliest->cell == here->node || policy_is_guarded(p, view, likeliest->cell))
		return false;
	*out = (struct policy_prospect){ likeliest->cell, (uint32_t)(likeliest->p * 1000) };
	return true;
}

const struct policy_ops policy_markov = {
	.name = "markov",
	.state_size = sizeof(struct state),
	.shared_size = sizeof(struct shared),
	.init = markov_init,
	.dev_init = markov_dev_init,
	.on_sample = markov_on_sample,
	.wishes = markov_wishes,
	.foresee = markov_foresee,
};

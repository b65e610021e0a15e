/* SPDX-License-Identifier: Apache-2.0
 *
 * Rent or buy: move when the latency that was paid for staying reaches what a
 * move costs. Whoever does so never pays more than twice what hindsight would, if the next
 * move were the last (Karlin, Manasse, Rudolph, Sleator, "Competitive snoopy caching", 1988).
 *
 * While the RTT here is above the threshold, staying costs the difference to
 * the best node's, second by second. A move costs `margin` for the time of `hold`: one moves
 * after `hold` to a node that is better by the margin, and sooner to one that is better by more.
 * The account is cleared when no node is better, and when the VM is elsewhere.
 *
 * Guard, minimal stay and evidence are as in policy_threshold.c.
 */
#include <assert.h>
#include <string.h>

#include "common/clock.h"
#include "placement/policy_evidence.h"

struct state {
	uint64_t paid;     /* nanoseconds of RTT times microseconds */
	uint64_t rate_ns;  /* at which it grows */
	uint64_t at_ns;    /* what is paid was reckoned then */
	uint64_t since_ns; /* it has grown since */
	uint32_t node;     /* for being here */
};

static_assert(sizeof(struct state) <= POLICY_STATE_SIZE, "fits");

static void rent_or_buy_dev_init(void *state)
{
	memset(state, 0, sizeof(struct state));
}

/* What staying costs now, as RTT. */
static uint64_t rent(const struct policy_parameters *p, const struct policy_view *view)
{
	const struct policy_candidate *here = policy_here(p, view);
	uint64_t most = 0;

	if (!here || here->srtt_ns <= p->threshold_ns)
		return 0;
	for (size_t i = 0; i < view->n_candidates; i++) {
		const struct policy_candidate *c = &view->candidates[i];

		if (policy_betters(p, c, here, 0) && here->srtt_ns - c->srtt_ns > most)
			most = here->srtt_ns - c->srtt_ns;
	}
	return most;
}

/* RTT is evidence for max_age: a longer silence costs no more than that. */
static uint64_t paid_at(const struct policy_parameters *p, const struct state *s, uint64_t now_ns)
{
	uint64_t elapsed = now_ns - s->at_ns, more, sum;

	if (elapsed > p->max_age_ns)
		elapsed = p->max_age_ns;
	if (__builtin_mul_overflow(s->rate_ns, elapsed / NS_PER_US, &more) ||
	    __builtin_add_overflow(s->paid, more, &sum))
		return UINT64_MAX;
	return sum;
}

static uint64_t price(const struct policy_parameters *p)
{
	uint64_t product;

	return __builtin_mul_overflow(p->margin_ns, p->hold_ns / NS_PER_US, &product) ? UINT64_MAX
										      : product;
}

static void rent_or_buy_on_sample(const struct policy_parameters *p, void *shared, void *state,
				  const struct policy_view *view)
{
	struct state *s = state;
	uint64_t rate_ns = rent(p, view);

	(void)shared;
	if (rate_ns == 0) {
		*s = (struct state){ 0 };
		return;
	}
	if (s->rate_ns == 0 || s->node != view->visits[0].node)
		*s = (struct state){ .since_ns = view->now_ns, .node = view->visits[0].node };
	else
		s->paid = paid_at(p, s, view->now_ns);
	s->at_ns = view->now_ns;
	s->rate_ns = rate_ns;
}

static size_t rent_or_buy_wishes(const struct policy_parameters *p, const void *shared,
				 const void *state, const struct policy_view *view,
				 struct policy_wish *out)
{
	const struct policy_candidate *here = policy_here(p, view);
	const struct state *s = state;
	size_t n = 0;

	(void)shared;
	/* Asked between samples: what was evidence may have aged since. */
	if (!here || s->rate_ns == 0 || s->node != here->node || rent(p, view) == 0)
		return 0;
	if (paid_at(p, s, view->now_ns) < price(p) || view->visits[0].ago_ns < p->min_stay_ns)
		return 0;
	for (size_t i = 0; i < view->n_candidates; i++) {
		const struct policy_candidate *c = &view->candidates[i];

		if (!policy_betters(p, c, here, 1) || policy_is_guarded(p, view, c->node))
			continue;
		n = policy_insert_wish(out, n,
				       &(struct policy_wish){
					       .target = c->node,
					       .benefit_ns = here->srtt_ns - c->srtt_ns,
					       .code = "rent-or-buy",
					       .here_ns = here->srtt_ns,
					       .target_ns = c->srtt_ns,
					       .held_ns = view->now_ns - s->since_ns,
				       });
	}
	return n;
}

const struct policy_ops policy_rent_or_buy = {
	.name = "rent-or-buy",
	.state_size = sizeof(struct state),
	.init = policy_check_parameters,
	.dev_init = rent_or_buy_dev_init,
	.on_sample = rent_or_buy_on_sample,
	.wishes = rent_or_buy_wishes,
	.foresee = policy_foresee,
};

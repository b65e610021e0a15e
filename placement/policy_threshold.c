/* SPDX-License-Identifier: Apache-2.0
 *
 * Threshold, hold and margin, after 3GPP's event A3 (TS 38.331, 5.5.4.4: a
 * neighbour becomes better than the serving cell by an offset, for the time to
 * trigger). A device is *badly served* while both hold:
 *
 *     here > threshold   and   some node's RTT <= here - margin
 *
 * with fresh and certain samples of both. Once that has been so without a
 * break for `hold`, the policy wishes for the best nodes that better it by the
 * margin, unless the VM arrived here less than `min_stay` ago.
 */
#include <assert.h>
#include <string.h>

#include "placement/policy_evidence.h"

struct state {
	uint64_t since_ns; /* badly served since; 0: is not */
	uint32_t node;     /* by this node */
};

static_assert(sizeof(struct state) <= POLICY_STATE_SIZE, "fits");

static void threshold_dev_init(void *state)
{
	memset(state, 0, sizeof(struct state));
}

static bool is_badly_served(const struct policy_parameters *p, const struct policy_view *view)
{
	const struct policy_candidate *serving = policy_here(p, view);

	if (!serving || serving->srtt_ns <= p->threshold_ns)
		return false;
	for (size_t i = 0; i < view->n_candidates; i++)
		if (policy_betters(p, &view->candidates[i], serving, p->margin_ns))
			return true;
	return false;
}

static void threshold_on_sample(const struct policy_parameters *p, void *shared, void *state,
				const struct policy_view *view)
{
	struct state *s = state;

	(void)shared;
	if (!is_badly_served(p, view)) {
		s->since_ns = 0;
	} else if (!s->since_ns || s->node != view->visits[0].node) {
		s->since_ns = view->now_ns ? view->now_ns : 1;
		s->node = view->visits[0].node;
	}
}

static size_t threshold_wishes(const struct policy_parameters *p, const void *shared,
			       const void *state, const struct policy_view *view,
			       struct policy_wish *out)
{
	const struct state *s = state;
	/* Most devices are served well: that is told first. */
	const struct policy_candidate *serving = s->since_ns ? policy_here(p, view) : NULL;
	size_t n = 0;

	(void)shared;
	/* Asked between samples: what was evidence may have aged since. */
	if (!serving || s->node != serving->node || !is_badly_served(p, view))
		return 0;
	if (view->now_ns - s->since_ns < p->hold_ns || view->visits[0].ago_ns < p->min_stay_ns)
		return 0;
	for (size_t i = 0; i < view->n_candidates; i++) {
		const struct policy_candidate *c = &view->candidates[i];

		if (!policy_betters(p, c, serving, p->margin_ns) ||
		    policy_is_guarded(p, view, c->node))
			continue;
		n = policy_insert_wish(out, n,
				       &(struct policy_wish){
					       .target = c->node,
					       .benefit_ns = serving->srtt_ns - c->srtt_ns,
					       .code = "threshold",
					       .here_ns = serving->srtt_ns,
					       .target_ns = c->srtt_ns,
					       .held_ns = view->now_ns - s->since_ns,
				       });
	}
	return n;
}

const struct policy_ops policy_threshold = {
	.name = "threshold",
	.state_size = sizeof(struct state),
	.init = policy_check_parameters,
	.dev_init = threshold_dev_init,
	.on_sample = threshold_on_sample,
	.wishes = threshold_wishes,
	.foresee = policy_foresee,
};

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
 *
 * The guard against ping-pong: a VM that went A -> B -> A is not sent to B
 * again before `return_guard` has passed since it had gone to B.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "placement/policy.h"

struct state {
	uint64_t since_ns; /* badly served since; 0: is not */
	uint32_t node;     /* by this node */
};

static_assert(sizeof(struct state) <= POLICY_STATE_SIZE, "fits");

static int threshold_init(const struct policy_parameters *p, struct mg_error *err)
{
	if (p->threshold_ns == 0)
		return mg_error_set(err, -EINVAL, "threshold: must be greater than 0");
	if (p->margin_ns >= p->threshold_ns)
		return mg_error_set(err, -EINVAL, "margin: must be smaller than the threshold, "
						  "or no node can better it by the margin");
	if (p->max_age_ns == 0)
		return mg_error_set(err, -EINVAL, "max_age: must be greater than 0");
	if (p->min_confidence > 100)
		return mg_error_set(err, -EINVAL, "min_confidence: is a percentage");
	return 0;
}

static void threshold_dev_init(void *state)
{
	memset(state, 0, sizeof(struct state));
}

static bool is_evidence(const struct policy_parameters *p, const struct policy_candidate *c)
{
	return c->measured && c->age_ns <= p->max_age_ns && c->confidence >= p->min_confidence;
}

static const struct policy_candidate *here(const struct policy_parameters *p,
					   const struct policy_view *view)
{
	for (size_t i = 0; view->n_visits > 0 && i < view->n_candidates; i++)
		if (view->candidates[i].node == view->visits[0].node)
			return is_evidence(p, &view->candidates[i]) ? &view->candidates[i] : NULL;
	return NULL;
}

static bool betters(const struct policy_parameters *p, const struct policy_candidate *c,
		    const struct policy_candidate *serving)
{
	return c != serving && c->available && is_evidence(p, c) &&
	       c->srtt_ns + p->margin_ns <= serving->srtt_ns;
}

static bool is_badly_served(const struct policy_parameters *p, const struct policy_view *view)
{
	const struct policy_candidate *serving = here(p, view);

	if (!serving || serving->srtt_ns <= p->threshold_ns)
		return false;
	for (size_t i = 0; i < view->n_candidates; i++)
		if (betters(p, &view->candidates[i], serving))
			return true;
	return false;
}

static void threshold_on_sample(const struct policy_parameters *p, void *state,
				const struct policy_view *view)
{
	struct state *s = state;

	if (!is_badly_served(p, view)) {
		s->since_ns = 0;
	} else if (!s->since_ns || s->node != view->visits[0].node) {
		s->since_ns = view->now_ns ? view->now_ns : 1;
		s->node = view->visits[0].node;
	}
}

static bool is_guarded(const struct policy_parameters *p, const struct policy_view *view,
		       uint32_t target)
{
	return view->n_visits == POLICY_VISITS && view->visits[1].node == target &&
	       view->visits[2].node == view->visits[0].node &&
	       view->visits[1].ago_ns < p->return_guard_ns;
}

/* Keeps `out` sorted, the best first; of equals, the first in order of names. */
static size_t insert(struct policy_wish *out, size_t n, const struct policy_wish *wish)
{
	size_t at = n;

	while (at > 0 && out[at - 1].target_ns > wish->target_ns)
		at--;
	if (at == POLICY_WISHES_MAX)
		return n;
	if (n < POLICY_WISHES_MAX)
		n++;
	memmove(&out[at + 1], &out[at], (n - at - 1) * sizeof(*out));
	out[at] = *wish;
	return n;
}

static size_t threshold_wishes(const struct policy_parameters *p, const void *state,
			       const struct policy_view *view, struct policy_wish *out)
{
	const struct policy_candidate *serving = here(p, view);
	const struct state *s = state;
	size_t n = 0;

	/* Asked between samples: what was evidence may have aged since. */
	if (!serving || !s->since_ns || s->node != serving->node || !is_badly_served(p, view))
		return 0;
	if (view->now_ns - s->since_ns < p->hold_ns || view->visits[0].ago_ns < p->min_stay_ns)
		return 0;
	for (size_t i = 0; i < view->n_candidates; i++) {
		const struct policy_candidate *c = &view->candidates[i];

		if (!betters(p, c, serving) || is_guarded(p, view, c->node))
			continue;
		n = insert(out, n, &(struct policy_wish){
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
	.init = threshold_init,
	.dev_init = threshold_dev_init,
	.on_sample = threshold_on_sample,
	.wishes = threshold_wishes,
};

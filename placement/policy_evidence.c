/* SPDX-License-Identifier: Apache-2.0 */
#include "placement/policy_evidence.h"

#include <errno.h>
#include <string.h>

int policy_check_parameters(const struct policy_parameters *p, struct mg_error *err)
{
	if (p->threshold_ns == 0)
		return mg_error_set(err, -EINVAL, "threshold: must be greater than 0");
	if (p->margin_ns >= p->threshold_ns)
		return mg_error_set(err, -EINVAL,
				    "margin: must be smaller than the threshold, "
				    "or no node can better it by the margin");
	if (p->max_age_ns == 0)
		return mg_error_set(err, -EINVAL, "max_age: must be greater than 0");
	if (p->min_confidence > 100)
		return mg_error_set(err, -EINVAL, "min_confidence: is a percentage");
	return 0;
}

bool policy_is_guarded(const struct policy_parameters *p, const struct policy_view *view,
		       uint32_t target)
{
	return view->n_visits == POLICY_VISITS && view->visits[1].node == target &&
	       view->visits[2].node == view->visits[0].node &&
	       view->visits[1].ago_ns < p->return_guard_ns;
}

size_t policy_insert_wish(struct policy_wish *out, size_t n, const struct policy_wish *wish)
{
	size_t at = n;

	while (at > 0 && out[at - 1].benefit_ns < wish->benefit_ns)
		at--;
	if (at == POLICY_WISHES_MAX)
		return n;
	if (n < POLICY_WISHES_MAX)
		n++;
	memmove(&out[at + 1], &out[at], (n - at - 1) * sizeof(*out));
	out[at] = *wish;
	return n;
}

bool policy_foresee(const struct policy_parameters *p, const void *shared, const void *state,
		    const struct policy_view *view, struct policy_prospect *out)
{
	const struct policy_candidate *here = policy_here(p, view), *best = NULL;

	(void)shared, (void)state;
	if (!here || here->srtt_ns > p->threshold_ns) /* then it is about to have a wish */
		return false;
	for (size_t i = 0; i < view->n_candidates; i++) {
		const struct policy_candidate *c = &view->candidates[i];

		if (policy_betters(p, c, here, p->margin_ns) && !policy_is_guarded(p, view, c->node) &&
		    (!best || c->srtt_ns < best->srtt_ns))
			best = c;
	}
	if (!best)
		return false;
	*out = (struct policy_prospect){ best->node, 500 };
	return true;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Within the policies: what several of them ask of a view and of parameters.
 */
#ifndef PLACEMENT_POLICY_EVIDENCE_H
#define PLACEMENT_POLICY_EVIDENCE_H

#include "placement/policy.h"

/* The rules for parameters that all policies take. */
int policy_check_parameters(const struct policy_parameters *p, struct mg_error *err);

/* Fresh and certain enough to count. */
static inline bool policy_is_evidence(const struct policy_parameters *p,
				      const struct policy_candidate *c)
{
	return c->measured && c->age_ns <= p->max_age_ns && c->confidence >= p->min_confidence;
}

/* Where the VM is; NULL: nowhere, or there is no evidence. */
static inline const struct policy_candidate *policy_here(const struct policy_parameters *p,
							 const struct policy_view *view)
{
	for (size_t i = 0; view->n_visits > 0 && i < view->n_candidates; i++)
		if (view->candidates[i].node == view->visits[0].node)
			return policy_is_evidence(p, &view->candidates[i]) ? &view->candidates[i]
									   : NULL;
	return NULL;
}

/* Whether c is available, evident, and better than where the VM is by at least so much. */
static inline bool policy_betters(const struct policy_parameters *p,
				  const struct policy_candidate *c,
				  const struct policy_candidate *here, uint64_t margin_ns)
{
	return c != here && c->available && policy_is_evidence(p, c) &&
	       c->srtt_ns + margin_ns <= here->srtt_ns;
}

/* The guard against ping-pong: a VM that went A -> B -> A is not sent to B
 * again before `return_guard` has passed since it had gone to B. */
bool policy_is_guarded(const struct policy_parameters *p, const struct policy_view *view,
		       uint32_t target);

/* Puts a wish in its place, the best first; of equals, the first in order of
 * names; the worst falls out. Returns how many there are now. */
size_t policy_insert_wish(struct policy_wish *out, size_t n, const struct policy_wish *wish);

/* For policies that do not predict: a node is better by the margin already, but here it is still
 * good enough. The device is on its way there as likely as not. */
bool policy_foresee(const struct policy_parameters *p, const void *shared, const void *state,
		    const struct policy_view *view, struct policy_prospect *out);

#endif

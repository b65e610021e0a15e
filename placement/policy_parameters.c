/* SPDX-License-Identifier: Apache-2.0 */
#include "placement/policy_parameters.h"

void policy_parameters_take(const Tagalong__Placement__PolicyParameters *p,
			    struct policy_parameters *ret)
{
	*ret = (struct policy_parameters){
		.threshold_ns = p->threshold_ns,
		.hold_ns = p->hold_ns,
		.margin_ns = p->margin_ns,
		.min_stay_ns = p->min_stay_ns,
		.return_guard_ns = p->return_guard_ns,
		.max_age_ns = p->max_age_ns,
		.min_confidence = p->min_confidence,
		.horizon_ns = p->horizon_ns,
		.order = p->order,
	};
}

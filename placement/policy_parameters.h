/* SPDX-License-Identifier: Apache-2.0
 *
 * The policies' parameters as configuration and records carry them.
 */
#ifndef PLACEMENT_POLICY_PARAMETERS_H
#define PLACEMENT_POLICY_PARAMETERS_H

#include "placement/policy.h"
#include "placement/proto/placement.pb-c.h"

/* Those that an older record does not know get their defaults. */
void policy_parameters_take(const Tagalong__Placement__PolicyParameters *p,
			    struct policy_parameters *ret);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "placement/policy.h"

#include <string.h>

#include "common/cleanup.h"

static const struct policy_ops *const policies[] = {
	&policy_markov,
	&policy_rent_or_buy,
	&policy_threshold,
};

const struct policy_ops *policy_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(policies); i++)
		if (strcmp(policies[i]->name, name) == 0)
			return policies[i];
	return NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/refusals.h"

void refusals_add(struct refusals *r, const struct uuid *order, const struct mg_error *why)
{
	size_t at = r->count++ % REFUSALS;

	r->last[at].order = *order;
	r->last[at].why = *why;
}

const struct mg_error *refusals_find(const struct refusals *r, const struct uuid *order)
{
	for (size_t i = 0; i < REFUSALS && i < r->count; i++)
		if (uuid_equal(&r->last[i].order, order))
			return &r->last[i].why;
	return NULL;
}

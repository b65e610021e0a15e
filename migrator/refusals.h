/* SPDX-License-Identifier: Apache-2.0
 *
 * Orders that were refused not long ago, so that a repetition that was on its way is refused as
 * well: whoever gave the order has heard that it will not be carried out, and may have thought of
 * something else. A ring, and not journaled: what is on its way does not outlive the connection,
 * and so not this process.
 */
#ifndef MIGRATOR_REFUSALS_H
#define MIGRATOR_REFUSALS_H

#include "common/error.h"
#include "common/uuid.h"

#define REFUSALS 64

struct refusals {
	struct {
		struct uuid order;
		struct mg_error why;
	} last[REFUSALS];
	size_t count; /* ever */
};

/* Copies both. */
void refusals_add(struct refusals *r, const struct uuid *order, const struct mg_error *why);

/* Why the order was refused; NULL: it was not, or that is forgotten. It may be overwritten by the next
 * refusals_add(). */
const struct mg_error *refusals_find(const struct refusals *r, const struct uuid *order);

#endif

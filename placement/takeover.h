/* SPDX-License-Identifier: Apache-2.0
 *
 * How a controller takes charge of a store: it raises the epoch, so that one
 * that started before is refused from then on, and reads all that its
 * decisions will rest on.
 */
#ifndef PLACEMENT_TAKEOVER_H
#define PLACEMENT_TAKEOVER_H

#include "common/cleanup.h"
#include "placement/proto/placement.pb-c.h"
#include "placement/store.h"

/* Fills in `epoch` and `values` of a Start that was initialised; they are freed
 * with takeover_clear(), also after an error. The epoch will be what it was, if that is
 * higher than any before. -ESTALE: `leads` (NULL: nothing) does not hold, or another
 * was faster. ret_revision is for controller_new(). */
int takeover(struct store *store, const struct store_compare *leads,
	     Tagalong__Placement__Start *start, uint64_t *ret_revision, struct mg_error *err);
void takeover_clear(Tagalong__Placement__Start *start);

#endif

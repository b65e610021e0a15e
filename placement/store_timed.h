/* SPDX-License-Identifier: Apache-2.0
 *
 * A store that takes note of how long another one takes.
 */
#ifndef PLACEMENT_STORE_TIMED_H
#define PLACEMENT_STORE_TIMED_H

#include "common/metrics.h"
#include "placement/store.h"

enum store_timing { STORE_GET, STORE_RANGE, STORE_TXN, STORE_LEASE, STORE_TIMINGS };

/* "get", "range", ... */
const char *store_timing_name(enum store_timing timing);

/* Takes the other one over, also when it fails: NULL, no memory. */
struct store *store_timed_new(struct store *inner);

/* How long each took, in seconds; of a store that is one. */
const struct metrics_histogram *store_timed_get(const struct store *s, enum store_timing timing);

#endif

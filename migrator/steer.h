/* SPDX-License-Identifier: Apache-2.0
 *
 * When the guest may stop. QEMU stops it once what is left would pass in
 * `downtime-limit` at the rate that its socket accepts; so the limit stays at
 * its least, 1 ms, until the cost model says that the rest fits the promised
 * blackout, and is then the promise less what is not transfer. A guest that
 * rewrites its memory faster than rounds can follow never gets there: after
 * rounds without progress the allowed blackout doubles, up to half of the
 * most that the order permits (the other half is for surprises: the guard
 * timer of outgoing.c undoes a stop that lasts longer than the whole).
 *
 * Pure: no clock, no socket.
 */
#ifndef MIGRATOR_STEER_H
#define MIGRATOR_STEER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cost.h"

struct steer {
	uint64_t allowed_ns;
	uint64_t most_ns;
	uint32_t limit_ms;
	uint32_t round;
	uint32_t stale_rounds;
	uint64_t best_bytes;
};

void steer_init(struct steer *s, uint64_t promise_ns, uint64_t most_ns);

/* Takes what is measured (facts; promise_ns is ignored) in QEMU's round
 * `round`. Returns true when *ret_limit_ms is to be QEMU's new limit. */
bool steer_update(struct steer *s, const struct cost_facts *facts, uint32_t round,
		  uint32_t *ret_limit_ms);

#endif

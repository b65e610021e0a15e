/* SPDX-License-Identifier: Apache-2.0
 *
 * When the guest may stop. QEMU stops it once what is left would pass in
 * `downtime-limit` at the rate that its socket accepts; so the limit stays at
 * its least, 1 ms, until the cost model says that the rest fits the promised
 * blackout, and is then the promise less what is not transfer. A guest that
 * rewrites its memory faster than rounds can follow never gets there. Three rounds
 * without progress are taken for that, and then it is the order's choice:
 *
 * longer: the allowed blackout doubles, up to half of the most that the order
 * permits (the other half is for surprises: the guard timer of outgoing_copy.c
 * undoes a stop that lasts longer than the whole);
 * wait: nothing changes, the guest may calm down;
 * give-up: the move ends;
 * throttle: the guest is slowed down by another tenth after each such round;
 * post-copy: it is run at the target at once, and what is left of its memory follows.
 *
 * A new choice is a line in the table of steer.c and one in common/converge.c.
 * Pure: no clock, no socket.
 */
#ifndef MIGRATOR_STEER_H
#define MIGRATOR_STEER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/converge.h"
#include "common/cost.h"

#define STEER_THROTTLE_MOST 99 /* QEMU's own bound */

struct steer {
	IfNotConverging choice;
	uint64_t allowed_ns;
	uint64_t most_ns; /* `longer` raises what is allowed so far */
	uint32_t limit_ms;
	uint32_t throttle_percent;
	uint32_t round;
	uint32_t stale_rounds;
	uint64_t best_bytes;
};

struct steer_verdict {
	uint32_t limit_ms;         /* QEMU's new limit; 0: as it is */
	uint32_t throttle_percent; /* how far QEMU may slow the guest down now; 0: as it is */
	bool give_up;
	bool post_copy;
};

void steer_init(struct steer *s, IfNotConverging choice, uint64_t promise_ns, uint64_t most_ns);

/* Takes what is measured (facts; promise_ns is ignored) in QEMU's round
 * `round`. `accepted_bps`: the guest bytes a second that QEMU gets rid of, by which it measures its
 * limit; 0: not known. Pages that the target has already make that much more than what the
 * written ones of the blackout will have. */
struct steer_verdict steer_update(struct steer *s, const struct cost_facts *facts, uint32_t round,
				  uint64_t accepted_bps);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * What a move will cost: one pure model, used by the engine to steer the stop,
 * by the planner and by the simulator.
 *
 * Pre-copy in rounds (Clark et al., "Live Migration of Virtual Machines", NSDI
 * 2005): each round sends what the one before left dirty, so its length shrinks
 * by dirty rate over page rate, until the rest fits the promised blackout or no
 * longer shrinks. The blackout adds to the rest what does not shrink: QEMU's own
 * stop and start, the device state, and the commit's round trips. The total adds what
 * passes before the first byte goes.
 */
#ifndef COMMON_COST_H
#define COMMON_COST_H

#include <stdbool.h>
#include <stdint.h>

/* STOP to RESUME of QEMU itself: 4.4–14.3 ms measured on QEMU 7.2. */
#define COST_QEMU_NS UINT64_C(8000000)
#define COST_QEMU_LEAST_NS UINT64_C(4400000)
/* The device state after LZ4; its JSON is dropped on the way. */
#define COST_TAIL_BYTES UINT64_C(16384)
/* The link's rate when nobody has measured it: 100 Mbit/s. */
#define COST_LINK_BPS_GUESS UINT64_C(12500000)

/* What a move takes beyond the time of its bytes on the link: the target's QEMU, the connection, the
 * first dirty sync and pages that are zero. The median of sim/reference/moves.def is 1.1 s. */
#define COST_START_NS UINT64_C(1000000000)

struct cost_facts {
	uint64_t remaining_bytes; /* guest bytes still to go; before a move the RAM in use */
	uint64_t working_set_bytes; /* what is being rewritten at random; 0: unknown */
	uint64_t dirty_bps;       /* guest bytes rewritten a second */
	uint64_t link_bps;        /* bytes a second on the wire; 0: not measured */
	uint32_t wire_permille;   /* wire bytes for 1000 guest bytes; 0: not measured */
	uint32_t again_permille;  /* of what is written meanwhile and sent again; 0: the same */
	uint64_t qemu_ns;         /* from stop to run, of QEMU and daemons alone; 0: not measured */
	uint64_t start_ns;        /* before the first byte goes; COST_START_NS, or 0 when it is over */
	uint64_t rtt_ns;
	uint64_t promise_ns;      /* the blackout to keep */
};

struct cost {
	uint64_t bytes;       /* on the wire, from now to the end */
	uint64_t total_ns;    /* from now to the end, blackout included */
	uint64_t blackout_ns;
	uint32_t rounds;
	uint32_t confidence;  /* 0 (a guess) to 100 (all measured, converges quickly) */
	bool keeps_promise;
};

void cost_predict(const struct cost_facts *facts, struct cost *ret);

/* The part of the blackout that is there when not a single page is left. */
uint64_t cost_fixed_blackout_ns(const struct cost_facts *facts);

/* No blackout was ever shorter: QEMU's least, and the commit's 1.5 round trips. */
uint64_t cost_least_blackout_ns(uint64_t rtt_ns);

/* How long `guest_bytes` take on the wire. */
uint64_t cost_transfer_ns(const struct cost_facts *facts, uint64_t guest_bytes);

/* Guest bytes that are written in that time, each page counted once: of the dirty rate and the
 * working set. */
uint64_t cost_dirtied_bytes(const struct cost_facts *facts, uint64_t ns);

#endif

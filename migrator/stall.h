/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether a move gets on. QEMU's count of what is left falls within every round and
 * jumps back at its end, so what counts is how much a round begins with: one that begins with less
 * than all before it is progress as long as it lasts and gets on; one that does not
 * is none.
 *
 * Pure: times are ns of one monotonic clock.
 */
#ifndef MIGRATOR_STALL_H
#define MIGRATOR_STALL_H

#include <stdbool.h>
#include <stdint.h>

struct stall {
	uint64_t best_start; /* the least that a round began with */
	uint64_t least;      /* in this round */
	uint32_t round;
	bool better;         /* this round began with less */
	uint64_t since_ns;
};

void stall_init(struct stall *s, uint64_t now);

/* QEMU's round, and the bytes that it has still to send. */
void stall_note(struct stall *s, uint32_t round, uint64_t remaining, uint64_t now);

/* Time that does not count: the link was away. */
void stall_excuse(struct stall *s, uint64_t now);

/* How long there was no progress; ns. */
uint64_t stall_ns(const struct stall *s, uint64_t now);

#endif

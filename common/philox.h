/* SPDX-License-Identifier: Apache-2.0
 *
 * Philox4x32-10, a counter-based random generator (Salmon, Moraes, Dror, Shaw:
 * "Parallel random numbers: as easy as 1, 2, 3", SC 2011). A number is a pure
 * function of key, stream and counter, so results do not depend on who draws
 * first. It is no cryptographic generator.
 */
#ifndef COMMON_PHILOX_H
#define COMMON_PHILOX_H

#include <stdint.h>

void philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t ret[4]);

/* 64 bits of block `counter` of a stream. */
uint64_t philox_u64(uint64_t key, uint64_t stream, uint64_t counter);

#endif

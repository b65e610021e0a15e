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

#define PHILOX_ROUNDS 10
#define PHILOX_MULTIPLIER_0 UINT64_C(0xD2511F53)
#define PHILOX_MULTIPLIER_1 UINT64_C(0xCD9E8D57)
#define PHILOX_WEYL_0 UINT32_C(0x9E3779B9) /* the golden ratio */
#define PHILOX_WEYL_1 UINT32_C(0xBB67AE85) /* the square root of 3, less 1 */

static inline void philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t ret[4])
{
	uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
	uint32_t k0 = key[0], k1 = key[1];

#pragma GCC unroll 10
	for (int i = 0; i < PHILOX_ROUNDS; i++) {
		uint64_t p0 = PHILOX_MULTIPLIER_0 * c0, p1 = PHILOX_MULTIPLIER_1 * c2;

		c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
		c1 = (uint32_t)p1;
		c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
		c3 = (uint32_t)p0;
		k0 += PHILOX_WEYL_0;
		k1 += PHILOX_WEYL_1;
	}
	ret[0] = c0;
	ret[1] = c1;
	ret[2] = c2;
	ret[3] = c3;
}

/* 64 bits of block `counter` of a stream. */
static inline uint64_t philox_u64(uint64_t key, uint64_t stream, uint64_t counter)
{
	const uint32_t k[2] = { (uint32_t)key, (uint32_t)(key >> 32) };
	const uint32_t c[4] = { (uint32_t)counter, (uint32_t)(counter >> 32), (uint32_t)stream,
				(uint32_t)(stream >> 32) };
	uint32_t block[4];

	philox4x32(c, k, block);
	return (uint64_t)block[1] << 32 | block[0];
}

#endif

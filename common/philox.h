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
#ifdef __SSE2__
#include <emmintrin.h>
#endif

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

/* philox_u64() of PHILOX_LANES streams, each with its counter, side by side. */
#define PHILOX_LANES 4

#ifdef __SSE2__

/* Two lanes; of each 64 bits the upper half is no matter until the end. */
static inline void philox_u64_pair(uint64_t key, const uint64_t stream[2],
				   const uint32_t counter[2], uint64_t ret[2])
{
	const __m128i m0 = _mm_set1_epi64x((int64_t)PHILOX_MULTIPLIER_0);
	const __m128i m1 = _mm_set1_epi64x((int64_t)PHILOX_MULTIPLIER_1);
	__m128i c0 = _mm_set_epi64x(counter[1], counter[0]), c1 = _mm_setzero_si128();
	__m128i c2 = _mm_loadu_si128((const __m128i *)stream), c3 = _mm_srli_epi64(c2, 32);
	uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);

#pragma GCC unroll 10
	for (int i = 0; i < PHILOX_ROUNDS; i++) {
		__m128i p0 = _mm_mul_epu32(m0, c0), p1 = _mm_mul_epu32(m1, c2);

		c0 = _mm_xor_si128(_mm_xor_si128(_mm_srli_epi64(p1, 32), c1),
				   _mm_set1_epi32((int)k0));
		c1 = p1;
		c2 = _mm_xor_si128(_mm_xor_si128(_mm_srli_epi64(p0, 32), c3),
				   _mm_set1_epi32((int)k1));
		c3 = p0;
		k0 += PHILOX_WEYL_0;
		k1 += PHILOX_WEYL_1;
	}
	c0 = _mm_and_si128(c0, _mm_set1_epi64x(UINT32_MAX));
	_mm_storeu_si128((__m128i *)ret, _mm_or_si128(_mm_slli_epi64(c1, 32), c0));
}

static inline void philox_u64_lanes(uint64_t key, const uint64_t stream[PHILOX_LANES],
				    const uint32_t counter[PHILOX_LANES],
				    uint64_t ret[PHILOX_LANES])
{
	for (int i = 0; i < PHILOX_LANES; i += 2)
		philox_u64_pair(key, stream + i, counter + i, ret + i);
}

#else

static inline void philox_u64_lanes(uint64_t key, const uint64_t stream[PHILOX_LANES],
				    const uint32_t counter[PHILOX_LANES],
				    uint64_t ret[PHILOX_LANES])
{
	for (int i = 0; i < PHILOX_LANES; i++)
		ret[i] = philox_u64(key, stream[i], counter[i]);
}

#endif

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * Random numbers of one entity. Each has a stream of its own (common/philox.h),
 * so what it draws does not depend on what others do, nor on threads.
 */
#ifndef SIM_ENGINE_DRAWS_H
#define SIM_ENGINE_DRAWS_H

#include <stdint.h>

#include "common/philox.h"

/* What an entity draws for; each is a stream. */
enum purpose { PURPOSE_MOVEMENT, PURPOSE_RADIO, PURPOSES };

struct draws {
	uint64_t seed, stream;
	uint32_t *counter; /* kept with the entity */
};

static inline struct draws draws_of(uint64_t seed, enum purpose purpose, uint32_t entity,
				    uint32_t *counter)
{
	return (struct draws){ seed, (uint64_t)purpose << 32 | entity, counter };
}

/* 0 <= u < 1, of 53 bits. */
static inline double draw_uniform(struct draws d)
{
	return (double)(philox_u64(d.seed, d.stream, (*d.counter)++) >> 11) * 0x1p-53;
}

static inline double draw_between(struct draws d, double from, double to)
{
	return from + (to - from) * draw_uniform(d);
}

/* Standard normal, by the inverse of its distribution; see normal_quantile(). */
double draw_normal(struct draws d);

/* The inverse of the standard normal distribution, 0 < p < 1, good to 1.2e-9
 * (Acklam, "An algorithm for computing the inverse normal cumulative distribution
 * function", 2003). */
double normal_quantile(double p);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * Counts of durations in buckets, 32 for each doubling: a quantile is at most
 * 1/32 too high, whatever the durations. Histograms add up.
 */
#ifndef SIM_ENGINE_HISTOGRAM_H
#define SIM_ENGINE_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_BUCKETS 1024

/* Units of 1024 ns; from 32 units on the buckets widen. */
struct histogram {
	uint64_t counts[HISTOGRAM_BUCKETS];
	uint64_t n;
};

static inline unsigned histogram_bucket(uint64_t ns)
{
	uint64_t units = ns >> 10;
	unsigned shift;

	if (units < 32)
		return (unsigned)units;
	shift = 58 - (unsigned)__builtin_clzll(units); /* units >> shift is 32 to 63 */
	return shift * 32 + (unsigned)(units >> shift);
}

static inline void histogram_add(struct histogram *h, uint64_t ns)
{
	unsigned bucket = histogram_bucket(ns);

	h->counts[bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1]++;
	h->n++;
}

/* Where a bucket ends, in ns. */
static inline uint64_t histogram_end(unsigned bucket)
{
	unsigned shift = bucket < 64 ? 0 : bucket / 32 - 1;

	return (uint64_t)(bucket - shift * 32 + 1) << shift << 10;
}

/* 0 when the histogram is empty. */
static inline uint64_t histogram_quantile(const struct histogram *h, double q)
{
	uint64_t wanted = (uint64_t)(q * (double)h->n), seen = 0;

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += h->counts[i];
		if (seen > wanted || (seen == h->n && seen > 0))
			return histogram_end(i);
	}
	return 0;
}

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * How a path's round-trip times are distributed: a log-linear histogram, after
 * HdrHistogram and DDSketch (Masson, Rim, Lee, VLDB 2019). Each power of two is
 * cut into 64 buckets of one width, so the middle of a bucket is at most 1/128
 * (0.79 %) away from whatever lies in it, and so is each quantile from the sample
 * of that rank. Two histograms add up to that of all their samples.
 *
 * Counted are 1.024 us to 137 s; what lies outside counts as the nearest of these.
 *
 * Memory is taken for the quarters of powers of two that samples fell into: 32 B
 * each, besides the struct. A path's times fill some ten of them.
 *
 * When a bucket is full (65,535), or when asked to, all counts are halved, such
 * that the number of samples below any time stays half of what it was, give or
 * take one.
 */
#ifndef COMMON_HISTOGRAM_H
#define COMMON_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"

#define HISTOGRAM_PAGE 16 /* buckets */

struct histogram_page {
	uint16_t counts[HISTOGRAM_PAGE];
};

/* All zero is an empty histogram. Opaque but for its size. */
struct histogram {
	struct histogram_page *pages; /* those that `present` names, in its order */
	uint64_t present[2];          /* by quarters of powers of two */
	uint32_t samples;
	uint32_t first_half; /* pages that present[0] names */
};

/* Releases the memory and leaves an empty histogram. */
void histogram_clear(struct histogram *h);

/* 0, or -ENOMEM: then nothing has changed. */
int histogram_add(struct histogram *h, uint64_t ns);

/* Adds all samples of `from`. 0, or -ENOMEM: then a part of them is missing. */
int histogram_merge(struct histogram *h, const struct histogram *from);

/* Older samples weigh half from now on. */
void histogram_halve(struct histogram *h);

uint32_t histogram_samples(const struct histogram *h);

/* The quantiles that parts in 10,000 name (9990 is p99.9), which must rise: that of
 * the sample with rank ceil(part/10,000 × samples), at least 1. All 0 when there
 * are no samples. */
void histogram_quantiles(const struct histogram *h, const unsigned *parts, size_t n,
			 uint64_t *ret_ns);

/* Bytes in all, the struct included. */
size_t histogram_bytes(const struct histogram *h);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * Means and their 95 % confidence intervals (Student).
 */
#ifndef SIM_STUDY_STATISTICS_H
#define SIM_STUDY_STATISTICS_H

#include <stddef.h>

struct estimate {
	size_t n;
	double mean;
	double half; /* the interval is mean ± half; not a number with fewer than two values */
};

struct estimate estimate_mean(const double *values, size_t n);

/* Of b - a for independent samples (Welch); `n` is the smaller one's. */
struct estimate estimate_difference(const struct estimate *a, const struct estimate *b);

/* The 0.975 quantile of Student's distribution, to 1e-6; df at least 1. */
double student_975(unsigned df);

#endif

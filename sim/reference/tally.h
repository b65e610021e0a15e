/* SPDX-License-Identifier: Apache-2.0
 *
 * Means of independent samples and how far to trust them.
 */
#ifndef SIM_REFERENCE_TALLY_H
#define SIM_REFERENCE_TALLY_H

#include <stddef.h>

struct tally {
	size_t n;
	double mean, squares; /* the sum of squared deviations (Welford 1962) */
};

void tally_add(struct tally *tally, double sample);

/* Half the width of the interval around the mean that misses with probability
 * `miss` (0 < miss < 1) on both sides together. Student's quantile is Fisher's
 * expansion of the normal one; right to 1 % for n > 20. */
double tally_half_width(const struct tally *tally, double miss);

#endif

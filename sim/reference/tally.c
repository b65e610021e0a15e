/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/reference/tally.h"

#include <math.h>

void tally_add(struct tally *tally, double sample)
{
	double off = sample - tally->mean;

	tally->n++;
	tally->mean += off / (double)tally->n;
	tally->squares += off * (sample - tally->mean);
}

/* z such that a standard normal |Z| > z with this probability. */
static double normal_quantile(double miss)
{
	double low = 0, high = 40;

	for (int i = 0; i < 100; i++) {
		double z = (low + high) / 2;

		if (erfc(z / sqrt(2)) > miss)
			low = z;
		else
			high = z;
	}
	return high;
}

double tally_half_width(const struct tally *tally, double miss)
{
	double free = (double)tally->n - 1, z = normal_quantile(miss);
	double t = z + (pow(z, 3) + z) / (4 * free) +
		   (5 * pow(z, 5) + 16 * pow(z, 3) + 3 * z) / (96 * free * free);

	if (tally->n < 2)
		return INFINITY;
	return t * sqrt(tally->squares / free / (double)tally->n);
}

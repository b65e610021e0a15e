/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cusum.h"

#include <math.h>

/* A level that was learnt moves by 1/64 of each sample's distance. */
#define FOLLOW (1.0 / 64)
/* No path is so steady that a change of 2 % would be worth an alarm. */
#define DEVIATION_LEAST 0.02

enum cusum_change cusum_add(struct cusum *c, double k, double h, double deviation)
{
	c->above = fmax(0, c->above + deviation - k);
	c->below = fmax(0, c->below - deviation - k);
	if (c->above <= h && c->below <= h)
		return CUSUM_NONE;
	deviation = c->above > h ? 1 : -1;
	*c = (struct cusum){ 0 };
	return deviation > 0 ? CUSUM_UP : CUSUM_DOWN;
}

/* The running mean and variance at first (Welford 1962), then exponential ones. */
static void learn(struct level *l, double sample)
{
	double distance = sample - l->mean, gain;

	if (l->samples < LEVEL_LEARN)
		gain = 1.0 / ++l->samples;
	else
		gain = FOLLOW;
	l->mean += gain * distance;
	l->variance += gain * (distance * (sample - l->mean) - l->variance);
}

enum cusum_change level_add(struct level *l, double sample)
{
	double deviation = fmax(sqrt(l->variance), DEVIATION_LEAST * fabs(l->mean));
	enum cusum_change change = CUSUM_NONE;
	double counted = sample;

	if (level_is_known(l) && deviation > 0) {
		double most = LEVEL_OUTLIER * deviation;

		counted = fmin(fmax(sample, l->mean - most), l->mean + most);
		change = cusum_add(&l->cusum, CUSUM_K, CUSUM_H, (counted - l->mean) / deviation);
	}
	if (change == CUSUM_NONE) {
		learn(l, counted);
	} else {
		*l = (struct level){ 0 };
		learn(l, sample);
	}
	return change;
}

double level_doubt(const struct level *l)
{
	if (!level_is_known(l))
		return 1 - (double)l->samples / LEVEL_LEARN;
	return fmax(l->cusum.above, l->cusum.below) / CUSUM_H;
}

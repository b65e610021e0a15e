/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/engine/noise.h"

#include <math.h>

#include "sim/engine/draws.h"

#define MEDIAN_MS 83.0
#define SHIFT_MS 72.0
#define SCALE_MS 11.0
#define SIGMA 0.956
#define TAIL_FROM 0.95
#define TAIL_FROM_MS 125.0
#define TAIL_MS 95.7

/* The body's quantiles at equal steps of u. The lowest step begins at its middle,
 * as there is no quantile of 0. */
#define STEPS 4096
static double table[STEPS + 1];

double noise_factor_exact(double u)
{
	double ms;

	if (u < TAIL_FROM)
		ms = SHIFT_MS + SCALE_MS * exp(SIGMA * normal_quantile(fmax(u, 0x1p-54)));
	else
		ms = TAIL_FROM_MS + TAIL_MS * log((1 - TAIL_FROM) / (1 - u));
	return ms / MEDIAN_MS;
}

void noise_init(void)
{
	for (int i = 0; i < STEPS; i++)
		table[i] = noise_factor_exact(TAIL_FROM * i / STEPS);
	table[STEPS] = noise_factor_exact(TAIL_FROM);
}

double noise_factor(double u)
{
	double at = u * (STEPS / TAIL_FROM);
	int i;

	if (u >= TAIL_FROM)
		return noise_factor_exact(u);
	i = (int)at;
	return table[i] + (table[i + 1] - table[i]) * (at - i);
}

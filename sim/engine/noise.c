/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/engine/noise.h"

#include <math.h>

#include "sim/engine/draws.h"

#define MEDIAN_MS 83.0
#define SHIFT_MS 72.0
#define SCALE_MS 11.0
#define SIGMA 0.956
#define TAIL_FROM_MS 125.0
#define TAIL_MS 95.7

/* The body's quantiles at equal steps of u. The lowest step begins at its middle,
 * as there is no quantile of 0. */
double noise_table[NOISE_STEPS + 1];

double noise_factor_exact(double u)
{
	double ms;

	if (u < NOISE_TAIL_FROM)
		ms = SHIFT_MS + SCALE_MS * exp(SIGMA * normal_quantile(fmax(u, 0x1p-54)));
	else
		ms = TAIL_FROM_MS + TAIL_MS * log((1 - NOISE_TAIL_FROM) / (1 - u));
	return ms / MEDIAN_MS;
}

void noise_init(void)
{
	for (int i = 0; i < NOISE_STEPS; i++)
		noise_table[i] = noise_factor_exact(NOISE_TAIL_FROM * i / NOISE_STEPS);
	noise_table[NOISE_STEPS] = noise_factor_exact(NOISE_TAIL_FROM);
}

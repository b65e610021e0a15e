/* SPDX-License-Identifier: Apache-2.0
 *
 * How a radio access's round-trip times scatter around their median: a shifted
 * lognormal body and an exponential tail of the top 5 %,
 *
 *     x(u) = 72 + 11 exp(0.956 z(u))       u < 0.95, z the normal quantile
 *     x(u) = 125 + 95.7 ln(0.05 / (1 - u)) else
 *
 * in ms, fitted by quantiles to the 773 pings of six drives in 5G and LTE (Raca et
 * al., "Beyond throughput, the next generation", MMSys 2020):
 *
 *     quantile    5 %  10 %  25 %  50 %  75 %  90 %  95 %  98 %  99 %  99.5 %
 *     recorded    74    75    80    83    94   108   125   220   279   350
 *     this        74.3  75.2  77.8  83    93   109   125   213   279   345
 *
 * It is used as a shape: divided by its median, times the median of a scenario.
 */
#ifndef SIM_ENGINE_NOISE_H
#define SIM_ENGINE_NOISE_H

#define NOISE_TAIL_FROM 0.95
#define NOISE_STEPS 4096
extern double noise_table[NOISE_STEPS + 1];

/* Fills the table from which noise_factor() interpolates, and this does without. */
void noise_init(void);
double noise_factor_exact(double u);

/* The factor for 0 <= u < 1. Its median is 1. Threads may call it once
 * noise_init() has returned in one of them. */
static inline double noise_factor(double u)
{
	double at = u * (NOISE_STEPS / NOISE_TAIL_FROM);
	int i = (int)at;

	if (u >= NOISE_TAIL_FROM)
		return noise_factor_exact(u);
	return noise_table[i] + (noise_table[i + 1] - noise_table[i]) * (at - i);
}

#endif

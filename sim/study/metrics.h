/* SPDX-License-Identifier: Apache-2.0
 *
 * What is told of a run: a line each in the table of metrics.c.
 */
#ifndef SIM_STUDY_METRICS_H
#define SIM_STUDY_METRICS_H

#include "sim/engine/engine.h"

#define METRICS_MAX 32

struct metric {
	const char *name;
	const char *what; /* for people, with the unit */
	double (*of)(const struct run_figures *f);
};

extern const struct metric metrics[];
extern const size_t n_metrics;

/* Its number; -ENOENT: there is none of that name. */
int metric_find(const char *name);

/* Sets of metrics: a bit each. */
static inline uint32_t metric_bit(size_t metric)
{
	return UINT32_C(1) << metric;
}

/* What reports show when nothing else is asked for. */
uint32_t metrics_usual(void);

#endif

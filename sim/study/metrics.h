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

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * The report's map: towers, and some devices and their VMs as they were at even times, to be
 * stepped through. Of each of the first configurations one replication is shown; so the
 * results and the report stay small, however large the study is.
 */
#ifndef SIM_STUDY_MAP_H
#define SIM_STUDY_MAP_H

#include <jansson.h>

#include "sim/study/results.h"

#define MAP_CONFIGURATIONS 8

/* Whether snapshots are taken of that run. */
static inline bool map_shows(const struct study *s, uint32_t run)
{
	return run % s->replications == 0 && run / s->replications < MAP_CONFIGURATIONS;
}

/* As JSON: for each time a list of devices, each 0 when absent, or x, y, tower, host, and
 * where its VM is on its way to. */
void map_format(FILE *f, const struct snapshots *s);

/* The same back; the caller frees it. -EINVAL: it is none; -ENOMEM. */
int map_parse(const json_t *o, uint32_t n_towers, struct snapshots **ret);

void map_write(FILE *f, const struct results *r);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * Within towers: files.
 */
#ifndef SIM_WORLD_TOWERS_FILE_H
#define SIM_WORLD_TOWERS_FILE_H

#include "sim/world/towers.h"

enum towers_format { TOWERS_CSV, TOWERS_CELLS, TOWERS_OPENCELLID };

int towers_add(struct towers *t, struct point at, double radius);
int towers_index(struct towers *t);

/* All but the index. */
int towers_load(enum towers_format format, const char *file, const char *folder, struct towers *t,
		struct mg_error *err);

#endif

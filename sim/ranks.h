/* SPDX-License-Identifier: Apache-2.0
 *
 * edgesim as several processes, on one machine or many, that Open MPI's mpirun has
 * started. Built without Open MPI, or started without mpirun, it is alone.
 */
#ifndef SIM_RANKS_H
#define SIM_RANKS_H

#include <stdbool.h>

#include "common/error.h"

struct ranks {
	unsigned number, n; /* 0/1: alone */
};

/* -ENOTSUP: mpirun started it, but it was built without Open MPI. */
int ranks_begin(struct ranks *ret, struct mg_error *err);

/* Waits for all; true: all were given true. */
bool ranks_agree(const struct ranks *ranks, bool mine);
void ranks_end(struct ranks *ranks);

#endif

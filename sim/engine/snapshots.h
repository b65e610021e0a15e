/* SPDX-License-Identifier: Apache-2.0
 *
 * Where some devices of a run were, and their VMs, at even times: what a map shows. Taking
 * them changes nothing of the run. However many devices and hours there are, it stays small.
 */
#ifndef SIM_ENGINE_SNAPSHOTS_H
#define SIM_ENGINE_SNAPSHOTS_H

#include <stdbool.h>
#include <stdint.h>

#define SNAPSHOT_DEVICES 64
#define SNAPSHOT_TIMES 60 /* the last one is the end of the run */

struct sighting {
	bool present; /* and a tower covers it */
	int32_t x, y;          /* m */
	uint16_t tower;        /* that serves it */
	uint16_t host, target; /* of its VM; target: where it is on its way to, or the host */
};

struct snapshots {
	uint32_t n; /* devices, at most SNAPSHOT_DEVICES, evenly chosen from all */
	struct sighting at[SNAPSHOT_TIMES][SNAPSHOT_DEVICES];
};

/* The number of the k-th device of `n` that are chosen from all. */
static inline uint32_t snapshot_device(uint32_t k, uint32_t n, uint32_t devices)
{
	return (uint32_t)((uint64_t)k * devices / n);
}

/* When the i-th is taken. */
static inline uint64_t snapshot_time_ns(unsigned i, uint64_t duration_ns)
{
	uint64_t whole = duration_ns / SNAPSHOT_TIMES, rest = duration_ns % SNAPSHOT_TIMES;

	return whole * (i + 1) + rest * (i + 1) / SNAPSHOT_TIMES;
}

#endif

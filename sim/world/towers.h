/* SPDX-License-Identifier: Apache-2.0
 *
 * Where towers stand, and which are near a place. Each has a host beside it.
 */
#ifndef SIM_WORLD_TOWERS_H
#define SIM_WORLD_TOWERS_H

#include <stdint.h>

#include "sim/trace/trace.h"

#define TOWERS_SIM_MAX 65536
#define TOWERS_AROUND 8
#define TOWERS_NONE UINT32_MAX

struct towers {
	struct projection projection; /* known when they came with latitude and longitude */
	struct point *at;
	uint32_t n;
	double *radius; /* m, of what each covers; 0: not said */
	bool any_radius;
	/* Half the way to the nearest other tower, squared, a bit less: within that, no tower
	 * is as near. */
	double *clear_squared;
	/* TOWERS_AROUND for each: the towers nearest to it, the nearest first. */
	struct tower_around {
		uint32_t tower; /* TOWERS_NONE: there are no more */
		double squared; /* of the way to it, a bit less */
		struct point at;
	} * around;

	/* A grid of squares: the towers of square i are members[first[i]] up to
	 * members[first[i + 1] - 1], by number. */
	struct point origin;
	double square;
	uint32_t columns, rows;
	uint32_t *first, *members;
};

/* What a text says:
 *   grid:COLUMNSxROWS:SPACING   number i is at (i div ROWS, i mod ROWS) times SPACING
 *   hex:RINGS:SPACING           a centre and rings around it
 *   csv:FILE                    columns x, y or latitude, longitude, and radius if there is one;
 *                               in the order of the file
 *   cells:FILE                  rows of number (from 1, in order), latitude, longitude
 *   opencellid:FILE             cells as OpenCelliD and Mozilla publish them; one at a place
 * Metres. A FILE that is not absolute is sought in `folder` (NULL: the current
 * one). */
int towers_make(const char *text, const char *folder, struct towers *ret, struct mg_error *err);
int towers_parse_csv(const char *name, const void *data, size_t len, struct towers *ret,
		     struct mg_error *err);
int towers_parse_cells(const char *name, const void *data, size_t len, struct towers *ret,
		       struct mg_error *err);
int towers_parse_opencellid(const char *name, const void *data, size_t len, struct towers *ret,
			    struct mg_error *err);
void towers_clear(struct towers *t);

static inline double distance_squared(struct point a, struct point b)
{
	return (a.x - b.x) * (a.x - b.x) + (a.y - b.y) * (a.y - b.y);
}

/* The k nearest, the nearest first, of equals the lower number; how many there are. */
size_t towers_nearest(const struct towers *t, struct point at, size_t k, uint32_t *ret);

/* The nearest to a place that is probably near `tower`: the same, faster. */
uint32_t towers_nearest_by(const struct towers *t, struct point at, uint32_t tower);

#endif

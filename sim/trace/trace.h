/* SPDX-License-Identifier: Apache-2.0
 *
 * Recorded movement: for each device a row of points in the order of time, in
 * metres on a plane and seconds. Positions on the globe are projected on a plane
 * that touches it (equirectangular, WGS 84): lengths are right but for about a part
 * of distance to the origin / 6,400 km × tan(latitude), 0.6 % at 50 km in Melbourne.
 */
#ifndef SIM_TRACE_TRACE_H
#define SIM_TRACE_TRACE_H

#include <stdint.h>

#include "common/cleanup.h"
#include "sim/trace/source.h"

#define TRACE_METRES_MAX 1e7
#define TRACE_SECONDS_MAX 4e9 /* so that seconds since 1970 pass */
#define TRACE_DEVICES_MAX 4000000
#define TRACE_NAME_MAX 64

/* Where the plane touches the globe, in degrees. */
struct projection {
	bool known;
	double lat, lon;
};

struct point {
	double x, y;
};

/* False: the coordinates are not on the globe. The first call for a projection
 * that is not known makes its point the origin. */
bool projection_apply(struct projection *p, double lat, double lon, struct point *ret);

struct trace_point {
	double t;
	struct point at; /* x is not a number: from now on the device is absent */
};

struct trace_device {
	char *name;
	struct trace_point *points;
	size_t n, room;
};

struct trace {
	struct projection projection;
	bool steps; /* a device stays at a point until the next one, else it moves evenly */
	struct trace_device *devices;
	size_t n, room;
	uint32_t *slots; /* a hash table of devices by name: number + 1, 0: free */
	size_t n_slots;
	size_t last; /* the device that was added to last */
};

void trace_clear(struct trace *trace);

/* Adds a point to the named device, made when it is new. Errors go to the source,
 * with its line: not finite, out of range, not later than the one before. */
int trace_add(struct trace *trace, struct source *s, const char *name, double t, struct point at);
int trace_add_geographic(struct trace *trace, struct source *s, const char *name, double t,
			 double lat, double lon);
int trace_add_absence(struct trace *trace, struct source *s, const char *name, double t);

/* Moves all times so that the first point of all is at 0. */
void trace_start_at_zero(struct trace *trace);

#endif

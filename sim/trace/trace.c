/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/trace/trace.h"

#include <math.h>
#include <string.h>
#include <xxhash.h>

/* The earth as WGS 84 has it: the longer half axis, and the eccentricity squared. */
#define EARTH_AXIS_M 6378137.0
#define EARTH_ECCENTRICITY_2 0.00669437999014
#define RADIANS(degrees) ((degrees)*M_PI / 180)

bool projection_apply(struct projection *p, double lat, double lon, struct point *ret)
{
	double w;

	if (!(fabs(lat) <= 90 && fabs(lon) <= 180))
		return false;
	if (!p->known)
		*p = (struct projection){ true, lat, lon };
	/* The radii of curvature at the origin: across the meridian, and along it. */
	w = 1 - EARTH_ECCENTRICITY_2 * sin(RADIANS(p->lat)) * sin(RADIANS(p->lat));
	ret->x = EARTH_AXIS_M / sqrt(w) * cos(RADIANS(p->lat)) *
		 RADIANS(remainder(lon - p->lon, 360));
	ret->y = EARTH_AXIS_M * (1 - EARTH_ECCENTRICITY_2) / (w * sqrt(w)) * RADIANS(lat - p->lat);
	return true;
}

void trace_clear(struct trace *trace)
{
	for (size_t i = 0; i < trace->n; i++) {
		free(trace->devices[i].name);
		free(trace->devices[i].points);
	}
	free(trace->devices);
	free(trace->slots);
	*trace = (struct trace){ 0 };
}

/* ---- Devices by name ---------------------------------------------------------------- */

/* The slot of the name, or the free one where it belongs. */
static uint32_t *slot_of(struct trace *trace, const char *name)
{
	size_t at = XXH3_64bits(name, strlen(name)) & (trace->n_slots - 1);

	while (trace->slots[at] && strcmp(trace->devices[trace->slots[at] - 1].name, name) != 0)
		at = (at + 1) & (trace->n_slots - 1);
	return &trace->slots[at];
}

/* Twice as many slots as there is room for devices. */
static int grow(struct trace *trace)
{
	size_t room = trace->room ? trace->room * 2 : 16;
	struct trace_device *devices = reallocarray(trace->devices, room, sizeof(*devices));
	uint32_t *slots;

	if (!devices)
		return -ENOMEM;
	trace->devices = devices;
	slots = calloc(room * 2, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	free(trace->slots);
	trace->slots = slots;
	trace->n_slots = room * 2;
	trace->room = room;
	for (size_t i = 0; i < trace->n; i++)
		*slot_of(trace, devices[i].name) = (uint32_t)i + 1;
	return 0;
}

static int device_named(struct trace *trace, struct source *s, const char *name,
			struct trace_device **ret)
{
	uint32_t *slot;
	char *copy;

	if (trace->n && strcmp(trace->devices[trace->last].name, name) == 0) {
		*ret = &trace->devices[trace->last];
		return 0;
	}
	if (strlen(name) > TRACE_NAME_MAX)
		return source_fail(s, "a name is longer than %d bytes", TRACE_NAME_MAX);
	if (trace->n == trace->room && grow(trace) < 0)
		return mg_error_set(s->err, -ENOMEM, "out of memory");
	slot = slot_of(trace, name);
	if (!*slot) {
		if (trace->n == TRACE_DEVICES_MAX)
			return source_fail(s, "more than %d devices", TRACE_DEVICES_MAX);
		copy = strdup(name);
		if (!copy)
			return mg_error_set(s->err, -ENOMEM, "out of memory");
		trace->devices[trace->n++] = (struct trace_device){ .name = copy };
		*slot = (uint32_t)trace->n;
	}
	trace->last = *slot - 1;
	*ret = &trace->devices[trace->last];
	return 0;
}

/* ---- Points -------------------------------------------------------------------------- */

static int append(struct trace *trace, struct source *s, const char *name,
		  const struct trace_point *point)
{
	struct trace_device *d = NULL;
	int r;

	if (!(point->t >= 0 && point->t <= TRACE_SECONDS_MAX))
		return source_fail(s, "the time %g is out of range", point->t);
	r = device_named(trace, s, name, &d);
	if (r < 0)
		return r;
	if (d->n && point->t <= d->points[d->n - 1].t)
		return source_fail(s, "time runs backwards for '%.40s': %.17g after %.17g", name,
				   point->t, d->points[d->n - 1].t);
	if (d->n == d->room) {
		size_t room = d->room ? d->room * 2 : 16;
		struct trace_point *points = reallocarray(d->points, room, sizeof(*points));

		if (!points)
			return mg_error_set(s->err, -ENOMEM, "out of memory");
		d->points = points;
		d->room = room;
	}
	d->points[d->n++] = *point;
	return 0;
}

int trace_add(struct trace *trace, struct source *s, const char *name, double t, struct point at)
{
	if (!(fabs(at.x) <= TRACE_METRES_MAX && fabs(at.y) <= TRACE_METRES_MAX))
		return source_fail(s, "the position %g, %g is out of range", at.x, at.y);
	return append(trace, s, name, &(struct trace_point){ t, at });
}

int trace_add_geographic(struct trace *trace, struct source *s, const char *name, double t,
			 double lat, double lon)
{
	struct point at;

	if (!projection_apply(&trace->projection, lat, lon, &at))
		return source_fail(s, "latitude %g, longitude %g is not on the globe", lat, lon);
	return trace_add(trace, s, name, t, at);
}

int trace_add_absence(struct trace *trace, struct source *s, const char *name, double t)
{
	return append(trace, s, name, &(struct trace_point){ t, { NAN, NAN } });
}

void trace_start_at_zero(struct trace *trace)
{
	double first = INFINITY;

	for (size_t i = 0; i < trace->n; i++)
		if (trace->devices[i].n)
			first = fmin(first, trace->devices[i].points[0].t);
	for (size_t i = 0; i < trace->n; i++)
		for (size_t k = 0; k < trace->devices[i].n; k++)
			trace->devices[i].points[k].t -= first;
}

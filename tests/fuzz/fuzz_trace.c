/* SPDX-License-Identifier: Apache-2.0
 *
 * Readers of traces, and of towers. A seed's first line names the format; what
 * is taken must be usable, what is not must say why.
 */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "sim/trace/reader.h"
#include "sim/world/towers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void check_towers(struct towers *t)
{
	uint32_t found[3];

	check(t->n > 0);
	check(towers_nearest(t, (struct point){ 10, -10 }, 3, found) == (t->n < 3 ? t->n : 3));
	for (uint32_t i = 0; i < t->n && i < 100; i++) {
		check(towers_nearest(t, t->at[i], 1, found) == 1);
		check(t->at[found[0]].x == t->at[i].x && t->at[found[0]].y == t->at[i].y);
	}
}

static void check_trace(const struct trace *trace)
{
	check(trace->n > 0);
	for (size_t i = 0; i < trace->n; i++) {
		const struct trace_device *d = &trace->devices[i];

		check(d->n > 0 && d->name);
		for (size_t k = 0; k < d->n; k++) {
			check(isfinite(d->points[k].t));
			check(k == 0 || d->points[k].t > d->points[k - 1].t);
			check(isnan(d->points[k].at.x) ||
			      fabs(d->points[k].at.x) <= TRACE_METRES_MAX);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct point places[] = { { 0, 0 }, { 1000, 0 }, { 0, 1000 } };
	const struct reader_options options = {
		.slot_s = 60, .reversed = size & 1, .places = places, .n_places = ARRAY_SIZE(places)
	};
	const uint8_t *end = size ? memchr(data, '\n', size < 32 ? size : 32) : NULL;
	_cleanup_(trace_clear) struct trace trace = { 0 };
	_cleanup_(towers_clear) struct towers towers = { 0 };
	const struct trace_reader *reader;
	struct mg_error err = { 0 };
	char format[32] = { 0 };
	int r;

	if (!end)
		return 0;
	memcpy(format, data, (size_t)(end - data));
	size -= (size_t)(end + 1 - data);
	reader = trace_reader_find(format);
	if (reader)
		r = trace_parse(reader, "fuzz", end + 1, size, &options, &trace, &err);
	else if (strcmp(format, "towers-cells") == 0)
		r = towers_parse_cells("fuzz", end + 1, size, &towers, &err);
	else if (strcmp(format, "opencellid") == 0)
		r = towers_parse_opencellid("fuzz", end + 1, size, &towers, &err);
	else
		r = towers_parse_csv("fuzz", end + 1, size, &towers, &err);
	check(r == 0 || err.text[0]);
	if (r == 0 && reader)
		check_trace(&trace);
	else if (r == 0)
		check_towers(&towers);
	return 0;
}

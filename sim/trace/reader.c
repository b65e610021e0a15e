/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/trace/reader.h"

#include <string.h>

const struct trace_reader trace_readers[] = {
	{ "bonnmotion", "BonnMotion's own, unpacked: a line a device of time, x, y …",
	  read_bonnmotion },
	{ "cells", "a line a slot, a column a device: the cell that serves it, 0: none",
	  read_cells },
	{ "csv", "columns by name: time, id, and x, y in metres or lat, lon", read_csv },
	{ "fcd", "SUMO's floating car data in metres", read_fcd },
	{ "fcd_geo", "the same in longitude and latitude (--fcd-output.geo)", read_fcd_geo },
	{ "gpx", "GPX: a track a device", read_gpx },
	{ "lust", "rows of time, direction, x, y, speed: one device", read_lust },
	{ "ns2", "ns-2's setdest: where devices are sent at what speed", read_ns2 },
	{ "ns2_sumo", "the same as SUMO writes it: where devices are", read_ns2_sumo },
};
const size_t n_trace_readers = ARRAY_SIZE(trace_readers);

const struct trace_reader *trace_reader_find(const char *name)
{
	for (size_t i = 0; i < n_trace_readers; i++)
		if (strcmp(trace_readers[i].name, name) == 0)
			return &trace_readers[i];
	return NULL;
}

static int read_source(const struct trace_reader *reader, struct source *s,
		       const struct reader_options *options, struct trace *trace)
{
	int r = reader->read(s, options, trace);

	if (r == 0 && trace->n == 0)
		r = mg_error_set(s->err, -EINVAL, "%s: holds not a single point", s->name);
	return r;
}

int trace_load(const struct trace_reader *reader, const char *path,
	       const struct reader_options *options, struct trace *trace, struct mg_error *err)
{
	_cleanup_(source_close) struct source s = { 0 };
	int r = source_open(&s, path, err);

	return r < 0 ? r : read_source(reader, &s, options, trace);
}

int trace_parse(const struct trace_reader *reader, const char *name, const void *data, size_t len,
		const struct reader_options *options, struct trace *trace, struct mg_error *err)
{
	_cleanup_(source_close) struct source s = { 0 };
	int r = source_open_memory(&s, name, data, len, err);

	return r < 0 ? r : read_source(reader, &s, options, trace);
}

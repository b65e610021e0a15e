/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/trace/reader.h"

#include <string.h>

const struct trace_reader trace_readers[] = {
	{ "csv", "columns by name: time, id, and x, y in metres or lat, lon", read_csv },
	{ "lust", "rows of time, direction, x, y, speed: one device", read_lust },
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

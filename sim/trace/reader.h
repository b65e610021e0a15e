/* SPDX-License-Identifier: Apache-2.0
 *
 * Formats of recorded movement. A new one is a file with a function `read` and
 * a line in the table of reader.c.
 */
#ifndef SIM_TRACE_READER_H
#define SIM_TRACE_READER_H

#include "sim/trace/trace.h"

struct reader_options {
	double slot_s; /* of formats without times: how long a row lasts; 0: 1 s */
	bool reversed; /* their first row is the last in time */
	/* Of formats that name places instead of coordinates: where they are, by
	 * number; borrowed. */
	const struct point *places;
	size_t n_places;
};

struct trace_reader {
	const char *name;
	const char *what; /* for people */
	int (*read)(struct source *s, const struct reader_options *options, struct trace *trace);
};

extern const struct trace_reader trace_readers[];
extern const size_t n_trace_readers;

/* By name; NULL when there is none. */
const struct trace_reader *trace_reader_find(const char *name);

/* Reads a file or what is in memory into a trace, whose projection may be given
 * and which is otherwise empty. A trace without a point is an error too. After
 * an error the trace is to be cleared. */
int trace_load(const struct trace_reader *reader, const char *path,
	       const struct reader_options *options, struct trace *trace, struct mg_error *err);
int trace_parse(const struct trace_reader *reader, const char *name, const void *data, size_t len,
		const struct reader_options *options, struct trace *trace, struct mg_error *err);

int read_bonnmotion(struct source *s, const struct reader_options *options, struct trace *trace);
int read_cells(struct source *s, const struct reader_options *options, struct trace *trace);
int read_csv(struct source *s, const struct reader_options *options, struct trace *trace);
int read_fcd(struct source *s, const struct reader_options *options, struct trace *trace);
int read_fcd_geo(struct source *s, const struct reader_options *options, struct trace *trace);
int read_gpx(struct source *s, const struct reader_options *options, struct trace *trace);
int read_lust(struct source *s, const struct reader_options *options, struct trace *trace);
int read_ns2(struct source *s, const struct reader_options *options, struct trace *trace);
int read_ns2_sumo(struct source *s, const struct reader_options *options, struct trace *trace);

#endif

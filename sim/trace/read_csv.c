/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables with a header (RFC 4180, but for line breaks in quotes). Columns go by
 * name, in any order and any case; others are skipped. Semicolons and tabs
 * separate too, which makes SUMO's xml2csv.py readable as it is.
 */
#include <string.h>

#include "sim/trace/reader.h"

#define COLUMNS_MAX 256

enum column { TIME, ID, X, Y, LAT, LON, COLUMNS };

static const char *const titles[COLUMNS][6] = {
	[TIME] = { "time", "t", "timestamp", "timestep_time" },
	[ID] = { "id", "device", "user", "vehicle", "vehicle_id" },
	[X] = { "x", "vehicle_x" },
	[Y] = { "y", "vehicle_y" },
	[LAT] = { "lat", "latitude" },
	[LON] = { "lon", "lng", "longitude" },
};

struct table {
	size_t at[COLUMNS]; /* its field, from 1; 0: there is none */
	bool geographic;
};

static enum column column_of(const char *title)
{
	for (int c = 0; c < COLUMNS; c++)
		for (size_t i = 0; i < ARRAY_SIZE(titles[c]) && titles[c][i]; i++)
			if (strcasecmp(titles[c][i], title) == 0)
				return (enum column)c;
	return COLUMNS;
}

static int read_header(struct source *s, struct table *table)
{
	char *fields[COLUMNS_MAX];
	size_t n;
	int r = source_line(s);

	*table = (struct table){ 0 };
	if (r <= 0)
		return r;
	n = fields_split(s->line, ",;\t", fields, COLUMNS_MAX);
	for (size_t i = 0; i < n; i++) {
		enum column c = column_of(fields[i]);

		if (c < COLUMNS && table->at[c])
			return source_fail(s, "two columns are a device's %s", titles[c][0]);
		if (c < COLUMNS)
			table->at[c] = i + 1;
	}
	table->geographic = table->at[LAT] && table->at[LON];
	if (!table->at[TIME] || !((table->at[X] && table->at[Y]) || table->geographic))
		return source_fail(s, "the first line must name the columns time, and x and y or "
				      "lat and lon");
	if (table->geographic && (table->at[X] || table->at[Y]))
		return source_fail(s, "has both x, y and lat, lon");
	return 1;
}

static int field(struct source *s, const struct table *table, char **fields, size_t n,
		 enum column c, const char **ret)
{
	if (table->at[c] > n)
		return source_fail(s, "ends before its column %s", titles[c][0]);
	*ret = table->at[c] ? fields[table->at[c] - 1] : "device";
	return 0;
}

static int number(struct source *s, const struct table *table, char **fields, size_t n,
		  enum column c, double *ret)
{
	const char *text = NULL;
	int r = field(s, table, fields, n, c, &text);

	return r < 0 ? r : source_number(s, text, titles[c][0], ret);
}

static int read_row(struct source *s, const struct table *table, struct trace *trace)
{
	char *fields[COLUMNS_MAX];
	size_t n = fields_split(s->line, ",;\t", fields, COLUMNS_MAX);
	const char *id = NULL;
	double t, a, b;
	int r = field(s, table, fields, n, ID, &id);

	/* A second in which nobody was there, as xml2csv.py writes it. */
	if (r == 0 && id[0] == '\0')
		return 0;
	if (r == 0)
		r = number(s, table, fields, n, TIME, &t);
	if (r == 0)
		r = number(s, table, fields, n, table->geographic ? LAT : X, &a);
	if (r == 0)
		r = number(s, table, fields, n, table->geographic ? LON : Y, &b);
	if (r < 0)
		return r;
	return table->geographic ? trace_add_geographic(trace, s, id, t, a, b)
				 : trace_add(trace, s, id, t, (struct point){ a, b });
}

int read_csv(struct source *s, const struct reader_options *options, struct trace *trace)
{
	struct table table;
	int r = read_header(s, &table);

	(void)options;
	while (r > 0 && (r = source_line(s)) > 0)
		if (s->len > 0 && (r = read_row(s, &table, trace)) == 0)
			r = 1;
	return r;
}

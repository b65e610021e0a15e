/* SPDX-License-Identifier: Apache-2.0
 *
 * Towers from tables. OpenCelliD's export has the columns radio, mcc, net, area,
 * cell, unit, lon, lat, range, samples, changeable, created, updated,
 * averageSignal, with or without a header. The sectors of a site have the same
 * place: a square metre has one tower.
 */
#include "sim/world/towers_file.h"

#include <limits.h>
#include <math.h>
#include <string.h>
#include <xxhash.h>

#define COLUMNS_MAX 256

/* The fields with the coordinates; `geographic`: a is latitude, b longitude. */
struct table {
	size_t a, b;
	size_t radius; /* one more than its field; 0: there is none */
	bool geographic;
	bool numbered; /* the first field counts from 1 */
};

static const struct table opencellid = { .a = 7, .b = 6, .geographic = true };
static const struct table cells = { .a = 1, .b = 2, .geographic = true, .numbered = true };

static bool is_one_of(const char *title, const char *const names[], size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcasecmp(title, names[i]) == 0)
			return true;
	return false;
}

static bool find_columns(char **fields, size_t n, struct table *ret)
{
	static const char *const lat[] = { "lat", "latitude" }, *const x[] = { "x" };
	static const char *const lon[] = { "lon", "lng", "longitude" }, *const y[] = { "y" };
	int a = -1, b = -1;

	for (size_t i = 0; i < n; i++) {
		bool is_lat = is_one_of(fields[i], lat, ARRAY_SIZE(lat));

		if (is_lat || is_one_of(fields[i], x, ARRAY_SIZE(x))) {
			a = (int)i;
			ret->geographic = is_lat;
		} else if (is_one_of(fields[i], lon, ARRAY_SIZE(lon)) ||
			   is_one_of(fields[i], y, ARRAY_SIZE(y))) {
			b = (int)i;
		} else if (strcasecmp(fields[i], "radius") == 0) {
			ret->radius = i + 1;
		}
	}
	ret->a = (size_t)a;
	ret->b = (size_t)b;
	return a >= 0 && b >= 0;
}

/* Square metres that have a tower, as an open hash table: twice the room that is
 * ever used. */
struct places {
	uint64_t slots[4 * TOWERS_SIM_MAX];
};

static bool is_new_place(struct places *places, struct point at)
{
	uint32_t x = (uint32_t)(int32_t)lround(at.x), y = (uint32_t)(int32_t)lround(at.y);
	uint64_t key = ((uint64_t)x << 32 | y) + 1;
	size_t i = XXH3_64bits(&key, sizeof(key)) % ARRAY_SIZE(places->slots);

	while (places->slots[i] && places->slots[i] != key)
		i = (i + 1) % ARRAY_SIZE(places->slots);
	if (places->slots[i])
		return false;
	places->slots[i] = key;
	return true;
}

/* Left out, the tower has none of its own. */
static int read_radius(struct source *s, const struct table *table, char **fields, size_t n,
		       double *ret)
{
	int r;

	*ret = 0;
	if (table->radius == 0 || table->radius > n || fields[table->radius - 1][0] == '\0')
		return 0;
	r = source_number(s, fields[table->radius - 1], "radius", ret);
	if (r == 0 && !(*ret > 0 && *ret <= TRACE_METRES_MAX))
		return source_fail(s, "the radius %g is not above 0 and at most %g m", *ret,
				   (double)TRACE_METRES_MAX);
	return r;
}

/* With `places`, only the first tower at a place is taken. */
static int read_row(struct source *s, const struct table *table, struct places *places,
		    struct towers *t)
{
	char *fields[COLUMNS_MAX];
	size_t n = fields_split(s->line, ",;\t", fields, COLUMNS_MAX);
	struct point at;
	double a, b, radius, number = t->n + 1;
	int r = table->numbered ? source_number(s, fields[0], "number", &number) : 0;

	if (r < 0)
		return r;
	if (number != t->n + 1)
		return source_fail(s, "is number %g, not %u", number, t->n + 1);
	if (table->a >= n || table->b >= n)
		return source_fail(s, "ends before the coordinates");
	r = source_number(s, fields[table->a], table->geographic ? "latitude" : "x", &a);
	if (r == 0)
		r = source_number(s, fields[table->b], table->geographic ? "longitude" : "y", &b);
	if (r == 0)
		r = read_radius(s, table, fields, n, &radius);
	if (r < 0)
		return r;
	at = (struct point){ a, b };
	if (table->geographic && !projection_apply(&t->projection, a, b, &at))
		return source_fail(s, "latitude %g, longitude %g is not on the globe", a, b);
	if (!(fabs(at.x) <= TRACE_METRES_MAX && fabs(at.y) <= TRACE_METRES_MAX))
		return source_fail(s, "the position %g, %g is out of range", at.x, at.y);
	if (places && !is_new_place(places, at))
		return 0;
	if (t->n == TOWERS_SIM_MAX)
		return source_fail(s, "more than %d towers", TOWERS_SIM_MAX);
	return towers_add(t, at, radius) < 0 ? mg_error_set(s->err, -ENOMEM, "out of memory") : 0;
}

/* A first line that is a header; 0: it is none, and is a row. */
static int read_header(struct source *s, enum towers_format format, struct table *table)
{
	_cleanup_free_ char *copy = strdup(s->line);
	char *fields[COLUMNS_MAX];

	if (!copy)
		return mg_error_set(s->err, -ENOMEM, "out of memory");
	if (format == TOWERS_CELLS) {
		*table = cells;
		return 0;
	}
	if (format == TOWERS_OPENCELLID) {
		*table = opencellid;
		return strncmp(copy, "radio,", 6) == 0;
	}
	if (!find_columns(fields, fields_split(copy, ",;\t", fields, COLUMNS_MAX), table))
		return source_fail(s, "the first line must name the columns x and y, or latitude "
				      "and longitude");
	return 1;
}

static int read_rows(struct source *s, enum towers_format format, struct towers *t)
{
	_cleanup_free_ struct places *places = NULL;
	struct table table = { 0 };
	int r, header;

	if (format == TOWERS_OPENCELLID && !(places = calloc(1, sizeof(*places))))
		return mg_error_set(s->err, -ENOMEM, "out of memory");
	while ((r = source_line(s)) > 0) {
		if (s->len == 0)
			continue;
		header = s->number == 1 ? read_header(s, format, &table) : 0;
		if (header == 0)
			r = read_row(s, &table, places, t);
		if (header < 0 || r < 0)
			return header < 0 ? header : r;
	}
	if (r == 0 && t->n == 0)
		return mg_error_set(s->err, -EINVAL, "%s: holds not a single tower", s->name);
	return r;
}

int towers_load(enum towers_format format, const char *file, const char *folder, struct towers *t,
		struct mg_error *err)
{
	_cleanup_(source_close) struct source s = { 0 };
	char path[PATH_MAX];
	int r;

	r = snprintf(path, sizeof(path), "%s%s%s", *file != '/' && folder ? folder : "",
		     *file != '/' && folder ? "/" : "", file);
	if (r < 0 || (size_t)r >= sizeof(path))
		return mg_error_set(err, -ENAMETOOLONG, "%.80s: is too long a path", file);
	r = source_open(&s, path, err);
	return r < 0 ? r : read_rows(&s, format, t);
}

static int parse(enum towers_format format, const char *name, const void *data, size_t len,
		 struct towers *ret, struct mg_error *err)
{
	_cleanup_(source_close) struct source s = { 0 };
	_cleanup_(towers_clear) struct towers t = { 0 };
	int r = source_open_memory(&s, name, data, len, err);

	if (r == 0)
		r = read_rows(&s, format, &t);
	if (r == 0 && towers_index(&t) < 0)
		r = mg_error_set(err, -ENOMEM, "out of memory");
	if (r < 0)
		return r;
	*ret = t;
	t = (struct towers){ 0 };
	return 0;
}

int towers_parse_csv(const char *name, const void *data, size_t len, struct towers *ret,
		     struct mg_error *err)
{
	return parse(TOWERS_CSV, name, data, len, ret, err);
}

int towers_parse_cells(const char *name, const void *data, size_t len, struct towers *ret,
		       struct mg_error *err)
{
	return parse(TOWERS_CELLS, name, data, len, ret, err);
}

int towers_parse_opencellid(const char *name, const void *data, size_t len, struct towers *ret,
			    struct mg_error *err)
{
	return parse(TOWERS_OPENCELLID, name, data, len, ret, err);
}

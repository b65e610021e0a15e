/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/trace/reader.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static int parse(const char *format, const char *text, struct trace *trace, struct mg_error *err)
{
	const struct reader_options options = { 0 };

	*trace = (struct trace){ 0 };
	return trace_parse(trace_reader_find(format), "file", text, strlen(text), &options, trace,
			   err);
}

static void accepts(const char *format, const char *text, struct trace *trace)
{
	struct mg_error err = { 0 };

	cr_assert_eq(parse(format, text, trace, &err), 0, "%s", err.text);
}

/* `what` is how the error must begin: with the file and the line. */
static void refuses(const char *format, const char *text, const char *what)
{
	_cleanup_(trace_clear) struct trace trace = { 0 };
	struct mg_error err = { 0 };

	cr_assert_lt(parse(format, text, &trace, &err), 0, "%s was taken", text);
	cr_assert_eq(strncmp(err.text, what, strlen(what)), 0, "'%s' for %s", err.text, text);
}

static void has_point(const struct trace *trace, const char *name, size_t i, double t, double x,
		      double y)
{
	for (size_t k = 0; k < trace->n; k++) {
		const struct trace_device *d = &trace->devices[k];

		if (strcmp(d->name, name) != 0)
			continue;
		cr_assert_lt(i, d->n);
		cr_assert_float_eq(d->points[i].t, t, 1e-9);
		cr_assert_float_eq(d->points[i].at.x, x, 1e-6);
		cr_assert_float_eq(d->points[i].at.y, y, 1e-6);
		return;
	}
	cr_assert_fail("no device '%s'", name);
}

Test(reader, lust)
{
	_cleanup_(trace_clear) struct trace trace = { 0 };

	accepts("lust", "2.1\t-1.5\t10370.1\t2233.67\t0\n3.1  -1.6 10369.2 2234.57 2.3", &trace);
	cr_assert_eq(trace.n, 1);
	cr_assert_eq(trace.devices[0].n, 2);
	has_point(&trace, "car", 1, 3.1, 10369.2, 2234.57);
	refuses("lust", "", "file: holds not a single point");
	refuses("lust", "1 2 3 4 5\n2 2 3 4\n", "file:2: has not the 5 columns");
	refuses("lust", "1 2 3 4 5 6\n", "file:1: has not the 5 columns");
	refuses("lust", "1 0 3 nan 5\n", "file:1: y: 'nan' is not finite");
	refuses("lust", "1 0 1e400 4 5\n", "file:1: x: '1e400' is not finite");
	refuses("lust", "1 0 3 4 5\n1 0 3 4 5\n", "file:2: time runs backwards");
	refuses("lust", "1 0 3 1e9 5\n", "file:1: the position 3, 1e+09 is out of range");
	refuses("lust", "-1 0 3 4 5\n", "file:1: the time -1 is out of range");
	refuses("lust", "1 0 3 4m 5\n", "file:1: y: '4m' is no number");
}

Test(reader, csv_goes_by_the_names_of_columns)
{
	_cleanup_(trace_clear) struct trace trace = { 0 }, geo = { 0 }, sumo = { 0 };

	accepts("csv",
		"Y,speed,\"time\",id,x\r\n2,9,0.5,\"a, b\",1\r\n4,9,0.5,c,3\n\n6,9,1.5,c,5\n",
		&trace);
	cr_assert_eq(trace.n, 2);
	has_point(&trace, "a, b", 0, 0.5, 1, 2);
	has_point(&trace, "c", 1, 1.5, 5, 6);
	accepts("csv", "timestamp,latitude,longitude\n0,-37.8,144.9\n1,-37.8,144.9114\n", &geo);
	has_point(&geo, "device", 0, 0, 0, 0);
	cr_assert_float_eq(geo.devices[0].points[1].at.x, 1001.6, 0.5);
	accepts("csv",
		"timestep_time;vehicle_angle;vehicle_id;vehicle_x;vehicle_y\n"
		"0.00;;;;\n1.00;90.00;veh0;5.10;-1.60\n",
		&sumo);
	has_point(&sumo, "veh0", 0, 1, 5.1, -1.6);
}

Test(reader, csv_refuses)
{
	refuses("csv", "", "file: holds not a single point");
	refuses("csv", "time,x,y\n", "file: holds not a single point");
	refuses("csv", "time,x\n1,2\n", "file:1: the first line must name");
	refuses("csv", "t,x,y,time\n", "file:1: two columns are a device's time");
	refuses("csv", "t,x,y,lat,lon\n", "file:1: has both");
	refuses("csv", "t,x,y\n1,2\n", "file:2: ends before its column y");
	refuses("csv", "t,x,y\n1,2,\n", "file:2: y: '' is no number");
	refuses("csv", "t,x,y\n1,0x10,2\n", "file:2: x: '0x10' is no number");
	refuses("csv", "t,lat,lon\n1,90.5,0\n", "file:2: latitude 90.5");
	refuses("csv", "t,lat,lon\n1,0,181\n", "file:2: latitude 0, longitude 181");
	refuses("csv", "t,x,y\n1,inf,2\n", "file:2: x: 'inf' is not finite");
	refuses("csv", "t,x,y,id\n2,1,1,a\n1,1,1,b\n1.5,1,1,a\n",
		"file:4: time runs backwards for 'a'");
}

Test(reader, lines_have_limits)
{
	const struct reader_options options = { 0 };
	_cleanup_(trace_clear) struct trace trace = { 0 };
	_cleanup_free_ char *text = malloc(SOURCE_LINE_MAX + 10);
	struct mg_error err = { 0 };

	cr_assert_not_null(text);
	memset(text, '1', SOURCE_LINE_MAX + 10);
	cr_assert_lt(trace_parse(trace_reader_find("csv"), "file", text, SOURCE_LINE_MAX + 10,
				 &options, &trace, &err),
		     0);
	cr_assert_not_null(strstr(err.text, "file:1: longer than"), "%s", err.text);
	cr_assert_lt(trace_parse(trace_reader_find("lust"), "file", "1 0 2\0 3 4\n", 11, &options,
				 &trace, &err),
		     0);
	cr_assert_not_null(strstr(err.text, "file:1: is no text"), "%s", err.text);
}

Test(reader, many_devices_keep_their_points)
{
	_cleanup_(trace_clear) struct trace trace = { 0 };
	struct mg_error err = { 0 };
	struct source s = { .name = "file", .err = &err };
	char name[16];

	for (int round = 0; round < 3; round++)
		for (int i = 0; i < 1000; i++) {
			snprintf(name, sizeof(name), "d%d", i);
			cr_assert_eq(trace_add(&trace, &s, name, round, (struct point){ i, round }),
				     0);
		}
	cr_assert_eq(trace.n, 1000);
	has_point(&trace, "d777", 2, 2, 777, 2);
	cr_assert_eq(trace_add_absence(&trace, &s, "d1", 3), 0);
	cr_assert(isnan(trace.devices[1].points[3].at.x));
}

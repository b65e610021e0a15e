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
	cr_assert_float_eq(geo.devices[0].points[1].at.x, 1004.0, 0.1);
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

Test(reader, files_that_are_none)
{
	const struct reader_options options = { 0 };
	static const char *const formats[] = { "csv", "fcd" };

	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		_cleanup_(trace_clear) struct trace trace = { 0 };
		struct mg_error err = { 0 };

		cr_assert_lt(trace_load(trace_reader_find(formats[i]), "/tmp", &options, &trace,
					&err),
			     0);
		cr_assert_str_eq(err.text, "/tmp: Is a directory");
	}
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

Test(reader, ns2_walks_as_it_is_told)
{
	_cleanup_(trace_clear) struct trace trace = { 0 };

	accepts("ns2",
		"# from setdest\n$node_(0) set X_ 10.0\n$node_(0) set Y_ 20.0\n"
		"$node_(0) set Z_ 0.0\n$god_ set-dist 0 1 1\n"
		"$ns_ at 1.0 \"$node_(0) setdest 40.0 60.0 5.0\"\n" /* 50 m: arrives at 11 s */
		"$ns_ at 6.0 \"$node_(0) setdest 25.0 0.0 40.0\"\n" /* half way, 40 m: at 7 s */
		"$ns_ at 9.0 \"$node_(0) setdest 25.0 10.0 1.0\"\n"
		"$ns_ at 2.0 \"$node_(1) setdest 5.0 6.0 0.0\"\n",
		&trace);
	cr_assert_eq(trace.n, 2);
	has_point(&trace, "0", 0, 1, 10, 20);
	has_point(&trace, "0", 1, 6, 25, 40);
	has_point(&trace, "0", 2, 7, 25, 0);
	has_point(&trace, "0", 3, 9, 25, 0);
	has_point(&trace, "0", 4, 19, 25, 10);
	has_point(&trace, "1", 0, 2, 5, 6);
	refuses("ns2", "set opt(x) 5\n", "file: holds not a single point");
	refuses("ns2", "$node_(0) set X_ nan\n", "file:1: X_: 'nan' is not finite");
	refuses("ns2", "$node_(9999999) set X_ 1\n", "file:1: node 9999999: at most");
	refuses("ns2", "$ns_ at 1.0 \"$node_(0) setdest 1 2\"\n", "file:1: has not the form");
	refuses("ns2", "$ns_ at x \"$node_(0) setdest 1 2 3\"\n", "file:1: time: 'x' is no number");
	refuses("ns2", "$ns_ at 1 \"$node_(0) setdest 1 1e9 3\"\n", "file:1: the position");
	refuses("ns2",
		"$ns_ at 5 \"$node_(0) setdest 1 2 3\"\n$ns_ at 4 \"$node_(0) setdest 1 2 3\"\n",
		"file:2: time runs backwards for node 0");
}

Test(reader, ns2_by_sumo_says_where_vehicles_are)
{
	_cleanup_(trace_clear) struct trace trace = { 0 };

	accepts("ns2_sumo",
		"$node_(0) set X_ 1\n$node_(0) set Y_ 2\n$node_(0) set Z_ 0\n"
		"$ns_ at 0.0 \"$node_(0) setdest 1 2 0.00\"\n"
		"$ns_ at 1.0 \"$node_(0) setdest 3 2 2.00\"\n"
		"$node_(0) set X_ 50\n$node_(0) set Y_ 60\n$node_(0) set Z_ 0\n"
		"$ns_ at 2.0 \"$node_(0) setdest 50 60 0.00\"\n",
		&trace);
	cr_assert_eq(trace.n, 2);
	cr_assert_eq(trace.devices[0].n, 2);
	has_point(&trace, "0", 1, 1, 3, 2);
	has_point(&trace, "0.1", 0, 2, 50, 60);
}

Test(reader, bonnmotion)
{
	_cleanup_(trace_clear) struct trace trace = { 0 };

	accepts("bonnmotion", "0.0 1.5 2.5 10.0 3.5 4.5\n0.0 7 8\n", &trace);
	cr_assert_eq(trace.n, 2);
	has_point(&trace, "1", 1, 10, 3.5, 4.5);
	has_point(&trace, "2", 0, 0, 7, 8);
	refuses("bonnmotion", "0 1 2 3\n", "file:1: ends in the middle");
	refuses("bonnmotion", "0 1 2\n5 1 2 4 1 2\n", "file:2: time runs backwards");
	refuses("bonnmotion", "0 1 -inf\n", "file:1: y: '-inf' is not finite");
}

static int parse_cells(const char *text, bool reversed, struct trace *trace, struct mg_error *err)
{
	static const struct point places[] = { { 10, 0 }, { 20, 0 }, { 30, 0 } };
	const struct reader_options options = { 60, reversed, places, ARRAY_SIZE(places) };

	*trace = (struct trace){ 0 };
	return trace_parse(trace_reader_find("cells"), "file", text, strlen(text), &options, trace,
			   err);
}

Test(reader, cells_are_rows_of_slots)
{
	static const char text[] = "1,0,3\n1,0,3\n2,0,0\n0,0,3\n";
	_cleanup_(trace_clear) struct trace there = { 0 }, back = { 0 };
	struct mg_error err = { 0 };

	cr_assert_eq(parse_cells(text, false, &there, &err), 0, "%s", err.text);
	cr_assert_eq(there.n, 2); /* the second was never there */
	cr_assert(there.steps);
	has_point(&there, "1", 0, 0, 10, 0);
	has_point(&there, "1", 1, 120, 20, 0);
	cr_assert_eq(there.devices[0].points[2].t, 180);
	cr_assert(isnan(there.devices[0].points[2].at.x));
	cr_assert_eq(there.devices[1].n, 4);
	cr_assert_eq(there.devices[1].points[3].t, 240);
	cr_assert_eq(parse_cells(text, true, &back, &err), 0);
	has_point(&back, "1", 0, 60, 20, 0);
	has_point(&back, "1", 1, 120, 10, 0);
	has_point(&back, "3", 0, 0, 30, 0);
}

Test(reader, cells_refuse)
{
	static const struct {
		const char *text, *what;
	} wrong[] = {
		{ "1,2\n1,4\n", "file:2: there is no cell 4; towers are 3" },
		{ "1,1.5\n", "file:1: there is no cell 1.5" },
		{ "1,-1\n", "file:1: there is no cell -1" },
		{ "1,2\n1\n", "file:2: has 1 columns, the first line 2" },
		{ "1,,2\n", "file:1: cell: '' is no number" },
		{ "0,0\n", "file: holds not a single point" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		_cleanup_(trace_clear) struct trace trace = { 0 };
		struct mg_error err = { 0 };

		cr_assert_lt(parse_cells(wrong[i].text, false, &trace, &err), 0);
		cr_assert_eq(strncmp(err.text, wrong[i].what, strlen(wrong[i].what)), 0, "%s",
			     err.text);
	}
}

#define FCD(inner) "<?xml version=\"1.0\"?>\n<fcd-export>\n" inner "</fcd-export>\n"

Test(reader, fcd)
{
	_cleanup_(trace_clear) struct trace trace = { 0 }, geo = { 0 };

	accepts("fcd",
		FCD("<timestep time=\"0.00\">\n<vehicle id=\"a\" x=\"5.10\" y=\"-1.60\" "
		    "angle=\"90\"/>\n"
		    "<person id=\"p\" x=\"1\" y=\"2\"/>\n</timestep>\n"
		    "<timestep time=\"1.00\"><vehicle id=\"a\" x=\"6.10\" "
		    "y=\"-1.60\"/></timestep>\n"
		    "<timestep time=\"2.00\"/>\n"),
		&trace);
	cr_assert_eq(trace.n, 2);
	has_point(&trace, "a", 1, 1, 6.1, -1.6);
	has_point(&trace, "p", 0, 0, 1, 2);
	accepts("fcd_geo",
		FCD("<timestep time=\"0\"><vehicle id=\"a\" x=\"144.9\" y=\"-37.8\"/></timestep>\n"
		    "<timestep time=\"1\"><vehicle id=\"a\" x=\"144.9114\" "
		    "y=\"-37.8\"/></timestep>\n"),
		&geo);
	cr_assert_float_eq(geo.devices[0].points[1].at.x, 1004.0, 0.1);
}

Test(reader, fcd_refuses)
{
	refuses("fcd", "", "file:1: no element found");
	refuses("fcd", FCD(""), "file: holds not a single point");
	refuses("fcd", "<routes/>", "file:1: <routes> is no <fcd-export>");
	refuses("fcd", "<fcd-export>\n<timestep time=\"0\">\n<vehicle id=\"a\" x=\"1\"",
		"file:3: unclosed token");
	refuses("fcd", "<fcd-export>\n<timestep time=\"0\">\n", "file:3: no element found");
	refuses("fcd", FCD("<vehicle id=\"a\" x=\"1\" y=\"1\"/>"),
		"file:3: a device stands outside of a timestep");
	refuses("fcd", FCD("<timestep time=\"0\"><vehicle id=\"a\" x=\"1\"/></timestep>"),
		"file:3: has no y");
	refuses("fcd", FCD("<timestep time=\"0\"><vehicle x=\"1\" y=\"2\"/></timestep>"),
		"file:3: has no id");
	refuses("fcd", FCD("<timestep/>"), "file:3: has no time");
	refuses("fcd", FCD("<timestep time=\"0\"><vehicle id=\"a\" x=\"nan\" y=\"2\"/></timestep>"),
		"file:3: x: 'nan' is not finite");
	refuses("fcd",
		FCD("<timestep time=\"1\"><vehicle id=\"a\" x=\"1\" y=\"2\"/></timestep>\n"
		    "<timestep time=\"0.5\"><vehicle id=\"a\" x=\"1\" y=\"2\"/></timestep>"),
		"file:4: time runs backwards for 'a'");
	refuses("fcd_geo",
		FCD("<timestep time=\"1\"><vehicle id=\"a\" x=\"1\" y=\"92\"/></timestep>\n"),
		"file:3: latitude 92");
}

Test(reader, xml_bombs_do_not_go_off)
{
	_cleanup_free_ char *deep = malloc(4000), *endless = malloc(3 << 20);
	_cleanup_(trace_clear) struct trace trace = { 0 };
	const struct reader_options options = { 0 };
	struct mg_error err = { 0 };
	size_t len = 0;

	refuses("fcd",
		"<?xml version=\"1.0\"?>\n<!DOCTYPE fcd-export [<!ENTITY a \"aaaaaaaaaa\">\n"
		"<!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\"><!ENTITY c \"&b;&b;&b;&b;&b;&b;&b;\">]>\n"
		"<fcd-export>&c;</fcd-export>\n",
		"file:2: has a DOCTYPE");
	refuses("fcd",
		"<!DOCTYPE fcd-export SYSTEM \"file:///etc/passwd\">\n<fcd-export></fcd-export>",
		"file:1: has a DOCTYPE");
	refuses("fcd", "<fcd-export>\n&undefined;</fcd-export>", "file:2: undefined entity");
	cr_assert(deep && endless);
	for (int i = 0; i < 100; i++)
		len += (size_t)sprintf(deep + len, "<fcd-export>");
	refuses("fcd", deep, "file:1: tags are nested deeper than 64");
	memset(endless, 'x', 3 << 20);
	memcpy(endless, "<fcd-export a=\"", 15);
	cr_assert_lt(trace_parse(trace_reader_find("fcd"), "file", endless, 3 << 20, &options,
				 &trace, &err),
		     0);
	cr_assert_not_null(strstr(err.text, "a tag or comment of more than"), "%s", err.text);
}

#define GPX(inner) "<gpx version=\"1.1\">\n" inner "</gpx>\n"
#define TRKPT(lat, lon, time)                                                                      \
	"<trkpt lat=\"" lat "\" lon=\"" lon "\"><ele>5</ele><time>" time "</time></trkpt>\n"

Test(reader, gpx)
{
	_cleanup_(trace_clear) struct trace trace = { 0 }, plain = { 0 };

	accepts("gpx",
		GPX("<metadata><name>all</name><time>2000-01-01T00:00:00Z</time></metadata>"
		    "<wpt lat=\"1\" lon=\"2\"/><trk><name>walk</name><trkseg>\n" TRKPT(
			    "-37.8", "144.9", "2020-02-29T23:59:59.5Z")
			    TRKPT("-37.8", "144.9114",
				  "2020-03-01T00:00:00Z") "</trkseg></trk>"
							  "<trk><trkseg>" TRKPT("-37.8", "144.9",
										"2020-05-17T10:00:"
										"00Z") "</trkseg></"
										       "trk>"),
		&trace);
	cr_assert_eq(trace.n, 2);
	has_point(&trace, "walk", 0, 1583020799.5, 0, 0); /* date -u -d … +%s */
	cr_assert_float_eq(trace.devices[0].points[1].t, 1583020800, 1e-6);
	has_point(&trace, "2", 0, 1589709600, 0, 0);
	accepts("gpx",
		GPX("<trk><trkseg>" TRKPT("1", "2", "0.0")
			    TRKPT("1", "2", "12.5") "</trkseg></trk>"),
		&plain);
	has_point(&plain, "1", 1, 12.5, 0, 0);
}

Test(reader, gpx_refuses)
{
	refuses("gpx", "<kml/>", "file:1: <kml> is no <gpx>");
	refuses("gpx", GPX("<trk><trkpt lat=\"1\" lon=\"2\"/></trk>"),
		"file:2: a point of a track has no time");
	refuses("gpx", GPX("<trk>" TRKPT("1", "2", "2020-13-01T00:00:00Z") "</trk>"),
		"file:2: '2020-13-01T00:00:00Z' is no time in UTC");
	refuses("gpx", GPX("<trk>" TRKPT("1", "2", "2020-01-01T00:00:00+02:00") "</trk>"),
		"file:2: '2020-01-01T00:00:00+02:00' is no time in UTC");
	refuses("gpx", GPX("<trk>" TRKPT("1", "2", "soon") "</trk>"), "file:2: time: 'soon'");
	refuses("gpx", GPX("<trk>" TRKPT("1", "200", "5") "</trk>"),
		"file:2: latitude 1, longitude 200");
	refuses("gpx", GPX("<trk>" TRKPT("1", "2", "5") TRKPT("1", "2", "5") "</trk>"),
		"file:3: time runs backwards");
	refuses("gpx", GPX("<trk><trkpt lon=\"1\"/></trk>"), "file:2: has no lat");
}

/* ---- What SUMO's own tools made of one run; tests/data/sumo/README.md ---------------------- */

static void load(const char *format, const char *file, struct trace *trace)
{
	const struct reader_options options = { 0 };
	const char *source = getenv("top_srcdir");
	struct mg_error err = { 0 };
	char path[4096];

	snprintf(path, sizeof(path), "%s/tests/data/sumo/%s", source ? source : ".", file);
	cr_assert_eq(trace_load(trace_reader_find(format), path, &options, trace, &err), 0, "%s",
		     err.text);
}

static const struct trace_device *device_of(const struct trace *trace, const char *name)
{
	for (size_t i = 0; i < trace->n; i++)
		if (strcmp(trace->devices[i].name, name) == 0)
			return &trace->devices[i];
	cr_assert_fail("no device '%s'", name);
	return NULL;
}

/* The same devices at the same places, to what the formats round to. */
static void compare(const struct trace *a, const struct trace *b, double metres)
{
	cr_assert_eq(a->n, b->n);
	for (size_t i = 0; i < a->n; i++) {
		const struct trace_device *x = &a->devices[i], *y = device_of(b, x->name);

		cr_assert_eq(x->n, y->n, "device %s", x->name);
		for (size_t k = 0; k < x->n; k++) {
			cr_assert_float_eq(y->points[k].t, x->points[k].t, 1e-9);
			cr_assert_float_eq(y->points[k].at.x, x->points[k].at.x, metres);
			cr_assert_float_eq(y->points[k].at.y, x->points[k].at.y, metres);
		}
	}
}

Test(reader, one_run_of_sumo_in_all_formats)
{
	_cleanup_(trace_clear) struct trace fcd = { 0 }, csv = { 0 }, ns2 = { 0 };
	_cleanup_(trace_clear) struct trace geo = { 0 }, gpx = { 0 };
	size_t points = 0;

	load("fcd", "fcd.xml", &fcd);
	load("csv", "fcd.csv", &csv);
	load("ns2_sumo", "ns2.tcl", &ns2);
	load("fcd_geo", "geo.xml", &geo);
	/* One origin for both, wherever their first points are. */
	gpx.projection = geo.projection;
	load("gpx", "x.gpx", &gpx);
	for (size_t i = 0; i < fcd.n; i++)
		points += fcd.devices[i].n;
	cr_assert_gt(points, 50);
	compare(&fcd, &csv, 1e-9);
	compare(&fcd, &ns2, 1e-9);
	compare(&geo, &gpx, 0.01);
	/* In metres and in degrees: the ways of the vehicles are as long, to the 0.04 % by
	 * which UTM is smaller in the middle of a zone, and 1e-7 degrees. */
	for (size_t i = 0; i < fcd.n; i++) {
		struct point a = fcd.devices[i].points[0].at, b = geo.devices[i].points[0].at;

		for (size_t k = 1; k < fcd.devices[i].n; k++) {
			struct point p = fcd.devices[i].points[k].at;
			struct point q = geo.devices[i].points[k].at;

			cr_assert_float_eq(hypot(q.x - b.x, q.y - b.y), hypot(p.x - a.x, p.y - a.y),
					   0.05 + 0.0005 * hypot(p.x - a.x, p.y - a.y));
		}
	}
}

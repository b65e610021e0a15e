/* SPDX-License-Identifier: Apache-2.0
 *
 * GPX 1.1 (topografix.com/GPX/1/1): each track is a device, called after its name,
 * or else its number; its segments follow each other. Times are UTC as XML has them
 * ("2020-05-17T10:00:00.5Z"), or plain seconds, as SUMO's traceExporter.py may be told
 * to write them.
 */
#include <string.h>
#include <time.h>

#include "sim/trace/reader.h"
#include "sim/trace/xml.h"

struct gpx {
	struct source *s;
	struct trace *trace;
	bool is_gpx, in_track, in_point, has_time;
	unsigned tracks;
	char name[TRACE_NAME_MAX + 1];
	double lat, lon, t;
};

static int begin_point(struct gpx *g, const char **attributes)
{
	int r = xml_number(g->s, attributes, "lat", &g->lat);

	g->in_point = true;
	g->has_time = false;
	return r < 0 ? r : xml_number(g->s, attributes, "lon", &g->lon);
}

static int begin(void *userdata, const char *tag, const char **attributes)
{
	struct gpx *g = userdata;

	if (!g->is_gpx && strcmp(tag, "gpx") != 0)
		return source_fail(g->s, "<%.40s> is no <gpx>", tag);
	g->is_gpx = true;
	if (strcmp(tag, "trk") == 0) {
		g->in_track = true;
		snprintf(g->name, sizeof(g->name), "%u", ++g->tracks);
	}
	return g->in_track && strcmp(tag, "trkpt") == 0 ? begin_point(g, attributes) : 0;
}

/* Days since 1970 of a date of the Gregorian calendar. */
static double days_from(int year, int month, int day)
{
	struct tm tm = { .tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day };

	return (double)timegm(&tm) / 86400;
}

/* Years after 9999 and times with an offset but Z are not taken. */
static bool parse_utc(const char *text, double *ret)
{
	int year, month, day, hour, minute, end = 0;
	double second;

	if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%lf%n", &year, &month, &day, &hour, &minute, &second,
		   &end) != 6)
		return false;
	end += text[end] == 'Z';
	*ret = days_from(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
	return text[end] == '\0' && month >= 1 && month <= 12 && day >= 1 && day <= 31 &&
	       hour >= 0 && hour <= 24 && minute >= 0 && minute < 60 && second >= 0 && second < 61;
}

static int end_time(struct gpx *g, const char *text)
{
	g->has_time = true;
	if (parse_utc(text, &g->t))
		return 0;
	if (strchr(text, 'T'))
		return source_fail(g->s, "'%.40s' is no time in UTC", text);
	return source_number(g->s, text, "time", &g->t);
}

static int end_point(struct gpx *g)
{
	g->in_point = false;
	if (!g->has_time)
		return source_fail(g->s, "a point of a track has no time");
	return trace_add_geographic(g->trace, g->s, g->name, g->t, g->lat, g->lon);
}

static int end(void *userdata, const char *tag, const char *text)
{
	struct gpx *g = userdata;

	if (strcmp(tag, "trkpt") == 0 && g->in_point)
		return end_point(g);
	if (strcmp(tag, "time") == 0 && g->in_point)
		return end_time(g, text);
	if (strcmp(tag, "trk") == 0)
		g->in_track = false;
	if (strcmp(tag, "name") == 0 && g->in_track && !g->in_point && *text) {
		if (strlen(text) > TRACE_NAME_MAX)
			return source_fail(g->s, "a name is longer than %d bytes", TRACE_NAME_MAX);
		memcpy(g->name, text, strlen(text) + 1);
	}
	return 0;
}

int read_gpx(struct source *s, const struct reader_options *options, struct trace *trace)
{
	static const struct xml_handler handler = { begin, end };
	struct gpx g = { .s = s, .trace = trace };

	(void)options;
	return xml_read(s, &handler, &g);
}

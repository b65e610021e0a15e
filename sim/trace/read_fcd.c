/* SPDX-License-Identifier: Apache-2.0
 *
 * SUMO's floating car data (sumo --fcd-output):
 *
 *     <fcd-export>
 *         <timestep time="0.00">
 *             <vehicle id="0" x="5.1" y="-1.6" …/>
 *             <person id="p" x="1.0" y="2.0" …/>
 *
 * With --fcd-output.geo x is the longitude and y the latitude; the file does not
 * say so, which is why there are two names for it. A device that a timestep leaves
 * out is gone when it was seen last.
 */
#include <string.h>

#include "sim/trace/reader.h"
#include "sim/trace/xml.h"

struct fcd {
	struct source *s;
	struct trace *trace;
	bool geographic, in_step, is_fcd;
	double t;
};

static int begin_step(struct fcd *f, const char **attributes)
{
	int r = xml_number(f->s, attributes, "time", &f->t);

	f->in_step = true;
	return r;
}

static int begin_device(struct fcd *f, const char **attributes)
{
	const char *id = xml_attribute(attributes, "id");
	double x, y;
	int r = xml_number(f->s, attributes, "x", &x);

	if (r == 0)
		r = xml_number(f->s, attributes, "y", &y);
	if (r < 0)
		return r;
	if (!id)
		return source_fail(f->s, "has no id");
	if (!f->in_step)
		return source_fail(f->s, "a device stands outside of a timestep");
	if (f->geographic)
		return trace_add_geographic(f->trace, f->s, id, f->t, y, x);
	return trace_add(f->trace, f->s, id, f->t, (struct point){ x, y });
}

static int begin(void *userdata, const char *tag, const char **attributes)
{
	struct fcd *f = userdata;

	if (!f->is_fcd && strcmp(tag, "fcd-export") != 0)
		return source_fail(f->s, "<%.40s> is no <fcd-export>", tag);
	f->is_fcd = true;
	if (strcmp(tag, "timestep") == 0)
		return begin_step(f, attributes);
	if (strcmp(tag, "vehicle") == 0 || strcmp(tag, "person") == 0)
		return begin_device(f, attributes);
	return 0;
}

static int end(void *userdata, const char *tag, const char *text)
{
	struct fcd *f = userdata;

	(void)text;
	if (strcmp(tag, "timestep") == 0)
		f->in_step = false;
	return 0;
}

static int read_any(struct source *s, bool geographic, struct trace *trace)
{
	static const struct xml_handler handler = { begin, end };
	struct fcd f = { .s = s, .trace = trace, .geographic = geographic };

	return xml_read(s, &handler, &f);
}

int read_fcd(struct source *s, const struct reader_options *options, struct trace *trace)
{
	(void)options;
	return read_any(s, false, trace);
}

int read_fcd_geo(struct source *s, const struct reader_options *options, struct trace *trace)
{
	(void)options;
	return read_any(s, true, trace);
}

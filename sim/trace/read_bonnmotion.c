/* SPDX-License-Identifier: Apache-2.0
 *
 * BonnMotion's own format, unpacked (NAME.movements): a line a device, of time, x
 * and y, again and again, with blanks between.
 */
#include <string.h>

#include "sim/trace/reader.h"

static int read_device(struct source *s, struct trace *trace)
{
	char *save = NULL, name[32];
	double v[3];
	size_t n = 0;
	int r;

	snprintf(name, sizeof(name), "%u", s->number);
	for (char *word = strtok_r(s->line, " \t", &save); word;
	     word = strtok_r(NULL, " \t", &save)) {
		static const char *const names[] = { "time", "x", "y" };

		r = source_number(s, word, names[n % 3], &v[n % 3]);
		if (r == 0 && n++ % 3 == 2)
			r = trace_add(trace, s, name, v[0], (struct point){ v[1], v[2] });
		if (r < 0)
			return r;
	}
	return n % 3 == 0 ? 0 : source_fail(s, "ends in the middle of time, x, y");
}

int read_bonnmotion(struct source *s, const struct reader_options *options, struct trace *trace)
{
	int r;

	(void)options;
	while ((r = source_line(s)) > 0) {
		/* Some versions write comments. */
		if (s->line[0] != '#')
			r = read_device(s, trace);
		if (r < 0)
			return r;
	}
	return r;
}

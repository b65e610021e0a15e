/* SPDX-License-Identifier: Apache-2.0
 *
 * The traces of cars that MobFogSim brings (made from the LuST scenario): a row
 * a second, blanks between: time s, direction rad, x m, y m, speed m/s. A file
 * is one device.
 */
#include "sim/trace/reader.h"

int read_lust(struct source *s, const struct reader_options *options, struct trace *trace)
{
	static const char *const names[] = { "time", "direction", "x", "y", "speed" };
	double v[ARRAY_SIZE(names)];
	char *words[ARRAY_SIZE(names) + 1];
	int r;

	(void)options;
	while ((r = source_line(s)) > 0) {
		if (words_split(s->line, words, ARRAY_SIZE(words)) != ARRAY_SIZE(names))
			return source_fail(s, "has not the 5 columns time, direction, x, y, speed");
		for (size_t i = 0; i < ARRAY_SIZE(names) && r >= 0; i++)
			r = source_number(s, words[i], names[i], &v[i]);
		if (r >= 0)
			r = trace_add(trace, s, "car", v[0], (struct point){ v[2], v[3] });
		if (r < 0)
			return r;
	}
	return r;
}

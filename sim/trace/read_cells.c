/* SPDX-License-Identifier: Apache-2.0
 *
 * Which cell serves each device, slot by slot: a line a slot, a column a device,
 * commas between; cells go by numbers from 1, and 0 says that the device is absent.
 * So are published the taxis of San Francisco (Piorkowski, Sarafijanovic-Djukic and
 * Grossglauser, CRAWDAD epfl/mobility, 2009) with the service placement study of
 * Wang, Urgaonkar and others. A device is where its cell's tower stands.
 */
#include <math.h>
#include <string.h>

#include "sim/trace/reader.h"

#define COLUMNS_MAX 65536
#define ENTRIES_MAX ((size_t)1 << 28)

struct slots {
	uint32_t *cells; /* row by row */
	size_t rows, columns, room;
};

static void slots_clear(struct slots *t)
{
	free(t->cells);
}

static int append(struct source *s, struct slots *t, size_t n, double cell)
{
	if (n == t->room) {
		size_t room = t->room ? t->room * 2 : 4096;
		uint32_t *cells;

		if (room > ENTRIES_MAX)
			return source_fail(s, "more than %zu entries", ENTRIES_MAX);
		cells = reallocarray(t->cells, room, sizeof(*cells));
		if (!cells)
			return mg_error_set(s->err, -ENOMEM, "out of memory");
		t->cells = cells;
		t->room = room;
	}
	t->cells[n] = (uint32_t)cell;
	return 0;
}

static int read_slot(struct source *s, const struct reader_options *options, struct slots *t)
{
	size_t n = t->rows * t->columns, columns = 0;
	char *rest = s->line, *field;

	while ((field = strsep(&rest, ","))) {
		double cell;
		int r = columns < COLUMNS_MAX ? source_number(s, field, "cell", &cell)
					      : source_fail(s, "more than %d columns", COLUMNS_MAX);

		if (r < 0)
			return r;
		if (!(cell >= 0 && cell <= (double)options->n_places) || cell != floor(cell))
			return source_fail(s, "there is no cell %g; towers are %zu", cell,
					   options->n_places);
		r = append(s, t, n++, cell);
		if (r < 0)
			return r;
		columns++;
	}
	if (t->rows > 0 && columns != t->columns)
		return source_fail(s, "has %zu columns, the first line %zu", columns, t->columns);
	t->columns = columns;
	t->rows++;
	return 0;
}

/* Points where something changes, and an end. */
static int add_device(struct source *s, const struct reader_options *options, const struct slots *t,
		      size_t column, struct trace *trace)
{
	double slot = options->slot_s > 0 ? options->slot_s : 1;
	uint32_t before = 0;
	char name[32];
	int r = 0;

	snprintf(name, sizeof(name), "%zu", column + 1);
	for (size_t row = 0; row <= t->rows && r == 0; row++) {
		size_t at = options->reversed ? t->rows - 1 - row : row;
		uint32_t cell = row < t->rows ? t->cells[at * t->columns + column] : 0;

		if (cell == before)
			continue;
		if (cell == 0)
			r = trace_add_absence(trace, s, name, (double)row * slot);
		else
			r = trace_add(trace, s, name, (double)row * slot,
				      options->places[cell - 1]);
		before = cell;
	}
	return r;
}

int read_cells(struct source *s, const struct reader_options *options, struct trace *trace)
{
	_cleanup_(slots_clear) struct slots t = { 0 };
	int r;

	trace->steps = true;
	while ((r = source_line(s)) > 0) {
		r = read_slot(s, options, &t);
		if (r < 0)
			return r;
	}
	for (size_t column = 0; column < t.columns && r == 0; column++)
		r = add_device(s, options, &t, column, trace);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/world/towers.h"

#include <math.h>
#include <string.h>

#include "sim/world/towers_file.h"

#define RINGS_MAX 120

void towers_clear(struct towers *t)
{
	free(t->at);
	free(t->radius);
	free(t->clear_squared);
	free(t->around);
	free(t->first);
	free(t->members);
	*t = (struct towers){ 0 };
}

int towers_add(struct towers *t, struct point at, double radius)
{
	/* Room doubles whenever the number is a power of two. */
	if ((t->n & (t->n - 1)) == 0) {
		uint32_t room = t->n ? t->n * 2 : 1;
		struct point *places = reallocarray(t->at, room, sizeof(*places));
		double *radii = reallocarray(t->radius, room, sizeof(*radii));

		t->at = places ? places : t->at;
		t->radius = radii ? radii : t->radius;
		if (!places || !radii)
			return -ENOMEM;
	}
	t->at[t->n] = at;
	t->radius[t->n++] = radius;
	t->any_radius |= radius > 0;
	return 0;
}

/* ---- The grid for searches ------------------------------------------------------------ */

static uint32_t square_of(double at, double origin, double square, uint32_t n)
{
	double i = floor((at - origin) / square);

	return i <= 0 ? 0 : i >= n - 1 ? n - 1 : (uint32_t)i;
}

static uint32_t cell_of(const struct towers *t, struct point at)
{
	return square_of(at.y, t->origin.y, t->square, t->rows) * t->columns +
	       square_of(at.x, t->origin.x, t->square, t->columns);
}

/* Squares so large that one holds a tower on average, also of towers in a row: there
 * are never more than some three squares a tower. */
static void lay_squares(struct towers *t)
{
	struct point min = t->at[0], max = t->at[0];
	double width, height;

	for (uint32_t i = 1; i < t->n; i++) {
		min = (struct point){ fmin(min.x, t->at[i].x), fmin(min.y, t->at[i].y) };
		max = (struct point){ fmax(max.x, t->at[i].x), fmax(max.y, t->at[i].y) };
	}
	width = max.x - min.x;
	height = max.y - min.y;
	t->origin = min;
	t->square = fmax(sqrt(width * height / t->n), fmax(width, height) / t->n);
	t->square = fmax(t->square, 1);
	t->columns = (uint32_t)(width / t->square) + 1;
	t->rows = (uint32_t)(height / t->square) + 1;
}

/* ---- The nearest ------------------------------------------------------------------------ */

struct search {
	const struct towers *t;
	struct point at;
	size_t k, n;
	uint32_t *found;
	double worst; /* distance squared of the last found, when all are */
};

static void consider(struct search *s, uint32_t tower)
{
	double d = distance_squared(s->at, s->t->at[tower]);
	size_t at = s->n;

	if (s->n == s->k && d > s->worst)
		return;
	for (; at > 0; at--) {
		uint32_t other = s->found[at - 1];
		double od = distance_squared(s->at, s->t->at[other]);

		if (od < d || (od == d && other < tower))
			break;
		if (at < s->k)
			s->found[at] = other;
	}
	if (at == s->k)
		return;
	s->found[at] = tower;
	s->n += s->n < s->k;
	s->worst = distance_squared(s->at, s->t->at[s->found[s->n - 1]]);
}

static void consider_square(struct search *s, int64_t column, int64_t row)
{
	const struct towers *t = s->t;
	size_t cell;

	if (column < 0 || row < 0 || column >= t->columns || row >= t->rows)
		return;
	cell = (size_t)row * t->columns + (size_t)column;
	for (uint32_t i = t->first[cell]; i < t->first[cell + 1]; i++)
		consider(s, t->members[i]);
}

/* The squares at distance `ring` around one; squares outside hold nothing. */
static void consider_ring(struct search *s, int64_t column, int64_t row, int64_t ring)
{
	for (int64_t c = column - ring; c <= column + ring; c++) {
		consider_square(s, c, row - ring);
		if (ring)
			consider_square(s, c, row + ring);
	}
	for (int64_t r = row - ring + 1; r < row + ring; r++) {
		consider_square(s, column - ring, r);
		consider_square(s, column + ring, r);
	}
}

size_t towers_nearest(const struct towers *t, struct point at, size_t k, uint32_t *ret)
{
	struct search s = { .t = t, .at = at, .k = k < t->n ? k : t->n, .found = ret };
	int64_t column = square_of(at.x, t->origin.x, t->square, t->columns);
	int64_t row = square_of(at.y, t->origin.y, t->square, t->rows);
	/* From a place outside, the square at the edge is where the search begins:
	 * no tower is nearer than the edge, so the bound below holds there too. */
	int64_t rings = t->columns > t->rows ? t->columns : t->rows;

	for (int64_t ring = 0; ring <= rings; ring++) {
		double reach = (double)(ring - 1) * t->square;

		if (s.n == s.k && reach > 0 && reach * reach > s.worst)
			break;
		consider_ring(&s, column, row, ring);
	}
	return s.n;
}

static int fill_squares(struct towers *t)
{
	size_t squares;

	lay_squares(t);
	squares = (size_t)t->columns * t->rows;
	t->first = calloc(squares + 2, sizeof(*t->first));
	t->members = calloc(t->n, sizeof(*t->members));
	if (!t->first || !t->members)
		return -ENOMEM;
	/* Counted two further on, then summed up and filled one further on. */
	for (uint32_t i = 0; i < t->n; i++)
		t->first[cell_of(t, t->at[i]) + 2]++;
	for (size_t i = 2; i < squares + 2; i++)
		t->first[i] += t->first[i - 1];
	for (uint32_t i = 0; i < t->n; i++)
		t->members[t->first[cell_of(t, t->at[i]) + 1]++] = i;
	return 0;
}

/* At x from the tower, what is nearer than it is less than 2 x from the tower. */
uint32_t towers_nearest_by(const struct towers *t, struct point at, uint32_t tower)
{
	const struct tower_around *around = &t->around[(size_t)tower * TOWERS_AROUND];
	double x = distance_squared(at, t->at[tower]), best = x;
	uint32_t nearest = tower;

	for (int k = 0; k < TOWERS_AROUND; k++) {
		double d;

		if (around[k].squared > 4 * x)
			return nearest;
		d = distance_squared(at, around[k].at);
		if (d < best || (d == best && around[k].tower < nearest)) {
			best = d;
			nearest = around[k].tower;
		}
	}
	towers_nearest(t, at, 1, &nearest);
	return nearest;
}

static void find_around(struct towers *t, uint32_t tower)
{
	struct tower_around *around = &t->around[(size_t)tower * TOWERS_AROUND];
	uint32_t near[TOWERS_AROUND + 1]; /* the tower too, or as many at its place */
	size_t n = towers_nearest(t, t->at[tower], ARRAY_SIZE(near), near), k = 0;

	for (size_t i = 0; i < n && k < TOWERS_AROUND; i++) {
		struct point at = t->at[near[i]];

		/* The margin is for rounding. */
		if (near[i] != tower)
			around[k++] = (struct tower_around){
				near[i], distance_squared(at, t->at[tower]) * 0.9999, at
			};
	}
	for (; k < TOWERS_AROUND; k++)
		around[k] = (struct tower_around){ TOWERS_NONE, INFINITY, { 0, 0 } };
	t->clear_squared[tower] = around[0].squared / 4;
}

int towers_index(struct towers *t)
{
	t->clear_squared = calloc(t->n, sizeof(*t->clear_squared));
	t->around = calloc((size_t)t->n * TOWERS_AROUND, sizeof(*t->around));
	if (!t->clear_squared || !t->around || fill_squares(t) < 0)
		return -ENOMEM;
	for (uint32_t i = 0; i < t->n; i++)
		find_around(t, i);
	return 0;
}

/* ---- Generated ---------------------------------------------------------------------------- */

static int make_grid(struct towers *t, unsigned columns, unsigned rows, double spacing)
{
	int r = 0;

	for (unsigned i = 0; i < columns * rows && r == 0; i++)
		r = towers_add(t, (struct point){ spacing * (i / rows), spacing * (i % rows) }, 0);
	return r;
}

/* Ring by ring, each begun in the east and walked against the clock. */
static int make_hex(struct towers *t, unsigned rings, double spacing)
{
	static const double side_x[] = { -0.5, -1, -0.5, 0.5, 1, 0.5 };
	const double h = sqrt(3) / 2;
	const double side_y[] = { h, 0, -h, -h, 0, h };
	int r = towers_add(t, (struct point){ 0, 0 }, 0);

	for (unsigned ring = 1; ring <= rings; ring++) {
		double x = ring, y = 0;

		for (unsigned i = 0; i < 6 * ring && r == 0; i++) {
			r = towers_add(t, (struct point){ x * spacing, y * spacing }, 0);
			x += side_x[i / ring];
			y += side_y[i / ring];
		}
	}
	return r;
}

static int refuse(const char *text, struct mg_error *err)
{
	return mg_error_set(err, -EINVAL,
			    "towers: '%.80s' is none of grid:COLUMNSxROWS:SPACING, "
			    "hex:RINGS:SPACING, csv:FILE, cells:FILE, opencellid:FILE",
			    text);
}

static int generate(const char *text, struct towers *t, struct mg_error *err)
{
	unsigned a, b;
	double spacing;
	int end = 0, r;

	if (sscanf(text, "grid:%5ux%5u:%lf%n", &a, &b, &spacing, &end) == 3 && !text[end]) {
		if (a == 0 || b == 0 || a * b > TOWERS_SIM_MAX)
			return mg_error_set(err, -EINVAL, "towers: 1 to %d, not %u times %u",
					    TOWERS_SIM_MAX, a, b);
	} else if (sscanf(text, "hex:%5u:%lf%n", &a, &spacing, &end) == 2 && !text[end]) {
		if (a > RINGS_MAX)
			return mg_error_set(err, -EINVAL, "towers: at most %d rings", RINGS_MAX);
		b = 0;
	} else {
		return refuse(text, err);
	}
	if (!(spacing >= 1 && spacing <= 1e5))
		return mg_error_set(err, -EINVAL, "towers: a spacing of 1 to 100000 m, not %g",
				    spacing);
	r = b ? make_grid(t, a, b, spacing) : make_hex(t, a, spacing);
	return r < 0 ? mg_error_set(err, r, "out of memory") : 0;
}

int towers_make(const char *text, const char *folder, struct towers *ret, struct mg_error *err)
{
	_cleanup_(towers_clear) struct towers t = { 0 };
	int r;

	if (strncmp(text, "csv:", 4) == 0)
		r = towers_load(TOWERS_CSV, text + 4, folder, &t, err);
	else if (strncmp(text, "cells:", 6) == 0)
		r = towers_load(TOWERS_CELLS, text + 6, folder, &t, err);
	else if (strncmp(text, "opencellid:", 11) == 0)
		r = towers_load(TOWERS_OPENCELLID, text + 11, folder, &t, err);
	else
		r = generate(text, &t, err);
	if (r == 0 && towers_index(&t) < 0)
		r = mg_error_set(err, -ENOMEM, "out of memory");
	if (r < 0)
		return r;
	*ret = t;
	t = (struct towers){ 0 };
	return 0;
}

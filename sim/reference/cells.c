/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/reference/cells.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "common/cleanup.h"

/* ---- Files -------------------------------------------------------------------------- */

struct lines {
	const char *at, *end;
	size_t number;
	struct mg_error *err;
};

/* False at the end. The line is [*ret, in->at), its line break left out. */
static bool next_line(struct lines *in, const char **ret, const char **ret_end)
{
	const char *stop;

	if (in->at == in->end)
		return false;
	in->number++;
	*ret = in->at;
	stop = memchr(in->at, '\n', (size_t)(in->end - in->at));
	in->at = stop ? stop + 1 : in->end;
	*ret_end = stop ? stop : in->end;
	if (*ret_end > *ret && (*ret_end)[-1] == '\r')
		(*ret_end)--;
	return true;
}

static int refuse(const struct lines *in, const char *what)
{
	return mg_error_set(in->err, -EBADMSG, "line %zu: %s", in->number, what);
}

/* A field that is a number; what follows it is a comma or the line's end. */
static bool take_number(const char **at, const char *end, double *ret)
{
	const char *stop = memchr(*at, ',', (size_t)(end - *at));
	char text[64], *rest;
	size_t len = (size_t)((stop ? stop : end) - *at);

	if (len == 0 || len >= sizeof(text))
		return false;
	memcpy(text, *at, len);
	text[len] = '\0';
	*ret = strtod(text, &rest);
	*at = stop ? stop + 1 : end;
	return rest == text + len && isfinite(*ret);
}

static int read_cells(struct lines *in, struct cell_map *map)
{
	const char *at = NULL, *end = NULL;
	double id, lat, lon;

	while (next_line(in, &at, &end)) {
		if (map->n == CELLS_MAX)
			return refuse(in, "too many cells");
		if (!take_number(&at, end, &id) || !take_number(&at, end, &lat) ||
		    !take_number(&at, end, &lon) || at != end)
			return refuse(in, "is not id,lat,lon");
		if (id != (double)map->n + 1)
			return refuse(in, "ids must count up from 1");
		if (fabs(lat) > 90 || fabs(lon) > 180)
			return refuse(in, "is not on Earth");
		map->lat[map->n] = lat;
		map->lon[map->n++] = lon;
	}
	return map->n > 0 ? 0 : refuse(in, "there are no cells");
}

/* Whole numbers of hops, but for rounding errors, are not rounded up. */
static uint16_t count_hops(double distance)
{
	return (uint16_t)fmin(ceil(distance - 1e-8), CELL_HOPS_MAX);
}

int cell_map_parse(const char *text, size_t len, double degrees_per_hop, struct cell_map *ret,
		   struct mg_error *err)
{
	struct lines in = { text, text + len, 0, err };
	struct cell_map map = {
		.lat = calloc(CELLS_MAX, sizeof(double)),
		.lon = calloc(CELLS_MAX, sizeof(double)),
	};
	int r = map.lat && map.lon ? read_cells(&in, &map) : -ENOMEM;

	if (r == 0)
		map.hops = calloc(map.n * map.n, sizeof(*map.hops));
	if (r == 0 && !map.hops)
		r = -ENOMEM;
	if (r < 0) {
		cell_map_clear(&map);
		return r == -ENOMEM ? mg_error_set(err, r, "out of memory") : r;
	}
	for (size_t a = 0; a < map.n; a++)
		for (size_t b = 0; b < map.n; b++)
			map.hops[a * map.n + b] =
				count_hops(hypot(map.lat[a] - map.lat[b], map.lon[a] - map.lon[b]) /
					   degrees_per_hop);
	*ret = map;
	return 0;
}

void cell_map_clear(struct cell_map *map)
{
	free(map->lat);
	free(map->lon);
	free(map->hops);
	*map = (struct cell_map){ 0 };
}

static int read_row(struct lines *in, const char *at, const char *end, size_t cells, size_t users,
		    uint16_t *row)
{
	for (size_t u = 0; u < users; u++) {
		double v;

		if (!take_number(&at, end, &v) || v < 0 || v > (double)cells || v != floor(v))
			return refuse(in, "has a number that is no cell");
		row[u] = v == 0 ? CELL_ABSENT : (uint16_t)(v - 1);
	}
	return 0;
}

static size_t count_fields(const char *at, const char *end)
{
	size_t n = 1;

	for (; at < end; at++)
		n += *at == ',';
	return n;
}

/* That all rows have as many fields also bounds the memory by the file's size. */
static int measure(const char *text, size_t len, struct cell_trace *trace, struct mg_error *err)
{
	struct lines in = { text, text + len, 0, err };
	const char *at = NULL, *end = NULL;

	while (next_line(&in, &at, &end)) {
		size_t fields = count_fields(at, end);

		if (trace->slots == 0)
			trace->users = fields;
		if (fields > CELL_USERS_MAX)
			return refuse(&in, "has too many users");
		if (fields != trace->users)
			return refuse(&in, "has not as many numbers as the first line");
		if (trace->slots++ == CELL_SLOTS_MAX)
			return refuse(&in, "there are too many slots");
	}
	return trace->slots > 0 ? 0 : refuse(&in, "there are no slots");
}

int cell_trace_parse(const char *text, size_t len, size_t cells, bool reversed,
		     struct cell_trace *ret, struct mg_error *err)
{
	struct lines in = { text, text + len, 0, err };
	struct cell_trace trace = { 0 };
	_cleanup_free_ uint16_t *row = NULL;
	const char *at = NULL, *end = NULL;
	int r = measure(text, len, &trace, err);

	if (r < 0)
		return r;
	row = calloc(trace.users, sizeof(*row));
	trace.cell = calloc(trace.users * trace.slots, sizeof(*trace.cell));
	if (!row || !trace.cell)
		r = mg_error_set(err, -ENOMEM, "out of memory");
	for (size_t t = 0; r == 0 && next_line(&in, &at, &end); t++) {
		size_t slot = reversed ? trace.slots - 1 - t : t;

		r = read_row(&in, at, end, cells, trace.users, row);
		for (size_t u = 0; u < trace.users; u++)
			trace.cell[u * trace.slots + slot] = row[u];
	}
	if (r < 0)
		cell_trace_clear(&trace);
	else
		*ret = trace;
	return r;
}

void cell_trace_clear(struct cell_trace *trace)
{
	free(trace->cell);
	*trace = (struct cell_trace){ 0 };
}

/* ---- Costs ---------------------------------------------------------------------------- */

int cell_costs_make(const struct cell_map *map, double m, struct cell_costs *ret)
{
	size_t n = map->n;
	struct cell_costs costs = {
		.n = n,
		.move = calloc(n * n, sizeof(float)),
		.away = calloc(n * n, sizeof(float)),
		.move_min = FLT_MAX,
	};

	if (!costs.move || !costs.away) {
		cell_costs_clear(&costs);
		return -ENOMEM;
	}
	for (size_t i = 0; i < n * n; i++) {
		double away = 1 - pow(0.8, map->hops[i]);

		costs.away[i] = (float)away;
		costs.move[i] = map->hops[i] ? (float)(1 + m * away) : 0;
		if (map->hops[i] && costs.move[i] < costs.move_min)
			costs.move_min = costs.move[i];
	}
	*ret = costs;
	return 0;
}

void cell_costs_clear(struct cell_costs *costs)
{
	free(costs->move);
	free(costs->away);
	*costs = (struct cell_costs){ 0 };
}

static float largest(const float *v, size_t n)
{
	float max = v[0];

	for (size_t i = 1; i < n; i++)
		max = v[i] > max ? v[i] : max;
	return max;
}

/* Moves obey the triangle inequality, so nobody goes to a cell that is itself
 * better left: only few targets are worth a look, the cheapest first. */
void cell_costs_relocate(const struct cell_costs *costs, const float *restrict rest,
			 float *restrict values)
{
	size_t n = costs->n;
	float done = -FLT_MAX; /* targets up to here have been looked at */
	float max = largest(rest, n);

	memcpy(values, rest, n * sizeof(*values));
	for (;;) {
		float next = FLT_MAX;

		for (size_t a = 0; a < n; a++)
			next = rest[a] > done && rest[a] < next ? rest[a] : next;
		if (next + costs->move_min >= max)
			return;
		for (size_t a = 0; a < n; a++) {
			const float *move = costs->move + a * n;

			if (rest[a] != next || values[a] < next)
				continue;
			for (size_t s = 0; s < n; s++)
				values[s] = next + move[s] < values[s] ? next + move[s] : values[s];
		}
		max = largest(values, n);
		done = next;
	}
}

/* ---- Policies --------------------------------------------------------------------------- */

int cell_optimum(const struct cell_costs *costs, const struct cell_trace *trace, size_t first,
		 size_t end, struct cell_score *ret)
{
	size_t n = costs->n;
	_cleanup_free_ float *values = calloc(n, sizeof(*values));
	_cleanup_free_ float *rest = calloc(n, sizeof(*rest));
	struct cell_score score = { 0 };

	if (!values || !rest)
		return -ENOMEM;
	for (size_t u = 0; u < trace->users; u++) {
		const uint16_t *cell = cell_trace_user(trace, u);

		memset(values, 0, n * sizeof(*values));
		for (size_t t = end; t-- > first;) {
			const float *away;

			if (cell[t] == CELL_ABSENT) {
				memset(values, 0, n * sizeof(*values));
				continue;
			}
			away = costs->away + cell[t] * n;
			for (size_t a = 0; a < n; a++)
				rest[a] = values[a] + away[a];
			cell_costs_relocate(costs, rest, values);
			score.slots++;
			if (t == first || cell[t - 1] == CELL_ABSENT)
				score.cost += (double)values[cell[t]];
		}
	}
	*ret = score;
	return 0;
}

/* What a simple policy knows: the service's cell, the user's cell, and what it
 * paid since it last changed its mind. Returns whether it moves to the user. */
struct simple {
	const struct cell_costs *costs;
	const struct cell_map *map;
	unsigned threshold;
	double paid;
	bool (*moves)(struct simple *p, size_t at, size_t user);
};

static struct cell_score run_simple(struct simple *p, const struct cell_trace *trace, size_t first,
				    size_t end)
{
	struct cell_score score = { 0 };
	size_t n = p->costs->n;

	for (size_t u = 0; u < trace->users; u++) {
		const uint16_t *cell = cell_trace_user(trace, u);
		uint16_t at = CELL_ABSENT;

		for (size_t t = first; t < end; t++) {
			if (cell[t] == CELL_ABSENT) {
				at = CELL_ABSENT;
				continue;
			}
			score.slots++;
			if (at == CELL_ABSENT) {
				at = cell[t];
				p->paid = 0;
			}
			if (p->moves(p, at, cell[t])) {
				score.cost += (double)p->costs->move[at * n + cell[t]];
				at = cell[t];
			}
			score.cost += (double)p->costs->away[at * n + cell[t]];
		}
	}
	return score;
}

static bool moves_never(struct simple *p, size_t at, size_t user)
{
	(void)p;
	(void)at;
	(void)user;
	return false;
}

struct cell_score cell_never(const struct cell_costs *costs, const struct cell_trace *trace,
			     size_t first, size_t end)
{
	struct simple p = { .costs = costs, .moves = moves_never };

	return run_simple(&p, trace, first, end);
}

static bool moves_at_threshold(struct simple *p, size_t at, size_t user)
{
	return at != user && p->map->hops[at * p->map->n + user] >= p->threshold;
}

struct cell_score cell_threshold(const struct cell_costs *costs, const struct cell_map *map,
				 const struct cell_trace *trace, unsigned T, size_t first,
				 size_t end)
{
	struct simple p = {
		.costs = costs, .map = map, .threshold = T, .moves = moves_at_threshold
	};

	return run_simple(&p, trace, first, end);
}

static bool moves_when_paid(struct simple *p, size_t at, size_t user)
{
	size_t i = at * p->costs->n + user;

	if (at == user) {
		p->paid = 0;
		return false;
	}
	p->paid += (double)p->costs->away[i];
	if (p->paid < (double)p->costs->move[i])
		return false;
	p->paid = 0;
	return true;
}

struct cell_score cell_rent_or_buy(const struct cell_costs *costs, const struct cell_trace *trace,
				   size_t first, size_t end)
{
	struct simple p = { .costs = costs, .moves = moves_when_paid };

	return run_simple(&p, trace, first, end);
}

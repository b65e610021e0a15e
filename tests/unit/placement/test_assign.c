/* SPDX-License-Identifier: Apache-2.0
 *
 * Against two oracles: CLP's simplex with branching on what it leaves fractional, and
 * the limits themselves.
 */
#include <coin/Clp_C_Interface.h>
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "common/philox.h"
#include "placement/assign.h"

#define NODES 6
#define ITEMS 14
#define LINKS (NODES * NODES)
#define FLEETS 1000

/* A problem, and what of it is left after solving. */
struct fixture {
	struct assign_item items[ITEMS];
	struct assign_node nodes[NODES];
	uint32_t links[LINKS];
	struct assign a;
	uint64_t seed, drawn;
};

static uint32_t draw(struct fixture *f, uint32_t below)
{
	return (uint32_t)(philox_u64(f->seed, 1, f->drawn++) % below);
}

static void make_item(struct fixture *f, struct assign_item *item, bool mixed)
{
	*item = (struct assign_item){ .from = draw(f, NODES),
				      .memory = mixed ? 1 + draw(f, 8) : 4,
				      .vcpus = mixed ? 1 + draw(f, 4) : 2,
				      .chosen = -1 };
	for (uint32_t n = draw(f, ASSIGN_OPTIONS_MAX + 1); item->n_options < n;) {
		uint32_t to = draw(f, NODES);
		bool known = to == item->from;

		for (uint32_t k = 0; k < item->n_options; k++)
			known = known || item->options[k].to == to;
		if (known)
			continue;
		item->options[item->n_options++] = (struct assign_option){
			.to = to,
			.link = draw(f, 2) ? item->from * NODES + to : ASSIGN_NO_LINK,
			.value = 1 + draw(f, 1000),
		};
	}
}

static void make_fleet(struct fixture *f, uint64_t seed, bool mixed)
{
	*f = (struct fixture){ .seed = seed };
	for (size_t n = 0; n < NODES; n++)
		f->nodes[n] = (struct assign_node){
			.out = draw(f, 6),
			.in = draw(f, 6),
			.memory = draw(f, 5) ? draw(f, 24) : UINT64_MAX,
			.vcpus = draw(f, 5) ? draw(f, 12) : UINT64_MAX,
		};
	for (size_t l = 0; l < LINKS; l++)
		f->links[l] = draw(f, 3);
	f->a = (struct assign){ f->items, 1 + draw(f, ITEMS), f->nodes, NODES,
				f->links, LINKS, 1 + draw(f, ITEMS) };
	for (size_t i = 0; i < f->a.n_items; i++)
		make_item(f, &f->items[i], mixed);
}

/* ---- CLP ------------------------------------------------------------------------------ */

/* Rows: an item each, then out, in, memory and vcpus of each node, the links, all. */
#define ROW_OUT ITEMS
#define ROW_IN (ROW_OUT + NODES)
#define ROW_MEMORY (ROW_IN + NODES)
#define ROW_VCPUS (ROW_MEMORY + NODES)
#define ROW_LINK (ROW_VCPUS + NODES)
#define ROW_MOVES (ROW_LINK + LINKS)
#define ROWS (ROW_MOVES + 1)
#define COLUMNS (ITEMS * ASSIGN_OPTIONS_MAX)

static double limit(uint64_t left)
{
	return left == UINT64_MAX ? 1e9 : (double)left;
}

/* The columns of a model, one after the other. */
struct columns {
	int n, starts[COLUMNS + 1], rows[7 * COLUMNS];
	double amounts[7 * COLUMNS], values[COLUMNS], lower[COLUMNS], upper[COLUMNS];
};

static void add_column(struct columns *c, int i, const struct assign_item *item,
		       const struct assign_option *o)
{
	int to = (int)o->to, at = c->starts[c->n], n = o->link == ASSIGN_NO_LINK ? 6 : 7;
	const int rows[] = { i,		      ROW_OUT + (int)item->from, ROW_IN + to, ROW_MEMORY + to,
			     ROW_VCPUS + to, ROW_MOVES,			 ROW_LINK + (int)o->link };
	const double amounts[] = { 1, 1, 1, (double)item->memory, item->vcpus, 1, 1 };

	memcpy(&c->rows[at], rows, (size_t)n * sizeof(*rows));
	memcpy(&c->amounts[at], amounts, (size_t)n * sizeof(*amounts));
	c->values[c->n] = (double)o->value;
	c->upper[c->n] = 1;
	c->starts[++c->n] = at + n;
}

static Clp_Simplex *make_model(const struct fixture *f)
{
	double lower[ROWS], upper[ROWS];
	Clp_Simplex *model = Clp_newModel();
	struct columns c = { 0 };

	for (int r = 0; r < ROWS; r++) {
		lower[r] = -1e9;
		upper[r] = 1;
	}
	for (int n = 0; n < NODES; n++) {
		upper[ROW_OUT + n] = f->nodes[n].out;
		upper[ROW_IN + n] = f->nodes[n].in;
		upper[ROW_MEMORY + n] = limit(f->nodes[n].memory);
		upper[ROW_VCPUS + n] = limit(f->nodes[n].vcpus);
	}
	for (int l = 0; l < LINKS; l++)
		upper[ROW_LINK + l] = f->links[l];
	upper[ROW_MOVES] = f->a.moves;
	for (int i = 0; i < (int)f->a.n_items; i++)
		for (uint32_t k = 0; k < f->items[i].n_options; k++)
			add_column(&c, i, &f->items[i], &f->items[i].options[k]);
	Clp_setLogLevel(model, 0);
	Clp_loadProblem(model, c.n, ROWS, c.starts, c.rows, c.amounts, c.lower, c.upper, c.values,
			lower, upper);
	Clp_setOptimizationDirection(model, -1);
	return model;
}

static int find_fraction(const Clp_Simplex *model)
{
	const double *x = Clp_getColSolution((Clp_Simplex *)model);

	for (int c = 0; c < Clp_numberColumns((Clp_Simplex *)model); c++)
		if (fabs(x[c] - round(x[c])) > 1e-6)
			return c;
	return -1;
}

static void branch(Clp_Simplex *model, double *best)
{
	int c;

	Clp_dual(model, 0);
	if (Clp_status(model) != 0 || Clp_objectiveValue(model) < *best + 0.5)
		return;
	c = find_fraction(model);
	if (c < 0) {
		*best = round(Clp_objectiveValue(model));
		return;
	}
	Clp_columnUpper(model)[c] = 0;
	branch(model, best);
	Clp_columnUpper(model)[c] = 1;
	Clp_columnLower(model)[c] = 1;
	branch(model, best);
	Clp_columnLower(model)[c] = 0;
}

/* The optimum by CLP; `ret_relaxed` is that of the linear program alone. */
static int64_t clp_optimum(const struct fixture *f, double *ret_relaxed)
{
	Clp_Simplex *model = make_model(f);
	double best = -1;

	Clp_dual(model, 0);
	*ret_relaxed = Clp_objectiveValue(model);
	branch(model, &best);
	Clp_deleteModel(model);
	return (int64_t)best;
}

/* ---- The limits ------------------------------------------------------------------------ */

/* Takes the choices again, one by one, from a fresh copy of the problem; their worth. */
static int64_t replay(const struct fixture *solved, uint64_t seed, bool mixed)
{
	struct fixture fresh;
	int64_t value = 0;

	make_fleet(&fresh, seed, mixed);
	for (size_t i = 0; i < fresh.a.n_items; i++) {
		int32_t k = solved->items[i].chosen;

		if (k < 0)
			continue;
		cr_assert(assign_fits(&fresh.a, &fresh.items[i], &fresh.items[i].options[k]));
		assign_take(&fresh.a, &fresh.items[i], &fresh.items[i].options[k]);
		value += fresh.items[i].options[k].value;
	}
	cr_assert_eq(fresh.a.moves, solved->a.moves);
	cr_assert_arr_eq(fresh.nodes, solved->nodes, sizeof(fresh.nodes));
	cr_assert_arr_eq(fresh.links, solved->links, sizeof(fresh.links));
	return value;
}

static void check_fleet(uint64_t seed, bool mixed)
{
	struct assign_result result;
	struct fixture f;
	double relaxed;
	int64_t optimum;

	make_fleet(&f, seed, mixed);
	optimum = clp_optimum(&f, &relaxed);
	cr_assert_eq(assign_solve(&f.a, &result), 0);
	cr_assert(result.exact, "fleet %lu", seed);
	cr_assert_eq(result.value, optimum, "fleet %lu: %ld, not %ld", seed, result.value, optimum);
	cr_assert_eq(replay(&f, seed, mixed), result.value);
	make_fleet(&f, seed, mixed);
	cr_assert_eq(assign_by_prices(&f.a, &result), 0);
	cr_assert_eq(replay(&f, seed, mixed), result.value);
	cr_assert(result.bound >= (double)optimum - 0.001);
}

Test(assign, equals_clp_on_random_fleets_of_one_size)
{
	for (uint64_t seed = 0; seed < FLEETS; seed++)
		check_fleet(seed, false);
}

Test(assign, equals_clp_with_branching_on_random_fleets_of_mixed_sizes)
{
	for (uint64_t seed = FLEETS; seed < 2 * FLEETS; seed++)
		check_fleet(seed, true);
}

Test(assign, without_branches_it_keeps_what_prices_found)
{
	struct assign_result result;
	struct fixture f;

	make_fleet(&f, 1003, true);
	cr_assert_eq(assign_by_prices(&f.a, &result), 0);
	cr_assert_eq(assign_exact(&f.a, 1, &result), 0);
	cr_assert_not(result.exact);
	cr_assert_eq(replay(&f, 1003, true), result.value);
}

Test(assign, nothing_to_do)
{
	struct assign a = { 0 };
	struct assign_result result;

	cr_assert_eq(assign_solve(&a, &result), 0);
	cr_assert_eq(result.value, 0);
	cr_assert(result.exact);
}

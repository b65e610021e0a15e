/* SPDX-License-Identifier: Apache-2.0
 *
 * Published and exact figures, computed anew and simulated, side by side.
 */
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/file.h"
#include "sim/commands.h"
#include "sim/reference/cells.h"
#include "sim/reference/fidelity.h"
#include "sim/reference/hexwalk.h"
#include "sim/reference/markov.h"
#include "sim/reference/queueing.h"

static const char help[] =
	"usage: edgesim references [OPTION]...\n\n"
	"Computes published figures anew, simulates them, and says where they differ.\n\n"
	"  -t, --taxis DIRECTORY  also those of San Francisco's taxis, whose cells.csv and\n"
	"                         cell_of_user.csv are here\n"
	"  -s, --seed NUMBER      of the simulations (1)\n"
	"  -h, --help             this text\n";

#define POINTS 10     /* of the rule over p */
#define PATHS 150     /* a point of the rule and policy */
#define BATCHES 100   /* of a queue's simulation */
#define ARRIVALS 5000 /* in a batch */
#define STAYS 20000   /* of a walk */
#define LEARNT 720    /* slots of the taxis that are learnt from */
#define INTERVALS 44  /* simulated figures in all: each misses with 1 % / INTERVALS */
#define FILE_MAX (64 << 20)

struct check {
	uint64_t seed, stream;
	size_t figures, wrong, simulated;
};

/* One line. `tolerance` is that of the computed figure; `simulated` may be NULL. */
static void compare(struct check *c, const char *what, double published, double computed,
		    double tolerance, const struct tally *simulated)
{
	/* Published figures are rounded: their last digit may be off by a half. */
	bool differs = !(fabs(computed - published) <= tolerance);
	double width = 0;

	if (simulated) {
		width = tally_half_width(simulated, 0.01 / INTERVALS);
		differs = differs || !(fabs(simulated->mean - published) <= width + tolerance);
		c->simulated++;
	}
	printf("%-44s %11.6f %11.6f", what, published, computed);
	if (simulated)
		printf(" %11.6f +- %.6f", simulated->mean, width);
	puts(differs ? "  DIFFERS" : "");
	c->figures++;
	c->wrong += differs;
}

static void print_title(const char *title)
{
	printf("\n%s\n%-44s %11s %11s %11s\n", title, "", "published", "computed", "simulated");
}

/* ---- The walk on hexagons -------------------------------------------------------- */

static const char *const policy_names[HEX_POLICIES] = {
	[HEX_OPTIMAL] = "optimal", [HEX_PROPOSED] = "by distance", [HEX_NEVER] = "never",
	[HEX_ALWAYS] = "always",   [HEX_MYOPIC] = "myopic",
};

struct hex_row {
	double discount, m, cost[HEX_POLICIES];
};

/* The mean over p by a rule of n points, by solving and by simulation: a sample is a
 * path for each point. */
static int hex_average(struct check *c, struct hex_case hex, enum hex_policy policy,
		       const double *p, const double *weights, size_t n, double *ret,
		       struct tally *simulated)
{
	double samples[PATHS] = { 0 }, costs[PATHS], sum = 0;

	for (size_t i = 0; i < n; i++) {
		size_t target[HEX_CELLS];
		double cost;
		int r;

		hex.p = p[i];
		r = hexwalk_solve(&hex, policy, target, &cost);
		if (r < 0)
			return r;
		sum += weights[i] * cost;
		hexwalk_simulate(&hex, target, c->seed, c->stream, PATHS, costs);
		c->stream += PATHS;
		for (size_t k = 0; k < PATHS; k++)
			samples[k] += weights[i] * costs[k];
	}
	for (size_t k = 0; k < PATHS; k++)
		tally_add(simulated, samples[k]);
	*ret = sum;
	return 0;
}

static int check_hex_row(struct check *c, const struct hex_row *row, const double *p,
			 const double *weights, size_t n)
{
	for (int policy = 0; policy < HEX_POLICIES; policy++) {
		const struct hex_case hex = { .discount = row->discount, .m = row->m };
		struct tally simulated = { 0 };
		char what[64];
		double cost;
		int r = hex_average(c, hex, policy, p, weights, n, &cost, &simulated);

		if (r < 0)
			return r;
		snprintf(what, sizeof(what), "discount %.2f, m %.1f, %s%s", row->discount, row->m,
			 n == 1 ? "p 1/12, " : "", policy_names[policy]);
		compare(c, what, row->cost[policy], cost, 1e-4, &simulated);
	}
	return 0;
}

static int check_hexwalk(struct check *c)
{
	static const struct hex_row rows[] = {
		{ 0.5, 0.5, { 1.4132, 1.4138, 1.4539, 1.9190, 1.4539 } },
		{ 0.9, 0, { 2.9688, 2.9694, 5.9535, 5.4970, 5.9535 } },
		{ 0.9, 1, { 3.9387, 3.9425, 6.2236, 7.1411, 6.2236 } },
		{ 0.9, 4, { 6.3739, 6.3888, 7.0338, 12.0733, 7.0338 } },
		{ 0.99, 1, { 29.4014, 29.5067, 58.0429, 61.1411, 58.0429 } },
		{ 0.99, 10, { 54.5379, 55.2795, 65.2190, 156.9377, 65.2190 } },
	};
	static const struct hex_row at_twelfth = { 0.9,
						   1,
						   { 4.1257, 4.1257, 6.2100, 7.1411, 6.2100 } };
	static const double twelfth = 1.0 / 12, whole = 1;
	double p[POINTS], weights[POINTS];
	int r = 0;

	print_title("Placement as a Markov decision process (arXiv 1506.05261, figure 6)");
	gauss_legendre(POINTS, p, weights);
	for (size_t i = 0; i < POINTS; i++)
		p[i] /= 6;
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(rows); i++)
		r = check_hex_row(c, &rows[i], p, weights, POINTS);
	return r < 0 ? r : check_hex_row(c, &at_twelfth, &twelfth, &whole, 1);
}

/* ---- Closed forms ------------------------------------------------------------------ */

static void check_stays(struct check *c)
{
	static const double hex[] = { 1.0 / 6, 5.0 / 9, 1.224138, 2.165932 };
	const double p = 1.0 / 8;
	struct tally simulated;

	for (int T = 1; T <= 4; T++) {
		char what[64];

		simulated = (struct tally){ 0 };
		for (int i = 0; i < STAYS; i++)
			tally_add(&simulated, p * hexwalk_draw_stay(T, p, c->seed, c->stream++));
		snprintf(what, sizeof(what), "p * slots between moves, hexagons, T %d", T);
		compare(c, what, hex[T - 1], hexwalk_mean_stay(T), 1e-5, &simulated);
	}
	simulated = (struct tally){ 0 };
	for (int i = 0; i < STAYS; i++)
		tally_add(&simulated, p * linewalk_draw_stay(3, p, c->seed, c->stream++));
	compare(c, "p * slots between moves, line, T 3", 4.5, linewalk_mean_stay(3), 1e-5,
		&simulated);
}

static void check_queues(struct check *c)
{
	static const struct {
		unsigned servers;
		double load, lost;
	} losses[] = { { 10, 7, 0.078741 }, { 100, 84.1, 0.010072 } };
	struct queue_run run = { .batches = BATCHES, .arrivals = ARRIVALS, .key = c->seed };
	struct tally waited = { 0 }, wait = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(losses); i++) {
		struct tally lost = { 0 };
		char what[64];

		run.servers = losses[i].servers;
		run.load = losses[i].load;
		run.stream = c->stream++;
		queue_simulate_loss(&run, &lost);
		snprintf(what, sizeof(what), "Erlang B(%u, %g)", run.servers, run.load);
		compare(c, what, losses[i].lost, erlang_b(run.servers, run.load), 1e-5, &lost);
	}
	run.servers = 2;
	run.load = 1.5;
	run.stream = c->stream++;
	queue_simulate_wait(&run, &waited, &wait);
	compare(c, "Erlang C(2, 1.5)", 0.642857, erlang_c(2, 1.5), 1e-5, &waited);
	compare(c, "wait in M/M/2, load 1.5, in service times", 1.285714, erlang_wait(2, 1.5), 1e-5,
		&wait);
}

static void check_closed_forms(struct check *c)
{
	print_title("Closed forms");
	check_stays(c);
	check_queues(c);
}

/* ---- Taxis ----------------------------------------------------------------------------- */

struct taxis {
	struct cell_map map;
	struct cell_trace trace;
};

static void taxis_clear(struct taxis *taxis)
{
	cell_map_clear(&taxis->map);
	cell_trace_clear(&taxis->trace);
}

static int read_text(const char *directory, const char *name, char **ret, size_t *ret_len,
		     struct mg_error *err)
{
	_cleanup_free_ char *path = NULL;

	if (asprintf(&path, "%s/%s", directory, name) < 0)
		return mg_error_set(err, -ENOMEM, "out of memory");
	return file_read(path, FILE_MAX, ret, ret_len, err);
}

static int taxis_read(const char *directory, struct taxis *taxis, struct mg_error *err)
{
	_cleanup_free_ char *cells = NULL, *rows = NULL;
	size_t cells_len, rows_len;
	int r = read_text(directory, "cells.csv", &cells, &cells_len, err);

	if (r == 0)
		r = read_text(directory, "cell_of_user.csv", &rows, &rows_len, err);
	if (r < 0)
		return r;
	r = cell_map_parse(cells, cells_len, 0.01, &taxis->map, err);
	if (r < 0) {
		mg_error_prefix(err, "%s/cells.csv", directory);
		return r;
	}
	r = cell_trace_parse(rows, rows_len, taxis->map.n, true, &taxis->trace, err);
	if (r < 0)
		mg_error_prefix(err, "%s/cell_of_user.csv", directory);
	return r;
}

struct taxi_row {
	double m, optimum, never, always, rent_or_buy, threshold;
	unsigned T; /* of the threshold */
};

static void compare_score(struct check *c, double m, const char *policy, double published,
			  const struct cell_score *score)
{
	char what[64];

	snprintf(what, sizeof(what), "m %g, %s", m, policy);
	compare(c, what, published, score->cost / (double)score->slots, 1e-5, NULL);
}

static int check_taxi_row(struct check *c, const struct taxis *taxis, const struct taxi_row *row)
{
	const struct cell_trace *trace = &taxis->trace;
	_cleanup_(cell_costs_clear) struct cell_costs costs = { 0 };
	struct cell_score score;
	char what[32];
	int r = cell_costs_make(&taxis->map, row->m, &costs);

	if (r == 0)
		r = cell_optimum(&costs, trace, 0, trace->slots, &score);
	if (r < 0)
		return r;
	compare_score(c, row->m, "offline optimum", row->optimum, &score);
	score = cell_never(&costs, trace, 0, trace->slots);
	compare_score(c, row->m, "never", row->never, &score);
	score = cell_threshold(&costs, &taxis->map, trace, 1, 0, trace->slots);
	compare_score(c, row->m, "always", row->always, &score);
	score = cell_threshold(&costs, &taxis->map, trace, row->T, 0, trace->slots);
	snprintf(what, sizeof(what), "threshold %u", row->T);
	compare_score(c, row->m, what, row->threshold, &score);
	score = cell_rent_or_buy(&costs, trace, 0, trace->slots);
	compare_score(c, row->m, "rent-or-buy", row->rent_or_buy, &score);
	return 0;
}

static int check_taxis(struct check *c, const struct taxis *taxis)
{
	static const struct taxi_row rows[] = {
		{ 1, 0.15321, 0.30840, 0.18992, 0.23865, 0.18992, 2 },
		{ 4, 0.21899, 0.30840, 0.35327, 0.32272, 0.29264, 4 },
	};
	int r = 0;

	print_title("San Francisco's taxis, cost of a user's slot (same paper's trace and costs)");
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(rows); i++)
		r = check_taxi_row(c, taxis, &rows[i]);
	return r;
}

/* What it costs over the optimum, where some of it is published. */
static int check_learnt_row(struct check *c, const struct taxis *taxis, double m)
{
	static const struct markov_parameters parameters = { 2, 5 };
	const struct cell_trace *trace = &taxis->trace;
	_cleanup_(cell_costs_clear) struct cell_costs costs = { 0 };
	struct cell_score best, learnt, always, never;
	int r = cell_costs_make(&taxis->map, m, &costs);

	if (r == 0)
		r = cell_optimum(&costs, trace, LEARNT, trace->slots, &best);
	if (r == 0)
		r = markov_score(&costs, trace, &parameters, LEARNT, LEARNT, trace->slots, &learnt);
	if (r < 0)
		return r;
	always = cell_threshold(&costs, &taxis->map, trace, 1, LEARNT, trace->slots);
	never = cell_never(&costs, trace, LEARNT, trace->slots);
	if (m == 1 || m == 4) {
		compare(c, m == 1 ? "m 1, always" : "m 4, always", m == 1 ? 1.225 : 1.590,
			always.cost / best.cost, 5.1e-4, NULL);
		compare(c, m == 1 ? "m 1, never" : "m 4, never", m == 1 ? 1.952 : 1.370,
			never.cost / best.cost, 5.1e-4, NULL);
	}
	printf("m %g, %-51s %11.6f\n", m, "learnt", learnt.cost / best.cost);
	return 0;
}

static int check_learnt(struct check *c, const struct taxis *taxis)
{
	static const double m[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8 };
	int r = 0;

	if (taxis->trace.slots <= LEARNT)
		return 0;
	print_title("Learnt on the first 720 slots, cost of the others over the offline optimum's");
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(m); i++)
		r = check_learnt_row(c, taxis, m[i]);
	return r;
}

/* ---- Moves ------------------------------------------------------------------------------ */

static void print_error(const char *what, const struct error_figures *e)
{
	printf("%-44s %10.1f%% %10.1f%% %10.1f%%\n", what, 100 * e->median, 100 * e->p90,
	       100 * e->mean);
}

static void print_fidelity(void)
{
	struct fidelity f;

	fidelity_score(measured_moves, n_measured_moves, &f);
	printf("\nThe model of moves against %zu that were measured\n%-44s %11s %11s %11s\n", f.moves,
	       "error of the", "median", "90 %", "mean");
	print_error("total time", &f.total);
	print_error("blackout", &f.blackout);
	print_error("blackout, were it 0.15 of the total time", &f.rule);
	printf("guests use %.1f MB more than their memory, %.3f of it on the wire; a move takes %.2f s more, "
	       "its blackout %.1f ms\n", f.own_bytes / 1e6, f.wire, f.start_ns / 1e9, f.stop_ns / 1e6);
}

/* ---- The command ------------------------------------------------------------------------ */

static int references(const char *directory, uint64_t seed)
{
	_cleanup_(taxis_clear) struct taxis taxis = { 0 };
	struct check c = { .seed = seed };
	struct mg_error err = { 0 };
	int r;

	if (directory && taxis_read(directory, &taxis, &err) < 0)
		return command_fail(&err);
	r = check_hexwalk(&c);
	if (r == 0) {
		check_closed_forms(&c);
		print_fidelity();
	}
	if (r == 0 && directory)
		r = check_taxis(&c, &taxis);
	if (r == 0 && directory)
		r = check_learnt(&c, &taxis);
	if (r < 0) {
		mg_error_set(&err, r, "out of memory");
		return command_fail(&err);
	}
	printf("\n%zu figures, %zu of them simulated too: %zu differ\n", c.figures, c.simulated,
	       c.wrong);
	r = command_finish();
	return c.wrong ? EXIT_FAILED : r;
}

int command_references(int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "seed", required_argument, NULL, 's' },
		{ "taxis", required_argument, NULL, 't' },
		{ 0 },
	};
	const char *taxis = NULL;
	uint64_t seed = 1;
	char *end;
	int c;

	optind = 1;
	while ((c = getopt_long(argc, argv, "hs:t:", longopts, NULL)) != -1) {
		switch (c) {
		case 'h':
			fputs(help, stdout);
			return command_finish();
		case 's':
			errno = 0;
			seed = strtoull(optarg, &end, 10);
			if (errno || end == optarg || *end || optarg[0] == '-')
				return command_usage("'%s' is no value of -s", optarg);
			break;
		case 't':
			taxis = optarg;
			break;
		default:
			return EXIT_USAGE;
		}
	}
	if (optind != argc)
		return command_usage("'references' takes no operand");
	return references(taxis, seed);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <math.h>
#include <string.h>

#include "sim/commands.h"
#include "sim/study/results.h"

static const char help[] =
	"usage: edgesim compare [--all] A B\n\n"
	"Prints what differs between the results of two studies, policy by policy: the means,\n"
	"the difference B - A and its 95 % confidence interval. With the same seed, replications\n"
	"are compared in pairs.\n\n"
	"  -a, --all   also where the interval does not exclude that there is no difference\n"
	"  -h, --help  this text\n";

struct sides {
	const struct results *a, *b;
	uint32_t policy_a, policy_b;
	bool paired, all;
};

static const struct result *result_of(const struct results *r, uint32_t policy, uint32_t i)
{
	return i < r->replications ? r->results[policy * r->replications + i] : NULL;
}

/* Of B - A over the replications that both have. */
static struct estimate paired_difference(const struct sides *s, size_t metric)
{
	_cleanup_free_ double *values = calloc(s->a->replications, sizeof(*values));
	size_t n = 0;

	for (uint32_t i = 0; values && i < s->a->replications; i++) {
		const struct result *x = result_of(s->a, s->policy_a, i);
		const struct result *y = result_of(s->b, s->policy_b, i);

		if (x && y)
			values[n++] = y->metrics[metric] - x->metrics[metric];
	}
	return estimate_mean(values, n);
}

static struct estimate difference(const struct sides *s, size_t metric)
{
	struct estimate a = results_estimate(s->a, s->policy_a, metric);
	struct estimate b = results_estimate(s->b, s->policy_b, metric);

	return s->paired ? paired_difference(s, metric) : estimate_difference(&a, &b);
}

static void print_metric(const struct sides *s, size_t metric)
{
	struct estimate a = results_estimate(s->a, s->policy_a, metric);
	struct estimate b = results_estimate(s->b, s->policy_b, metric);
	struct estimate d = difference(s, metric);
	/* Without an interval any difference counts. */
	bool differs = d.n > 0 && fabs(d.mean) > (isnan(d.half) ? 0 : d.half);

	if (d.n == 0 || (!differs && !s->all))
		return;
	printf("  %-20s %12.6g %12.6g %+12.6g", metrics[metric].name, a.mean, b.mean, d.mean);
	if (isnan(d.half))
		puts("  (one replication)");
	else
		printf(" ± %.3g%s\n", d.half, differs ? "" : "  (not significant)");
}

static int compare(const char *folder_a, const char *folder_b, bool all)
{
	_cleanup_(results_free_p) struct results *a = NULL, *b = NULL;
	struct mg_error err = { 0 };
	struct sides s = { .all = all };
	uint32_t common = 0;

	if (results_load(folder_a, &a, &err) < 0 || results_load(folder_b, &b, &err) < 0)
		return command_fail(&err);
	s.a = a;
	s.b = b;
	s.paired = a->seed == b->seed;
	printf("A: %s of %s\nB: %s of %s\n%s\n", a->name, folder_a, b->name, folder_b,
	       s.paired ? "the same seed: replications are compared in pairs"
			: "other seeds: the samples are independent");
	for (; s.policy_a < a->n_configurations; s.policy_a++)
		for (s.policy_b = 0; s.policy_b < b->n_configurations; s.policy_b++) {
			if (strcmp(a->labels[s.policy_a], b->labels[s.policy_b]) != 0)
				continue;
			common++;
			printf("%s\n  %-20s %12s %12s %12s\n", a->labels[s.policy_a], "", "A", "B",
			       "B - A");
			for (size_t m = 0; m < n_metrics; m++)
				print_metric(&s, m);
		}
	if (common > 0)
		return command_finish();
	mg_error_set(&err, -ENOENT, "no policy is in both");
	return command_fail(&err);
}

int command_compare(int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "all", no_argument, NULL, 'a' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	bool all = false;
	int c;

	optind = 1;
	while ((c = getopt_long(argc, argv, "ah", longopts, NULL)) != -1) {
		if (c == 'h') {
			fputs(help, stdout);
			return command_finish();
		}
		if (c != 'a')
			return EXIT_USAGE;
		all = true;
	}
	if (optind + 2 != argc)
		return command_usage("'compare' takes two folders of results");
	return compare(argv[optind], argv[optind + 1], all);
}

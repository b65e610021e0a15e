/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/study/study.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "common/clock.h"
#include "sim/study/results.h"

#define HEAD "name: test\ntowers: hex:1:500\n"
#define MOVERS "mobility: {model: manhattan, devices: 7}\n"
#define NONE "policies:\n  - name: none\n"

static struct study *accepts(const char *text)
{
	struct study *s = NULL;
	struct mg_error err = { 0 };

	cr_assert_eq(study_parse("study.yaml", text, strlen(text), &s, &err), 0, "%s", err.text);
	return s;
}

static void refuses(const char *text, const char *what)
{
	struct study *s = NULL;
	struct mg_error err = { 0 };

	cr_assert_lt(study_parse("study.yaml", text, strlen(text), &s, &err), 0, "%s", text);
	cr_assert_not_null(strstr(err.text, what), "'%s' for\n%s", err.text, text);
}

Test(study, what_is_left_out_has_a_default)
{
	_cleanup_(study_free_p) struct study *s = accepts(HEAD MOVERS NONE);

	cr_assert_eq(s->world.towers.n, 7);
	cr_assert_eq(s->world.devices, 7);
	cr_assert_eq(s->seed, 1);
	cr_assert_eq(s->replications, 1);
	cr_assert_eq(study_runs(s), 1);
	cr_assert_null(study_run(s, 0).policy);
	cr_assert_eq(s->setting.duration_ns, 600 * NS_PER_S);
	cr_assert_eq(s->setting.probing.interval_ns, 200 * NS_PER_MS);
	cr_assert_eq(s->world.backhaul.rate_bps, 125000000);
	cr_assert_eq(s->setting.vm.wire_permille, 600);
	cr_assert_eq(s->setting.vm.start_ns, 1200 * NS_PER_MS);
	cr_assert_eq(s->setting.traffic.device_bps, 0);
	cr_assert_eq(s->setting.image_memory, 0);
	cr_assert_eq(s->setting.attachment.coverage_m, 0);
	cr_assert_eq(s->setting.vm.stop_ns, 25 * NS_PER_MS);
	cr_assert_float_eq(s->world.mobility.min.x, -750, 1e-6);
}

Test(study, sweeps_are_all_combinations)
{
	_cleanup_(study_free_p) struct study *s =
		accepts(HEAD MOVERS "replications: 3\nseed: 9\npolicies:\n"
				    "  - {name: none, label: still}\n"
				    "  - name: threshold\n"
				    "    threshold: [20ms, 30ms]\n"
				    "    margin: [4ms]\n"
				    "    hold: [1s, 2s, 3s]\n");
	struct run_input in;

	cr_assert_eq(s->n_configurations, 7);
	cr_assert_eq(study_runs(s), 21);
	cr_assert_str_eq(s->configurations[0].label, "still");
	cr_assert_str_eq(s->configurations[1].label, "threshold threshold=20ms hold=1s");
	cr_assert_str_eq(s->configurations[6].label, "threshold threshold=30ms hold=3s");
	in = study_run(s, 3 * 4 + 2);
	cr_assert_eq(in.parameters.threshold_ns, 30 * NS_PER_MS);
	cr_assert_eq(in.parameters.hold_ns, NS_PER_S);
	cr_assert_eq(in.parameters.margin_ns, 4 * NS_PER_MS);
	cr_assert_eq(in.parameters.min_confidence, 50);
	cr_assert_eq(in.policy, &policy_threshold);
	/* Paired: replication 2 of each has one seed, replication 1 another. */
	cr_assert_eq(in.seed, study_run(s, 2).seed);
	cr_assert_neq(in.seed, study_run(s, 1).seed);
}

Test(study, images_traffic_and_coverage_are_taken)
{
	_cleanup_(study_free_p) struct study *s =
		accepts(HEAD MOVERS NONE "traffic: {rate: 2Mbit, burst: 32K}\n"
					 "hosts: {images: 4G, image_age: 60m}\n"
					 "attachment: {coverage: 800}\n");

	cr_assert_eq(s->setting.traffic.device_bps, 250000);
	cr_assert_eq(s->setting.traffic.burst, 32768);
	cr_assert_eq(s->setting.image_memory, UINT64_C(4) << 30);
	cr_assert_eq(s->setting.image_age_ns, 3600 * NS_PER_S);
	cr_assert_eq(s->setting.attachment.coverage_m, 800);
	refuses(HEAD MOVERS NONE "traffic: {rate: 2M}\n", "traffic.rate: '2M' is not a rate");
}

Test(study, metrics_of_the_report_are_chosen)
{
	_cleanup_(study_free_p) struct study *usual = accepts(HEAD MOVERS NONE);
	_cleanup_(study_free_p) struct study *s =
		accepts(HEAD MOVERS NONE "metrics: [rtt_p99_ms, apart_percent]\n");
	_cleanup_(results_free_p) struct results *r = NULL;
	_cleanup_free_ char *header = results_format_header(s);
	struct mg_error err = { 0 };

	cr_assert_eq(__builtin_popcount(usual->shown), 5);
	cr_assert(usual->shown & metric_bit((size_t)metric_find("cost_over_optimum")));
	cr_assert_eq(s->shown, metric_bit((size_t)metric_find("rtt_p99_ms")) |
				       metric_bit((size_t)metric_find("apart_percent")));
	cr_assert_eq(results_new("file", header, &r, &err), 0, "%s", err.text);
	cr_assert_eq(r->shown, s->shown);
	refuses(HEAD MOVERS NONE "metrics:\n  - above_percent\n  - joy\n",
		"study.yaml:8: metrics[1]: there is no metric 'joy'");
}

Test(study, errors_name_the_line)
{
	refuses("", "study.yaml");
	refuses(HEAD MOVERS, "policies");
	refuses(HEAD MOVERS NONE "colour: red\n", "colour");
	refuses("name: a/b\ntowers: hex:1:500\n" MOVERS NONE, "study.yaml:1: name: a folder");
	refuses("name: 'a\"b'\ntowers: hex:1:500\n" MOVERS NONE, "study.yaml:1: name: a name has");
	refuses("name: x\ntowers: nowhere\n" MOVERS NONE, "towers: 'nowhere' is none of");
	refuses(HEAD "mobility: {model: teleport, devices: 1}\n" NONE,
		"study.yaml:3: mobility.model: there is no model 'teleport'");
	refuses(HEAD "mobility: {model: manhattan}\n" NONE, "'devices' says how many");
	refuses(HEAD "mobility: {devices: 3}\n" NONE, "either a 'model' or a 'trace'");
	refuses(HEAD "mobility: {trace: csv, model: manhattan}\n" NONE, "either a 'model'");
	refuses(HEAD "mobility: {trace: csv}\n" NONE, "'file' says where");
	refuses(HEAD "mobility: {trace: xyz, file: f}\n" NONE, "no format 'xyz'");
	refuses(HEAD "mobility: {trace: csv, file: /nowhere/f}\n" NONE, "/nowhere/f: No such file");
	refuses(HEAD "mobility: {trace: csv, file: /dev/zero}\n" NONE,
		"/dev/zero: is no regular file");
	refuses("name: x\ntowers: csv:/tmp\n" MOVERS NONE, "/tmp: is no regular file");
	refuses(HEAD "mobility: {model: manhattan, devices: 1.5}\n" NONE, "no whole number");
	refuses(HEAD "mobility: {model: manhattan, devices: 1, speed_max: 0.5}\n" NONE,
		"mobility.speed_max: is below speed_min");
	refuses(HEAD "mobility: {model: manhattan, devices: 1, memory: nan}\n" NONE,
		"mobility.memory: 'nan' is no number");
	refuses(HEAD MOVERS NONE "radio:\n  loss: 1.5\n",
		"study.yaml:7: radio.loss: 1.5 is not between 0 and 1");
	refuses(HEAD MOVERS NONE "duration: 10\n", "duration: '10' is not a duration");
	refuses(HEAD MOVERS NONE "telemetry: {delay: 200s}\n",
		"telemetry.delay: 200s is not between 0 ns and 100 s");
	refuses(HEAD MOVERS NONE "seed: -1\n", "seed: '-1' is no number");
	refuses(HEAD MOVERS NONE "seed: 9223372036854775808\n", "is no number from 0");
	refuses(HEAD MOVERS NONE "hosts: {memory: 1M}\n", "hosts.memory: not one device's VMs fit");
	refuses(HEAD MOVERS NONE "hosts: {memory: 1G}\nbackground: {memory: 768M}\n",
		"hosts.memory: not one device's VMs fit");
	refuses(HEAD MOVERS "policies: [{name: magic}]\n", "policies[0].name: there is no policy");
	refuses(HEAD MOVERS "policies:\n  - name: threshold\n    hold: [1s, soon]\n",
		"study.yaml:6: policies[0].hold[1]: 'soon' is no value");
	refuses(HEAD MOVERS "policies:\n  - name: threshold\n    margin: [2s]\n",
		"policies[0].name: margin: must be smaller");
	refuses(HEAD MOVERS "policies: [{name: none}, {name: none}]\n", "two are 'none'");
	refuses("name: x\ntowers: hex:60:500\n" MOVERS NONE, "10981 towers");
}

Test(study, those_that_we_ship_are_right)
{
	const char *source = getenv("top_srcdir");
	_cleanup_(study_free_p) struct study *s = NULL;
	struct mg_error err = { 0 };
	char path[4096];

	snprintf(path, sizeof(path), "%s/sim/studies/threshold.yaml", source ? source : ".");
	cr_assert_eq(study_load(path, &s, &err), 0, "%s", err.text);
	cr_assert_eq(s->n_configurations, 9);
}

/* ---- Results ---------------------------------------------------------------------------- */

static struct run_figures figures(unsigned i)
{
	struct run_figures f = { .events = i, .user_ns = 3600 * NS_PER_S, .moves = 3 + i };

	for (unsigned k = 0; k < 100; k++) {
		histogram_add(&f.rtt, (10 + k + i) * NS_PER_MS);
		f.rtt_sum_ns += (10 + k + i) * 1e6 / 3;
		f.samples++;
	}
	return f;
}

Test(results, lines_come_back)
{
	_cleanup_(study_free_p) struct study *s = accepts(HEAD MOVERS "replications: 4\n" NONE);
	_cleanup_(results_free_p) struct results *r = NULL;
	_cleanup_free_ char *header = results_format_header(s);
	struct mg_error err = { 0 };
	double sum = 0;

	cr_assert_eq(results_new("file", header, &r, &err), 0, "%s", err.text);
	cr_assert_str_eq(r->header, header);
	cr_assert_eq(r->runs, 4);
	cr_assert_eq(r->n_towers, 7);
	for (unsigned i = 0; i < 4; i++) {
		struct run_figures f = figures(i);
		_cleanup_free_ char *line = results_format_run(s, i, &f, NULL);

		cr_assert_eq(results_add(r, "file", i + 2, line, &err), 0, "%s", err.text);
		cr_assert_eq(results_add(r, "file", i + 2, line, &err), -EEXIST);
		for (size_t m = 0; m < n_metrics; m++) {
			double exact = metrics[m].of(&f);

			cr_assert(r->results[i]->metrics[m] == exact, "%s", metrics[m].name);
		}
		sum += metrics[0].of(&f);
	}
	cr_assert_float_eq(results_estimate(r, 0, 0).mean, sum / 4, 1e-12);
	cr_assert_gt(r->rtt[0][histogram_bucket(40 * NS_PER_MS)], 0);
}

static struct snapshots *some_snapshots(void)
{
	struct snapshots *s = calloc(1, sizeof(*s));

	cr_assert_not_null(s);
	s->n = 2;
	s->at[0][1] = (struct sighting){ true, -7, 12, 3, 6, 6 };
	s->at[SNAPSHOT_TIMES - 1][0] = (struct sighting){ true, 10000000, 0, 0, 1, 2 };
	return s;
}

Test(results, maps_come_back)
{
	_cleanup_(study_free_p) struct study *s = accepts(HEAD MOVERS NONE);
	_cleanup_(results_free_p) struct results *r = NULL;
	_cleanup_free_ struct snapshots *snapshots = some_snapshots();
	_cleanup_free_ char *header = results_format_header(s);
	struct run_figures f = figures(0);
	_cleanup_free_ char *line = results_format_run(s, 0, &f, snapshots);
	struct mg_error err = { 0 };

	cr_assert_eq(results_new("file", header, &r, &err), 0, "%s", err.text);
	cr_assert_eq(r->duration_ns, 600 * NS_PER_S);
	cr_assert_eq(r->devices, 7);
	cr_assert_eq(results_add(r, "file", 2, line, &err), 0, "%s", err.text);
	cr_assert_not_null(r->results[0]->snapshots);
	cr_assert_eq(memcmp(r->results[0]->snapshots, snapshots, sizeof(*snapshots)), 0);
}

Test(results, what_is_no_map_is_refused)
{
	static const struct {
		const char *good, *bad;
	} edits[] = {
		{ "[-7,12,3,6]", "[-7,12,3,7]" },	{ "[-7,12,3,6]", "[-7,12,-1,6]" },
		{ "[-7,12,3,6]", "[-7,12,3]" },		{ "[-7,12,3,6]", "[-7,12,3,6,6,6]" },
		{ "[-7,12,3,6]", "[-7.5,12,3,6]" },	{ "[-7,12,3,6]", "0,0" },
		{ "[-7,12,3,6]", "[-2147483649,12,3,6]" }, { "[-7,12,3,6]", "\"x\"" },
		{ "\"map\": [[", "\"map\": [[],[" },
	};
	_cleanup_(study_free_p) struct study *s = accepts(HEAD MOVERS NONE);
	_cleanup_free_ struct snapshots *snapshots = some_snapshots();
	_cleanup_free_ char *header = results_format_header(s);
	struct run_figures f = figures(0);
	_cleanup_free_ char *line = results_format_run(s, 0, &f, snapshots);

	for (size_t i = 0; i < ARRAY_SIZE(edits); i++) {
		_cleanup_(results_free_p) struct results *r = NULL;
		const char *at = strstr(line, edits[i].good);
		char edited[8192];
		struct mg_error err = { 0 };

		cr_assert_not_null(at);
		snprintf(edited, sizeof(edited), "%.*s%s%s", (int)(at - line), line, edits[i].bad,
			 at + strlen(edits[i].good));
		cr_assert_eq(results_new("file", header, &r, &err), 0);
		cr_assert_eq(results_add(r, "file", 2, edited, &err), -EINVAL, "%s", edits[i].bad);
		cr_assert_not_null(strstr(err.text, "file:2: is no run of this study"));
	}
}

/* Names of a file of results go into a report, whoever wrote it. */
Test(results, names_are_plain)
{
	struct results *r = NULL;
	struct mg_error err = { 0 };

	cr_assert_lt(results_new("file",
				 "{\"study\": \"x\", \"version\": \"1\", \"fingerprint\": \"f\", "
				 "\"replications\": 1, \"policies\": [\"<script>\"]}",
				 &r, &err),
		     0);
	cr_assert_lt(results_new("file",
				 "{\"study\": \"a<b\", \"version\": \"1\", \"fingerprint\": \"f\", "
				 "\"replications\": 1, \"policies\": [\"none\"]}",
				 &r, &err),
		     0);
}

Test(results, what_is_no_run_is_refused)
{
	_cleanup_(study_free_p) struct study *s = accepts(HEAD MOVERS NONE);
	_cleanup_(results_free_p) struct results *r = NULL;
	_cleanup_free_ char *header = results_format_header(s);
	struct run_figures f = figures(0), g = figures(1);
	_cleanup_free_ char *line = results_format_run(s, 0, &f, NULL),
			    *other = results_format_run(s, 0, &g, NULL);
	struct mg_error err = { 0 };

	cr_assert_lt(results_new("file", "{", &r, &err), 0);
	cr_assert_not_null(strstr(err.text, "file:1: "), "%s", err.text);
	cr_assert_lt(results_new("file", line, &r, &err), 0);
	cr_assert_eq(results_new("file", header, &r, &err), 0);
	cr_assert_lt(results_add(r, "file", 2, header, &err), 0);
	cr_assert_not_null(strstr(err.text, "file:2: is no run of this study"));
	cr_assert_lt(results_add(r, "file", 2, "{\"run\": 1, \"policy\": \"none\"}", &err), 0);
	cr_assert_eq(results_add(r, "file", 2, line, &err), 0);
	cr_assert_eq(results_add(r, "file", 3, other, &err), -EINVAL);
	cr_assert_not_null(strstr(err.text, "differs"), "%s", err.text);
}

Test(statistics, student)
{
	static const struct {
		unsigned df;
		double t;
	} table[] = { { 1, 12.7062047 }, { 2, 4.3026527 },   { 3, 3.1824463 },     { 9, 2.2621572 },
		      { 30, 2.0422725 }, { 100, 1.9839715 }, { 200000, 1.9599640 } };
	const double values[] = { 4, 6, 8 };
	struct estimate e = estimate_mean(values, 3);

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		cr_assert_float_eq(student_975(table[i].df), table[i].t, 1e-6, "%u", table[i].df);
	cr_assert_float_eq(e.mean, 6, 1e-12);
	cr_assert_float_eq(e.half, 4.3026527 * 2 / sqrt(3), 1e-6);
	cr_assert(isnan(estimate_mean(values, 1).half));
}

/* Against t.test() of R for c(4, 6, 8) and c(5, 9, 10, 12): the difference is 3, the
 * standard error 1.8708, with 4.99 degrees of freedom. Ours are rounded down. */
Test(statistics, welch)
{
	const double x[] = { 4, 6, 8 }, y[] = { 5, 9, 10, 12 };
	struct estimate a = estimate_mean(x, 3), b = estimate_mean(y, 4), one = estimate_mean(x, 1);
	struct estimate d = estimate_difference(&a, &b);

	cr_assert_float_eq(d.mean, 3, 1e-12);
	cr_assert_float_eq(d.half, student_975(4) * sqrt(4.0 / 3 + 26.0 / 3 / 4), 1e-6);
	cr_assert(isnan(estimate_difference(&a, &one).half));
	cr_assert_float_eq(estimate_difference(&b, &b).mean, 0, 1e-12);
}

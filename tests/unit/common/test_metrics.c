/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <math.h>

#include "common/metrics.h"

static char *finish(struct metrics *m)
{
	char *text = NULL;
	size_t len = 0;

	cr_assert_eq(metrics_finish(m, &text, &len), 0);
	cr_assert_eq(strlen(text), len);
	return text;
}

/* The format's page has it so, escapes and all. */
Test(metrics, families_and_values_are_in_prometheus_format)
{
	struct metrics *m = metrics_new();
	_cleanup_free_ char *text = NULL;

	metrics_family(m, METRICS_COUNTER, "a_total", "A back\\slash\nand \"quotes\".");
	metrics_value(m, 9007199254740991.0, METRICS_NO_LABELS);
	metrics_family(m, METRICS_GAUGE, "b_seconds", "B.");
	metrics_value(m, 0.0125, METRICS_LABELS({ "node", "x\\y\"z\n" }, { "way", "up" }));
	metrics_family(m, METRICS_SUMMARY, "c", "C.");
	metrics_value(m, -1.5, METRICS_LABELS({ "quantile", "0.5" }));
	metrics_part(m, "_count", 3, METRICS_NO_LABELS);
	text = finish(m);
	cr_assert_str_eq(text, "# HELP a_total A back\\\\slash\\nand \"quotes\".\n"
			       "# TYPE a_total counter\n"
			       "a_total 9007199254740991\n"
			       "# HELP b_seconds B.\n"
			       "# TYPE b_seconds gauge\n"
			       "b_seconds{node=\"x\\\\y\\\"z\\n\",way=\"up\"} 0.0125\n"
			       "# HELP c C.\n"
			       "# TYPE c summary\n"
			       "c{quantile=\"0.5\"} -1.5\n"
			       "c_count 3\n");
}

Test(metrics, what_is_no_number_has_its_names)
{
	struct metrics *m = metrics_new();
	_cleanup_free_ char *text = NULL;

	metrics_family(m, METRICS_GAUGE, "g", "G.");
	metrics_value(m, NAN, METRICS_NO_LABELS);
	metrics_value(m, INFINITY, METRICS_NO_LABELS);
	metrics_value(m, -INFINITY, METRICS_NO_LABELS);
	text = finish(m);
	cr_assert_str_eq(text, "# HELP g G.\n# TYPE g gauge\ng NaN\ng +Inf\ng -Inf\n");
}

Test(metrics, a_histogram_counts_up_to_each_bound)
{
	static const double bounds[] = { 0.01, 0.1 };
	struct metrics_histogram h = { bounds, ARRAY_SIZE(bounds) };
	struct metrics *m = metrics_new();
	_cleanup_free_ char *text = NULL;

	metrics_histogram_add(&h, 0.01);
	metrics_histogram_add(&h, 0.05);
	metrics_histogram_add(&h, 0.0625);
	metrics_histogram_add(&h, 7);
	metrics_family(m, METRICS_HISTOGRAM, "a_seconds", "A.");
	metrics_histogram_value(m, &h, METRICS_LABELS({ "k", "v" }));
	text = finish(m);
	cr_assert_str_eq(text, "# HELP a_seconds A.\n"
			       "# TYPE a_seconds histogram\n"
			       "a_seconds_bucket{k=\"v\",le=\"0.01\"} 1\n"
			       "a_seconds_bucket{k=\"v\",le=\"0.1\"} 3\n"
			       "a_seconds_bucket{k=\"v\",le=\"+Inf\"} 4\n"
			       "a_seconds_sum{k=\"v\"} 7.1225\n"
			       "a_seconds_count{k=\"v\"} 4\n");
}

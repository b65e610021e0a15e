/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes figures in Prometheus' text format, version 0.0.4
 * (https://prometheus.io/docs/instrumenting/exposition_formats/).
 *
 *     metrics_family(m, METRICS_COUNTER, "tagalong_probes_sent_total", "Probes that left.");
 *     metrics_value(m, sent, METRICS_LABELS({ "method", "stamp" }));
 *
 * Names have a prefix, base units and, for counters, the end "_total", by
 * https://prometheus.io/docs/practices/naming/: seconds, bytes, ratios.
 */
#ifndef COMMON_METRICS_H
#define COMMON_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

enum metrics_type { METRICS_COUNTER, METRICS_GAUGE, METRICS_SUMMARY, METRICS_HISTOGRAM };

struct metrics;

struct metrics_label {
	const char *name, *value; /* the value may hold anything */
};

/* The labels of one value. */
#define METRICS_LABELS(...)                                                                        \
	((const struct metrics_label[]){ __VA_ARGS__ }),                                           \
		ARRAY_SIZE(((const struct metrics_label[]){ __VA_ARGS__ }))
#define METRICS_NO_LABELS NULL, 0

/* NULL when there is no memory. */
struct metrics *metrics_new(void);
void metrics_free(struct metrics *m);
DEFINE_CLEANUP(struct metrics, metrics_free)

/* Begins a family; its values follow. `name` and `help` must live until the
 * next one. */
void metrics_family(struct metrics *m, enum metrics_type type, const char *name, const char *help);

/* One value of the family. Numbers up to 2^53 stay exact. */
void metrics_value(struct metrics *m, double value, const struct metrics_label *labels, size_t n);

/* The same under the family's name and a suffix: "_sum" and "_count" of a summary. */
void metrics_part(struct metrics *m, const char *suffix, double value,
		  const struct metrics_label *labels, size_t n);

#define METRICS_BOUNDS_MAX 16
#define METRICS_LABELS_MAX 4

/* How often a figure was at most each of some bounds. Begins as zeroes with the
 * bounds, which rise, and which it borrows. */
struct metrics_histogram {
	const double *bounds;
	size_t n_bounds;                            /* at most METRICS_BOUNDS_MAX */
	uint64_t counts[METRICS_BOUNDS_MAX + 1];    /* the last: above all bounds */
	double sum;
};

void metrics_histogram_add(struct metrics_histogram *h, double value);

/* Writes it, with at most METRICS_LABELS_MAX labels, in a family of that type. */
void metrics_histogram_value(struct metrics *m, const struct metrics_histogram *h,
			     const struct metrics_label *labels, size_t n);

/* Hands out the text, which the caller frees, and frees the writer. 0 or -ENOMEM. */
int metrics_finish(struct metrics *m, char **ret_text, size_t *ret_len);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * The results of a study in a folder. While it runs, runs.part grows by a line as
 * each run ends: that is what an interrupted study goes on from. When all its runs
 * are done it becomes
 *
 *   results.jsonl   a line for the study, then one for each run, by number
 *   results.csv     a row for each run
 *   summary.csv     a row for each configuration and metric: mean and interval
 *   manifest.json   what was run where: the one file that tells of machine and time
 *
 * All but the manifest are a function of the study alone, bit for bit, however the
 * runs were spread over threads, shards and interruptions: they are made from the
 * lines, and a line is a function of its run.
 */
#ifndef SIM_STUDY_RESULTS_H
#define SIM_STUDY_RESULTS_H

#include "sim/study/metrics.h"
#include "sim/study/statistics.h"
#include "sim/study/study.h"

struct shard {
	uint32_t index, of; /* 1/1: all runs */
};

static inline bool shard_has(struct shard s, uint32_t run)
{
	return run % s.of == s.index - 1;
}

struct result {
	char *line; /* as it stands in the file */
	uint32_t run, configuration, replication;
	double metrics[METRICS_MAX];
	struct snapshots *snapshots; /* NULL: of this run none were taken */
};

struct results {
	char *header; /* the line of the study */
	char name[64];
	char fingerprint[FINGERPRINT_SIZE];
	char version[32];
	uint64_t seed;
	uint32_t replications, runs; /* of the whole study */
	double target_ms;
	uint32_t shown; /* metrics of the report's bars, metric_bit() each */
	uint64_t duration_ns;
	uint32_t devices;
	char (*labels)[160]; /* by configuration */
	uint32_t n_configurations;
	uint64_t (*rtt)[HISTOGRAM_BUCKETS]; /* by configuration, of all its runs */
	struct point *towers;
	uint32_t n_towers;
	struct result **results; /* by run; NULL: not there */
	uint32_t n;              /* that are there */
};

/* The lines, without their ends; the caller frees them. NULL: out of memory. `snapshots`
 * may be NULL. */
char *results_format_header(const struct study *s);
char *results_format_run(const struct study *s, uint32_t run, const struct run_figures *f,
			 const struct snapshots *snapshots);

/* An empty set, from the study's line. Errors begin with `name:1`. */
int results_new(const char *name, const char *header, struct results **ret, struct mg_error *err);
void results_free(struct results *r);
DEFINE_CLEANUP(struct results, results_free)

/* Adds a run from its line; `number` is the line's, for errors. -EEXIST: it is
 * there, and is the same. */
int results_add(struct results *r, const char *name, unsigned number, const char *line,
		struct mg_error *err);

/* Adds all runs of `from`, which `name` stands for in errors: -EINVAL when it is of
 * another study, or a run is there already and differs. */
int results_merge(struct results *r, const char *name, const struct results *from,
		  struct mg_error *err);

/* Reads results.jsonl of a folder. */
int results_load(const char *folder, struct results **ret, struct mg_error *err);

/* Writes all files but the manifest, each at once and whole. */
int results_write(const struct results *r, const char *folder, struct mg_error *err);

/* The mean of a metric over the replications of a configuration that are there. */
struct estimate results_estimate(const struct results *r, uint32_t configuration, size_t metric);

/* Puts a file in the place of `folder/name` at once and whole. */
int results_replace_file(const char *folder, const char *name,
			 void (*write)(FILE *f, const void *userdata), const void *userdata,
			 struct mg_error *err);

/* The shortest decimal that reads back as the same number; "null" for none. */
#define NUMBER_TEXT_SIZE 32
const char *number_format(double v, char text[NUMBER_TEXT_SIZE]);

#endif

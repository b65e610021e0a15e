/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <math.h>
#include <string.h>

#include "sim/study/report.h"
#include "sim/study/results.h"

int results_replace_file(const char *folder, const char *name,
			 void (*write)(FILE *f, const void *userdata), const void *userdata,
			 struct mg_error *err)
{
	char path[PATH_MAX], fresh[PATH_MAX + 8];
	FILE *f;
	bool failed;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	snprintf(fresh, sizeof(fresh), "%s.new", path);
	f = fopen(fresh, "we");
	if (!f)
		return mg_error_set(err, -errno, "%s: %s", fresh, strerror(errno));
	write(f, userdata);
	failed = fflush(f) != 0 || ferror(f);
	if (fclose(f) == 0 && !failed && rename(fresh, path) == 0)
		return 0;
	mg_error_set(err, -errno, "%s: %s", path, strerror(errno));
	unlink(fresh);
	return err && err->code ? err->code : -EIO;
}

static void write_lines(FILE *f, const void *userdata)
{
	const struct results *r = userdata;

	fprintf(f, "%s\n", r->header);
	for (uint32_t i = 0; i < r->runs; i++)
		if (r->results[i])
			fprintf(f, "%s\n", r->results[i]->line);
}

static void write_rows(FILE *f, const void *userdata)
{
	const struct results *r = userdata;
	char number[NUMBER_TEXT_SIZE];

	fputs("run,policy,replication", f);
	for (size_t m = 0; m < n_metrics; m++)
		fprintf(f, ",%s", metrics[m].name);
	fputs("\r\n", f);
	for (uint32_t i = 0; i < r->runs; i++) {
		const struct result *result = r->results[i];

		if (!result)
			continue;
		fprintf(f, "%u,\"%s\",%u", i, r->labels[result->configuration],
			result->replication);
		for (size_t m = 0; m < n_metrics; m++)
			fprintf(f, ",%s", number_format(result->metrics[m], number));
		fputs("\r\n", f);
	}
}

static void write_summary(FILE *f, const void *userdata)
{
	const struct results *r = userdata;
	char mean[NUMBER_TEXT_SIZE], half[NUMBER_TEXT_SIZE];

	fputs("policy,metric,runs,mean,ci95_half\r\n", f);
	for (uint32_t c = 0; c < r->n_configurations; c++)
		for (size_t m = 0; m < n_metrics; m++) {
			struct estimate e = results_estimate(r, c, m);

			if (e.n == 0)
				continue;
			fprintf(f, "\"%s\",%s,%zu,%s,%s\r\n", r->labels[c], metrics[m].name, e.n,
				number_format(e.mean, mean),
				isnan(e.half) ? "" : number_format(e.half, half));
		}
}

int results_write(const struct results *r, const char *folder, struct mg_error *err)
{
	static const struct {
		const char *name;
		void (*write)(FILE *f, const void *userdata);
	} files[] = {
		{ "results.csv", write_rows },
		{ "summary.csv", write_summary },
		{ "report.html", report_write },
		/* The last: with it the others are there. */
		{ "results.jsonl", write_lines },
	};
	int e = 0;

	for (size_t i = 0; i < ARRAY_SIZE(files) && e == 0; i++)
		e = results_replace_file(folder, files[i].name, files[i].write, r, err);
	return e;
}

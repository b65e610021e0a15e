/* SPDX-License-Identifier: Apache-2.0
 *
 * A study on four threads, for ThreadSanitizer: a plain program that exits 0 or 1.
 */
#include <string.h>

#include "common/file.h"
#include "sim/study/runner.h"

static const char text[] =
	"name: threads\ntowers: hex:1:500\nduration: 20s\nreplications: 8\n"
	"mobility: {model: random_waypoint, devices: 5, speed_max: 30}\n"
	"policies:\n  - name: none\n  - name: threshold\n    threshold: [12ms]\n";

/* 0: the results of that many threads are in `ret`. */
static int run(const struct study *study, unsigned threads, char **ret)
{
	static const char *const files[] = { "manifest.json", "report.html", "results.csv",
					     "results.jsonl", "summary.csv" };
	char folder[] = "/tmp/study_threads.XXXXXX", path[64];
	struct runner_options o = { folder, threads, { 1, 1 }, false };
	struct runner_report report;
	struct mg_error err = { 0 };
	size_t len;
	int r;

	if (!mkdtemp(folder))
		return 1;
	r = runner_run(study, &o, &report, &err);
	snprintf(path, sizeof(path), "%s/results.jsonl", folder);
	if (r == 0)
		r = file_read(path, 1 << 24, ret, &len, &err);
	if (r < 0)
		fprintf(stderr, "%s\n", err.text);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, files[i]);
		unlink(path);
	}
	rmdir(folder);
	return r < 0;
}

int main(void)
{
	_cleanup_(study_free_p) struct study *study = NULL;
	_cleanup_free_ char *one = NULL, *four = NULL;
	struct mg_error err = { 0 };

	if (study_parse("threads.yaml", text, strlen(text), &study, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	if (run(study, 1, &one) || run(study, 4, &four))
		return 1;
	if (strcmp(one, four) != 0) {
		fprintf(stderr, "the results of one and of four threads differ\n");
		return 1;
	}
	return 0;
}

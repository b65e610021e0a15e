/* SPDX-License-Identifier: Apache-2.0
 *
 * Files of studies, up to the making of their world, and lines of results.
 */
#include <stdint.h>
#include <string.h>

#include "sim/study/results.h"
#include "sim/study/study_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

/* The first line is a study's, the others are runs. */
static void add_lines(char *text)
{
	_cleanup_(results_free_p) struct results *r = NULL;
	struct mg_error err = { 0 };
	char *save = NULL, *line = strtok_r(text, "\n", &save);
	unsigned number = 1;

	if (!line || results_new("fuzz", line, &r, &err) < 0) {
		check(!line || err.text[0]);
		return;
	}
	while ((line = strtok_r(NULL, "\n", &save)))
		if (results_add(r, "fuzz", ++number, line, &err) == 0)
			check(r->n > 0 && r->n <= r->runs);
	results_estimate(r, 0, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(study_file_free_p) struct raw_study *raw = NULL;
	_cleanup_free_ char *text = strndup((const char *)data, size);
	struct policy_parameters p;
	struct mg_error err = { 0 };

	if (!text)
		return 0;
	if (*text == '{') {
		add_lines(text);
		return 0;
	}
	if (study_file_parse("fuzz.yaml", (const char *)data, size, &raw, &err) < 0) {
		check(err.text[0]);
		return 0;
	}
	check(raw->name && raw->n_policies > 0);
	for (unsigned i = 0; i < raw->n_policies; i++)
		for (size_t k = 0; k < n_parameters; k++)
			for (unsigned v = 0; v < raw->policies[i].swept[k].n; v++)
				parameter_set(&p, (int)k, raw->policies[i].swept[k].values[v]);
	return 0;
}

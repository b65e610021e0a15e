/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/common/recorded.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"

static void read_log(const char *path, struct recorded *log)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	char line[1024];

	cr_assert_not_null(f, "%s", path);
	while (fgets(line, sizeof(line), f)) {
		char *rest = line, *end, *field = NULL;
		double ms;

		for (int column = 0; column <= 15; column++) /* PINGAVG is the 16th */
			field = strsep(&rest, ",");
		ms = field ? strtod(field, &end) : 0;
		if (field && end > field && log->n < ARRAY_SIZE(log->ms))
			log->ms[log->n++] = ms;
	}
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static int is_csv(const struct dirent *e)
{
	return strstr(e->d_name, ".csv") != NULL;
}

void recorded_read(struct recorded *log)
{
	const char *data = getenv("TAGALONG_DATA"), *source = getenv("top_srcdir");
	char directory[4096], path[8192];
	struct dirent **entries;
	int n;

	if (data)
		snprintf(directory, sizeof(directory), "%s/ucc5g", data);
	else
		snprintf(directory, sizeof(directory), "%s/../shared/data/ucc5g",
			 source ? source : ".");
	n = scandir(directory, &entries, is_csv, alphasort);
	if (n <= 0)
		cr_skip_test("no recorded logs in %s; TAGALONG_DATA names another place",
			     directory);
	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/%s", directory, entries[i]->d_name);
		read_log(path, log);
		free(entries[i]);
	}
	free(entries);
}

void recorded_sort(struct recorded *log)
{
	qsort(log->ms, log->n, sizeof(log->ms[0]), by_value);
}

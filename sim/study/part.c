/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/study/part.h"

#include <string.h>
#include <sys/stat.h>

#include "sim/trace/source.h"

static int fail(const char *path, struct mg_error *err)
{
	return mg_error_set(err, -errno, "%s: %s", path, strerror(errno));
}

/* Where the last whole line ends. */
static off_t whole_lines(FILE *f)
{
	off_t at = 0, whole = 0;
	int c;

	rewind(f);
	while ((c = getc_unlocked(f)) != EOF) {
		at++;
		if (c == '\n')
			whole = at;
	}
	return whole;
}

static int other_study(const char *path, struct mg_error *err)
{
	return mg_error_set(err, -EEXIST,
			    "%s: holds another study, or the same one as another version or with "
			    "other inputs; --out names another folder",
			    path);
}

/* Reads the lines of a file of this study. */
static int take_lines(const char *path, struct results *results, struct mg_error *err)
{
	_cleanup_(source_close) struct source s = { 0 };
	int r = source_open(&s, path, err);

	if (r == 0 && (r = source_line(&s)) > 0 && strcmp(s.line, results->header) != 0)
		r = other_study(path, err);
	while (r > 0 && (r = source_line(&s)) > 0) {
		r = results_add(results, path, s.number, s.line, err);
		r = r == 0 || r == -EEXIST ? 1 : r;
	}
	return r;
}

static int take_finished(const char *folder, struct results *results, struct mg_error *err)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/results.jsonl", folder);
	return access(path, F_OK) < 0 ? 0 : take_lines(path, results, err);
}

int part_open(const char *folder, const char *header, struct part *ret, struct results **results,
	      struct mg_error *err)
{
	_cleanup_(results_free_p) struct results *r = NULL;
	_cleanup_(part_close) struct part part = { 0 };
	struct stat st;
	off_t whole;
	int e = results_new(folder, header, &r, err);

	if (e == 0)
		e = take_finished(folder, r, err);
	if (e < 0)
		return e;
	snprintf(part.path, sizeof(part.path), "%s/runs.part", folder);
	part.file = fopen(part.path, "a+e");
	if (!part.file || fstat(fileno(part.file), &st) < 0)
		return fail(part.path, err);
	if (!S_ISREG(st.st_mode))
		return mg_error_set(err, -EINVAL, "%s: is no regular file", part.path);
	whole = whole_lines(part.file);
	if (ftruncate(fileno(part.file), whole) < 0 || fseeko(part.file, 0, SEEK_END) < 0)
		return fail(part.path, err);
	e = whole > 0 ? take_lines(part.path, r, err) : part_add(&part, header, err);
	if (e < 0)
		return e;
	*ret = part;
	part.file = NULL;
	*results = TAKE_PTR(r);
	return 0;
}

int part_add(struct part *part, const char *line, struct mg_error *err)
{
	if (fprintf(part->file, "%s\n", line) < 0 || fflush(part->file) != 0)
		return mg_error_set(err, -errno,
				    "%s: %s; what is written is kept, the same command goes on",
				    part->path, strerror(errno));
	return 0;
}

void part_remove(struct part *part)
{
	unlink(part->path);
}

void part_close(struct part *part)
{
	if (part->file)
		fclose(part->file);
	part->file = NULL;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Text from outside, read piece by piece, with errors that name file and line.
 * Files larger than memory can be read; a line cannot be longer than
 * SOURCE_LINE_MAX.
 */
#ifndef SIM_TRACE_SOURCE_H
#define SIM_TRACE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "common/error.h"

#define SOURCE_LINE_MAX ((size_t)1 << 20)

struct source {
	const char *name; /* borrowed; for errors */
	FILE *file;
	char *line; /* the current one, without its end */
	size_t len, room;
	unsigned number; /* of the line, from 1; readers of XML set it themselves */
	struct mg_error *err;
};

/* `name` and `err` are borrowed until source_close(). */
int source_open(struct source *s, const char *path, struct mg_error *err);

/* The same over memory, which is borrowed too. */
int source_open_memory(struct source *s, const char *name, const void *data, size_t len,
		       struct mg_error *err);

/* Takes a zeroed source too. */
void source_close(struct source *s);

/* 1: `line` and `len` are the next line; 0: there is none; else an error. A
 * byte of 0 is one: no text has it. */
int source_line(struct source *s);

/* Up to `size` bytes as they come; 0 at the end. Not to be mixed with lines. */
ssize_t source_read(struct source *s, void *data, size_t size);

/* Says "name:line: what"; returns -EINVAL. */
int source_fail(struct source *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The whole of `text` is a finite decimal number; `what` is its name in errors. */
int source_number(struct source *s, const char *text, const char *what, double *ret);

/* Cuts `text` in place at each of `separators`, blanks around fields removed. A
 * field in double quotes may hold separators. Returns how many there are, at most
 * `max`; what is beyond stays uncounted. */
size_t fields_split(char *text, const char *separators, char **fields, size_t max);

/* The same for words with any number of blanks between. */
size_t words_split(char *text, char **words, size_t max);

#endif

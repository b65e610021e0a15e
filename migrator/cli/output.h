/* SPDX-License-Identifier: Apache-2.0
 *
 * What the commands print. A command builds one document (JSON, jansson) with
 * plain numbers in base units; --json prints it as it is, and for people the
 * same document is laid out as a table or as a list of fields, by columns that
 * say which member is shown under which title and in which unit.
 */
#ifndef MIGRATOR_CLI_OUTPUT_H
#define MIGRATOR_CLI_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

enum column_kind {
	COLUMN_TEXT,
	COLUMN_LIST,      /* array, joined by ", "; of an object its first member */
	COLUMN_FLAG,      /* "yes", "no" */
	COLUMN_COUNT,     /* of an array its length */
	COLUMN_SIZE,      /* bytes */
	COLUMN_DURATION,  /* nanoseconds */
	COLUMN_BIT_RATE,  /* bits a second */
	COLUMN_BYTE_RATE, /* bytes a second, shown in bits */
	COLUMN_TIME,      /* nanoseconds UTC since 1970, shown in local time */
	COLUMN_SHORT_ID,  /* the first 8 characters of a UUID */
};

struct column {
	const char *title; /* NULL ends a list of columns */
	const char *key;   /* member of the row; "a.b" is member b of member a */
	enum column_kind kind;
};

/* One value as people read it: never empty ("-" when the member is missing),
 * on one line. */
void output_value(const json_t *row, const struct column *column, char *text, size_t size);

/* A table with a heading, numbers to the right, without the columns in which no row has anything;
 * says `none` when it has no rows. */
void output_table(FILE *out, const json_t *rows, const struct column *columns, const char *none);

/* One row as "Title  value" lines; members that are missing are left out. */
void output_fields(FILE *out, const json_t *row, const struct column *columns);

/* The document itself, on one line or indented. */
void output_json(FILE *out, const json_t *document, bool one_line);

/* A document of one list on standard output: as it is, or as a table. Takes
 * the reference. */
void output_document(bool json, json_t *document, const char *key, const struct column *columns,
		     const char *none);

#endif

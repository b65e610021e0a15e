/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/cli/output.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/cleanup.h"
#include "common/units.h"

#define CELL_SIZE 512
#define COLUMNS_MAX 16
#define GAP 2
#define NOTHING "-"

static const json_t *member_find(const json_t *row, const char *key)
{
	const char *dot = strchr(key, '.');
	char first[64];

	if (!dot)
		return json_object_get(row, key);
	snprintf(first, sizeof(first), "%.*s", (int)(dot - key), key);
	return member_find(json_object_get(row, first), dot + 1);
}

static const json_t *first_of(const json_t *object)
{
	return json_object_iter_value(json_object_iter((json_t *)object));
}

static void join(const json_t *list, char *text, size_t size)
{
	size_t used = 0, i;
	const json_t *item;

	text[0] = '\0';
	json_array_foreach(list, i, item) {
		const char *word = json_string_value(json_is_object(item) ? first_of(item) : item);

		if (used < size && word)
			used += (size_t)snprintf(text + used, size - used, "%s%s", i ? ", " : "",
						 word);
	}
}

static void time_write(uint64_t utc_ns, char *text, size_t size)
{
	time_t seconds = (time_t)(utc_ns / NS_PER_S);
	struct tm tm;

	localtime_r(&seconds, &tm);
	strftime(text, size, "%F %T", &tm);
}

static void number_write(uint64_t value, enum column_kind kind, char *text, size_t size)
{
	char unit[UNITS_TEXT_SIZE];

	switch (kind) {
	case COLUMN_SIZE:
		snprintf(text, size, "%s", size_format(value, unit));
		break;
	case COLUMN_DURATION:
		snprintf(text, size, "%s", duration_format(value, unit));
		break;
	case COLUMN_BIT_RATE:
		snprintf(text, size, "%s", rate_format(value, unit));
		break;
	case COLUMN_BYTE_RATE:
		snprintf(text, size, "%s", rate_format(value * 8, unit));
		break;
	case COLUMN_TIME:
		time_write(value, text, size);
		break;
	default:
		snprintf(text, size, "%" PRIu64, value);
	}
}

void output_value(const json_t *row, const struct column *column, char *text, size_t size)
{
	const json_t *v = member_find(row, column->key);

	text[0] = '\0';
	if (json_is_array(v) && column->kind == COLUMN_COUNT)
		snprintf(text, size, "%zu", json_array_size(v));
	else if (json_is_array(v))
		join(v, text, size);
	else if (json_is_boolean(v))
		snprintf(text, size, "%s", json_is_true(v) ? "yes" : "no");
	else if (json_is_string(v) && column->kind == COLUMN_SHORT_ID)
		snprintf(text, size, "%.8s", json_string_value(v));
	else if (json_is_string(v))
		snprintf(text, size, "%s", json_string_value(v));
	else if (json_is_integer(v))
		number_write((uint64_t)json_integer_value(v), column->kind, text, size);
	if (!text[0])
		snprintf(text, size, NOTHING);
	for (char *p = text; *p; p++)
		if (*p == '\n' || *p == '\t')
			*p = ' ';
}

static bool is_numeric(enum column_kind kind)
{
	return kind != COLUMN_TEXT && kind != COLUMN_LIST && kind != COLUMN_FLAG &&
	       kind != COLUMN_TIME && kind != COLUMN_SHORT_ID;
}

/* Characters, not bytes, of UTF-8. */
static int width_of(const char *text)
{
	int n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

static void cell_print(FILE *out, const char *text, int width, bool right, bool last)
{
	int pad = width - width_of(text);

	if (right)
		fprintf(out, "%*s%s", pad, "", text);
	else
		fprintf(out, "%s%*s", text, last ? 0 : pad, "");
	fprintf(out, "%*s", last ? 0 : GAP, "");
}

static void line_print(FILE *out, const json_t *row, const struct column *columns,
		       const int *widths, size_t last)
{
	for (size_t c = 0; columns[c].title; c++) {
		char text[CELL_SIZE];

		if (!widths[c])
			continue;
		if (row)
			output_value(row, &columns[c], text, sizeof(text));
		else
			snprintf(text, sizeof(text), "%s", columns[c].title);
		cell_print(out, text, widths[c], is_numeric(columns[c].kind), c == last);
	}
	fputc('\n', out);
}

/* 0 when there is nothing to be shown in any row. */
static int width_needed(const json_t *rows, const struct column *column)
{
	int widest = 0;
	const json_t *row;
	size_t i;

	json_array_foreach(rows, i, row) {
		char text[CELL_SIZE];
		int width;

		output_value(row, column, text, sizeof(text));
		width = strcmp(text, NOTHING) == 0 ? 0 : width_of(text);
		widest = width > widest ? width : widest;
	}
	return widest && widest < width_of(column->title) ? width_of(column->title) : widest;
}

void output_table(FILE *out, const json_t *rows, const struct column *columns, const char *none)
{
	int widths[COLUMNS_MAX] = { 0 };
	const json_t *row;
	size_t i, last = 0;

	if (json_array_size(rows) == 0) {
		fprintf(out, "%s\n", none);
		return;
	}
	for (size_t c = 0; columns[c].title; c++) {
		widths[c] = width_needed(rows, &columns[c]);
		last = widths[c] ? c : last;
	}
	line_print(out, NULL, columns, widths, last);
	json_array_foreach(rows, i, row)
		line_print(out, row, columns, widths, last);
}

static bool is_there(const json_t *row, const struct column *c)
{
	const json_t *v = member_find(row, c->key);

	return v && !(json_is_array(v) && json_array_size(v) == 0);
}

void output_fields(FILE *out, const json_t *row, const struct column *columns)
{
	int width = 0;

	for (const struct column *c = columns; c->title; c++)
		if (is_there(row, c) && width_of(c->title) > width)
			width = width_of(c->title);
	for (const struct column *c = columns; c->title; c++) {
		char text[CELL_SIZE];

		if (!is_there(row, c))
			continue;
		output_value(row, c, text, sizeof(text));
		cell_print(out, c->title, width, false, false);
		fprintf(out, "%s\n", text);
	}
}

void output_json(FILE *out, const json_t *document, bool one_line)
{
	json_dumpf(document, out, one_line ? JSON_COMPACT : JSON_INDENT(2));
	fputc('\n', out);
	fflush(out);
}

void output_document(bool json, json_t *document, const char *key, const struct column *columns,
		     const char *none)
{
	if (json)
		output_json(stdout, document, false);
	else
		output_table(stdout, json_object_get(document, key), columns, none);
	json_decref(document);
}

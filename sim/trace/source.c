/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/trace/source.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "common/cleanup.h"

#define LINE_ROOM 4096

static int start(struct source *s, const char *name, FILE *file, struct mg_error *err)
{
	*s = (struct source){ .name = name, .file = file, .err = err };
	if (!file)
		return mg_error_set(err, -errno, "%s: %s", name, strerror(errno));
	s->line = malloc(LINE_ROOM);
	s->room = LINE_ROOM;
	return s->line ? 0 : mg_error_set(err, -ENOMEM, "out of memory");
}

int source_open(struct source *s, const char *path, struct mg_error *err)
{
	return start(s, path, fopen(path, "re"), err);
}

int source_open_memory(struct source *s, const char *name, const void *data, size_t len,
		       struct mg_error *err)
{
	/* Opened for reading, it is not written; nothing at all it refuses. */
	FILE *file = len ? fmemopen((void *)data, len, "r") : fopen("/dev/null", "re");

	return start(s, name, file, err);
}

void source_close(struct source *s)
{
	if (s->file)
		fclose(s->file);
	free(s->line);
	*s = (struct source){ 0 };
}

int source_fail(struct source *s, const char *fmt, ...)
{
	char text[200];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	return mg_error_set(s->err, -EINVAL, "%s:%u: %s", s->name, s->number, text);
}

static int fail_to_read(struct source *s)
{
	return mg_error_set(s->err, -EIO, "%s: %s", s->name, strerror(errno));
}

static int append(struct source *s, int c)
{
	char *bigger;

	if (s->len + 1 == s->room) {
		if (s->room >= SOURCE_LINE_MAX)
			return source_fail(s, "longer than %zu bytes", SOURCE_LINE_MAX - 1);
		bigger = realloc(s->line, s->room * 2);
		if (!bigger)
			return mg_error_set(s->err, -ENOMEM, "out of memory");
		s->line = bigger;
		s->room *= 2;
	}
	s->line[s->len++] = (char)c;
	return 0;
}

int source_line(struct source *s)
{
	int c = getc_unlocked(s->file), r = 0;

	if (c == EOF)
		return ferror(s->file) ? fail_to_read(s) : 0;
	s->number++;
	s->len = 0;
	for (; c != EOF && c != '\n' && r == 0; c = getc_unlocked(s->file))
		r = c ? append(s, c) : source_fail(s, "is no text: a byte is 0");
	if (r < 0)
		return r;
	if (s->len > 0 && s->line[s->len - 1] == '\r')
		s->len--;
	s->line[s->len] = '\0';
	return 1;
}

ssize_t source_read(struct source *s, void *data, size_t size)
{
	size_t n = fread(data, 1, size, s->file);

	if (n == 0 && ferror(s->file))
		return fail_to_read(s);
	return (ssize_t)n;
}

int source_number(struct source *s, const char *text, const char *what, double *ret)
{
	char *end;
	double v = strtod(text, &end);

	if (end == text || *end != '\0' || strpbrk(text, "xXpP"))
		return source_fail(s, "%s: '%.40s' is no number", what, text);
	if (!isfinite(v))
		return source_fail(s, "%s: '%.40s' is not finite", what, text);
	*ret = v;
	return 0;
}

/* ---- Fields ---------------------------------------------------------------------- */

static char *trim(char *from, char *to)
{
	while (isblank((unsigned char)*from))
		from++;
	while (to > from && isblank((unsigned char)to[-1]))
		to--;
	if (to - from >= 2 && *from == '"' && to[-1] == '"') {
		from++;
		to--;
	}
	*to = '\0';
	return from;
}

size_t fields_split(char *text, const char *separators, char **fields, size_t max)
{
	size_t n = 0;
	char *from = text;
	bool quoted = false;

	for (char *at = text; n < max; at++) {
		bool last = *at == '\0';

		if (*at == '"')
			quoted = !quoted;
		if (!last && (quoted || !strchr(separators, *at)))
			continue;
		fields[n++] = trim(from, at);
		from = at + 1;
		if (last)
			break;
	}
	return n;
}

size_t words_split(char *text, char **words, size_t max)
{
	char *save = NULL;
	size_t n = 0;

	for (char *w = strtok_r(text, " \t", &save); w && n < max; w = strtok_r(NULL, " \t", &save))
		words[n++] = w;
	return n;
}

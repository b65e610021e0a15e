/* SPDX-License-Identifier: Apache-2.0 */
#include "common/config.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "common/cleanup.h"
#include "common/file.h"

#define DEPTH_MAX 64 /* to which a key is searched for */

const cyaml_strval_t config_booleans[2] = { { "false", 0 }, { "true", 1 } };

/* libcyaml explains an error in several log lines: first what is wrong, then
 * the path to it from the inside out, each with a line number. We keep the
 * first of either. */
struct diagnosis {
	char what[160];
	char where[160];
	unsigned line; /* 0: not known */
};

static void keep_line(char *to, size_t size, const char *line)
{
	if (!to[0])
		snprintf(to, size, "%.*s", (int)strcspn(line, "\n"), line);
}

__attribute__((format(printf, 3, 0)))
static void on_log(cyaml_log_t level, void *ctx, const char *fmt, va_list args)
{
	struct diagnosis *d = ctx;
	char line[512];
	const char *text = line;

	(void)level;
	vsnprintf(line, sizeof(line), fmt, args);
	if (strncmp(text, "Load: ", 6) == 0)
		text += 6;
	text += strspn(text, " ");
	if (strncmp(text, "in ", 3) == 0)
		keep_line(d->where, sizeof(d->where), text);
	else if (strncmp(text, "Backtrace", 9) != 0)
		keep_line(d->what, sizeof(d->what), text);
}

/* ---- What is wrong with a text ------------------------------------------------------------ */

static unsigned line_of_byte(const char *text, size_t at)
{
	unsigned line = 1;

	for (size_t i = 0; i < at; i++)
		line += text[i] == '\n';
	return line;
}

static void note_syntax(const yaml_parser_t *parser, const char *text, size_t len,
			struct diagnosis *d)
{
	size_t at = parser->problem_offset < len ? parser->problem_offset : len;

	if (!d->what[0])
		snprintf(d->what, sizeof(d->what), "%s", parser->problem ? parser->problem : "is no YAML");
	/* What is no text at all has a place in bytes only. */
	d->line = parser->error == YAML_READER_ERROR ? line_of_byte(text, at)
						     : (unsigned)parser->problem_mark.line + 1;
}

/* False: it is no YAML, or has more than one document, of which libcyaml reads the first. What
 * libcyaml has said of it stays, but for the line. */
static bool is_one_document(const char *text, size_t len, struct diagnosis *d)
{
	yaml_parser_t parser;
	yaml_event_t event;
	bool good = true, more = true;
	int documents = 0;

	if (!yaml_parser_initialize(&parser))
		return true;
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	while (good && more) {
		if (!yaml_parser_parse(&parser, &event)) {
			note_syntax(&parser, text, len, d);
			good = false;
			break;
		}
		more = event.type != YAML_STREAM_END_EVENT;
		if (event.type == YAML_DOCUMENT_START_EVENT && ++documents == 2) {
			*d = (struct diagnosis){ "a second document begins", "",
						 (unsigned)event.start_mark.line + 1 };
			good = false;
		}
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	return good;
}

/* A mapping or a list that has begun and not ended. */
struct level {
	bool is_mapping, value_is_next;
	yaml_mark_t before; /* of a mapping: the last value, or its own beginning */
};

struct search {
	const char *key;
	unsigned line, column; /* of what is before it */
	struct level levels[DEPTH_MAX];
	unsigned depth, found;
};

static void look_at_node(struct search *s, const yaml_event_t *e)
{
	struct level *in = s->depth ? &s->levels[s->depth - 1] : NULL;

	if (!in || !in->is_mapping)
		return;
	if (in->value_is_next)
		in->before = e->start_mark;
	else if (e->type == YAML_SCALAR_EVENT && in->before.line + 1 == s->line &&
		 in->before.column + 1 == s->column &&
		 strcmp((const char *)e->data.scalar.value, s->key) == 0)
		s->found = (unsigned)e->start_mark.line + 1;
	in->value_is_next = !in->value_is_next;
}

/* False: no more is to be looked at. */
static bool look_at(struct search *s, const yaml_event_t *e)
{
	bool is_mapping = e->type == YAML_MAPPING_START_EVENT;

	if (e->type == YAML_MAPPING_END_EVENT || e->type == YAML_SEQUENCE_END_EVENT) {
		s->depth--;
		return true;
	}
	if (e->type == YAML_SCALAR_EVENT || e->type == YAML_ALIAS_EVENT || is_mapping ||
	    e->type == YAML_SEQUENCE_START_EVENT)
		look_at_node(s, e);
	if (!is_mapping && e->type != YAML_SEQUENCE_START_EVENT)
		return e->type != YAML_DOCUMENT_END_EVENT;
	if (s->depth == DEPTH_MAX)
		return false;
	s->levels[s->depth++] = (struct level){ is_mapping, false, e->start_mark };
	return true;
}

/* libcyaml complains of a key with the place of what is before it: of the value of the key before,
 * or of the mapping. 0: no such key. */
static unsigned key_line(const char *text, size_t len, const char *key, unsigned line,
			 unsigned column)
{
	struct search s = { .key = key, .line = line, .column = column };
	yaml_parser_t parser;
	yaml_event_t event;
	bool more = true;

	if (!yaml_parser_initialize(&parser))
		return 0;
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	while (more && yaml_parser_parse(&parser, &event)) {
		more = look_at(&s, &event);
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	return s.found;
}

/* Where libcyaml says, or where the key is that it complains of. */
static void find_line(const char *text, size_t len, struct diagnosis *d)
{
	char *place = strstr(d->where, " (line: ");
	const char *key = strstr(d->what, ": ");
	unsigned line, column, of_key;

	if (!place || sscanf(place, " (line: %u, column: %u)", &line, &column) != 2)
		return;
	*place = '\0';
	of_key = key ? key_line(text, len, key + 2, line, column) : 0;
	d->line = of_key ? of_key : line;
}

static int fail(const char *name, int code, const struct diagnosis *d, struct mg_error *err)
{
	return mg_error_set(err, code, "%s: %s%s%s (line: %u)", name, d->what,
			    d->where[0] ? ", " : "", d->where, d->line ? d->line : 1);
}

int config_parse(const char *name, const char *text, size_t len,
		 const cyaml_schema_value_t *schema, void **ret, struct mg_error *err)
{
	struct diagnosis d = { 0 };
	const cyaml_config_t config = {
		.log_fn = on_log,
		.log_ctx = &d,
		.mem_fn = cyaml_mem,
		.log_level = CYAML_LOG_ERROR,
		.flags = CYAML_CFG_NO_ALIAS,
	};
	void *data = NULL;
	cyaml_err_t r;

	if (len > CONFIG_MAX)
		return mg_error_set(err, -EFBIG, "%s: larger than %zu bytes", name, CONFIG_MAX);
	r = cyaml_load_data((const uint8_t *)text, len, &config, schema, &data, NULL);
	if (r == CYAML_OK && !data)
		return mg_error_set(err, -EINVAL, "%s: empty", name);
	if (r == CYAML_OK && is_one_document(text, len, &d)) {
		*ret = data;
		return 0;
	}
	config_free(schema, data);
	if (!d.what[0])
		snprintf(d.what, sizeof(d.what), "%s", cyaml_strerror(r));
	find_line(text, len, &d);
	/* Of these it has no line, or that of something before. */
	if (strncmp(d.what, "libyaml: ", 9) == 0)
		is_one_document(text, len, &d);
	return fail(name, r == CYAML_ERR_OOM ? -ENOMEM : -EINVAL, &d, err);
}

int config_load(const char *path, const cyaml_schema_value_t *schema, void **ret,
		struct mg_error *err)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r;

	r = file_read(path, CONFIG_MAX, &text, &len, err);
	if (r < 0)
		return r;
	return config_parse(path, text, len, schema, ret, err);
}

void config_free(const cyaml_schema_value_t *schema, void *data)
{
	const cyaml_config_t config = { .mem_fn = cyaml_mem, .log_level = CYAML_LOG_ERROR };

	if (data)
		cyaml_free(&config, schema, data, 0);
}

/* The key's value in a mapping, or NULL. */
static yaml_node_t *mapping_find(yaml_document_t *doc, const yaml_node_t *map, const char *key,
				 size_t key_len)
{
	if (map->type != YAML_MAPPING_NODE)
		return NULL;
	for (yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top;
	     p++) {
		const yaml_node_t *k = yaml_document_get_node(doc, p->key);

		if (k && k->type == YAML_SCALAR_NODE && k->data.scalar.length == key_len &&
		    memcmp(k->data.scalar.value, key, key_len) == 0)
			return yaml_document_get_node(doc, p->value);
	}
	return NULL;
}

static yaml_node_t *sequence_item(yaml_document_t *doc, const yaml_node_t *seq, unsigned long i)
{
	if (seq->type != YAML_SEQUENCE_NODE ||
	    i >= (size_t)(seq->data.sequence.items.top - seq->data.sequence.items.start))
		return NULL;
	return yaml_document_get_node(doc, seq->data.sequence.items.start[i]);
}

static unsigned document_line(yaml_document_t *doc, const char *path)
{
	yaml_node_t *node = yaml_document_get_root_node(doc), *next = node;

	for (; next; path += *path == '.') {
		node = next;
		if (*path == '\0')
			break;
		if (*path == '[') {
			char *end;

			next = sequence_item(doc, node, strtoul(path + 1, &end, 10));
			path = end + (*end == ']');
		} else {
			size_t n = strcspn(path, ".[");

			next = mapping_find(doc, node, path, n);
			path += n;
		}
	}
	return node ? (unsigned)node->start_mark.line + 1 : 0;
}

unsigned config_line(const char *text, size_t len, const char *path)
{
	yaml_parser_t parser;
	yaml_document_t doc;
	unsigned line = 0;

	if (!yaml_parser_initialize(&parser))
		return 0;
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	if (yaml_parser_load(&parser, &doc)) {
		line = document_line(&doc, path);
		yaml_document_delete(&doc);
	}
	yaml_parser_delete(&parser);
	return line;
}

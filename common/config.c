/* SPDX-License-Identifier: Apache-2.0 */
#include "common/config.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "common/cleanup.h"
#include "common/file.h"

const cyaml_strval_t config_booleans[2] = { { "false", 0 }, { "true", 1 } };

/* libcyaml explains an error in several log lines: first what is wrong, then
 * the path to it from the inside out, each with a line number. We keep the
 * first of either. */
struct diagnosis {
	char what[160];
	char where[160];
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
	cyaml_err_t r;

	if (len > CONFIG_MAX)
		return mg_error_set(err, -EFBIG, "%s: larger than %zu bytes", name, CONFIG_MAX);
	r = cyaml_load_data((const uint8_t *)text, len, &config, schema, ret, NULL);
	if (r == CYAML_OK && !*ret)
		return mg_error_set(err, -EINVAL, "%s: empty", name);
	if (r != CYAML_OK)
		return mg_error_set(err, r == CYAML_ERR_OOM ? -ENOMEM : -EINVAL, "%s: %s%s%s", name,
				    d.what[0] ? d.what : cyaml_strerror(r), d.where[0] ? ", " : "",
				    d.where);
	return 0;
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

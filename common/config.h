/* SPDX-License-Identifier: Apache-2.0
 *
 * YAML files checked against a schema (libcyaml) and loaded into structs. Used
 * for configurations, VM descriptions and scenarios. Unknown keys, wrong types
 * and missing values are errors that name file, line and field. Anchors and
 * aliases are refused (they are how a small file grows to gigabytes), and so is a
 * second document.
 */
#ifndef COMMON_CONFIG_H
#define COMMON_CONFIG_H

#include <cyaml/cyaml.h>
#include <stddef.h>

#include "common/error.h"

#define CONFIG_MAX ((size_t)1 << 20)

/* Loads a file; `schema` must be a pointer to a mapping. The result is freed
 * with config_free() and the same schema. Errors: -EINVAL (the text says
 * where), -EFBIG, -ENOENT and other errors of reading. */
int config_load(const char *path, const cyaml_schema_value_t *schema, void **ret,
		struct mg_error *err);

/* The same for text; `name` stands for it in errors. */
int config_parse(const char *name, const char *text, size_t len,
		 const cyaml_schema_value_t *schema, void **ret, struct mg_error *err);

void config_free(const cyaml_schema_value_t *schema, void *data);

/* A field that is "true" or "false". CYAML_FIELD_BOOL takes for true whatever
 * it does not know, "flase" too: no way to be asked for plain text. */
extern const cyaml_strval_t config_booleans[2];
#define CONFIG_FIELD_BOOL(key, flags, structure, member)                                     \
	CYAML_FIELD_ENUM(key, (flags) | CYAML_FLAG_STRICT, structure, member, config_booleans, 2)

/* The line (from 1) of the value at `path`, as "phone.path[2].at", in a text
 * that has been parsed; where the path ends early, that of the last part that
 * exists. For errors about values that a schema cannot judge. 0 when the text is
 * no YAML at all. */
unsigned config_line(const char *text, size_t len, const char *path);

#endif

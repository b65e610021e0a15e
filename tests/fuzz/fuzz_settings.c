/* SPDX-License-Identifier: Apache-2.0
 *
 * The input as migrator.yaml and as migratord.yaml. What is refused says why;
 * what passes has what the programs rely on.
 */
#include <stdint.h>
#include <string.h>

#include "migrator/cli/settings.h"
#include "migrator/node_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void as_settings(const char *text, size_t size)
{
	struct mg_error err = { 0 };
	struct server_settings node;
	struct settings *s = NULL;

	if (settings_parse("/x/fuzz.yaml", text, size, &s, &err) < 0) {
		if (!err.text[0] || s)
			abort();
		return;
	}
	if (!s->plain_text_bus && (!s->key || (s->n_controllers && !s->controllers[0].key)))
		abort();
	for (unsigned i = 0; i < s->n_nodes; i++)
		if (settings_find_node(s, s->nodes[i].name, &node, &err) < 0 ||
		    (!node.key && !s->plain_text_bus))
			abort();
	settings_free(s);
}

static void as_node_config(const char *text, size_t size)
{
	struct mg_error err = { 0 };
	struct node_config *c = NULL;

	if (node_config_parse("fuzz.yaml", text, size, &c, &err) < 0) {
		if (!err.text[0] || c)
			abort();
		return;
	}
	if (!c->memory_bytes || !c->vcpus || (!c->plain_text_bus && (!c->key || !c->allow)))
		abort();
	node_config_free(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	as_settings((const char *)data, size);
	as_node_config((const char *)data, size);
	return 0;
}

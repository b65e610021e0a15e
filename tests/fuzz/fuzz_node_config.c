/* SPDX-License-Identifier: Apache-2.0
 *
 * migratord.yaml.
 */
#include <stdint.h>

#include "migrator/node_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct node_config *c = NULL;
	struct mg_error err = { 0 };

	if (node_config_parse("fuzz.yaml", (const char *)data, size, &c, &err) < 0) {
		if (c || err.code >= 0 || !err.text[0])
			abort();
		return 0;
	}
	if (!c->name[0] || c->memory_bytes == 0 || c->vcpus == 0)
		abort();
	if (!c->plain_text_bus && (!c->key || !c->allow))
		abort();
	node_config_free(c);
	return 0;
}

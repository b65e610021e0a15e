/* SPDX-License-Identifier: Apache-2.0 */
#include <sodium.h>
#include <stdlib.h>

#include "common/tokens.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mg_error err = { 0 };
	struct tokens *tokens;
	enum token_role role;
	const char *name;

	if (sodium_init() < 0)
		abort();
	if (tokens_parse((const char *)data, size, &tokens, &err) < 0) {
		if (err.code >= 0 || !err.text[0])
			abort();
		return 0;
	}
	(void)tokens_find(tokens, "secret", 1, &role, &name);
	tokens_free(tokens);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * The list of keys that may speak to a program. What is admitted has a role and
 * a name that can be found.
 */
#include <stdint.h>
#include <string.h>

#include "common/keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct allow_list *list = NULL;
	struct mg_error err = { 0 };

	if (allow_list_parse((const char *)data, size, &list, &err) < 0) {
		if (list || err.code >= 0 || !err.text[0])
			abort();
		return 0;
	}
	/* Every run of 40 characters may be a key of the list. */
	for (size_t i = 0; i + KEY_TEXT_SIZE - 1 <= size; i++) {
		char key[KEY_TEXT_SIZE] = "";
		enum peer_role role = PEER_ROLE_NONE;
		const char *name = NULL, *found;

		memcpy(key, data + i, KEY_TEXT_SIZE - 1);
		if (!allow_list_find(list, key, &role, &name))
			continue;
		if (role == PEER_ROLE_NONE || !name || !name[0] || strlen(name) >= PEER_NAME_SIZE)
			abort();
		found = allow_list_key_of(list, role, name);
		if (!found || strlen(found) != KEY_TEXT_SIZE - 1)
			abort();
	}
	allow_list_free(list);
	return 0;
}

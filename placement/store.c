/* SPDX-License-Identifier: Apache-2.0 */
#include "placement/store.h"

bool store_key_is_valid(const char *key)
{
	size_t len = 0;

	for (; key[len]; len++)
		if (len >= STORE_KEY_SIZE - 1 || key[len] <= ' ' || key[len] > '~')
			return false;
	return len > 0;
}

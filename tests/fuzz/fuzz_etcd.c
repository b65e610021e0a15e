/* SPDX-License-Identifier: Apache-2.0
 *
 * What etcd answers: entries, events, numbers and refusals.
 */
#include <stdint.h>
#include <stdlib.h>

#include "placement/etcd_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_entries(const json_t *list)
{
	const json_t *kv;
	size_t i;

	json_array_foreach(list, i, kv) {
		struct etcd_entry e = { 0 };

		if (etcd_entry_read(kv, "tagalong/", &e) == 0 && !store_key_is_valid(e.key))
			abort();
		etcd_entry_clear(&e);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *answer = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
	struct mg_error err = { 0 };
	uint64_t number;

	read_entries(json_object_get(answer, "kvs"));
	(void)etcd_revision_read(answer, &number);
	(void)etcd_number_read(answer, "ID", &number);
	if (etcd_refusal_read(answer, 500, &err) >= 0 || err.code >= 0 || !err.text[0])
		abort();
	json_decref(answer);
	return 0;
}

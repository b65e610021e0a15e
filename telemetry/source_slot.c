/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/source_slot.h"

void source_slots_init(struct source_slots *s)
{
	crypto_shorthash_keygen(s->key);
}

unsigned source_slot(const struct source_slots *s, const struct address *from)
{
	bool v6 = from->any.sa_family == AF_INET6;
	const void *bytes = v6 ? (const void *)&from->v6.sin6_addr : &from->v4.sin_addr;
	uint8_t hash[crypto_shorthash_BYTES];

	crypto_shorthash(hash, bytes, v6 ? sizeof(from->v6.sin6_addr) : sizeof(from->v4.sin_addr),
			 s->key);
	return hash[0] % SOURCE_SLOTS;
}

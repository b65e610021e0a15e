/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/page_hash.h"

#include <sodium.h>
#include <xxhash.h>

#define CONTEXT "tagpages"

_Static_assert(PAGE_SECRET_SIZE == crypto_kdf_KEYBYTES, "the secret is a key of crypto_kdf");
_Static_assert(sizeof(struct page_hash) == crypto_onetimeauth_BYTES, "the hash is Poly1305's");

void page_hasher_init(struct page_hasher *h, const uint8_t secret[PAGE_SECRET_SIZE])
{
	uint8_t seed[crypto_kdf_BYTES_MIN];

	crypto_kdf_derive_from_key(h->page_key, sizeof(h->page_key), 1, CONTEXT, secret);
	crypto_kdf_derive_from_key(h->run_key, sizeof(h->run_key), 2, CONTEXT, secret);
	crypto_kdf_derive_from_key(seed, sizeof(seed), 3, CONTEXT, secret);
	memcpy(&h->block_seed, seed, sizeof(h->block_seed));
	sodium_memzero(seed, sizeof(seed));
}

struct page_hash page_hash(const struct page_hasher *h, const uint8_t *page)
{
	struct page_hash hash;

	crypto_onetimeauth(hash.bytes, page, PAGE_SIZE_BYTES, h->page_key);
	return hash;
}

struct page_hash page_hash_run(const struct page_hasher *h, const struct page_hash *hashes,
			       size_t n)
{
	struct page_hash hash;

	crypto_onetimeauth(hash.bytes, (const uint8_t *)hashes, n * sizeof(*hashes), h->run_key);
	return hash;
}

void page_hash_blocks(const struct page_hasher *h, const uint8_t *page,
		      uint64_t blocks[PAGE_BLOCKS])
{
	for (unsigned i = 0; i < PAGE_BLOCKS; i++)
		blocks[i] = XXH3_64bits_withSeed(page + (size_t)i * PAGE_BLOCK_BYTES,
						 PAGE_BLOCK_BYTES, h->block_seed);
}

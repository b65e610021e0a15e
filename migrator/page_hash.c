/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/page_hash.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <xxhash.h>

#define CONTEXT "tagpages"
#define KEY_SIZE 32
#define TAG_SIZE 16

_Static_assert(PAGE_SECRET_SIZE == crypto_kdf_KEYBYTES, "the secret is a key of crypto_kdf");
_Static_assert(sizeof(struct page_hash) == TAG_SIZE, "the hash is GMAC's");

static const uint8_t one_nonce[12];

static EVP_CIPHER_CTX *keyed(const uint8_t secret[PAGE_SECRET_SIZE], uint64_t subkey)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t key[KEY_SIZE];

	crypto_kdf_derive_from_key(key, sizeof(key), subkey, CONTEXT, secret);
	if (ctx && !EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, one_nonce)) {
		EVP_CIPHER_CTX_free(ctx);
		ctx = NULL;
	}
	sodium_memzero(key, sizeof(key));
	return ctx;
}

int page_hasher_init(struct page_hasher *h, const uint8_t secret[PAGE_SECRET_SIZE])
{
	uint8_t seed[crypto_kdf_BYTES_MIN];

	h->pages = keyed(secret, 1);
	h->runs = keyed(secret, 2);
	crypto_kdf_derive_from_key(seed, sizeof(seed), 3, CONTEXT, secret);
	memcpy(&h->block_seed, seed, sizeof(h->block_seed));
	sodium_memzero(seed, sizeof(seed));
	return h->pages && h->runs ? 0 : -ENOMEM;
}

void page_hasher_exit(struct page_hasher *h)
{
	EVP_CIPHER_CTX_free(h->pages); /* which clears the keys */
	EVP_CIPHER_CTX_free(h->runs);
	*h = (struct page_hasher){ 0 };
}

/* The tag of data that is vouched for and not encrypted. None of it can fail with a key and
 * a nonce of the right size, and a hash that is none must not be taken for one. */
static struct page_hash gmac(EVP_CIPHER_CTX *ctx, const void *data, size_t len)
{
	struct page_hash hash;
	uint8_t nothing[1];
	int n;

	if (!EVP_EncryptInit_ex(ctx, NULL, NULL, NULL, one_nonce) ||
	    !EVP_EncryptUpdate(ctx, NULL, &n, data, (int)len) ||
	    !EVP_EncryptFinal_ex(ctx, nothing, &n) ||
	    !EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG_SIZE, hash.bytes))
		abort();
	return hash;
}

struct page_hash page_hash(const struct page_hasher *h, const uint8_t *page)
{
	return gmac(h->pages, page, PAGE_SIZE_BYTES);
}

struct page_hash page_hash_run(const struct page_hasher *h, const struct page_hash *hashes,
			       size_t n)
{
	return gmac(h->runs, hashes, n * sizeof(*hashes));
}

void page_hash_blocks(const struct page_hasher *h, const uint8_t *page,
		      uint64_t blocks[PAGE_BLOCKS])
{
	for (unsigned i = 0; i < PAGE_BLOCKS; i++)
		blocks[i] = XXH3_64bits_withSeed(page + (size_t)i * PAGE_BLOCK_BYTES,
						 PAGE_BLOCK_BYTES, h->block_seed);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Hashes of pages: by them the two ends of a move agree on what a page holds
 * without sending it. A false "the same" is a wrong page in a running guest, and
 * the guest itself may want it (a process in it that replaces another's page by
 * one of its own), so the hash must not be one that can be worked against.
 *
 * It is GMAC (NIST SP 800-38D) under a secret that no guest ever sees and with one nonce:
 * then it is the universal hash GHASH, of which it is proven (McGrew and Viega, INDOCRYPT
 * 2004) that two different pages, chosen in whatever way without the secret, have the
 * same 128 bits with a probability of at most 257 / 2^128 < 2^-119: over all pairs of 2^24
 * pages (64 GiB), 2^-72. Its use as an authenticator needs a new nonce for each message
 * because the peer sees the result; here who sees hashes (both ends of the move) has the pages
 * and the secret too. On a core where it does 5.5 GB/s, Poly1305 does 2.5 and keyed BLAKE2b
 * 0.9; XXH3 does 8, but its lanes multiply 32-bit halves, so that chosen pages meet with 2^-32.
 *
 * Hashes of blocks only propose what has changed; the page's hash is checked
 * when a page has been put together again. They are XXH3 with a secret seed.
 */
#ifndef MIGRATOR_PAGE_HASH_H
#define MIGRATOR_PAGE_HASH_H

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define PAGE_SIZE_BYTES 4096
#define PAGE_SECRET_SIZE 32
#define PAGE_BLOCK_BYTES 128
#define PAGE_BLOCKS (PAGE_SIZE_BYTES / PAGE_BLOCK_BYTES)

struct page_hash {
	uint8_t bytes[16];
};

struct page_hasher {		       /* for one thread at a time */
	EVP_CIPHER_CTX *pages, *runs; /* keyed */
	uint64_t block_seed;
};

/* Everything is derived from the secret; ends that shall agree have the same. Returns 0
 * or -ENOMEM; `h` is to be left by page_hasher_exit() in either case. */
int page_hasher_init(struct page_hasher *h, const uint8_t secret[PAGE_SECRET_SIZE]);
void page_hasher_exit(struct page_hasher *h);

/* `page` has PAGE_SIZE_BYTES. */
struct page_hash page_hash(const struct page_hasher *h, const uint8_t *page);

/* One hash for the hashes of pages that are checked together. */
struct page_hash page_hash_run(const struct page_hasher *h, const struct page_hash *hashes,
			       size_t n);

void page_hash_blocks(const struct page_hasher *h, const uint8_t *page,
		      uint64_t blocks[PAGE_BLOCKS]);

/* Not in constant time: no guest can time this. */
static inline bool page_hash_equal(const struct page_hash *a, const struct page_hash *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

#endif

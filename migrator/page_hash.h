/* SPDX-License-Identifier: Apache-2.0
 *
 * Hashes of pages: by them the two ends of a move agree on what a page holds
 * without sending it. A false "the same" is a wrong page in a running guest, and
 * the guest itself may want it (a process in it that replaces another's page by
 * one of its own), so the hash must not be one that can be worked against.
 *
 * It is Poly1305 under a secret that no guest ever sees: a universal hash, for
 * which it is proven (Bernstein, FSE 2005) that two different pages, chosen in
 * whatever way without the secret, have the same 128 bits with a probability of
 * at most 8 * 257 / 2^106 < 2^-94: over all pairs of 2^24 pages (64 GiB), 2^-47. Its
 * use as an authenticator needs a new secret for each message because the peer
 * sees the result; here who sees hashes (both ends of the move) has the pages
 * and the secret too. 3.6 GB/s on a core where keyed BLAKE2b does 0.9; XXH3 does 14, but
 * its lanes multiply 32-bit halves, so that chosen pages meet with 2^-32.
 *
 * Hashes of blocks only propose what has changed; the page's hash is checked
 * when a page has been put together again. They are XXH3 with a secret seed.
 */
#ifndef MIGRATOR_PAGE_HASH_H
#define MIGRATOR_PAGE_HASH_H

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

struct page_hasher {
	uint8_t page_key[32], run_key[32]; /* of Poly1305 */
	uint64_t block_seed;
};

/* Everything is derived from the secret; ends that shall agree have the same. */
void page_hasher_init(struct page_hasher *h, const uint8_t secret[PAGE_SECRET_SIZE]);

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

/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "migrator/reference.h"

#define PAGES 300
#define CONTENTS 40

static const uint8_t secret[PAGE_SECRET_SIZE] = "secret", other_secret[PAGE_SECRET_SIZE] = "other";

static uint64_t next(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	return z ^ z >> 27;
}

static void content(uint8_t *page, unsigned which)
{
	memset(page, (int)which + 1, PAGE_SIZE_BYTES);
	page[which * 50] = 0xff;
}

static struct reference *make(size_t shadow_bytes)
{
	struct reference *ref = NULL;

	cr_assert_eq(reference_new(PAGES, secret, shadow_bytes, &ref), 0);
	return ref;
}

static struct page_hash note(struct reference *ref, uint64_t page, const uint8_t *data)
{
	struct page_hash hash = page_hash(reference_hasher(ref), data);

	reference_note(ref, page, &hash, data);
	return hash;
}

/* Against a model that keeps it all. Some contents are rare, some are everywhere. */
Test(reference, it_knows_what_the_receiver_holds)
{
	static uint8_t contents[CONTENTS][PAGE_SIZE_BYTES];
	struct page_hash hashes[CONTENTS];
	int model[PAGES]; /* content, -1: unknown, -2: zero */
	struct reference *ref = make(8 * PAGE_SIZE_BYTES + 999);
	uint64_t rng = 5;

	for (unsigned i = 0; i < CONTENTS; i++) {
		content(contents[i], i);
		hashes[i] = page_hash(reference_hasher(ref), contents[i]);
	}
	memset(model, 0xff, sizeof(model));
	for (unsigned step = 0; step < 40000; step++) {
		uint64_t page = next(&rng) % PAGES, v = next(&rng);
		unsigned which = (unsigned)(v % 3 ? v / 8 % CONTENTS : v / 8 % 4);
		struct reference_place place;
		const uint8_t *shadow;

		switch (next(&rng) % 8) {
		case 0:
			reference_forget(ref, page);
			model[page] = -1;
			break;
		case 1:
			reference_note_zero(ref, page);
			model[page] = -2;
			break;
		case 2:
			reference_load(ref, page, &hashes[which], NULL);
			model[page] = (int)which;
			break;
		default:
			reference_note(ref, page, &hashes[which], contents[which]);
			model[page] = (int)which;
		}
		page = next(&rng) % PAGES;
		which = (unsigned)(next(&rng) % CONTENTS);
		cr_assert_eq(reference_at(ref, page), model[page] >= 0    ? REFERENCE_PAGE
						      : model[page] == -1 ? REFERENCE_NONE
									  : REFERENCE_ZERO);
		cr_assert_eq(reference_same(ref, page, &hashes[which]), model[page] == (int)which);
		if (reference_find(ref, &hashes[which], &place)) {
			cr_assert_eq(place.source, PAGE_SOURCE_OWN);
			cr_assert_eq(model[place.slot], (int)which);
		}
		shadow = reference_shadow(ref, page);
		if (shadow)
			cr_assert_eq(memcmp(shadow, contents[model[page]], PAGE_SIZE_BYTES), 0);
	}
	reference_free(ref);
}

Test(reference, a_content_is_found_as_long_as_its_first_page_has_it)
{
	struct reference *ref = make(0);
	uint8_t page[PAGE_SIZE_BYTES];
	struct reference_place place;
	struct page_hash hash;

	content(page, 1);
	hash = note(ref, 200, page);
	note(ref, 100, page);
	cr_assert(reference_find(ref, &hash, &place));
	cr_assert_eq(place.slot, 200);
	reference_forget(ref, 100);
	cr_assert(reference_find(ref, &hash, &place));
	reference_note_zero(ref, 200);
	cr_assert_not(reference_find(ref, &hash, &place));
	reference_free(ref);
}

/* All different: the index is as full as it gets. */
Test(reference, it_bears_as_many_contents_as_pages)
{
	struct reference *ref = make(0);
	struct page_hash hashes[PAGES];
	uint8_t page[PAGE_SIZE_BYTES] = { 0 };
	struct reference_place place;

	for (unsigned round = 1; round < 4; round++) {
		for (unsigned i = 0; i < PAGES; i++) {
			memcpy(page, &i, sizeof(i));
			page[8] = (uint8_t)round;
			hashes[i] = note(ref, i, page);
		}
		for (unsigned i = 0; i < PAGES; i++) {
			cr_assert(reference_find(ref, &hashes[i], &place));
			cr_assert_eq(place.slot, i);
		}
	}
	reference_free(ref);
}

Test(reference, it_tells_which_blocks_have_changed)
{
	struct reference *ref = make(0);
	uint8_t page[PAGE_SIZE_BYTES];
	uint64_t blocks[PAGE_BLOCKS];
	struct page_hash hash;

	content(page, 3);
	cr_assert_eq(reference_changed(ref, 9, page), UINT32_MAX, "nothing is known");
	hash = note(ref, 9, page);
	cr_assert_eq(reference_changed(ref, 9, page), 0);
	page[0] ^= 1;
	page[127] ^= 1;
	page[4095] ^= 1;
	cr_assert_eq(reference_changed(ref, 9, page), UINT32_C(0x80000001));
	reference_load(ref, 9, &hash, NULL);
	cr_assert_eq(reference_changed(ref, 9, page), UINT32_MAX, "only its hash is known");
	page_hash_blocks(reference_hasher(ref), page, blocks);
	reference_load(ref, 9, &hash, blocks);
	cr_assert_eq(reference_changed(ref, 9, page), 0);
	reference_note_zero(ref, 9);
	cr_assert_eq(reference_changed(ref, 9, page), UINT32_MAX);
	reference_free(ref);
}

Test(reference, old_bytes_are_kept_from_the_second_sending_on_and_within_the_budget)
{
	struct reference *ref =
		make(10 * PAGE_SIZE_BYTES); /* with what a shadow needs besides: 9 */
	uint8_t page[PAGE_SIZE_BYTES];
	unsigned kept = 0;

	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 9; i++) {
			content(page, round);
			page[7] = (uint8_t)i;
			cr_assert_eq(reference_shadow(ref, i) != NULL, round == 2);
			note(ref, i, page);
		}
	}
	content(page, 2);
	page[7] = 4;
	cr_assert_eq(memcmp(reference_shadow(ref, 4), page, PAGE_SIZE_BYTES), 0);
	for (unsigned i = 100; i < 200; i++) {
		content(page, 1);
		page[7] = (uint8_t)i;
		note(ref, i, page);
		note(ref, i, page);
	}
	for (unsigned i = 0; i < PAGES; i++)
		kept += reference_shadow(ref, i) != NULL;
	cr_assert_eq(kept, 9);
	reference_free(ref);
}

Test(reference, hashes_depend_on_the_secret_and_on_every_bit)
{
	struct page_hasher a, b;
	uint8_t page[PAGE_SIZE_BYTES] = { 0 };
	struct page_hash one, two, runs[2];

	cr_assert_eq(page_hasher_init(&a, secret), 0);
	cr_assert_eq(page_hasher_init(&b, other_secret), 0);
	one = page_hash(&a, page);
	two = page_hash(&b, page);
	cr_assert_not(page_hash_equal(&one, &two));
	two = page_hash(&a, page);
	cr_assert(page_hash_equal(&one, &two));
	for (size_t bit = 0; bit < PAGE_SIZE_BYTES * 8; bit++) {
		page[bit / 8] ^= (uint8_t)(1u << bit % 8);
		two = page_hash(&a, page);
		cr_assert_not(page_hash_equal(&one, &two), "bit %zu", bit);
		page[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	runs[0] = one;
	runs[1] = two;
	one = page_hash_run(&a, runs, 2);
	runs[0] = two;
	runs[1] = runs[0];
	two = page_hash_run(&a, runs, 2);
	cr_assert_not(page_hash_equal(&one, &two));
	page_hasher_exit(&a);
	page_hasher_exit(&b);
}

/* Against another library's, because a hash that two versions compute differently would
 * make every image useless. */
Test(reference, hashes_are_gmac)
{
	uint8_t key[crypto_kdf_KEYBYTES], page[PAGE_SIZE_BYTES], nonce[12] = { 0 }, nothing = 0;
	struct page_hasher h;
	struct page_hash hash, expected;

	if (sodium_init() < 0 || !crypto_aead_aes256gcm_is_available())
		cr_skip("no AES instructions to compare with");
	randombytes_buf(page, sizeof(page));
	crypto_kdf_derive_from_key(key, sizeof(key), 1, "tagpages", secret);
	crypto_aead_aes256gcm_encrypt_detached(&nothing, expected.bytes, NULL, &nothing, 0, page,
					       sizeof(page), NULL, nonce, key);
	cr_assert_eq(page_hasher_init(&h, secret), 0);
	hash = page_hash(&h, page);
	cr_assert(page_hash_equal(&hash, &expected));
	page_hasher_exit(&h);
}

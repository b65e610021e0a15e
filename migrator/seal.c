/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/seal.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "common/cursor.h"

#define KDF_CONTEXT "tagallnk" /* crypto_kdf_CONTEXTBYTES */
#define KEY_SIZE 32	       /* of both ciphers */

_Static_assert(sizeof(XXH128_canonical_t) == FRAME_TRAILER_SIZE, "checksum");
_Static_assert(SEAL_TAG_SIZE == FRAME_TRAILER_SIZE, "trailer");
_Static_assert(SEAL_SECRET_SIZE == crypto_kdf_KEYBYTES, "secret");
_Static_assert(sizeof(KDF_CONTEXT) - 1 == crypto_kdf_CONTEXTBYTES, "context");

const char *seal_cipher_name(enum seal_cipher cipher)
{
	switch (cipher) {
	case SEAL_PLAIN:
		return "plain text";
	case SEAL_CHACHA20_POLY1305:
		return "ChaCha20-Poly1305";
	case SEAL_AES256_GCM:
		return "AES-256-GCM";
	}
	return "unknown";
}

/* Both are there everywhere; AES without the processor's help is slow, and not in
 * constant time. */
uint32_t seal_ciphers_available(void)
{
	if (sodium_init() < 0)
		return 0;
	return SEAL_CHACHA20_POLY1305 |
	       (crypto_aead_aes256gcm_is_available() ? SEAL_AES256_GCM : 0);
}

int seal_init(struct seal *s, enum seal_cipher cipher, const uint8_t secret[SEAL_SECRET_SIZE],
	      uint16_t stream, enum seal_direction direction)
{
	uint8_t key[KEY_SIZE];
	int ok;

	*s = (struct seal){ .cipher = cipher };
	if (cipher == SEAL_PLAIN)
		return 0;
	s->keyed = EVP_CIPHER_CTX_new();
	if (!s->keyed)
		return -ENOMEM;
	crypto_kdf_derive_from_key(key, sizeof(key), (uint64_t)stream << 1 | direction, KDF_CONTEXT,
				   secret);
	ok = EVP_CipherInit_ex(
		s->keyed, cipher == SEAL_AES256_GCM ? EVP_aes_256_gcm() : EVP_chacha20_poly1305(),
		NULL, key, NULL, 1);
	sodium_memzero(key, sizeof(key));
	return ok ? 0 : -ENOMEM;
}

void seal_wipe(struct seal *s)
{
	EVP_CIPHER_CTX_free(s->keyed); /* which clears the key */
	*s = (struct seal){ .cipher = s->cipher };
}

static void make_nonce(const struct frame_header *h, uint8_t nonce[SEAL_NONCE_SIZE])
{
	struct wcursor c = wcursor_over(nonce, SEAL_NONCE_SIZE);

	wcursor_u16(&c, h->stream);
	wcursor_u16(&c, 0);
	wcursor_u64(&c, h->sequence);
}

static void checksum(const uint8_t *wire, size_t len, uint8_t out[SEAL_TAG_SIZE])
{
	XXH128_canonical_t sum;

	XXH128_canonicalFromHash(&sum, XXH3_128bits(wire, len));
	memcpy(out, sum.digest, sizeof(sum.digest));
}

/* What cannot fail with keys and nonces of the right size. To go on would be to send
 * something in the clear. */
static void must(int ok)
{
	if (!ok)
		abort();
}

static void begin(const struct seal *s, const uint8_t nonce[SEAL_NONCE_SIZE], bool sealing,
		  const void *more, size_t n_more)
{
	int n;

	must(EVP_CipherInit_ex(s->keyed, NULL, NULL, NULL, nonce, sealing));
	if (n_more > 0)
		must(EVP_CipherUpdate(s->keyed, NULL, &n, more, (int)n_more));
}

void seal_bytes(const struct seal *s, const uint8_t nonce[SEAL_NONCE_SIZE], const void *more,
		size_t n_more, uint8_t *data, size_t len, uint8_t tag[SEAL_TAG_SIZE])
{
	int n;

	begin(s, nonce, true, more, n_more);
	must(EVP_CipherUpdate(s->keyed, data, &n, data, (int)len));
	must(EVP_CipherFinal_ex(s->keyed, data + n, &n));
	must(EVP_CIPHER_CTX_ctrl(s->keyed, EVP_CTRL_AEAD_GET_TAG, SEAL_TAG_SIZE, tag));
}

bool seal_open_bytes(const struct seal *s, const uint8_t nonce[SEAL_NONCE_SIZE], const void *more,
		     size_t n_more, uint8_t *data, size_t len, const uint8_t tag[SEAL_TAG_SIZE])
{
	int n;

	begin(s, nonce, false, more, n_more);
	must(EVP_CipherUpdate(s->keyed, data, &n, data, (int)len));
	must(EVP_CIPHER_CTX_ctrl(s->keyed, EVP_CTRL_AEAD_SET_TAG, SEAL_TAG_SIZE, (void *)tag));
	return EVP_CipherFinal_ex(s->keyed, data + n, &n) > 0;
}

void seal_frame(const struct seal *s, const struct frame_header *h, uint8_t *wire)
{
	uint8_t *payload = wire + FRAME_HEADER_SIZE, *trailer = payload + h->length;
	uint8_t nonce[SEAL_NONCE_SIZE];

	if (s->cipher == SEAL_PLAIN) {
		checksum(wire, FRAME_HEADER_SIZE + h->length, trailer);
		return;
	}
	make_nonce(h, nonce);
	seal_bytes(s, nonce, wire, FRAME_HEADER_SIZE, payload, h->length, trailer);
}

bool seal_open(const struct seal *s, const struct frame_header *h, uint8_t *wire)
{
	uint8_t *payload = wire + FRAME_HEADER_SIZE, *trailer = payload + h->length;
	uint8_t nonce[SEAL_NONCE_SIZE], sum[SEAL_TAG_SIZE];

	if (s->cipher == SEAL_PLAIN) {
		checksum(wire, FRAME_HEADER_SIZE + h->length, sum);
		return memcmp(sum, trailer, sizeof(sum)) == 0;
	}
	make_nonce(h, nonce);
	return seal_open_bytes(s, nonce, wire, FRAME_HEADER_SIZE, payload, h->length, trailer);
}

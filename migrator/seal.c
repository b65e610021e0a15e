/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/seal.h"

#include <string.h>
#include <xxhash.h>

#include "common/cursor.h"

#define KDF_CONTEXT "tagallnk" /* crypto_kdf_CONTEXTBYTES */

_Static_assert(crypto_aead_aes256gcm_NPUBBYTES == SEAL_NONCE_SIZE, "nonce");
_Static_assert(crypto_aead_chacha20poly1305_ietf_NPUBBYTES == SEAL_NONCE_SIZE, "nonce");
_Static_assert(crypto_aead_aes256gcm_ABYTES == FRAME_TRAILER_SIZE, "tag");
_Static_assert(crypto_aead_chacha20poly1305_ietf_ABYTES == FRAME_TRAILER_SIZE, "tag");
_Static_assert(sizeof(XXH128_canonical_t) == FRAME_TRAILER_SIZE, "checksum");
_Static_assert(SEAL_TAG_SIZE == FRAME_TRAILER_SIZE, "trailer");
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

uint32_t seal_ciphers_available(void)
{
	if (sodium_init() < 0)
		return 0;
	return SEAL_CHACHA20_POLY1305 |
	       (crypto_aead_aes256gcm_is_available() ? SEAL_AES256_GCM : 0);
}

void seal_init(struct seal *s, enum seal_cipher cipher, const uint8_t secret[crypto_kdf_KEYBYTES],
	       uint16_t stream, enum seal_direction direction)
{
	memset(s, 0, sizeof(*s));
	s->cipher = cipher;
	crypto_kdf_derive_from_key(s->key, sizeof(s->key), (uint64_t)stream << 1 | direction,
				   KDF_CONTEXT, secret);
	if (cipher == SEAL_AES256_GCM)
		crypto_aead_aes256gcm_beforenm(&s->aes, s->key);
}

void seal_wipe(struct seal *s)
{
	explicit_bzero(s, sizeof(*s));
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

void seal_bytes(const struct seal *s, const uint8_t nonce[SEAL_NONCE_SIZE], const void *more,
		size_t n_more, uint8_t *data, size_t len, uint8_t tag[SEAL_TAG_SIZE])
{
	if (s->cipher == SEAL_AES256_GCM)
		crypto_aead_aes256gcm_encrypt_detached_afternm(data, tag, NULL, data, len, more,
							       n_more, NULL, nonce, &s->aes);
	else
		crypto_aead_chacha20poly1305_ietf_encrypt_detached(data, tag, NULL, data, len, more,
								   n_more, NULL, nonce, s->key);
}

bool seal_open_bytes(const struct seal *s, const uint8_t nonce[SEAL_NONCE_SIZE], const void *more,
		     size_t n_more, uint8_t *data, size_t len, const uint8_t tag[SEAL_TAG_SIZE])
{
	if (s->cipher == SEAL_AES256_GCM)
		return crypto_aead_aes256gcm_decrypt_detached_afternm(
			       data, NULL, data, len, tag, more, n_more, nonce, &s->aes) == 0;
	return crypto_aead_chacha20poly1305_ietf_decrypt_detached(data, NULL, data, len, tag, more,
								  n_more, nonce, s->key) == 0;
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

/* SPDX-License-Identifier: Apache-2.0
 *
 * Encryption and authentication of frames: AEAD with the frame's header as
 * associated data and the nonce (stream, sequence), one key a stream and
 * direction. Keys come from the connection's secret and are never used for two
 * connections, so no nonce meets two contents. Plain text has a checksum instead,
 * which finds damage, not forgery.
 */
#ifndef MIGRATOR_SEAL_H
#define MIGRATOR_SEAL_H

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "migrator/frame.h"

#define SEAL_SECRET_SIZE 32 /* what keys are derived from */
#define SEAL_NONCE_SIZE 12  /* of both ciphers */
#define SEAL_TAG_SIZE 16    /* of both, and of the checksum */

enum seal_cipher { /* bits on the wire: HELLO offers some, WELCOME picks one */
	SEAL_PLAIN = 1,
	SEAL_CHACHA20_POLY1305 = 2,
	SEAL_AES256_GCM = 4,
};

enum seal_direction { SEAL_TO_TARGET, SEAL_TO_SOURCE };

struct seal { /* for one thread at a time */
	enum seal_cipher cipher;
	EVP_CIPHER_CTX *keyed; /* NULL in plain text */
};

/* "AES-256-GCM". Never NULL. */
const char *seal_cipher_name(enum seal_cipher cipher);

/* What this machine can do, best last; without plain text. */
uint32_t seal_ciphers_available(void);

/* Derives the key of one stream and direction from a connection's secret. Returns 0 or
 * -ENOMEM; `s` is to be wiped in either case. */
int seal_init(struct seal *s, enum seal_cipher cipher, const uint8_t secret[SEAL_SECRET_SIZE],
	      uint16_t stream, enum seal_direction direction);
void seal_wipe(struct seal *s);

/* Under one of the two ciphers, not in plain text: seals `len` bytes in place, with `n_more`
 * bytes of `more` vouched for by the same tag. No nonce may meet two contents under one key. */
void seal_bytes(const struct seal *s, const uint8_t nonce[SEAL_NONCE_SIZE], const void *more,
		size_t n_more, uint8_t *data, size_t len, uint8_t tag[SEAL_TAG_SIZE]);

/* Opens them in place. Returns false when they do not verify; they are undefined
 * then. */
bool seal_open_bytes(const struct seal *s, const uint8_t nonce[SEAL_NONCE_SIZE], const void *more,
		     size_t n_more, uint8_t *data, size_t len, const uint8_t tag[SEAL_TAG_SIZE]);

/* Seals the frame in `wire` (header, payload, room for the trailer) in place. */
void seal_frame(const struct seal *s, const struct frame_header *h, uint8_t *wire);

/* Opens it in place. Returns false when it does not verify; the payload is
 * undefined then. */
bool seal_open(const struct seal *s, const struct frame_header *h, uint8_t *wire);

#endif

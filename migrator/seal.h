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

#include <sodium.h>
#include <stdbool.h>
#include <stdint.h>

#include "migrator/frame.h"

enum seal_cipher { /* bits on the wire: HELLO offers some, WELCOME picks one */
	SEAL_PLAIN = 1,
	SEAL_CHACHA20_POLY1305 = 2,
	SEAL_AES256_GCM = 4,
};

enum seal_direction { SEAL_TO_TARGET, SEAL_TO_SOURCE };

struct seal {
	enum seal_cipher cipher;
	uint8_t key[crypto_kdf_KEYBYTES];
	crypto_aead_aes256gcm_state aes;
};

/* "AES-256-GCM". Never NULL. */
const char *seal_cipher_name(enum seal_cipher cipher);

/* What this machine can do, best last; without plain text. */
uint32_t seal_ciphers_available(void);

/* Derives the key of one stream and direction from a connection's secret. */
void seal_init(struct seal *s, enum seal_cipher cipher, const uint8_t secret[crypto_kdf_KEYBYTES],
	       uint16_t stream, enum seal_direction direction);
void seal_wipe(struct seal *s);

/* Seals the frame in `wire` (header, payload, room for the trailer) in place. */
void seal_frame(const struct seal *s, const struct frame_header *h, uint8_t *wire);

/* Opens it in place. Returns false when it does not verify; the payload is
 * undefined then. */
bool seal_open(const struct seal *s, const struct frame_header *h, uint8_t *wire);

#endif

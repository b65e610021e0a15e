/* SPDX-License-Identifier: Apache-2.0
 *
 * How a device tells a node where it can be probed. It sends REGISTER from the
 * very UDP socket that reflects probes, so that the node learns the address
 * and port that work through a NAT; again at every refresh, so that a change
 * is noticed; and to another node's address once it has roamed there. The
 * node answers with ANSWER. Both are 84 bytes, big-endian:
 *
 *       0               1               2               3
 *     0 |             magic: "TGRG" (0x54475247)                  |
 *     4 | version: 1    | type          | status                  |
 *     8 | device: UUID, 16 bytes                                  |
 *    24 | counter, 8 bytes                                        |
 *    32 | realm, 8 bytes                                          |
 *    40 | period in ms                                            |
 *    44 | highest, 8 bytes                                        |
 *    52 | MAC: HMAC-SHA-512-256 of bytes 0 to 51, 32 bytes        |
 *
 *            REGISTER (type 1)                ANSWER (type 2)
 *   status   0 awake, 1 asleep                0 accepted, 1 repeat
 *   counter  rises with every REGISTER        that of the REGISTER
 *   realm    as in the last ANSWER, or 0      the node's: random, new at its start
 *   period   until the next refresh           until the registration expires
 *   highest  0                                the highest counter accepted so far
 *
 * A device that is asleep is not probed, whoever it is registered with, until it says that it
 * is awake. It refreshes seldom and so announces a long period.
 *
 * The MAC's key belongs to the device: libsodium's crypto_auth. Whatever has
 * another length, a wrong MAC or an unknown device gets no answer at all, and
 * no answer is longer than its question.
 *
 * Replays: a REGISTER counts only with the node's present realm and a counter
 * above the highest, so what was recorded before a node's restart, or at
 * another node, is worthless. A device that is told to repeat takes realm and
 * highest from the ANSWER and sends a new REGISTER; it believes an ANSWER only
 * to its latest one. Clocks do not matter. (Who can hold back datagrams on the
 * device's path can still relay a fresh one from elsewhere; it could then relay the
 * probes just as well.)
 */
#ifndef TELEMETRY_REGISTRATION_H
#define TELEMETRY_REGISTRATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/uuid.h"

#define REGISTRATION_SIZE 84
#define REGISTRATION_PORT 8620 /* a node's, unless told otherwise */
#define DEVICE_KEY_SIZE 32
#define DEVICE_KEY_TEXT_SIZE (2 * DEVICE_KEY_SIZE + 1)

enum registration_type { REGISTRATION_REGISTER = 1, REGISTRATION_ANSWER = 2 };
#define REGISTRATION_STATUS_MAX 1

/* Of a REGISTER. */
enum registration_sleep { REGISTRATION_AWAKE = 0, REGISTRATION_ASLEEP = 1 };

/* Of an ANSWER. */
enum registration_status { REGISTRATION_ACCEPTED = 0, REGISTRATION_REPEAT = 1 };

struct registration {
	enum registration_type type;
	uint16_t status; /* one of the two above, by type */
	struct uuid device;
	uint64_t counter;
	uint64_t realm;
	uint32_t period_ms;
	uint64_t highest;
};

/* Whether a datagram is meant to be one of these, by length and magic. */
bool registration_is(const void *data, size_t len);

void registration_pack(const struct registration *r, const uint8_t key[DEVICE_KEY_SIZE],
		       uint8_t packet[REGISTRATION_SIZE]);

/* Reads the fields. They must not be believed before registration_verify().
 * -EBADMSG for what is none, -EPROTONOSUPPORT for another version. */
int registration_unpack(const void *data, size_t len, struct registration *ret);
bool registration_verify(const uint8_t packet[REGISTRATION_SIZE],
			 const uint8_t key[DEVICE_KEY_SIZE]);

/* Parses exactly 64 hexadecimal digits. */
int device_key_parse(const char *text, uint8_t ret[DEVICE_KEY_SIZE]);

/* Reads a file with such a key; refuses one that others may read. */
int device_key_load(const char *path, uint8_t ret[DEVICE_KEY_SIZE], struct mg_error *err);

#endif

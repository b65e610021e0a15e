/* SPDX-License-Identifier: Apache-2.0
 *
 * ICMP echo (RFC 792; RFC 4443, section 4) for devices that have no reflector. A request and its
 * reply are alike but for the type; 28 bytes, big-endian:
 *
 *       0               1               2               3
 *     0 | type          | code: 0       | checksum              |
 *     4 | identifier                    | sequence, low 16 bits |
 *     8 | sequence                                              |
 *    12 | T1: time of sending, NTP format, 8 bytes              |
 *    20 | token, 8 bytes                                        |
 *
 * The token makes an answer one to this client's probe: nobody can make it up who has not
 * seen the probe, whatever addresses packets come from.
 */
#ifndef TELEMETRY_ECHO_H
#define TELEMETRY_ECHO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/uuid.h"

#define ECHO_SIZE 28
#define ECHO_KEY_SIZE 16

struct echo {
	uint16_t identifier;
	uint32_t sequence;
	uint64_t t1;
	uint64_t token;
};

/* `v6` is whether it is of ICMPv6, whose checksum is the kernel's business. */
void echo_request_pack(const struct echo *e, bool v6, uint8_t packet[ECHO_SIZE]);

/* Reads a packet of our own. */
void echo_request_peek(const uint8_t packet[ECHO_SIZE], struct echo *ret);

/* -EBADMSG: no echo reply of ours. The token is for the caller to judge, and the checksum for
 * the kernel. */
int echo_reply_unpack(const void *data, size_t len, bool v6, struct echo *ret);

/* Finds the ICMP message in what a raw IPv4 socket receives, header and all. -EBADMSG: there is
 * none. */
int echo_skip_header(const void *data, size_t len, const uint8_t **ret, size_t *ret_len);

/* Whether a message has that identifier; a raw socket sees the replies to others, too. */
bool echo_has_identifier(const void *message, size_t len, uint16_t identifier);

/* By SipHash of what makes a probe unique. */
uint64_t echo_token(const uint8_t key[ECHO_KEY_SIZE], const struct uuid *client,
		    const struct echo *e);

#endif

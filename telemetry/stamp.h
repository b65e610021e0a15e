/* SPDX-License-Identifier: Apache-2.0
 *
 * STAMP base test packets (RFC 8762, with the session identifier of RFC 8972, section 3): a
 * Session-Sender asks, a Session-Reflector answers with its own times of receiving
 * and sending. In the unauthenticated mode:
 *
 *     Session-Sender (4.2.1)                  Session-Reflector (4.3.1)
 *   0 Sequence Number           u32         0 Sequence Number           u32
 *   4 Timestamp (T1)            u64         4 Timestamp (T3)            u64
 *  12 Error Estimate            u16        12 Error Estimate            u16
 *  14 SSID                      u16        14 SSID                      u16
 *  16 zero                 28 bytes        16 Receive Timestamp (T2)    u64
 *                                          24 Session-Sender Sequence   u32
 *                                          28 Session-Sender Timestamp  u64
 *                                          36 Session-Sender Error      u16
 *                                          38 zero                  2 bytes
 *                                          40 Session-Sender TTL         u8
 *                                          41 zero                  3 bytes
 *
 * In the authenticated mode every field begins a block of 16 bytes, but for those that
 * share one, and the last block is an HMAC-SHA-256, cut to 128 bits, of the others (4.4):
 *
 *     Session-Sender (4.2.2)                  Session-Reflector (4.3.2)
 *   0 Sequence Number           u32         0 Sequence Number           u32
 *  16 Timestamp (T1)            u64        16 Timestamp (T3)            u64
 *  24 Error Estimate            u16        24 Error Estimate            u16
 *  26 SSID                      u16        26 SSID                      u16
 *  28 zero                 68 bytes        32 Receive Timestamp (T2)    u64
 *                                          48 Session-Sender Sequence   u32
 *                                          64 Session-Sender Timestamp  u64
 *                                          72 Session-Sender Error      u16
 *                                          80 Session-Sender TTL         u8
 *  96 HMAC                 16 bytes        96 HMAC                 16 bytes
 *
 * Both ends' packets have the same length: 44 or 112 bytes. What follows them, TLVs, is
 * the business of telemetry/stamp_tlv.h.
 */
#ifndef TELEMETRY_STAMP_H
#define TELEMETRY_STAMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STAMP_SIZE 44
#define STAMP_AUTH_SIZE 112
#define STAMP_PORT 862
#define STAMP_KEY_SIZE 32
#define STAMP_HMAC_SIZE 16

/* Of the two 64-bit formats, which the Z bit of the Error Estimate tells. NTP
 * (RFC 5905): seconds since 1900 and a binary fraction; PTPv2 (IEEE 1588v2,
 * truncated): seconds and nanoseconds since 1970. Both count UTC here. */
enum stamp_format { STAMP_NTP = 0, STAMP_PTP = 1 };

/* Converts an instant to a format and back. NTP seconds below 2^31 are taken
 * for those after 2036 (RFC 4330, section 3). A PTP value with 10^9 or more
 * nanoseconds carries over. */
uint64_t stamp_time_pack(enum stamp_format format, uint64_t utc_ns);
uint64_t stamp_time_unpack(enum stamp_format format, uint64_t wire);

/* Error Estimate (RFC 4656, section 4.1.2, with the Z bit of RFC 8186): S,
 * Z, Scale (6 bits), Multiplier (8 bits): an error of Multiplier × 2^(Scale-32)
 * seconds. Packing rounds the error up; a Multiplier is never 0. */
uint16_t stamp_error_pack(enum stamp_format format, bool synchronized, uint64_t error_ns);

static inline enum stamp_format stamp_error_format(uint16_t error_estimate)
{
	return error_estimate & 0x4000 ? STAMP_PTP : STAMP_NTP;
}

/* What this host's clock says about itself (adjtimex(2)). */
uint16_t stamp_error_of_clock(enum stamp_format format);

/* The Session-Sender's packet. `t1` is in the format that error_estimate says. */
struct stamp_request {
	uint32_t sequence;
	uint64_t t1;
	uint16_t error_estimate;
	uint16_t ssid; /* 0: none */
};

/* The Session-Reflector's packet, as it is on the wire. */
struct stamp_reply {
	uint32_t sequence;
	uint64_t t3;
	uint16_t error_estimate; /* also tells the format of t2 and t3 */
	uint64_t t2;
	struct stamp_request sender; /* copied by the reflector; its SSID is that of the reply */
	uint8_t sender_ttl;
};

/* The answer to a request that came at T2 and is answered at T3, in its own format of
 * times. A stateless reflector's sequence number: that of the request. */
struct stamp_reply stamp_reply_to(const struct stamp_request *p, uint64_t received_utc_ns,
				  uint64_t now_utc_ns, uint8_t ttl, uint16_t error_estimate);

void stamp_request_pack(const struct stamp_request *p, uint8_t packet[STAMP_SIZE]);
void stamp_reply_pack(const struct stamp_reply *p, uint8_t packet[STAMP_SIZE]);

/* Both take datagrams of STAMP_SIZE bytes or more and return -EBADMSG on
 * shorter ones. Reserved bytes are ignored, as the RFC demands. */
int stamp_request_unpack(const void *data, size_t len, struct stamp_request *ret);
int stamp_reply_unpack(const void *data, size_t len, struct stamp_reply *ret);

/* HMAC-SHA-256 of two pieces that follow one another, cut to 128 bits. */
void stamp_hmac(const uint8_t key[STAMP_KEY_SIZE], const void *first, size_t first_len,
		const void *second, size_t second_len, uint8_t ret[STAMP_HMAC_SIZE]);

/* The same in the authenticated mode. Packets are -EBADMSG when shorter than
 * STAMP_AUTH_SIZE, -EBADE with another HMAC. */
void stamp_auth_request_pack(const struct stamp_request *p, const uint8_t key[STAMP_KEY_SIZE],
			     uint8_t packet[STAMP_AUTH_SIZE]);
void stamp_auth_reply_pack(const struct stamp_reply *p, const uint8_t key[STAMP_KEY_SIZE],
			   uint8_t packet[STAMP_AUTH_SIZE]);
int stamp_auth_request_unpack(const void *data, size_t len, const uint8_t key[STAMP_KEY_SIZE],
			      struct stamp_request *ret);

/* Reads a packet of our own, without its HMAC's being verified. */
void stamp_auth_request_peek(const uint8_t packet[STAMP_AUTH_SIZE], struct stamp_request *ret);

int stamp_auth_reply_unpack(const void *data, size_t len, const uint8_t key[STAMP_KEY_SIZE],
			    struct stamp_reply *ret);

#endif

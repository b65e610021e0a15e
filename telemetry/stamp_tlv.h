/* SPDX-License-Identifier: Apache-2.0
 *
 * What may follow a STAMP base packet (RFC 8972, section 4):
 *
 *     Flags u8 (U, M, I) | Type u8 | Length u16, of the Value | Value
 *
 * Session-Sender and Session-Reflector have packets of the same length, so that the
 * reflector fills in, in place, what it was asked.
 */
#ifndef TELEMETRY_STAMP_TLV_H
#define TELEMETRY_STAMP_TLV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/address.h"
#include "common/cursor.h"
#include "telemetry/stamp.h"

#define STAMP_TLV_HEADER_SIZE 4

/* Flags: the reflector does not understand it, it is malformed, its HMAC is wrong. A sender sets
 * U, which a reflector that knows nothing of TLVs leaves as it is. */
#define STAMP_TLV_U 0x80
#define STAMP_TLV_M 0x40
#define STAMP_TLV_I 0x20

/* Sections 4.1 to 4.8. */
enum stamp_tlv_type {
	STAMP_TLV_EXTRA_PADDING = 1,
	STAMP_TLV_LOCATION = 2,
	STAMP_TLV_TIMESTAMP_INFORMATION = 3,
	STAMP_TLV_CLASS_OF_SERVICE = 4,
	STAMP_TLV_DIRECT_MEASUREMENT = 5,
	STAMP_TLV_ACCESS_REPORT = 6,
	STAMP_TLV_FOLLOW_UP = 7,
	STAMP_TLV_HMAC = 8,
};

/* Of the sub-TLVs of a Location (4.2.1): a sender asks with 1, 4 and 7. */
enum stamp_location_type {
	STAMP_SOURCE_MAC = 1,
	STAMP_SOURCE_EUI_48 = 2,
	STAMP_SOURCE_EUI_64 = 3,
	STAMP_DESTINATION_IP = 4,
	STAMP_DESTINATION_IPV4 = 5,
	STAMP_DESTINATION_IPV6 = 6,
	STAMP_SOURCE_IP = 7,
	STAMP_SOURCE_IPV4 = 8,
	STAMP_SOURCE_IPV6 = 9,
};

/* Section 5.4 and 5.5. */
enum stamp_clock_source { STAMP_CLOCK_NTP = 1, STAMP_CLOCK_LOCAL = 5 };
enum stamp_method { STAMP_METHOD_HARDWARE = 1, STAMP_METHOD_SOFTWARE = 2 };

/* Section 4.6. */
enum stamp_access { STAMP_ACCESS_3GPP = 1, STAMP_ACCESS_OTHER = 2 };
#define STAMP_ACCESS_AVAILABLE 1

struct stamp_tlv {
	uint8_t flags;
	uint8_t type;
	uint16_t len;         /* of the value, as it says */
	const uint8_t *value; /* NULL: it is longer than what is there; nothing can follow */
};

/* The next TLV; false at the end. */
bool stamp_tlv_next(struct rcursor *c, struct stamp_tlv *ret);

/* Adds a TLV as a sender does, its value zero. Returns the value, NULL without room. */
uint8_t *stamp_tlv_add(struct wcursor *c, uint8_t type, uint16_t len);

/* Adds what asks for the reflector's view of addresses and ports. False without room. */
bool stamp_tlv_add_location(struct wcursor *c);

/* Where the HMAC TLV is and whether it is right: over the packet's sequence number and the TLVs
 * before it. Only Extra Padding may follow it (4.8). */
enum stamp_integrity {
	STAMP_INTEGRITY_NONE,    /* there is no HMAC TLV */
	STAMP_INTEGRITY_PADDING, /* nor need there be: one Extra Padding is all there is */
	STAMP_INTEGRITY_RIGHT,
	STAMP_INTEGRITY_WRONG,
};

/* `key` may be NULL: any HMAC TLV is then wrong. */
enum stamp_integrity stamp_tlv_integrity(uint32_t sequence, const uint8_t *tlvs, size_t len,
					 const uint8_t *key);

/* Fills in the HMAC TLV, if there is one. */
void stamp_tlv_sign(uint32_t sequence, uint8_t *tlvs, size_t len,
		    const uint8_t key[STAMP_KEY_SIZE]);

/* What a reflector knows of a packet that it answers. */
struct stamp_tlv_facts {
	struct address from, to; /* of the request, with ports; none is told as zero */
	uint8_t dscp, ecn;       /* with which it came */
	uint64_t dscps;          /* bit n: answers may be sent with DSCP n */
	uint8_t clock_source;
	uint8_t method_in, method_out;
	bool has_session;               /* a stateful reflector; the rest is of that session */
	uint32_t received, transmitted; /* packets, this request and its answer included */
	bool has_last;                  /* there was an answer before this one: */
	uint32_t last_sequence;
	uint64_t last_t3; /* on the wire */
};

/* Makes the request's TLVs the answer's, in place. When `is_whole` is false, all that was found
 * out about them is that their HMAC is wrong, and nothing is filled in. Returns the DSCP to
 * answer with. */
uint8_t stamp_tlv_reflect(uint8_t *tlvs, size_t len, bool is_whole,
			  const struct stamp_tlv_facts *facts);

#endif

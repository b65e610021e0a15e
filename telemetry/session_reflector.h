/* SPDX-License-Identifier: Apache-2.0
 *
 * The STAMP Session-Reflector (RFC 8762, section 4.3, and RFC 8972): what to answer to which
 * packet. No socket and no clock of its own.
 *
 * Stateless, an answer's sequence number is that of its request. Stateful, it counts
 * the answers of a session, so that the sender can tell on which way a packet was
 * lost. A session is (source address and port, destination address and port, SSID). There is
 * room for a fixed number of them, and those of one source address share a few places, where the
 * one that was not heard of for longest gives way: who makes up sessions costs others none.
 *
 * TWAMP-Light's sender (RFC 5357, appendix I) may be told by packets that are too short for
 * STAMP; RFC 8762, section 4.6, has us answer with a base packet, which is longer: only where
 * that is asked for.
 */
#ifndef TELEMETRY_SESSION_REFLECTOR_H
#define TELEMETRY_SESSION_REFLECTOR_H

#include "common/address.h"
#include "common/cleanup.h"
#include "telemetry/stamp.h"

#define TWAMP_LIGHT_SIZE 14 /* of a sender's packet without padding */
#define SESSION_WAYS 4      /* places in each slot of sources */

/* For the authenticated mode and for HMAC TLVs. */
struct session_reflector_key {
	bool present;
	uint8_t bytes[STAMP_KEY_SIZE];
};

struct session_reflector_config {
	bool stateful;
	bool authenticated; /* needs the key; packets of the other mode are refused */
	bool protect_tlvs;  /* needs the key; TLVs without an HMAC TLV are refused in either mode */
	bool twamp_light;   /* answer to short packets */
	bool hide_location; /* tell no addresses and ports */
	struct session_reflector_key key;
	uint64_t dscps; /* bit n: a sender may have answers sent with DSCP n */
};

/* A request's circumstances, and those of its answer. */
struct session_reflector_packet {
	struct address from, to; /* to: with the port */
	uint8_t ttl, tos;
	uint64_t received_utc_ns, now_utc_ns;
	uint64_t now_ns; /* of the monotonic clock */
	uint16_t error_estimate;
};

struct session_reflector_answer {
	size_t len;
	uint8_t tos;
	void *session; /* for session_reflector_sent(); valid until the next answer */
};

struct session_reflector;

int session_reflector_new(const struct session_reflector_config *config,
			  struct session_reflector **ret);
void session_reflector_free(struct session_reflector *r);
DEFINE_CLEANUP(struct session_reflector, session_reflector_free)

/* Requests are not shorter than that. */
size_t session_reflector_least_size(const struct session_reflector_config *config);

/* Makes the `len` bytes of a request its answer, in place; `data` has room for STAMP_SIZE
 * bytes at least. -EBADMSG for what is too short, -EBADE for a wrong HMAC: no answer then, and
 * `data` is as it was. */
int session_reflector_answer(struct session_reflector *r, const struct session_reflector_packet *p,
			     uint8_t *data, size_t len, struct session_reflector_answer *ret);

/* The answer has left at that time, as a Follow-Up will tell (RFC 8972, section 4.7). */
void session_reflector_sent(const struct session_reflector_answer *answer, uint64_t utc_ns);

struct session_reflector_counters {
	uint64_t wrong_tlvs; /* answers to TLVs with a wrong HMAC, or without one that had to be */
	uint64_t sessions, evicted;
};

const struct session_reflector_counters *
session_reflector_counters(const struct session_reflector *r);

#endif

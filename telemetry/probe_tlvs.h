/* SPDX-License-Identifier: Apache-2.0
 *
 * What a Session-Sender puts behind its probes (RFC 8972), and what it reads from behind their
 * answers. All of a prober's probes ask for the same, so that the bytes are laid out once; a probe
 * costs a copy, and in the authenticated mode an HMAC.
 *
 * A reflector answers each TLV in place: what comes back is as long as what was sent, and has the
 * same types and lengths in the same order. One that knows no TLVs leaves them as they are, with
 * the U that a sender sets, or answers without them.
 */
#ifndef TELEMETRY_PROBE_TLVS_H
#define TELEMETRY_PROBE_TLVS_H

#include "telemetry/stamp.h"
#include "telemetry/stamp_tlv.h"

/* The largest probe with all of them fits an Ethernet, over IPv6 and in the authenticated mode. */
#define PROBE_TLVS_MAX (1500 - 48 - STAMP_AUTH_SIZE)
#define PROBE_PADDING_MAX 1196 /* beside all others */

struct probe_tlvs_wishes {
	uint16_t padding; /* bytes; 0: none */
	bool class_of_service;
	uint8_t dscp; /* with that: to leave with, and to be answered with */
	bool timestamp_information, direct_measurement, location, follow_up;
	uint8_t access; /* enum stamp_access, reported to be available; 0: no report */
};

struct probe_tlvs {
	struct probe_tlvs_wishes wishes;
	uint8_t bytes[PROBE_TLVS_MAX];
	size_t len;     /* 0: none */
	size_t sent_at; /* where the number of probes sent goes (Direct Measurement); 0: nowhere */
	bool is_signed;
};

/* Padding is random, and at the end, where no HMAC covers it. */
void probe_tlvs_make(const struct probe_tlvs_wishes *wishes, bool is_signed,
		     struct probe_tlvs *ret);

/* Writes those of the session's probe with that sequence number, which counts from 0; `key` is
 * needed for signed ones only. */
void probe_tlvs_write(const struct probe_tlvs *t, uint32_t sequence, const uint8_t *key,
		      uint8_t *ret);

/* What became of an answer's TLVs. Only of the first two anything is believed. */
enum probe_tlvs_verdict {
	PROBE_TLVS_ANSWERED,
	PROBE_TLVS_PARTLY,    /* the reflector marked some as not understood, not all */
	PROBE_TLVS_PLAIN,     /* it does not know any */
	PROBE_TLVS_MALFORMED, /* it marked one as malformed */
	PROBE_TLVS_NOT_WHOLE, /* it marked them as having a wrong HMAC */
	PROBE_TLVS_FORGED,    /* their HMAC is wrong here */
	PROBE_TLVS_UNFIT,     /* they are no answer to what was asked */
	PROBE_TLVS_VERDICTS
};

/* Direct Measurement: S_TxC, R_RxC, R_TxC. */
struct probe_tlvs_counters {
	uint32_t sent, received, transmitted;
};

/* What one answer tells. */
struct probe_tlvs_told {
	bool has_class_of_service, refused; /* refused: it came with another DSCP than wished for */
	uint8_t dscp;                       /* with which the probe arrived */
	bool has_clocks;
	uint8_t clock_in, method_in, clock_out, method_out; /* sections 5.4 and 5.5 */
	bool has_counters;
	struct probe_tlvs_counters counters;
	bool has_location;
	struct address to; /* where the probe arrived */
	bool has_follow_up;
	uint32_t last_sequence; /* of the reflector's answer before this one, */
	uint64_t last_t3;       /* which really left then; on the wire */
};

/* Reads what follows the base packet of an answer. */
enum probe_tlvs_verdict probe_tlvs_read(const struct probe_tlvs *t, const struct stamp_reply *reply,
					const uint8_t *key, const void *data, size_t len,
					struct probe_tlvs_told *ret);

#endif

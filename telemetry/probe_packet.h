/* SPDX-License-Identifier: Apache-2.0
 *
 * Probes and their answers as they are on the wire, whatever the way: STAMP in both modes, and
 * ICMP echo. To the prober all of them are a sender's sequence number and time, and an answer's
 * two times, which an echo does not have.
 */
#ifndef TELEMETRY_PROBE_PACKET_H
#define TELEMETRY_PROBE_PACKET_H

#include "common/address.h"
#include "common/uuid.h"
#include "telemetry/probe_tlvs.h"
#include "telemetry/stamp.h"

/* What probes leave and answers come on: a socket each. */
enum prober_channel {
	PROBER_STAMP_V4,
	PROBER_STAMP_V6,
	PROBER_ECHO_V4,
	PROBER_ECHO_V6,
	PROBER_CHANNELS
};

/* Who has no port has no reflector, and is sent echo requests. */
enum prober_channel probe_channel_to(const struct address *a);
bool probe_channel_is_echo(enum prober_channel channel);

/* Of every probe on that channel without its TLVs; of ICMP, the message. At most STAMP_AUTH_SIZE.
 */
size_t probe_packet_base(enum prober_channel channel, bool authenticated);

/* With them. */
size_t probe_packet_size(enum prober_channel channel, bool authenticated,
			 const struct probe_tlvs *tlvs);

/* Whose probe it is, and by what its answer is known. */
struct probe_identity {
	const struct uuid *device;
	bool authenticated;       /* the mode of STAMP */
	const uint8_t *stamp_key; /* for that mode, and for TLVs; NULL: there is none */
	const uint8_t *echo_key;  /* for tokens */
	const struct probe_tlvs *tlvs;
	uint16_t echo_identifier;
};

void probe_packet_pack(enum prober_channel channel, const struct probe_identity *who,
		       const struct stamp_request *request, uint8_t *packet);

/* What is ours in a packet of our own; -EBADMSG for what is none. */
int probe_packet_peek(enum prober_channel channel, bool authenticated, const uint8_t *packet,
		      struct stamp_request *ret);

/* Reads an answer, but for its TLVs; it has a probe's size, or that without them. -EBADMSG: it is
 * none; -EBADE: with another HMAC or token; -ENOKEY: there is no key to tell. */
int probe_packet_unpack(enum prober_channel channel, const struct probe_identity *who,
			const void *data, struct stamp_reply *ret);

/* Reads the TLVs of such an answer. */
enum probe_tlvs_verdict probe_packet_tlvs(enum prober_channel channel,
					  const struct probe_identity *who,
					  const struct stamp_reply *reply, const void *data,
					  size_t len, struct probe_tlvs_told *ret);

#endif

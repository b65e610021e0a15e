/* SPDX-License-Identifier: Apache-2.0
 *
 * A TCP segment with time stamps (RFC 7323) in an Ethernet frame, as a packet socket sees it: over
 * IPv4 or IPv6, behind up to two VLAN tags, perhaps cut behind its headers. No I/O.
 */
#ifndef TELEMETRY_TCP_SEGMENT_H
#define TELEMETRY_TCP_SEGMENT_H

#include <stddef.h>

#include "common/address.h"

/* All that tcp_segment_read() looks at: Ethernet, two tags, and IPv4 and TCP with all options. */
#define TCP_SEGMENT_HEADERS (14 + 2 * 4 + 60 + 60)
#define TCP_SEGMENT_TAGS 2

struct tcp_segment {
	struct address from, to; /* with their ports */
	uint32_t sequence, acknowledged;
	uint32_t tsval, tsecr;
	bool syn, ack;
	bool advances; /* it has data, or a SYN or FIN: who gets it acknowledges it */
};

/* `interface` is the scope of link-local addresses. 0; -ENOMSG for what is something else, such as
 * a segment without time stamps or a fragment; -EBADMSG for what is cut, or contradicts itself. */
int tcp_segment_read(const void *frame, size_t len, uint32_t interface, struct tcp_segment *ret);

#endif

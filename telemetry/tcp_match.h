/* SPDX-License-Identifier: Apache-2.0
 *
 * Round-trip times out of TCP sessions that pass by, from here to the client and back: a segment
 * towards the client has a time stamp (TSval, RFC 7323), and what the client sends when it has
 * got it echoes that (TSecr). As Nichols's pping does, but for what makes an echo tell something
 * else than the path:
 *   - only a time stamp's first segment counts, and only if it is one that has to be acknowledged:
 *     a bare ACK is echoed when the client has something to say, which may be never;
 *   - only the first echo counts, and only if it acknowledges that segment;
 *   - an ACK of less than a full segment may have been delayed (RFC 1122, section 4.2.3.2), by up
 *     to half a second: of those the least of the last few counts.
 *
 * A retransmission has another time stamp, so that it is known which of the two was answered.
 *
 * No socket and no clock; times are those of the packets. All memory is taken at the start. A
 * session has its place in one of many sets, by its client's address and a secret key. There
 * it stays until nothing was seen of it for TCP_MATCH_AGE_NS, and a client has few such places: one
 * that has many sessions goes without the times of the others, and takes nobody else's.
 */
#ifndef TELEMETRY_TCP_MATCH_H
#define TELEMETRY_TCP_MATCH_H

#include "common/cleanup.h"
#include "telemetry/tcp_segment.h"

#define TCP_MATCH_SETS 1024
#define TCP_MATCH_WAYS 8         /* sessions a set */
#define TCP_MATCH_CLIENT_FLOWS 4 /* of those, a client's at most */
#define TCP_MATCH_OPEN_MAX 16    /* time stamps of a session that wait for their echo */
#define TCP_MATCH_UNSURE 4       /* ACKs that may have been delayed, of which the least counts */
#define TCP_MATCH_AGE_NS (10 * UINT64_C(1000000000))

struct tcp_match;

int tcp_match_new(struct tcp_match **ret);
void tcp_match_free(struct tcp_match *m);
DEFINE_CLEANUP(struct tcp_match, tcp_match_free)

/* A segment that goes to a client. Returns false if there was no place for its session. */
bool tcp_match_towards(struct tcp_match *m, const struct tcp_segment *s, uint64_t now_ns);

/* A segment that comes from a client. Returns true if it tells a round-trip time. */
bool tcp_match_from(struct tcp_match *m, const struct tcp_segment *s, uint64_t now_ns,
		    uint64_t *ret_rtt_ns);

#endif

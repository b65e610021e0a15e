/* SPDX-License-Identifier: Apache-2.0
 *
 * What the kernel knows of the TCP sessions that end on this host, by a dump of sock_diag(7):
 *
 *     nlmsghdr, inet_diag_msg (a session's ends and state), attributes
 *
 * of which INET_DIAG_INFO has a tcp_info (linux/tcp.h). No I/O. All but addresses and ports is in
 * the host's byte order.
 */
#ifndef TELEMETRY_TCP_DIAG_H
#define TELEMETRY_TCP_DIAG_H

#include <stddef.h>
#include <stdint.h>

#include "common/address.h"

#define TCP_DIAG_REQUEST_SIZE 76

struct tcp_session {
	struct address peer; /* port 0; an IPv4 peer of an IPv6 socket is one of IPv4 */
	uint64_t rtt_ns;     /* smoothed by the kernel (RFC 6298) */
	uint64_t sent_ns_ago, acknowledged_ns_ago; /* the last data, the last ACK */
};

/* Asks for all established sessions, of both families in one pass over the kernel's table, which
 * the newer request cannot; what comes carries `sequence`. */
void tcp_diag_request(uint32_t sequence, uint8_t ret[TCP_DIAG_REQUEST_SIZE]);

typedef void (*tcp_diag_fn)(const struct tcp_session *session, void *userdata);

/* Reads what came with one receive, and tells the sessions that have a round-trip time. Returns 1
 * at the dump's end, 0 when there is more, the kernel's error, or -EBADMSG for what cannot be; what
 * came before that has been told. Messages of other dumps are passed over. */
int tcp_diag_read(const void *data, size_t len, uint32_t sequence, tcp_diag_fn fn, void *userdata);

#endif

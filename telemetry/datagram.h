/* SPDX-License-Identifier: Apache-2.0
 *
 * A UDP socket whose datagrams carry the kernel's own times (SO_TIMESTAMPING,
 * software): when the network layer took one in, and when the driver got one
 * that we sent. What the kernel does not deliver is replaced by the time of
 * the system call, and marked so.
 */
#ifndef TELEMETRY_DATAGRAM_H
#define TELEMETRY_DATAGRAM_H

#include <stdbool.h>
#include <stddef.h>

#include "common/address.h"
#include "common/error.h"

#define DATAGRAM_MAX 1500 /* a larger one is cut, and marked */

struct datagram {
	struct address from;
	struct address to; /* ours, where it was sent to; port 0; none if unknown */
	uint64_t received_utc_ns;
	bool kernel_time;
	bool cut;
	uint8_t ttl; /* or hop limit; 255 if unknown */
	size_t len;
	uint8_t data[DATAGRAM_MAX];
};

/* Binds a non-blocking socket; port 0 takes a free one. An IPv6 socket carries
 * IPv6 only. */
int datagram_open(const struct address *local, int *ret_fd, struct mg_error *err);

/* Where it is bound. */
int datagram_local(int fd, struct address *ret);

/* Takes the next datagram; -EAGAIN when there is none. */
int datagram_receive(int fd, struct datagram *ret);

/* Sends, from our address `from` unless that is NULL or none. `stamped` asks
 * for the time of sending. */
int datagram_send(int fd, const struct address *from, const struct address *to, const void *data,
		  size_t len, bool stamped);

/* Takes the next time of sending: writes it and the last `len` bytes of the
 * datagram that it belongs to. -EAGAIN when there is none; -EBADMSG for an
 * entry of another kind, which has been taken too. */
int datagram_sent_time(int fd, void *ret_tail, size_t len, uint64_t *ret_utc_ns);

#endif

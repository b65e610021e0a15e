/* SPDX-License-Identifier: Apache-2.0
 *
 * A UDP or ICMP socket whose datagrams carry the kernel's own times (SO_TIMESTAMPING,
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
#define DATAGRAM_BATCH 64
#define DATAGRAM_HEAD 112

struct datagram {
	struct address from;
	struct address to; /* ours, where it was sent to; port 0; none if unknown */
	uint64_t received_utc_ns;
	bool kernel_time;
	bool cut;
	uint8_t ttl; /* or hop limit; 255 if unknown */
	uint8_t tos; /* or traffic class; 0 unless datagram_want_tos() was called */
	size_t len;
	uint8_t data[DATAGRAM_MAX];
};

/* Binds a non-blocking socket; port 0 takes a free one. An IPv6 socket carries
 * IPv6 only. */
int datagram_open(const struct address *local, int *ret_fd, struct mg_error *err);

/* What its buffer for what comes has: DATAGRAM_ROOM, or less where net.core.rmem_max is. */
#define DATAGRAM_ROOM ((size_t)4 << 20)
size_t datagram_room(int fd);

/* Opens a non-blocking socket for ICMP echo of a family: one that the kernel keeps to our own
 * (net.ipv4.ping_group_range), or else, with CAP_NET_RAW, a raw one, which sees every echo reply
 * that comes to this host, over IPv4 with its IP header. */
int datagram_open_echo(int family, int *ret_fd, bool *ret_raw);

/* From now on each tells its type of service. */
int datagram_want_tos(int fd);

/* From now on what leaves has that type of service, unless it is told otherwise. */
int datagram_set_tos(int fd, uint8_t tos);

/* Where it is bound. */
int datagram_local(int fd, struct address *ret);

/* Takes the next datagrams, at most DATAGRAM_BATCH. Returns how many; -EAGAIN when
 * there are none. */
int datagram_receive_many(int fd, struct datagram *ret, size_t n);

/* Takes the next one. 0, or -EAGAIN when there is none. */
int datagram_receive(int fd, struct datagram *ret);

/* Sends one, from our address `from` unless that is NULL or none. */
int datagram_send(int fd, const struct address *from, const struct address *to, const void *data,
		  size_t len);

/* The same with a type of service or traffic class. */
int datagram_send_tos(int fd, const struct address *from, const struct address *to, uint8_t tos,
		      const void *data, size_t len);

/* One of many to send, and what became of it: 0 or a negative errno. */
struct datagram_outgoing {
	const struct address *to;
	const void *data;
	size_t len;
	int result;
};

/* Sends at most DATAGRAM_BATCH with one system call, or a few when some fail, and
 * asks for their times of sending. */
void datagram_send_many(int fd, struct datagram_outgoing *out, size_t n);

/* When one that we sent left, and its first bytes; beyond its end nothing is known. */
struct datagram_sent {
	uint64_t utc_ns; /* 0: an entry of another kind */
	uint8_t head[DATAGRAM_HEAD];
};

/* Takes the next times of sending, at most DATAGRAM_BATCH, of datagrams that are all `size` long,
 * at most DATAGRAM_MAX. Returns how many entries were taken; -EAGAIN when there are none. */
int datagram_sent_times(int fd, size_t size, struct datagram_sent *ret, size_t n);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/datagram.h"

#include <linux/errqueue.h>
#include <linux/icmp.h>
#include <linux/net_tstamp.h>
#include <netinet/icmp6.h>
#include <string.h>
#include <time.h>

#include "common/cleanup.h"
#include "common/clock.h"

/* Of what is in front of a datagram when the kernel tells that it has left. */
#define HEADERS_MAX 144

/* Room for every ancillary message that we ask for, and to spare. */
union control {
	char bytes[256];
	struct cmsghdr align;
};

/* Without these times are less exact and floods hurt more. */
static void try_options(int fd)
{
	/* Times of sending are asked for by datagram (datagram_send_many). */
	const int room = (int)DATAGRAM_ROOM; /* so that a flood takes longer to push others out */
	const int stamping = SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_RX_SOFTWARE;

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	(void)setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPING, &stamping, sizeof(stamping));
}

static int set_options(int fd, int family)
{
	const int on = 1, ttl = 255, whole = IP_PMTUDISC_DO;
	bool v6 = family == AF_INET6;

	if (v6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0)
		return -errno;
	if (setsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_RECVHOPLIMIT : IP_RECVTTL, &on,
		       sizeof(on)) < 0 ||
	    setsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_RECVPKTINFO : IP_PKTINFO, &on,
		       sizeof(on)) < 0)
		return -errno;
	/* As RFC 5357, section 4.1.2, asks: then the hops can be told. */
	if (setsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_UNICAST_HOPS : IP_TTL, &ttl,
		       sizeof(ttl)) < 0)
		return -errno;
	/* Small packets are never cut in pieces, so the kernel need not number them. */
	if (!v6)
		(void)setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &whole, sizeof(whole));
	try_options(fd);
	return 0;
}

size_t datagram_room(int fd)
{
	socklen_t len = sizeof(int);
	int room = 0;

	(void)getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, &len);
	return (size_t)room / 2; /* the kernel tells twice what was set: socket(7) */
}

int datagram_open(const struct address *local, int *ret_fd, struct mg_error *err)
{
	char text[ADDRESS_TEXT_SIZE];
	_cleanup_close_ int fd = socket(local->any.sa_family,
					SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP);
	int r;

	if (fd < 0)
		return mg_error_set(err, -errno, "cannot make a UDP socket: %s", strerror(errno));
	r = set_options(fd, local->any.sa_family);
	if (r == 0 && bind(fd, &local->any, address_len(local)) < 0)
		r = -errno;
	if (r < 0)
		return mg_error_set(err, r, "cannot listen on UDP %s: %s",
				    address_format(local, text), strerror(-r));
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* Nothing but echo replies. */
static int filter_icmp(int fd, bool v6)
{
	struct icmp_filter v4_filter = { .data = ~(UINT32_C(1) << ICMP_ECHOREPLY) };
	struct icmp6_filter v6_filter;
	int r;

	ICMP6_FILTER_SETBLOCKALL(&v6_filter);
	ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &v6_filter);
	r = v6 ? setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &v6_filter, sizeof(v6_filter))
	       : setsockopt(fd, SOL_RAW, ICMP_FILTER, &v4_filter, sizeof(v4_filter));
	return r < 0 ? -errno : 0;
}

int datagram_open_echo(int family, int *ret_fd, bool *ret_raw)
{
	const int flags = SOCK_NONBLOCK | SOCK_CLOEXEC;
	bool v6 = family == AF_INET6;
	int protocol = v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, r;
	_cleanup_close_ int fd = socket(family, SOCK_DGRAM | flags, protocol);
	bool raw = fd < 0;

	if (raw)
		fd = socket(family, SOCK_RAW | flags, protocol);
	if (fd < 0)
		return -errno;
	r = raw ? filter_icmp(fd, v6) : 0;
	if (r < 0)
		return r;
	try_options(fd);
	*ret_fd = TAKE_FD(fd);
	*ret_raw = raw;
	return 0;
}

static int set_by_family(int fd, int v4_option, int v6_option, int value)
{
	struct address local;
	int r = datagram_local(fd, &local);
	bool v6 = r == 0 && local.any.sa_family == AF_INET6;

	if (r < 0)
		return r;
	return setsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? v6_option : v4_option, &value,
			  sizeof(value)) < 0
		       ? -errno
		       : 0;
}

int datagram_want_tos(int fd)
{
	return set_by_family(fd, IP_RECVTOS, IPV6_RECVTCLASS, 1);
}

int datagram_set_tos(int fd, uint8_t tos)
{
	return set_by_family(fd, IP_TOS, IPV6_TCLASS, tos);
}

int datagram_local(int fd, struct address *ret)
{
	struct address a = { 0 };
	socklen_t len = sizeof(a);

	if (getsockname(fd, &a.any, &len) < 0)
		return -errno;
	*ret = a;
	return 0;
}

/* ---- Receiving ------------------------------------------------------------ */

static uint64_t timespec_ns(const struct timespec *t)
{
	return (uint64_t)t->tv_sec * NS_PER_S + (uint64_t)t->tv_nsec;
}

/* The software time of a control message; 0 when it holds none. */
static uint64_t stamping_ns(const struct cmsghdr *c)
{
	struct scm_timestamping t;

	if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPING ||
	    c->cmsg_len < CMSG_LEN(sizeof(t)))
		return 0;
	memcpy(&t, CMSG_DATA(c), sizeof(t));
	return timespec_ns(&t.ts[0]);
}

static void read_control(struct cmsghdr *c, struct datagram *d)
{
	uint64_t at = stamping_ns(c);
	int ttl, tos;

	if (at) {
		d->received_utc_ns = at;
		d->kernel_time = true;
	} else if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TTL) ||
		   (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_HOPLIMIT)) {
		memcpy(&ttl, CMSG_DATA(c), sizeof(ttl));
		d->ttl = (uint8_t)ttl;
	} else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) {
		d->tos = *CMSG_DATA(c); /* one byte, where all others have an int */
	} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS) {
		memcpy(&tos, CMSG_DATA(c), sizeof(tos));
		d->tos = (uint8_t)tos;
	} else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
		struct in_pktinfo info;

		memcpy(&info, CMSG_DATA(c), sizeof(info));
		d->to.v4 = (struct sockaddr_in){ .sin_family = AF_INET,
						 .sin_addr = info.ipi_spec_dst };
	} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
		struct in6_pktinfo info;

		memcpy(&info, CMSG_DATA(c), sizeof(info));
		d->to.v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6,
						  .sin6_addr = info.ipi6_addr };
	}
}

static void finish_received(struct msghdr *m, size_t len, struct datagram *d)
{
	d->len = len;
	d->cut = m->msg_flags & MSG_TRUNC;
	d->to = (struct address){ 0 };
	d->ttl = UINT8_MAX;
	d->tos = 0;
	d->kernel_time = false;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
		read_control(c, d);
	if (!d->kernel_time)
		d->received_utc_ns = clock_utc_ns();
}

int datagram_receive_many(int fd, struct datagram *ret, size_t n)
{
	union control controls[DATAGRAM_BATCH];
	struct iovec iovs[DATAGRAM_BATCH];
	struct mmsghdr messages[DATAGRAM_BATCH];
	int got;

	if (n > DATAGRAM_BATCH)
		n = DATAGRAM_BATCH;
	for (size_t i = 0; i < n; i++) {
		iovs[i] = (struct iovec){ ret[i].data, sizeof(ret[i].data) };
		messages[i].msg_hdr = (struct msghdr){
			.msg_name = &ret[i].from,
			.msg_namelen = sizeof(ret[i].from),
			.msg_iov = &iovs[i],
			.msg_iovlen = 1,
			.msg_control = &controls[i],
			.msg_controllen = sizeof(controls[i]),
		};
	}
	got = recvmmsg(fd, messages, (unsigned)n, MSG_DONTWAIT, NULL);
	if (got < 0)
		return -errno;
	for (int i = 0; i < got; i++)
		finish_received(&messages[i].msg_hdr, messages[i].msg_len, &ret[i]);
	return got;
}

int datagram_receive(int fd, struct datagram *ret)
{
	int n = datagram_receive_many(fd, ret, 1);

	return n < 0 ? n : 0;
}

/* ---- Sending --------------------------------------------------------------- */

static void add_control(struct msghdr *m, int level, int type, const void *data, size_t len)
{
	struct cmsghdr *c = (struct cmsghdr *)(void *)((char *)m->msg_control + m->msg_controllen);

	*c = (struct cmsghdr){
		.cmsg_len = CMSG_LEN(len),
		.cmsg_level = level,
		.cmsg_type = type,
	};
	memcpy(CMSG_DATA(c), data, len);
	m->msg_controllen += CMSG_SPACE(len);
}

static void add_source(struct msghdr *m, const struct address *from)
{
	if (from->any.sa_family == AF_INET) {
		struct in_pktinfo info = { .ipi_spec_dst = from->v4.sin_addr };

		add_control(m, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
	} else if (from->any.sa_family == AF_INET6) {
		struct in6_pktinfo info = { .ipi6_addr = from->v6.sin6_addr };

		add_control(m, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
	}
}

int datagram_send_tos(int fd, const struct address *from, const struct address *to, uint8_t tos,
		      const void *data, size_t len)
{
	const int type_of_service = tos;
	union control control = { 0 };
	struct iovec iov = { .iov_base = (void *)data, .iov_len = len };
	struct msghdr m = {
		.msg_name = (void *)&to->any,
		.msg_namelen = address_len(to),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
	};
	bool v6 = to->any.sa_family == AF_INET6;

	if (from)
		add_source(&m, from);
	if (tos)
		add_control(&m, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_TCLASS : IP_TOS,
			    &type_of_service, sizeof(type_of_service));
	if (m.msg_controllen == 0)
		m.msg_control = NULL;
	return sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int datagram_send(int fd, const struct address *from, const struct address *to, const void *data,
		  size_t len)
{
	return datagram_send_tos(fd, from, to, 0, data, len);
}

void datagram_send_many(int fd, struct datagram_outgoing *out, size_t n)
{
	const uint32_t stamping = SOF_TIMESTAMPING_TX_SOFTWARE;
	struct mmsghdr messages[DATAGRAM_BATCH];
	struct iovec iovs[DATAGRAM_BATCH];
	union control control = { 0 }; /* the same for all */
	struct msghdr first = { .msg_control = &control };

	add_control(&first, SOL_SOCKET, SO_TIMESTAMPING, &stamping, sizeof(stamping));
	for (size_t i = 0; i < n; i++) {
		iovs[i] = (struct iovec){ (void *)out[i].data, out[i].len };
		messages[i].msg_hdr = first;
		messages[i].msg_hdr.msg_name = (void *)&out[i].to->any;
		messages[i].msg_hdr.msg_namelen = address_len(out[i].to);
		messages[i].msg_hdr.msg_iov = &iovs[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	for (size_t i = 0; i < n;) {
		int sent =
			sendmmsg(fd, &messages[i], (unsigned)(n - i), MSG_DONTWAIT | MSG_NOSIGNAL);

		/* It fails for the first of them, and stops before any other that fails. */
		if (sent <= 0)
			out[i++].result = sent < 0 ? -errno : -EIO;
		for (; sent > 0; sent--)
			out[i++].result = 0;
	}
}

int datagram_sent_times(int fd, size_t size, struct datagram_sent *ret, size_t n)
{
	uint8_t packets[DATAGRAM_BATCH * (HEADERS_MAX + DATAGRAM_MAX)];
	const size_t room = HEADERS_MAX + size; /* of each */
	union control controls[DATAGRAM_BATCH];
	struct mmsghdr messages[DATAGRAM_BATCH];
	struct iovec iovs[DATAGRAM_BATCH];
	int got;

	if (n > DATAGRAM_BATCH)
		n = DATAGRAM_BATCH;
	for (size_t i = 0; i < n; i++) {
		iovs[i] = (struct iovec){ packets + i * room, room };
		messages[i].msg_hdr = (struct msghdr){
			.msg_iov = &iovs[i],
			.msg_iovlen = 1,
			.msg_control = &controls[i],
			.msg_controllen = sizeof(controls[i]),
		};
	}
	got = recvmmsg(fd, messages, (unsigned)n, MSG_ERRQUEUE | MSG_DONTWAIT, NULL);
	for (int i = 0; i < got; i++) {
		struct msghdr *m = &messages[i].msg_hdr;
		size_t len = messages[i].msg_len;

		ret[i].utc_ns = 0;
		if (m->msg_flags & MSG_TRUNC || len < size)
			continue;
		for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c && !ret[i].utc_ns;
		     c = CMSG_NXTHDR(m, c))
			ret[i].utc_ns = stamping_ns(c);
		memcpy(ret[i].head, packets + (size_t)i * room + len - size,
		       size < DATAGRAM_HEAD ? size : DATAGRAM_HEAD);
	}
	return got < 0 ? -errno : got;
}

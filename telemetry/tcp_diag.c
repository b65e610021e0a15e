/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/tcp_diag.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/tcp.h>
#include <string.h>

#include "common/clock.h"
#include "common/cursor.h"

#define ESTABLISHED 1 /* TCP_ESTABLISHED of netinet/tcp.h, which does not go with linux/tcp.h */

struct request {
	struct nlmsghdr header;
	struct inet_diag_req body;
};

_Static_assert(sizeof(struct request) == TCP_DIAG_REQUEST_SIZE, "a request's size");

void tcp_diag_request(uint32_t sequence, uint8_t ret[TCP_DIAG_REQUEST_SIZE])
{
	const struct request request = {
		.header = {
			.nlmsg_len = sizeof(request),
			.nlmsg_type = TCPDIAG_GETSOCK,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
			.nlmsg_seq = sequence,
		},
		.body = {
			.idiag_ext = 1 << (INET_DIAG_INFO - 1),
			.idiag_states = 1 << ESTABLISHED,
		},
	};

	memcpy(ret, &request, sizeof(request));
}

/* A structure in the host's byte order; zeroes where the cursor fails. */
static void take(struct rcursor *c, void *ret, size_t len)
{
	const uint8_t *bytes = rcursor_bytes(c, len);

	if (bytes)
		memcpy(ret, bytes, len);
	else
		memset(ret, 0, len);
}

/* What follows is aligned to 4 bytes, unless nothing does. */
static void skip_padding(struct rcursor *c, size_t len)
{
	size_t padding = NLMSG_ALIGN(len) - len;

	if (rcursor_left(c) >= padding)
		rcursor_bytes(c, padding);
}

static struct address peer_of(const struct inet_diag_msg *m)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct address a = { 0 };

	if (m->idiag_family == AF_INET) {
		a.v4.sin_family = AF_INET;
		memcpy(&a.v4.sin_addr, m->id.idiag_dst, sizeof(a.v4.sin_addr));
	} else if (m->idiag_family == AF_INET6 && memcmp(m->id.idiag_dst, mapped, 12) == 0) {
		a.v4.sin_family = AF_INET;
		memcpy(&a.v4.sin_addr, &m->id.idiag_dst[3], sizeof(a.v4.sin_addr));
	} else if (m->idiag_family == AF_INET6) {
		a.v6.sin6_family = AF_INET6;
		memcpy(&a.v6.sin6_addr, m->id.idiag_dst, sizeof(a.v6.sin6_addr));
		if (IN6_IS_ADDR_LINKLOCAL(&a.v6.sin6_addr))
			a.v6.sin6_scope_id = m->id.idiag_if;
	}
	return a;
}

/* An older kernel's tcp_info is shorter than ours; what we need is in all of them. */
static void read_info(const uint8_t *data, size_t len, struct tcp_session *s)
{
	struct tcp_info info = { 0 };

	if (len < offsetof(struct tcp_info, tcpi_rtt) + sizeof(info.tcpi_rtt))
		return;
	memcpy(&info, data, len < sizeof(info) ? len : sizeof(info));
	s->rtt_ns = info.tcpi_rtt * NS_PER_US;
	s->sent_ns_ago = info.tcpi_last_data_sent * NS_PER_MS;
	s->acknowledged_ns_ago = info.tcpi_last_ack_recv * NS_PER_MS;
}

static int read_session(struct rcursor *c, tcp_diag_fn fn, void *userdata)
{
	struct inet_diag_msg message;
	struct tcp_session s = { 0 };

	take(c, &message, sizeof(message));
	while (rcursor_left(c) > 0) {
		struct rtattr attribute;
		const uint8_t *value;
		size_t len;

		take(c, &attribute, sizeof(attribute));
		if (attribute.rta_len < sizeof(attribute))
			return -EBADMSG;
		len = attribute.rta_len - sizeof(attribute);
		value = rcursor_bytes(c, len);
		skip_padding(c, len);
		if (value && attribute.rta_type == INET_DIAG_INFO)
			read_info(value, len, &s);
	}
	if (!rcursor_ok(c))
		return -EBADMSG;
	s.peer = peer_of(&message);
	if (s.rtt_ns > 0 && !address_is_none(&s.peer))
		fn(&s, userdata);
	return 0;
}

static int read_error(struct rcursor *c)
{
	struct nlmsgerr e;

	take(c, &e.error, sizeof(e.error));
	return rcursor_ok(c) && e.error < 0 ? e.error : -EBADMSG;
}

int tcp_diag_read(const void *data, size_t len, uint32_t sequence, tcp_diag_fn fn, void *userdata)
{
	struct rcursor c = rcursor_over(data, len);

	while (rcursor_left(&c) > 0) {
		struct nlmsghdr h;
		struct rcursor body;
		const uint8_t *bytes;
		int r = 0;

		take(&c, &h, sizeof(h));
		if (h.nlmsg_len < sizeof(h))
			return -EBADMSG;
		bytes = rcursor_bytes(&c, h.nlmsg_len - sizeof(h));
		if (!bytes)
			return -EBADMSG;
		body = rcursor_over(bytes, h.nlmsg_len - sizeof(h));
		skip_padding(&c, h.nlmsg_len);
		if (h.nlmsg_seq != sequence)
			continue;
		if (h.nlmsg_type == NLMSG_DONE)
			return 1;
		if (h.nlmsg_type == NLMSG_ERROR)
			return read_error(&body);
		if (h.nlmsg_type == TCPDIAG_GETSOCK)
			r = read_session(&body, fn, userdata);
		if (r < 0)
			return r;
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/tcp_segment.h"

#include <errno.h>
#include <net/ethernet.h>
#include <netinet/tcp.h>
#include <string.h>

#include "common/cursor.h"

#define ETHERTYPE_SERVICE_VLAN 0x88a8 /* IEEE 802.1ad */
#define IP_FRAGMENT 0x3fff            /* more fragments, or not the first one */
#define V4_HEADER 20
#define TCP_HEADER 20

static uint16_t read_ethertype(struct rcursor *c)
{
	uint16_t type;

	rcursor_bytes(c, 2 * ETH_ALEN);
	type = rcursor_u16(c);
	for (int i = 0; i < TCP_SEGMENT_TAGS; i++) {
		if (type != ETHERTYPE_VLAN && type != ETHERTYPE_SERVICE_VLAN)
			break;
		rcursor_u16(c);
		type = rcursor_u16(c);
	}
	return type;
}

static void read_v4_address(struct rcursor *c, struct address *ret)
{
	const uint8_t *bytes = rcursor_bytes(c, sizeof(ret->v4.sin_addr));

	*ret = (struct address){ .v4 = { .sin_family = AF_INET } };
	if (bytes)
		memcpy(&ret->v4.sin_addr, bytes, sizeof(ret->v4.sin_addr));
}

static void read_v6_address(struct rcursor *c, uint32_t interface, struct address *ret)
{
	const uint8_t *bytes = rcursor_bytes(c, sizeof(ret->v6.sin6_addr));

	*ret = (struct address){ .v6 = { .sin6_family = AF_INET6 } };
	if (bytes)
		memcpy(&ret->v6.sin6_addr, bytes, sizeof(ret->v6.sin6_addr));
	if (IN6_IS_ADDR_LINKLOCAL(&ret->v6.sin6_addr))
		ret->v6.sin6_scope_id = interface;
}

/* Both tell the length of what follows, SIZE_MAX if it is more than the field can say: the kernel
 * has not cut it into packets yet. */
static int read_v4(struct rcursor *c, struct tcp_segment *s, size_t *ret_len)
{
	uint8_t version_and_words = rcursor_u8(c), protocol;
	size_t header = (size_t)(version_and_words & 15) * 4, total;
	uint16_t fragment;

	rcursor_u8(c);
	total = rcursor_u16(c);
	rcursor_u16(c);
	fragment = rcursor_u16(c);
	rcursor_u8(c);
	protocol = rcursor_u8(c);
	rcursor_u16(c);
	read_v4_address(c, &s->from);
	read_v4_address(c, &s->to);
	if (!rcursor_ok(c) || version_and_words >> 4 != 4 || header < V4_HEADER ||
	    (total != 0 && total < header))
		return -EBADMSG;
	if (protocol != IPPROTO_TCP || fragment & IP_FRAGMENT)
		return -ENOMSG;
	rcursor_bytes(c, header - V4_HEADER);
	*ret_len = total ? total - header : SIZE_MAX;
	return 0;
}

/* Who puts headers between those of IPv6 and TCP is passed over. */
static int read_v6(struct rcursor *c, uint32_t interface, struct tcp_segment *s, size_t *ret_len)
{
	uint8_t version = (uint8_t)(rcursor_u32(c) >> 28), protocol;
	size_t len = rcursor_u16(c);

	protocol = rcursor_u8(c);
	rcursor_u8(c);
	read_v6_address(c, interface, &s->from);
	read_v6_address(c, interface, &s->to);
	if (!rcursor_ok(c) || version != 6)
		return -EBADMSG;
	*ret_len = len ? len : SIZE_MAX;
	return protocol == IPPROTO_TCP ? 0 : -ENOMSG;
}

/* The first one counts. */
static int read_options(struct rcursor c, struct tcp_segment *s)
{
	while (rcursor_left(&c) > 0) {
		uint8_t kind = rcursor_u8(&c), len;

		if (kind == TCPOPT_EOL)
			break;
		if (kind == TCPOPT_NOP)
			continue;
		len = rcursor_u8(&c);
		if (len < 2 || (kind == TCPOPT_TIMESTAMP && len != TCPOLEN_TIMESTAMP))
			return -EBADMSG;
		if (kind == TCPOPT_TIMESTAMP) {
			s->tsval = rcursor_u32(&c);
			s->tsecr = rcursor_u32(&c);
			return rcursor_ok(&c) ? 0 : -EBADMSG;
		}
		rcursor_bytes(&c, len - 2u);
	}
	return rcursor_ok(&c) ? -ENOMSG : -EBADMSG;
}

/* `len` is that of the segment. */
static int read_tcp(struct rcursor *c, size_t len, struct tcp_segment *s)
{
	const uint8_t *options;
	uint8_t flags;
	size_t header;

	address_set_port(&s->from, rcursor_u16(c));
	address_set_port(&s->to, rcursor_u16(c));
	s->sequence = rcursor_u32(c);
	s->acknowledged = rcursor_u32(c);
	header = (size_t)(rcursor_u8(c) >> 4) * 4;
	flags = rcursor_u8(c);
	rcursor_bytes(c, 6);
	if (!rcursor_ok(c) || header < TCP_HEADER || len < header)
		return -EBADMSG;
	options = rcursor_bytes(c, header - TCP_HEADER);
	if (!options)
		return -EBADMSG;
	s->syn = flags & TH_SYN;
	s->ack = flags & TH_ACK;
	s->advances = len != header || flags & (TH_SYN | TH_FIN);
	return flags & TH_RST ? -ENOMSG
			      : read_options(rcursor_over(options, header - TCP_HEADER), s);
}

int tcp_segment_read(const void *frame, size_t len, uint32_t interface, struct tcp_segment *ret)
{
	struct rcursor c = rcursor_over(frame, len);
	uint16_t type = read_ethertype(&c);
	struct tcp_segment s = { 0 };
	size_t segment;
	int r;

	if (!rcursor_ok(&c))
		return -EBADMSG;
	if (type != ETHERTYPE_IP && type != ETHERTYPE_IPV6)
		return -ENOMSG;
	r = type == ETHERTYPE_IP ? read_v4(&c, &s, &segment) : read_v6(&c, interface, &s, &segment);
	if (r == 0)
		r = read_tcp(&c, segment, &s);
	if (r == 0)
		*ret = s;
	return r;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Ethernet frames with TCP segments, made by hand.
 */
#ifndef TESTS_UNIT_TELEMETRY_TCP_FRAMES_H
#define TESTS_UNIT_TELEMETRY_TCP_FRAMES_H

#include <criterion/criterion.h>
#include <netinet/tcp.h>

#include "common/address.h"
#include "common/cursor.h"

#define TSVAL 0x01020304u
#define TSECR 0xfffefdfcu
#define SEQUENCE 0x11223344u
#define ACKNOWLEDGED 0x99aabbccu
/* As Linux sends them: NOP, NOP, time stamps. */
#define STAMPS "\1\1\10\12\1\2\3\4\377\376\375\374"

struct frame_spec {
	const char *from, *to; /* with ports */
	const char *options;   /* of TCP; NULL: STAMPS */
	size_t options_len;    /* a multiple of 4 */
	size_t ip_options;     /* words */
	size_t payload;        /* what the IP header tells of; the frame has none of it */
	uint16_t tags[3];      /* ethertypes; 0: no more */
	uint16_t fragment;     /* the field of IPv4 */
	uint8_t protocol;      /* 0: TCP */
	uint8_t flags;         /* 0: ACK */
	bool huge;             /* too long for the field that tells the length */
};

struct frame {
	uint8_t data[256];
	size_t len;
};

static inline void frame_put_ip(struct wcursor *c, const struct frame_spec *s, size_t tcp)
{
	uint8_t protocol = s->protocol ? s->protocol : IPPROTO_TCP;
	size_t header = 20 + 4 * s->ip_options, after = tcp + s->payload;
	struct address from, to;

	cr_assert_eq(address_parse(s->from, 0, &from), 0);
	cr_assert_eq(address_parse(s->to, 0, &to), 0);
	if (from.any.sa_family == AF_INET) {
		wcursor_u16(c, (uint16_t)(0x4000 | header / 4 << 8));
		wcursor_u16(c, s->huge ? 0 : (uint16_t)(header + after));
		wcursor_u16(c, 7);
		wcursor_u16(c, s->fragment);
		wcursor_u16(c, (uint16_t)(64 << 8 | protocol));
		wcursor_u16(c, 0);
		wcursor_bytes(c, &from.v4.sin_addr, 4);
		wcursor_bytes(c, &to.v4.sin_addr, 4);
		memset(wcursor_space(c, 4 * s->ip_options), 1, 4 * s->ip_options);
	} else {
		wcursor_u32(c, 0x60012345);
		wcursor_u16(c, s->huge ? 0 : (uint16_t)after);
		wcursor_u16(c, (uint16_t)(protocol << 8 | 64));
		wcursor_bytes(c, &from.v6.sin6_addr, 16);
		wcursor_bytes(c, &to.v6.sin6_addr, 16);
	}
	wcursor_u16(c, address_port(&from));
	wcursor_u16(c, address_port(&to));
}

static inline void frame_make(const struct frame_spec *s, struct frame *ret)
{
	struct wcursor c = wcursor_over(ret->data, sizeof(ret->data));
	const char *options = s->options ? s->options : STAMPS;
	size_t len = s->options ? s->options_len : sizeof(STAMPS) - 1, tcp = 20 + len;

	wcursor_bytes(&c, "\2\0\0\0\0\1\2\0\0\0\0\2", 12);
	for (size_t i = 0; i < 3 && s->tags[i]; i++) {
		wcursor_u16(&c, s->tags[i]);
		wcursor_u16(&c, 0x2000 | 42);
	}
	wcursor_u16(&c, s->from[0] == '[' ? 0x86dd : 0x0800);
	frame_put_ip(&c, s, tcp);
	wcursor_u32(&c, SEQUENCE);
	wcursor_u32(&c, ACKNOWLEDGED);
	wcursor_u8(&c, (uint8_t)(tcp / 4 << 4));
	wcursor_u8(&c, s->flags ? s->flags : TH_ACK);
	wcursor_u16(&c, 501);
	wcursor_u32(&c, 0);
	wcursor_bytes(&c, options, len);
	cr_assert(wcursor_ok(&c));
	ret->len = wcursor_used(&c);
}

#endif

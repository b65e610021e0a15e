/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/tcp_segment.h"

#include <errno.h>

#include "common/cleanup.h"
#include "tests/unit/telemetry/tcp_frames.h"

#define V4 .from = "192.0.2.7:40000", .to = "198.51.100.9:443"
#define V6 .from = "[2001:db8::7]:40000", .to = "[2001:db8::9]:443"

static int read_made(const struct frame_spec *spec, struct tcp_segment *ret)
{
	struct frame f;

	frame_make(spec, &f);
	return tcp_segment_read(f.data, f.len, 3, ret);
}

static void check_ends(const struct tcp_segment *s, const char *from, const char *to)
{
	char text[ADDRESS_TEXT_SIZE];

	cr_assert_str_eq(address_format(&s->from, text), from);
	cr_assert_str_eq(address_format(&s->to, text), to);
}

static void check_whole(const struct frame_spec *spec)
{
	struct tcp_segment s;

	cr_assert_eq(read_made(spec, &s), 0);
	check_ends(&s, spec->from, spec->to);
	cr_assert_eq(s.sequence, SEQUENCE);
	cr_assert_eq(s.acknowledged, ACKNOWLEDGED);
	cr_assert_eq(s.tsval, TSVAL);
	cr_assert_eq(s.tsecr, TSECR);
	cr_assert(s.ack && !s.syn);
	cr_assert_eq(s.advances, spec->payload > 0 || spec->huge);
}

Test(tcp_segment, of_both_families_and_whatever_tags)
{
	check_whole(&(struct frame_spec){ V4 });
	check_whole(&(struct frame_spec){ V6 });
	check_whole(&(struct frame_spec){ V4, .ip_options = 10, .payload = 1 });
	check_whole(&(struct frame_spec){ V4, .tags = { 0x8100 } });
	check_whole(&(struct frame_spec){ V6, .tags = { 0x88a8, 0x8100 }, .payload = 1000 });
	/* What the kernel is to cut yet has no length. */
	check_whole(&(struct frame_spec){ V4, .huge = true, .payload = 100000 });
	check_whole(&(struct frame_spec){ V6, .huge = true, .payload = 100000 });
}

Test(tcp_segment, link_local_addresses_have_the_interface)
{
	struct tcp_segment s;

	cr_assert_eq(read_made(&(struct frame_spec){ .from = "[fe80::1]:1", .to = "[2001:db8::1]:2" },
			       &s), 0);
	cr_assert_eq(s.from.v6.sin6_scope_id, 3);
	cr_assert_eq(s.to.v6.sin6_scope_id, 0);
}

Test(tcp_segment, a_syn_and_a_fin_advance_too)
{
	struct tcp_segment s;

	cr_assert_eq(read_made(&(struct frame_spec){ V4, .flags = TH_SYN }, &s), 0);
	cr_assert(s.syn && !s.ack && s.advances);
	cr_assert_eq(read_made(&(struct frame_spec){ V4, .flags = TH_FIN | TH_ACK }, &s), 0);
	cr_assert(!s.syn && s.ack && s.advances);
}

#define OPTIONS(text) .options = text, .options_len = sizeof(text) - 1

Test(tcp_segment, options_come_in_any_order)
{
	static const struct frame_spec cases[] = {
		{ V4, OPTIONS("\10\12\1\2\3\4\377\376\375\374\1\1") },
		/* As in a SYN: size, SACK permitted, time stamps, NOP, window. */
		{ V4, OPTIONS("\2\4\5\264\4\2\10\12\1\2\3\4\377\376\375\374\1\3\3\7") },
		{ V4, OPTIONS("\3\3\7\10\12\1\2\3\4\377\376\375\374\2\4\5") }, /* cut behind them */
		/* The end, behind them; and one that nobody knows, with nothing in it. */
		{ V6, OPTIONS("\375\2\10\12\1\2\3\4\377\376\375\374\0\0\0\0") },
		/* Two of them. */
		{ V6, OPTIONS(STAMPS "\1\1\10\12\11\11\11\11\11\11\11\11") },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct tcp_segment s;

		cr_assert_eq(read_made(&cases[i], &s), 0, "%zu", i);
		cr_assert(s.tsval == TSVAL && s.tsecr == TSECR, "%zu", i);
	}
}

Test(tcp_segment, other_things_are_known)
{
	static const struct frame_spec cases[] = {
		{ V4, .protocol = IPPROTO_UDP },
		{ V6, .protocol = IPPROTO_UDP },
		{ V6, .protocol = IPPROTO_FRAGMENT },
		{ V4, .fragment = 0x2000 }, /* more of it follows */
		{ V4, .fragment = 0x00b9 },
		{ V4, .flags = TH_RST | TH_ACK },
		{ V4, .options = "", .options_len = 0 },
		{ V4, OPTIONS("\1\1\1\1") },
		{ V4, OPTIONS("\0\1\1\1\10\12\1\2\3\4\377\376\375\374\1\1") }, /* behind the end */
		{ V4, .tags = { 0x8100, 0x8100, 0x8100 } },
		{ V4, .tags = { 0x0806 } }, /* ARP */
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct tcp_segment s;

		cr_assert_eq(read_made(&cases[i], &s), -ENOMSG, "%zu", i);
	}
}

Test(tcp_segment, wrong_options_are_refused)
{
	static const struct frame_spec cases[] = {
		{ V4, OPTIONS("\10\10\1\2\3\4\5\6") },     /* too short */
		{ V4, OPTIONS("\10\13\1\2\3\4\5\6\7\10\11\1") },
		{ V4, OPTIONS("\1\1\10\12") },             /* cut */
		{ V4, OPTIONS("\2\0\1\1" STAMPS) },        /* would never end */
		{ V4, OPTIONS("\2\1\1\1" STAMPS) },
		{ V4, OPTIONS("\375\377\1\1" STAMPS) },    /* beyond the header */
		{ V4, OPTIONS("\1\1\1\10") },              /* no length */
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct tcp_segment s;

		cr_assert_eq(read_made(&cases[i], &s), -EBADMSG, "%zu", i);
	}
}

static void check_cut(const struct frame_spec *spec)
{
	struct tcp_segment s;
	struct frame f;

	frame_make(spec, &f);
	for (size_t len = 0; len < f.len; len++)
		cr_assert_eq(tcp_segment_read(f.data, len, 1, &s), -EBADMSG, "%zu bytes", len);
}

Test(tcp_segment, what_is_cut_is_refused)
{
	check_cut(&(struct frame_spec){ V4, .ip_options = 2, .tags = { 0x8100 } });
	check_cut(&(struct frame_spec){ V6 });
}

Test(tcp_segment, lengths_have_to_go_together)
{
	enum { IP = 14, V4_TCP = IP + 20, V6_TCP = IP + 40, WORDS = 12 };
	static const struct {
		const char *what;
		size_t at;
		uint8_t value;
		bool v6;
	} cases[] = {
		{ "IPv6 behind the type of IPv4", IP, 0x65, false },
		{ "an IP header of 16 bytes", IP, 0x44, false },
		{ "an IP header longer than the packet", IP, 0x4f, false },
		{ "a packet shorter than its IP header", IP + 3, 19, false },
		{ "no room for TCP", IP + 3, 20, false },
		{ "a TCP header longer than the packet", V4_TCP + WORDS, 0xf0, false },
		{ "a TCP header of 16 bytes", V4_TCP + WORDS, 0x40, false },
		{ "IPv4 behind the type of IPv6", IP, 0x45, true },
		{ "IPv6, no room for TCP", IP + 5, 19, true },
		{ "a TCP header longer than that", V6_TCP + WORDS, 0xa0, true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct tcp_segment s;
		struct frame f;

		frame_make(cases[i].v6 ? &(struct frame_spec){ V6 } : &(struct frame_spec){ V4 },
			   &f);
		f.data[cases[i].at] = cases[i].value;
		cr_assert_eq(tcp_segment_read(f.data, f.len, 1, &s), -EBADMSG, "%s",
			     cases[i].what);
	}
}

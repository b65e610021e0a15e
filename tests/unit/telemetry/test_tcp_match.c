/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/tcp_match.h"

#include <criterion/criterion.h>

#include "common/clock.h"

#define MS NS_PER_MS
#define START (UINT64_C(1795235400) * NS_PER_S)

/* A session of a client's, seen from between it and its guest. */
struct world {
	struct tcp_match *match;
	uint64_t now_ns;
	struct address client, guest;
	uint32_t sent, acknowledged; /* sequence numbers: the guest's next one; the client's last ACK */
	uint64_t rtt_ns; /* that was told; 0: none */
};

static struct address at(uint32_t host, uint16_t port)
{
	return (struct address){ .v4 = { .sin_family = AF_INET,
					 .sin_addr.s_addr = htonl(host),
					 .sin_port = htons(port) } };
}

static void setup(struct world *w)
{
	*w = (struct world){
		.now_ns = START,
		.client = at(0xc0000207, 40000),
		.guest = at(0xc6336409, 443),
		.sent = 0xfffff000,
		.acknowledged = 0xfffff000,
	};
	cr_assert_eq(tcp_match_new(&w->match), 0);
}

static void teardown(struct world *w)
{
	tcp_match_free(w->match);
}

/* The guest sends so many bytes. */
static bool send_bytes(struct world *w, uint32_t tsval, uint32_t n)
{
	const struct tcp_segment s = { .from = w->guest, .to = w->client, .sequence = w->sent,
				       .tsval = tsval, .ack = true, .advances = n > 0 };

	w->sent += n;
	return tcp_match_towards(w->match, &s, w->now_ns);
}

/* The client's ACK. */
static bool acknowledge(struct world *w, uint32_t tsecr, uint32_t up_to)
{
	const struct tcp_segment s = { .from = w->client, .to = w->guest, .ack = true,
				       .acknowledged = up_to, .tsval = 7, .tsecr = tsecr };

	w->rtt_ns = 0;
	return tcp_match_from(w->match, &s, w->now_ns, &w->rtt_ns);
}

/* A session that has been seen for a while. */
static void begin(struct world *w, uint32_t tsval)
{
	setup(w);
	cr_assert(send_bytes(w, tsval - 1, 1));
	w->now_ns += MS;
	cr_assert_not(acknowledge(w, tsval - 1, w->sent), "it may have begun before we looked");
	w->now_ns += MS;
}

Test(tcp_match, the_first_echo_tells_the_time)
{
	struct world w;

	begin(&w, 1000);
	send_bytes(&w, 1000, 100);
	w.now_ns += 20 * MS;
	cr_assert(acknowledge(&w, 1000, w.sent));
	cr_assert_eq(w.rtt_ns, 20 * MS);
	w.now_ns += 5 * MS;
	cr_assert_not(acknowledge(&w, 1000, w.sent), "what comes later says it again");
	teardown(&w);
}

Test(tcp_match, a_handshake_tells_it_too)
{
	struct tcp_segment syn, answer;
	struct world w;
	uint64_t rtt;

	/* The guest calls the client. */
	setup(&w);
	syn = (struct tcp_segment){ .from = w.guest, .to = w.client, .sequence = 5, .tsval = 9,
				    .syn = true, .advances = true };
	answer = (struct tcp_segment){ .from = w.client, .to = w.guest, .acknowledged = 6,
				       .tsecr = 9, .syn = true, .ack = true, .advances = true };
	cr_assert(tcp_match_towards(w.match, &syn, w.now_ns));
	cr_assert(tcp_match_from(w.match, &answer, w.now_ns + 20 * MS, &rtt));
	cr_assert_eq(rtt, 20 * MS);
	/* Another session of the same ends, whose time stamps are older. */
	syn.tsval = 1;
	answer.tsecr = 1;
	cr_assert(tcp_match_towards(w.match, &syn, w.now_ns + NS_PER_S));
	cr_assert(tcp_match_from(w.match, &answer, w.now_ns + NS_PER_S + 30 * MS, &rtt));
	cr_assert_eq(rtt, 20 * MS + 10 * MS);
	/* A SYN echoes nothing, whatever it says. */
	answer.ack = false;
	cr_assert(tcp_match_towards(w.match, &syn, w.now_ns + 2 * NS_PER_S));
	cr_assert_not(tcp_match_from(w.match, &answer, w.now_ns + 3 * NS_PER_S, &rtt));
	teardown(&w);
}

Test(tcp_match, a_bare_ack_is_not_waited_for)
{
	struct world w;

	begin(&w, 1000);
	send_bytes(&w, 1000, 0);
	send_bytes(&w, 1000, 100); /* and who comes later has no time stamp of its own */
	w.now_ns += 5 * NS_PER_S;
	cr_assert_not(acknowledge(&w, 1000, w.sent));
	/* A session of which there is nothing else takes no place. */
	w.client = at(1, 1);
	cr_assert(send_bytes(&w, 1000, 0));
	cr_assert(send_bytes(&w, 1001, 0));
	cr_assert_not(acknowledge(&w, 1001, w.sent));
	teardown(&w);
}

Test(tcp_match, a_time_stamps_first_segment_counts)
{
	struct world w;

	begin(&w, 1000);
	send_bytes(&w, 1000, 1400);
	w.now_ns += MS / 2;
	send_bytes(&w, 1000, 1400);
	w.now_ns += 20 * MS;
	cr_assert(acknowledge(&w, 1000, w.sent));
	cr_assert_eq(w.rtt_ns, 20 * MS + MS / 2);
	teardown(&w);
}

Test(tcp_match, time_stamps_and_sequence_numbers_wrap)
{
	struct world w;

	begin(&w, 0xffffffff);
	send_bytes(&w, 0xffffffff, 4000);
	w.now_ns += MS;
	send_bytes(&w, 0, 4000); /* the sequence numbers wrap here */
	w.now_ns += MS;
	send_bytes(&w, 1, 4000);
	w.now_ns += 18 * MS;
	cr_assert(acknowledge(&w, 0xffffffff, w.sent - 8000));
	cr_assert_eq(w.rtt_ns, 20 * MS);
	w.now_ns += 2 * MS;
	cr_assert(acknowledge(&w, 0, w.sent - 4000));
	cr_assert_eq(w.rtt_ns, 21 * MS);
	w.now_ns += 2 * MS;
	cr_assert(acknowledge(&w, 1, w.sent));
	cr_assert_eq(w.rtt_ns, 22 * MS);
	teardown(&w);
}

/* It has a time stamp of its own, so it is known which of the two has arrived. */
Test(tcp_match, a_retransmission_is_told_from_the_first_try)
{
	struct world w;

	begin(&w, 1000);
	send_bytes(&w, 1000, 100);
	w.now_ns += 300 * MS;
	w.sent -= 100;
	send_bytes(&w, 1300, 100);
	w.now_ns += 20 * MS;
	cr_assert(acknowledge(&w, 1300, w.sent));
	cr_assert_eq(w.rtt_ns, 20 * MS);
	/* The first one had been slow, not lost. */
	send_bytes(&w, 2000, 100);
	w.now_ns += 15 * MS;
	w.sent -= 100;
	send_bytes(&w, 2015, 100);
	w.now_ns += 5 * MS;
	cr_assert(acknowledge(&w, 2000, w.sent));
	cr_assert_eq(w.rtt_ns, 20 * MS);
	w.now_ns += 14 * MS;
	cr_assert_not(acknowledge(&w, 2015, w.sent));
	teardown(&w);
}

Test(tcp_match, what_comes_out_of_order_is_passed_over)
{
	struct world w;

	begin(&w, 1000);
	send_bytes(&w, 1001, 100);
	w.now_ns += MS;
	send_bytes(&w, 1000, 100); /* was overtaken */
	w.now_ns += 20 * MS;
	cr_assert(acknowledge(&w, 1001, w.sent - 100));
	cr_assert_eq(w.rtt_ns, 21 * MS);
	cr_assert_not(acknowledge(&w, 1000, w.sent));
	/* Of two ACKs the second comes first. */
	send_bytes(&w, 1002, 100);
	w.now_ns += MS;
	send_bytes(&w, 1003, 100);
	w.now_ns += 15 * MS;
	cr_assert(acknowledge(&w, 1003, w.sent));
	cr_assert_eq(w.rtt_ns, 15 * MS);
	w.now_ns += 15 * MS;
	cr_assert_not(acknowledge(&w, 1002, w.sent - 100));
	teardown(&w);
}

Test(tcp_match, who_echoes_what_was_not_sent_tells_nothing)
{
	struct world w;

	begin(&w, 1000);
	send_bytes(&w, 1000, 100);
	w.now_ns += MS;
	for (uint32_t tsecr = 900; tsecr < 1100; tsecr++)
		cr_assert_not(acknowledge(&w, tsecr, w.sent - 100), "what is not acknowledged");
	cr_assert_not(acknowledge(&w, 1001, w.sent));
	cr_assert_not(acknowledge(&w, 1000, w.sent), "the time stamp is settled");
	/* Who acknowledges what was not sent is on its own: the session goes on without him. */
	cr_assert_not(acknowledge(&w, 1000, w.sent + 1000000));
	send_bytes(&w, 1010, 100);
	cr_assert_not(acknowledge(&w, 1010, w.sent));
	/* Of a session that nobody has. */
	w.guest = at(0xc6336409, 80);
	cr_assert_not(acknowledge(&w, 1010, w.sent));
	teardown(&w);
}

/* An ACK of a full segment and more is sent at once. */
Test(tcp_match, a_delayed_ack_hides_behind_those_that_were_not)
{
	static const uint64_t ms[] = { 20, 60, 60, 60, 60, 21 };
	static const uint64_t told[] = { 20, 20, 20, 20, 60, 21 };
	uint32_t tsval = 1000;
	struct world w;

	begin(&w, tsval);
	for (size_t i = 0; i < ARRAY_SIZE(ms); i++) {
		send_bytes(&w, tsval, 100);
		w.now_ns += ms[i] * MS;
		cr_assert(acknowledge(&w, tsval++, w.sent));
		cr_assert_eq(w.rtt_ns, told[i] * MS, "%zu: %lu", i, w.rtt_ns);
	}
	/* There can be no delay in this one: it has become slower. */
	send_bytes(&w, tsval, 2920);
	w.now_ns += 50 * MS;
	cr_assert(acknowledge(&w, tsval++, w.sent));
	cr_assert_eq(w.rtt_ns, 50 * MS);
	send_bytes(&w, tsval, 100);
	w.now_ns += 52 * MS;
	cr_assert(acknowledge(&w, tsval, w.sent));
	cr_assert_eq(w.rtt_ns, 52 * MS, "what was before that is forgotten");
	teardown(&w);
}

Test(tcp_match, a_session_has_few_that_are_waited_for)
{
	uint32_t first, tsval = 1000, told = 0;
	struct world w;

	begin(&w, tsval);
	first = w.sent;
	for (int i = 0; i < 100; i++) {
		send_bytes(&w, tsval++, 1000);
		w.now_ns += MS;
	}
	for (uint32_t i = 0; i < 100; i++) {
		told += acknowledge(&w, 1000 + i, first + 1000 * (i + 1));
		w.now_ns += MS;
	}
	cr_assert_eq(told, TCP_MATCH_OPEN_MAX);
	/* And those that are never answered make room in time. */
	for (int i = 0; i < 100; i++)
		send_bytes(&w, tsval++, 10);
	w.now_ns += TCP_MATCH_AGE_NS - NS_PER_S;
	send_bytes(&w, tsval++, 10);
	w.now_ns += 2 * NS_PER_S;
	send_bytes(&w, tsval, 10);
	w.now_ns += 20 * MS;
	cr_assert(acknowledge(&w, tsval, w.sent));
	cr_assert_eq(w.rtt_ns, 20 * MS);
	teardown(&w);
}

Test(tcp_match, an_old_echo_tells_nothing)
{
	struct world w;

	begin(&w, 1000);
	send_bytes(&w, 1000, 100);
	w.now_ns += TCP_MATCH_AGE_NS / 2;
	send_bytes(&w, 1001, 0);
	w.now_ns += TCP_MATCH_AGE_NS / 2 + 1;
	cr_assert_not(acknowledge(&w, 1000, w.sent));
	/* Nor does one from before a clock was set back. */
	send_bytes(&w, 1002, 100);
	w.now_ns -= MS;
	cr_assert_not(acknowledge(&w, 1002, w.sent));
	teardown(&w);
}

/* Each exchanges a segment and its ACK; returns how many tell a time. */
static unsigned exchange(struct world *w, uint32_t host, unsigned sessions, uint32_t tsval)
{
	unsigned told = 0;

	for (unsigned i = 0; i < sessions; i++) {
		w->client = at(host, (uint16_t)(1024 + i));
		send_bytes(w, tsval, 100);
	}
	w->now_ns += 20 * MS;
	for (unsigned i = 0; i < sessions; i++) {
		w->client = at(host, (uint16_t)(1024 + i));
		told += acknowledge(w, tsval, w->sent);
	}
	return told;
}

Test(tcp_match, a_client_with_many_sessions_takes_nobodys_place)
{
	struct world w;
	unsigned victims = 0;

	setup(&w);
	for (uint32_t i = 0; i < 50; i++)
		exchange(&w, 0x0a000000 + i, 1, 1000);
	for (int round = 0; round < 3; round++)
		exchange(&w, 0xc0000207, 60000, 1001);
	cr_assert_eq(exchange(&w, 0xc0000207, 60000, 1002), TCP_MATCH_CLIENT_FLOWS);
	for (uint32_t i = 0; i < 50; i++)
		victims += exchange(&w, 0x0a000000 + i, 1, 1003);
	cr_assert_eq(victims, 50);
	teardown(&w);
}

Test(tcp_match, places_become_free)
{
	struct world w;

	setup(&w);
	exchange(&w, 1, 5, 1000);
	w.client = at(1, 1024 + 4);
	cr_assert_not(send_bytes(&w, 1001, 1), "there is no place for the fifth");
	w.now_ns += TCP_MATCH_AGE_NS + 1;
	cr_assert(send_bytes(&w, 1001, 1));
	/* Even if the clock is set back by an hour. */
	exchange(&w, 1, 4, 1002);
	w.now_ns -= 3600 * NS_PER_S;
	w.client = at(1, 9);
	cr_assert(send_bytes(&w, 1001, 1));
	teardown(&w);
}

/* More than there are places for, and a day of it: there are as many places as before. */
Test(tcp_match, a_flood_of_sessions_ends_with_itself)
{
	unsigned crowded = 0;
	struct world w;

	setup(&w);
	for (uint32_t i = 0; i < 200000; i++) {
		w.client = at(i * 2654435761u, 1);
		crowded += !send_bytes(&w, 1, 1);
	}
	cr_assert_geq(crowded, 200000 - TCP_MATCH_SETS * TCP_MATCH_WAYS);
	w.now_ns += 86400 * NS_PER_S;
	exchange(&w, 1, 1, 1000);
	cr_assert_eq(exchange(&w, 1, 1, 1001), 1);
	teardown(&w);
}

Test(tcp_match, sessions_of_ipv6_are_their_own)
{
	struct world w;

	setup(&w);
	for (uint16_t i = 1; i < 3; i++) {
		w.client = (struct address){ .v6 = { .sin6_family = AF_INET6, .sin6_port = htons(1) } };
		w.client.v6.sin6_addr.s6_addr[15] = (uint8_t)i;
		w.guest = w.client;
		w.guest.v6.sin6_addr.s6_addr[0] = 0x20;
		send_bytes(&w, 1, 1);
		w.now_ns += MS;
		send_bytes(&w, 2, 1);
		w.now_ns += i * MS;
		cr_assert(acknowledge(&w, 2, w.sent));
		cr_assert_eq(w.rtt_ns, i * MS);
	}
	teardown(&w);
}

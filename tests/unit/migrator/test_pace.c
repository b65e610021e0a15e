/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/pace.h"

#include <criterion/criterion.h>

#include "common/clock.h"

#define KIB 1024

static struct pace p;
static struct pace_line line;

static void begin(uint64_t cap)
{
	pace_init(&p, cap, 0);
	pace_line_init(&line, &p, 0);
}

/* A link of `rate` bytes a second and a delay each way, with a queue in front:
 * sends frames whenever pace lets them go, for `seconds`. Returns the rate that
 * came out, and the longest time that a frame waited in the queue. */
static uint64_t drive(uint64_t rate, uint64_t delay_ns, uint64_t seconds, uint64_t *ret_wait_ns)
{
	static struct {
		uint64_t arrives_ns;
	} flight[PACE_FLIGHTS];
	uint64_t now = 0, link_free = 0, sent = 0, acked = 0, bytes = 0, worst = 0;
	const uint64_t frame = 100 * KIB, end = seconds * NS_PER_S;

	while (now < end) {
		uint64_t size = frame < pace_window(&p) / 4 ? frame : pace_window(&p) / 4;

		while (pace_delay(&line, now) == 0) {
			uint64_t start = link_free > now ? link_free : now;

			if (start - now > worst && now > end / 2)
				worst = start - now;
			link_free = start + size * NS_PER_S / rate;
			flight[sent % PACE_FLIGHTS].arrives_ns = link_free + 2 * delay_ns;
			pace_sent(&line, size, 0, false, now);
			sent++;
			if (now > end / 2)
				bytes += size;
		}
		now += 50 * NS_PER_US;
		while (acked < sent && flight[acked % PACE_FLIGHTS].arrives_ns <= now)
			cr_assert(pace_acked(&line, ++acked, now));
	}
	*ret_wait_ns = worst;
	return bytes * 2 / seconds;
}

Test(pace, fills_the_link_and_keeps_the_queue_short)
{
	static const struct {
		uint64_t mbit, delay_ms;
	} links[] = { { 25, 0 },  { 200, 0 },  { 200, 10 }, { 1000, 0 },
		      { 1000, 5 }, { 1000, 40 }, { 10000, 0 }, { 10000, 1 } };

	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		uint64_t rate = links[i].mbit * 125000, wait, got;

		begin(0);
		got = drive(rate, links[i].delay_ms * NS_PER_MS, 6, &wait);
		cr_expect_gt(got, rate * 9 / 10, "%lu Mbit/s, %lu ms: %lu of %lu bytes/s",
			     (unsigned long)links[i].mbit, (unsigned long)links[i].delay_ms,
			     (unsigned long)got, (unsigned long)rate);
		cr_expect_lt(wait, links[i].mbit < 100 ? 30 * NS_PER_MS :
						  10 * NS_PER_MS + links[i].delay_ms * NS_PER_MS / 2,
			     "%lu Mbit/s, %lu ms: waits %lu us", (unsigned long)links[i].mbit,
			     (unsigned long)links[i].delay_ms, (unsigned long)wait / 1000);
		cr_expect(pace_rate(&p) > rate * 8 / 10 && pace_rate(&p) < rate * 12 / 10,
			  "measured %lu of %lu", (unsigned long)pace_rate(&p), (unsigned long)rate);
	}
}

/* The few bytes of a stream's header, then nothing for a while: the window that a
 * long link needs must not shrink to what they measured. */
Test(pace, a_starved_beginning_says_nothing)
{
	uint64_t window, now = 20 * NS_PER_MS;

	begin(0);
	window = pace_window(&p);
	pace_sent(&line, 181, 0, true, 0);
	cr_assert(pace_acked(&line, 1, now));
	cr_assert_eq(pace_window(&p), window);
	cr_assert(pace_rate(&p) > 0 && pace_rate(&p) < 20000, "at least that");
	pace_sent(&line, window, 0, false, now);
	cr_assert(pace_acked(&line, 2, now + 20 * NS_PER_MS));
	cr_assert_gt(pace_window(&p), window);
}

Test(pace, a_cap_is_kept)
{
	uint64_t wait, got;

	begin(80 * 1000 * 1000);
	got = drive(125000000, 0, 4, &wait);
	cr_assert(got > 9500000 && got < 10500000, "%lu", (unsigned long)got);
}

Test(pace, idle_time_does_not_lower_the_rate)
{
	uint64_t now = 0, rate;

	begin(0);
	for (unsigned i = 1; i <= 100; i++) { /* 100 KiB in each ms */
		pace_sent(&line, 100 * KIB, 0, false, now);
		now += NS_PER_MS;
		cr_assert(pace_acked(&line, i, now));
	}
	rate = pace_rate(&p);
	for (unsigned i = 101; i <= 200; i++) { /* then one in 50 */
		pace_sent(&line, 100 * KIB, 0, true, now);
		now += 50 * NS_PER_MS;
		cr_assert(pace_acked(&line, i, now));
	}
	cr_assert_eq(pace_rate(&p), rate);
	cr_assert_eq(pace_rtt_ns(&p), NS_PER_MS);
}

Test(pace, acknowledgements_must_be_possible)
{
	begin(0);
	cr_assert(pace_acked(&line, 0, 0));
	cr_assert_not(pace_acked(&line, 1, 0));
	pace_sent(&line, 10, 0, false, 0);
	pace_sent(&line, 10, 0, false, 0);
	cr_assert(pace_acked(&line, 2, 5));
	cr_assert_not(pace_acked(&line, 1, 6), "fewer than before");
	cr_assert_not(pace_acked(&line, UINT64_MAX, 6));
	cr_assert_eq(pace_unacked(&p), 0);
}

Test(pace, silence_is_measured_only_while_something_is_on_its_way)
{
	begin(0);
	cr_assert_eq(pace_silence(&line, 20 * NS_PER_S), 0);
	pace_sent(&line, 10, 0, true, 20 * NS_PER_S);
	cr_assert_eq(pace_silence(&line, 21 * NS_PER_S), NS_PER_S);
	cr_assert(pace_acked(&line, 1, 21 * NS_PER_S));
	cr_assert_eq(pace_silence(&line, 30 * NS_PER_S), 0);
}

Test(pace, frames_on_their_way_are_bounded)
{
	begin(0);
	for (unsigned i = 0; i < PACE_FLIGHTS; i++) {
		cr_assert_eq(pace_delay(&line, 0), 0);
		pace_sent(&line, 1, 0, false, 0);
	}
	cr_assert_eq(pace_delay(&line, 0), UINT64_MAX);
}

Test(pace, another_connection_goes_on_behind_what_the_peer_has)
{
	uint64_t window;

	begin(0);
	for (unsigned i = 0; i < 8; i++)
		pace_sent(&line, 1000, 0, false, i * NS_PER_MS);
	cr_assert(pace_acked(&line, 2, 20 * NS_PER_MS));
	window = pace_window(&p);
	cr_assert_not(pace_resume(&line, 1, 30 * NS_PER_MS), "it has acknowledged more");
	cr_assert_not(pace_resume(&line, 9, 30 * NS_PER_MS), "nor was so much sent");
	cr_assert(pace_resume(&line, 5, 20 * NS_PER_S));
	cr_assert_eq(pace_unacked(&p), 0);
	cr_assert_eq(pace_silence(&line, 90 * NS_PER_S), 0);
	cr_assert_eq(pace_window(&p), window, "what was measured is kept");
	pace_sent(&line, 1000, 0, false, 21 * NS_PER_S);
	cr_assert_eq(pace_unacked(&p), 1000);
	cr_assert(pace_acked(&line, 6, 22 * NS_PER_S));
	cr_assert_not(pace_acked(&line, 7, 22 * NS_PER_S));
}

Test(pace, what_the_target_has_to_make_is_bounded_though_it_costs_the_link_nothing)
{
	unsigned sent = 0;

	begin(0);
	pace_sent(&line, 100 * KIB, 0, false, 0);
	cr_assert(pace_acked(&line, 1, 10 * NS_PER_MS));
	for (; pace_delay(&line, 10 * NS_PER_MS) == 0; sent++)
		pace_sent(&line, 400, 1024, false, 10 * NS_PER_MS);
	cr_assert_eq(sent, PACE_MADE_MAX / 1024);
	/* It says nothing about the link that so few bytes took so long. */
	for (unsigned i = 0; i < sent; i++)
		cr_assert(pace_acked(&line, 2 + i, (20 + 10 * i) * NS_PER_MS));
	cr_assert_geq(pace_rate(&p), 9 * 1000 * KIB);
	cr_assert_eq(pace_delay(&line, NS_PER_S), 0);
	/* Nor is it on its way any more when the connection is lost. */
	pace_sent(&line, 400, PACE_MADE_MAX, false, NS_PER_S);
	cr_assert_eq(pace_delay(&line, NS_PER_S), UINT64_MAX);
	cr_assert(pace_resume(&line, 1 + sent, 2 * NS_PER_S));
	cr_assert_eq(pace_delay(&line, 2 * NS_PER_S), 0);
}

Test(pace, lines_share_what_may_be_on_its_way)
{
	static struct pace_line other;

	begin(0);
	pace_line_init(&other, &p, 0);
	pace_sent(&line, pace_window(&p), 0, false, 0);
	cr_assert_eq(pace_delay(&line, 0), UINT64_MAX);
	cr_assert_eq(pace_silence(&other, NS_PER_S), 0, "nothing of its own is on its way");
	cr_assert_not(pace_acked(&other, 1, NS_PER_MS), "that is the other line's");
	cr_assert_eq(pace_delay(&other, 0), 0, "the first may be waiting for it");
	pace_sent(&other, 1, 0, false, 0);
	cr_assert_eq(pace_delay(&other, 0), UINT64_MAX);
	cr_assert(pace_acked(&line, 1, NS_PER_MS));
	cr_assert_eq(pace_delay(&other, 0), 0);
	/* half of the bytes each: together they are what the link carries */
	for (unsigned i = 1; i <= 100; i++) {
		pace_sent(&line, 50 * KIB, 0, false, i * NS_PER_MS);
		pace_sent(&other, 50 * KIB, 0, false, i * NS_PER_MS);
		cr_assert(pace_acked(&line, i + 1, (i + 1) * NS_PER_MS));
		cr_assert(pace_acked(&other, i + 1, (i + 1) * NS_PER_MS));
	}
	cr_assert(pace_rate(&p) > 95 * KIB * 1000 && pace_rate(&p) < 105 * KIB * 1000);
	/* what one of them loses is on its way no more, and the other's is */
	pace_sent(&line, 1000, 0, false, NS_PER_S);
	pace_sent(&other, 10, 0, false, NS_PER_S);
	cr_assert(pace_resume(&line, 101, 2 * NS_PER_S));
	cr_assert_eq(pace_unacked(&p), 10);
	cr_assert_eq(pace_line_unacked(&other), 10);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/pace.h"

#include <criterion/criterion.h>

#include "common/clock.h"

#define KIB 1024

static struct pace p;

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

		while (pace_delay(&p, now) == 0) {
			uint64_t start = link_free > now ? link_free : now;

			if (start - now > worst && now > end / 2)
				worst = start - now;
			link_free = start + size * NS_PER_S / rate;
			flight[sent % PACE_FLIGHTS].arrives_ns = link_free + 2 * delay_ns;
			pace_sent(&p, size, false, now);
			sent++;
			if (now > end / 2)
				bytes += size;
		}
		now += 50 * NS_PER_US;
		while (acked < sent && flight[acked % PACE_FLIGHTS].arrives_ns <= now)
			cr_assert(pace_acked(&p, ++acked, now));
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

		pace_init(&p, 0, 0);
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

	pace_init(&p, 0, 0);
	window = pace_window(&p);
	pace_sent(&p, 181, true, 0);
	cr_assert(pace_acked(&p, 1, now));
	cr_assert_eq(pace_window(&p), window);
	cr_assert(pace_rate(&p) > 0 && pace_rate(&p) < 20000, "at least that");
	pace_sent(&p, window, false, now);
	cr_assert(pace_acked(&p, 2, now + 20 * NS_PER_MS));
	cr_assert_gt(pace_window(&p), window);
}

Test(pace, a_cap_is_kept)
{
	uint64_t wait, got;

	pace_init(&p, 80 * 1000 * 1000, 0);
	got = drive(125000000, 0, 4, &wait);
	cr_assert(got > 9500000 && got < 10500000, "%lu", (unsigned long)got);
}

Test(pace, idle_time_does_not_lower_the_rate)
{
	uint64_t now = 0, rate;

	pace_init(&p, 0, 0);
	for (unsigned i = 1; i <= 100; i++) { /* 100 KiB in each ms */
		pace_sent(&p, 100 * KIB, false, now);
		now += NS_PER_MS;
		cr_assert(pace_acked(&p, i, now));
	}
	rate = pace_rate(&p);
	for (unsigned i = 101; i <= 200; i++) { /* then one in 50 */
		pace_sent(&p, 100 * KIB, true, now);
		now += 50 * NS_PER_MS;
		cr_assert(pace_acked(&p, i, now));
	}
	cr_assert_eq(pace_rate(&p), rate);
	cr_assert_eq(pace_rtt_ns(&p), NS_PER_MS);
}

Test(pace, acknowledgements_must_be_possible)
{
	pace_init(&p, 0, 0);
	cr_assert(pace_acked(&p, 0, 0));
	cr_assert_not(pace_acked(&p, 1, 0));
	pace_sent(&p, 10, false, 0);
	pace_sent(&p, 10, false, 0);
	cr_assert(pace_acked(&p, 2, 5));
	cr_assert_not(pace_acked(&p, 1, 6), "fewer than before");
	cr_assert_not(pace_acked(&p, UINT64_MAX, 6));
	cr_assert_eq(pace_unacked(&p), 0);
}

Test(pace, silence_is_measured_only_while_something_is_on_its_way)
{
	pace_init(&p, 0, 0);
	cr_assert_eq(pace_silence(&p, 20 * NS_PER_S), 0);
	pace_sent(&p, 10, true, 20 * NS_PER_S);
	cr_assert_eq(pace_silence(&p, 21 * NS_PER_S), NS_PER_S);
	cr_assert(pace_acked(&p, 1, 21 * NS_PER_S));
	cr_assert_eq(pace_silence(&p, 30 * NS_PER_S), 0);
}

Test(pace, frames_on_their_way_are_bounded)
{
	pace_init(&p, 0, 0);
	for (unsigned i = 0; i < PACE_FLIGHTS; i++) {
		cr_assert_eq(pace_delay(&p, 0), 0);
		pace_sent(&p, 1, false, 0);
	}
	cr_assert_eq(pace_delay(&p, 0), UINT64_MAX);
}

Test(pace, another_connection_goes_on_behind_what_the_peer_has)
{
	uint64_t window;

	pace_init(&p, 0, 0);
	for (unsigned i = 0; i < 8; i++)
		pace_sent(&p, 1000, false, i * NS_PER_MS);
	cr_assert(pace_acked(&p, 2, 20 * NS_PER_MS));
	window = pace_window(&p);
	cr_assert_not(pace_resume(&p, 1, 30 * NS_PER_MS), "it has acknowledged more");
	cr_assert_not(pace_resume(&p, 9, 30 * NS_PER_MS), "nor was so much sent");
	cr_assert(pace_resume(&p, 5, 20 * NS_PER_S));
	cr_assert_eq(pace_unacked(&p), 0);
	cr_assert_eq(pace_silence(&p, 90 * NS_PER_S), 0);
	cr_assert_eq(pace_window(&p), window, "what was measured is kept");
	pace_sent(&p, 1000, false, 21 * NS_PER_S);
	cr_assert_eq(pace_unacked(&p), 1000);
	cr_assert(pace_acked(&p, 6, 22 * NS_PER_S));
	cr_assert_not(pace_acked(&p, 7, 22 * NS_PER_S));
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <math.h>

#include "common/clock.h"
#include "sim/testbed/shaper.h"

#define FRAMES 20000

static struct shaped_frame frames[FRAMES];

static struct shaped_frame *frame(int i, size_t len)
{
	frames[i].len = len;
	return &frames[i];
}

Test(shaper, delays_by_exactly_the_delay)
{
	struct link_params p = { .delay_ns = 5 * NS_PER_MS };
	struct shaper s;

	shaper_init(&s, &p, 1);
	cr_assert_eq(shaper_next_ns(&s), UINT64_MAX);
	cr_assert(shaper_push(&s, frame(0, 100), 1000));
	cr_assert(shaper_push(&s, frame(1, 100), 2000));
	cr_assert_eq(shaper_next_ns(&s), 5 * NS_PER_MS + 1000);
	cr_assert_null(shaper_pop(&s, 5 * NS_PER_MS + 999));
	cr_assert_eq(shaper_pop(&s, 5 * NS_PER_MS + 1000), &frames[0]);
	cr_assert_null(shaper_pop(&s, 5 * NS_PER_MS + 1000));
	cr_assert_eq(shaper_pop(&s, 6 * NS_PER_MS), &frames[1]);
	cr_assert_eq(s.counts.frames, 2);
	cr_assert_eq(s.counts.bytes, 200);
	cr_assert_eq(s.waiting_bytes, 0);
}

Test(shaper, rate_spaces_frames_after_the_burst)
{
	/* 8 Mbit/s: 1000 bytes a millisecond; two frames may go at once. */
	struct link_params p = { .rate_bps = 8000000, .burst = 2000 };
	struct shaper s;
	uint64_t now = NS_PER_S;

	shaper_init(&s, &p, 1);
	for (int i = 0; i < 5; i++)
		cr_assert(shaper_push(&s, frame(i, 1000), now));
	cr_assert_eq(frames[0].due_ns, now);
	cr_assert_eq(frames[1].due_ns, now);
	cr_assert_eq(frames[2].due_ns, now + 1 * NS_PER_MS);
	cr_assert_eq(frames[4].due_ns, now + 3 * NS_PER_MS);
}

Test(shaper, long_run_rate_is_the_rate)
{
	struct link_params p = { .rate_bps = 100000000, .queue = 64000 };
	struct shaper s;
	uint64_t now = 0, last = 0;

	shaper_init(&s, &p, 1);
	for (int i = 0; i < FRAMES; i++, now += 60000) { /* offered: twice the rate */
		if (shaper_push(&s, frame(i, 1500), now))
			last = frames[i].due_ns;
		while (shaper_pop(&s, now))
			;
	}
	while (shaper_pop(&s, UINT64_MAX - 1))
		;
	cr_assert_gt(s.counts.dropped, FRAMES / 3);
	cr_assert_float_eq((double)s.counts.bytes * 8e9 / (double)last, 1e8, 1e6);
	/* The queue bounds the delay: 64000 bytes are 5.12 ms. */
	cr_assert_leq(last, now + 5200000);
}

Test(shaper, queue_without_a_rate_is_bounded_too)
{
	struct link_params p = { .delay_ns = NS_PER_S, .queue = 2500 };
	struct shaper s;

	shaper_init(&s, &p, 1);
	cr_assert(shaper_push(&s, frame(0, 1000), 0));
	cr_assert(shaper_push(&s, frame(1, 1000), 0));
	cr_assert_not(shaper_push(&s, frame(2, 1000), 0));
	cr_assert_eq(s.counts.dropped, 1);
	cr_assert_not_null(shaper_pop(&s, NS_PER_S));
	cr_assert(shaper_push(&s, frame(2, 1000), NS_PER_S));
}

static void jitter_case(enum jitter_kind kind, double deviation)
{
	struct link_params p = { .delay_ns = 10 * NS_PER_MS,
				 .jitter_ns = NS_PER_MS,
				 .jitter_kind = kind,
				 .reorder = true };
	double sum = 0, squares = 0, mean;
	struct shaper s;

	shaper_init(&s, &p, 7);
	for (int i = 0; i < FRAMES; i++) {
		double delay;

		cr_assert(shaper_push(&s, frame(i, 1), (uint64_t)i * NS_PER_MS));
		delay = (double)(frames[i].due_ns - (uint64_t)i * NS_PER_MS) / 1e6;
		sum += delay;
		squares += delay * delay;
	}
	mean = sum / FRAMES;
	cr_assert_float_eq(mean, 10.0, 0.03);
	cr_assert_float_eq(sqrt(squares / FRAMES - mean * mean), deviation, 0.03);
}

Test(shaper, normal_jitter_has_its_deviation)
{
	jitter_case(JITTER_NORMAL, 1.0);
}

Test(shaper, uniform_jitter_has_its_deviation)
{
	jitter_case(JITTER_UNIFORM, 1.0 / sqrt(3.0));
}

/* Pushes a frame each 100 us through 1 ms of jitter; counts frames that come
 * out before one that went in earlier. */
static int overtakings(bool reorder)
{
	struct link_params p = { .delay_ns = 10 * NS_PER_MS,
				 .jitter_ns = NS_PER_MS,
				 .reorder = reorder };
	struct shaped_frame *f, *previous = NULL;
	struct shaper s;
	uint64_t due = 0;
	int n = 0;

	shaper_init(&s, &p, 3);
	for (int i = 0; i < 1000; i++)
		cr_assert(shaper_push(&s, frame(i, 1), (uint64_t)i * 100000));
	while ((f = shaper_pop(&s, UINT64_MAX - 1))) {
		cr_assert_geq(f->due_ns, due);
		due = f->due_ns;
		n += previous && f < previous;
		previous = f;
	}
	return n;
}

Test(shaper, jitter_overtakes_only_when_told_to)
{
	cr_assert_eq(overtakings(false), 0);
	cr_assert_gt(overtakings(true), 100);
}

Test(shaper, loss_has_its_share_and_repeats_with_the_seed)
{
	struct link_params p = { .loss = 0.1 };
	struct shaper a, b;

	shaper_init(&a, &p, 5);
	shaper_init(&b, &p, 5);
	for (int i = 0; i < FRAMES / 2; i++) {
		bool passed = shaper_push(&a, frame(2 * i, 1), 0);

		cr_assert_eq(passed, shaper_push(&b, frame(2 * i + 1, 1), 0));
		while (shaper_pop(&a, 0) || shaper_pop(&b, 0))
			;
	}
	cr_assert_float_eq((double)a.counts.lost / (FRAMES / 2), 0.1, 0.01);
}

Test(shaper, a_shorter_delay_does_not_let_new_frames_overtake)
{
	struct link_params p = { .delay_ns = 10 * NS_PER_MS };
	struct shaper s;

	shaper_init(&s, &p, 1);
	cr_assert(shaper_push(&s, frame(0, 1), 0));
	p.delay_ns = NS_PER_MS;
	shaper_set(&s, &p);
	cr_assert(shaper_push(&s, frame(1, 1), 1000));
	cr_assert_eq(shaper_pop(&s, 10 * NS_PER_MS), &frames[0]);
	cr_assert_eq(shaper_pop(&s, 10 * NS_PER_MS), &frames[1]);
}

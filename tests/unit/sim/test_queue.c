/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/engine/queue.h"

#include <criterion/criterion.h>

#include "common/cleanup.h"
#include "common/philox.h"

static struct event draw(uint64_t i)
{
	return (struct event){ philox_u64(1, 1, i) % 500, philox_u64(1, 2, i) % 50 };
}

Test(queue, comes_back_in_order)
{
	_cleanup_(queue_clear) struct event_queue q = { 0 };
	struct event all[3000];

	for (uint64_t i = 0; i < 3000; i++) {
		all[i] = draw(i);
		cr_assert_eq(queue_push(&q, all[i]), 0);
	}
	qsort(all, 3000, sizeof(all[0]), event_compare);
	for (size_t i = 0; i < 3000; i++) {
		cr_assert_eq(event_compare(&q.events[0], &all[i]), 0, "at %zu", i);
		queue_pop(&q);
	}
	cr_assert_eq(q.n, 0);
}

/* The first is replaced by a later one, over and over. */
Test(queue, replacing_is_popping_and_pushing)
{
	_cleanup_(queue_clear) struct event_queue a = { 0 }, b = { 0 };

	for (uint64_t i = 0; i < 100; i++) {
		queue_push(&a, draw(i));
		queue_push(&b, draw(i));
	}
	for (uint64_t i = 100; i < 5000; i++) {
		struct event e = draw(i);

		e.t_ns += a.events[0].t_ns;
		queue_replace(&a, e);
		queue_pop(&b);
		queue_push(&b, e);
		cr_assert_eq(event_compare(&a.events[0], &b.events[0]), 0, "at %zu", (size_t)i);
		cr_assert_eq(a.n, b.n);
	}
}

/* A ring and a heap give the same when each event comes again after a fixed interval, also around
 * the ring's end, and as events drop out and others come. */
Test(queue, a_ring_is_a_queue_of_even_intervals)
{
	_cleanup_(queue_clear) struct event_queue q = { 0 };
	_cleanup_(ring_clear) struct event_ring r = { 0 };

	cr_assert_eq(ring_init(&r, 100), 0);
	for (uint64_t i = 0; i < 90; i++) {
		ring_push(&r, draw(i));
		queue_push(&q, draw(i));
	}
	ring_sort(&r);
	for (uint64_t i = 0; i < 5000; i++) {
		struct event e = *ring_at(&r, 0), again = { e.t_ns + 500, e.what };

		cr_assert_eq(event_compare(&q.events[0], &e), 0, "at %zu", (size_t)i);
		cr_assert_not(event_is_before(ring_at(&r, r.n - 1), &e));
		ring_pop(&r);
		queue_pop(&q);
		for (uint64_t copies = philox_u64(1, 3, i) % 3; copies > 0 && r.n < (r.mask + 1);
		     copies--) {
			ring_push(&r, again);
			queue_push(&q, again);
		}
		if (r.n == 0)
			break;
		cr_assert_eq(r.n, q.n);
	}
}

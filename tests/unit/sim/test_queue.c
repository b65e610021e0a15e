/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/engine/queue.h"

#include <criterion/criterion.h>

#include "common/cleanup.h"
#include "common/philox.h"

static struct event draw(uint64_t i)
{
	return (struct event){ philox_u64(1, 1, i) % 500, philox_u64(1, 2, i) % 50 };
}

static int compare(const void *a, const void *b)
{
	return event_is_before(a, b) ? -1 : event_is_before(b, a);
}

Test(queue, comes_back_in_order)
{
	_cleanup_(queue_clear) struct event_queue q = { 0 };
	struct event all[3000];

	for (uint64_t i = 0; i < 3000; i++) {
		all[i] = draw(i);
		cr_assert_eq(queue_push(&q, all[i]), 0);
	}
	qsort(all, 3000, sizeof(all[0]), compare);
	for (size_t i = 0; i < 3000; i++) {
		cr_assert_eq(compare(&q.events[0], &all[i]), 0, "at %zu", i);
		queue_pop(&q);
	}
	cr_assert_eq(q.n, 0);
}

/* As the engine does: the first is replaced by a later one, others come in between. */
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
		cr_assert_eq(compare(&a.events[0], &b.events[0]), 0, "at %zu", (size_t)i);
		cr_assert_eq(a.n, b.n);
	}
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * What is to happen, by time: a heap with four children a node (LaMarca and
 * Ladner, "The influence of caches on the performance of heaps", 1996), and beside it
 * a ring of what comes again and again after one and the same interval: the next
 * time is then always the last of all, so that nothing has to be sorted. Events of
 * one time come in the order of `what`, so the order of insertion is no matter.
 */
#ifndef SIM_ENGINE_QUEUE_H
#define SIM_ENGINE_QUEUE_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

struct event {
	uint64_t t_ns;
	uint64_t what;
};

/* A zeroed one is empty. */
struct event_queue {
	struct event *events;
	size_t n, room;
};

static inline void queue_clear(struct event_queue *q)
{
	free(q->events);
	*q = (struct event_queue){ 0 };
}

static inline bool event_is_before(const struct event *a, const struct event *b)
{
	return a->t_ns < b->t_ns || (a->t_ns == b->t_ns && a->what < b->what);
}

static inline int queue_push(struct event_queue *q, struct event e)
{
	size_t at = q->n;

	if (q->n == q->room) {
		size_t room = q->room ? q->room * 2 : 64;
		struct event *events = reallocarray(q->events, room, sizeof(*events));

		if (!events)
			return -ENOMEM;
		q->events = events;
		q->room = room;
	}
	q->n++;
	while (at > 0 && event_is_before(&e, &q->events[(at - 1) / 4])) {
		q->events[at] = q->events[(at - 1) / 4];
		at = (at - 1) / 4;
	}
	q->events[at] = e;
	return 0;
}

/* Puts `e` in the place of the first event. The queue is not empty. */
static inline void queue_replace(struct event_queue *q, struct event e)
{
	size_t at = 0;

	for (;;) {
		size_t child = at * 4 + 1, end = child + 4 < q->n ? child + 4 : q->n, least = child;

		if (child >= q->n)
			break;
		for (size_t i = child + 1; i < end; i++)
			if (event_is_before(&q->events[i], &q->events[least]))
				least = i;
		if (!event_is_before(&q->events[least], &e))
			break;
		q->events[at] = q->events[least];
		at = least;
	}
	q->events[at] = e;
}

/* Takes the first event away. The queue is not empty. */
static inline void queue_pop(struct event_queue *q)
{
	struct event last = q->events[--q->n];

	if (q->n > 0)
		queue_replace(q, last);
}

/* ---- What comes after a fixed interval --------------------------------------------------- */

struct event_ring {
	struct event *events;
	size_t head, n, mask; /* the room, a power of two, less 1 */
};

/* With room for `n`. -ENOMEM. */
static inline int ring_init(struct event_ring *r, size_t n)
{
	size_t room = 1;

	while (room < n)
		room *= 2;
	*r = (struct event_ring){ .events = calloc(room, sizeof(*r->events)), .mask = room - 1 };
	return r->events ? 0 : -ENOMEM;
}

static inline void ring_clear(struct event_ring *r)
{
	free(r->events);
	*r = (struct event_ring){ 0 };
}

/* The event that comes `ahead` after the first; there is one. */
static inline const struct event *ring_at(const struct event_ring *r, size_t ahead)
{
	return &r->events[(r->head + ahead) & r->mask];
}

/* Not before any that is there, and there is room. */
static inline void ring_push(struct event_ring *r, struct event e)
{
	r->events[(r->head + r->n++) & r->mask] = e;
}

/* Takes the first event away. The ring is not empty. */
static inline void ring_pop(struct event_ring *r)
{
	r->head = (r->head + 1) & r->mask;
	r->n--;
}

static inline int event_compare(const void *a, const void *b)
{
	return event_is_before(a, b) ? -1 : event_is_before(b, a);
}

/* Puts the events of a ring in order from which none has been taken yet. */
static inline void ring_sort(struct event_ring *r)
{
	qsort(r->events, r->n, sizeof(*r->events), event_compare);
}

#endif

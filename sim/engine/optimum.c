/* SPDX-License-Identifier: Apache-2.0
 *
 * Where hosts hold only so many, a VM pays rent, for each host and window of time its own: the more
 * who want to be there, the more. For any rents, what all pay at least, each for itself, less what
 * full hosts would take in, is no more than the least cost (Lagrange; Geoffrion, "Lagrangean
 * relaxation for integer programming", 1974). The rents are raised and lowered until that is as
 * high as it gets (Held, Wolfe and Crowder, "Validation of subgradient optimization", 1974).
 *
 * It is no flow of least cost through time and hosts: VMs differ in what a host costs them, so each
 * is a commodity of its own.
 */
#include "sim/engine/optimum.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"

/* Of time: where towers change more seldom, each window is a time without a change. */
#define WINDOWS_MAX 256
#define ROUNDS_MAX 300
/* Hosts that are looked at in all rounds; so the result does not depend on time. */
#define WORK_MAX UINT64_C(1000000000)

int stays_add(struct stays *s, struct stay stay)
{
	if (s->n == s->room) {
		size_t room = s->room ? s->room * 2 : 1024;
		struct stay *all = reallocarray(s->all, room, sizeof(*all));

		if (!all)
			return -ENOMEM;
		s->all = all;
		s->room = room;
	}
	s->all[s->n++] = stay;
	return 0;
}

void stays_clear(struct stays *s)
{
	free(s->all);
	*s = (struct stays){ 0 };
}

/* A phone's stays begin at different times. */
static int compare(const void *a, const void *b)
{
	const struct stay *x = a, *y = b;

	if (x->phone != y->phone)
		return x->phone < y->phone ? -1 : 1;
	return x->since_ns < y->since_ns ? -1 : x->since_ns > y->since_ns;
}

/* ---- Time ------------------------------------------------------------------------------ */

struct windows {
	uint64_t *begin_ns; /* of each, and the end of the last */
	uint32_t n;
};

static int compare_times(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static int windows_make(const struct stays *s, bool one, struct windows *ret)
{
	size_t n = 0;

	ret->begin_ns = calloc(s->n > WINDOWS_MAX ? s->n : WINDOWS_MAX + 1, sizeof(uint64_t));
	if (!ret->begin_ns)
		return -ENOMEM;
	for (size_t i = 0; i < s->n; i++)
		ret->begin_ns[i] = s->all[i].since_ns;
	qsort(ret->begin_ns, s->n, sizeof(uint64_t), compare_times);
	for (size_t i = 0; i < s->n; i++)
		if (n == 0 || ret->begin_ns[i] != ret->begin_ns[n - 1])
			ret->begin_ns[n++] = ret->begin_ns[i];
	if (one || n > WINDOWS_MAX + 1) {
		uint64_t first = ret->begin_ns[0], last = ret->begin_ns[n - 1];

		n = (one ? 1 : WINDOWS_MAX) + 1;
		for (size_t i = 0; i < n; i++)
			ret->begin_ns[i] = first + (uint64_t)((double)(last - first) /
							      (double)(n - 1) * (double)i);
		ret->begin_ns[n - 1] = last;
	}
	ret->n = (uint32_t)n - 1;
	return 0;
}

static double window_s(const struct windows *w, uint32_t i)
{
	return (double)(w->begin_ns[i + 1] - w->begin_ns[i]) / 1e9;
}

/* ---- One phone --------------------------------------------------------------------------- */

/* A time in which a phone has one tower and hosts have one rent. */
struct part {
	uint32_t tower, window;
	double seconds;
	uint32_t best; /* where one is who moves at its beginning comes from */
};

struct search {
	const struct backhaul *backhaul;
	double price;
	struct windows windows;
	double *rents, *used_s; /* [window * hosts + host]; NULL: hosts hold everybody */
	double *costs;          /* [host]: the least until now with the VM there */
	struct part *parts;     /* of a phone, from where it appears to where it leaves */
	bool *moved;            /* [part * hosts + host] */
	size_t n_parts, room;
	uint64_t work;
};

static void search_clear(struct search *s)
{
	free(s->windows.begin_ns);
	free(s->rents);
	free(s->used_s);
	free(s->costs);
	free(s->parts);
	free(s->moved);
}

static uint32_t least_of(const double *costs, uint32_t n)
{
	uint32_t least = 0;

	for (uint32_t h = 1; h < n; h++)
		if (costs[h] < costs[least])
			least = h;
	return least;
}

static int add_part(struct search *s, struct part part)
{
	if (s->n_parts == s->room) {
		size_t room = s->room ? s->room * 2 : 256;
		struct part *parts = reallocarray(s->parts, room, sizeof(*parts));
		bool *moved;

		if (!parts)
			return -ENOMEM;
		s->parts = parts;
		moved = reallocarray(s->moved, room, s->backhaul->n);
		if (!moved)
			return -ENOMEM;
		s->moved = moved;
		s->room = room;
	}
	s->parts[s->n_parts++] = part;
	return 0;
}

/* Cuts a stay where windows end. */
static int cut(struct search *s, const struct stay *stay, uint64_t end_ns)
{
	const struct windows *w = &s->windows;
	uint64_t at = stay->since_ns;
	uint32_t low = 0, high = w->n;
	int r = 0;

	while (high - low > 1) {
		uint32_t middle = (low + high) / 2;

		if (w->begin_ns[middle] <= at)
			low = middle;
		else
			high = middle;
	}
	for (; r == 0 && at < end_ns; low++) {
		uint64_t to = low + 1 < w->n && w->begin_ns[low + 1] < end_ns ? w->begin_ns[low + 1]
									      : end_ns;

		r = add_part(s, (struct part){ .tower = stay->tower,
					       .window = low,
					       .seconds = (double)(to - at) / 1e9 });
		at = to;
	}
	return r;
}

/* Within a part one moves at the beginning or never. */
static void walk_part(struct search *s, size_t i)
{
	struct part *part = &s->parts[i];
	uint32_t n = s->backhaul->n;
	const double *rents = s->rents ? &s->rents[(size_t)part->window * n] : NULL;
	bool *moved = &s->moved[i * n];
	double from_best;

	part->best = least_of(s->costs, n);
	from_best = s->costs[part->best] + s->price;
	for (uint32_t h = 0; h < n; h++) {
		double rate = 2 * (double)backhaul_delay_ns(s->backhaul, part->tower, h);

		moved[h] = from_best < s->costs[h];
		s->costs[h] = (moved[h] ? from_best : s->costs[h]) +
			      (rate + (rents ? rents[h] : 0)) * part->seconds;
	}
	s->work += n;
}

/* Back on the best way: who was where. */
static void note_use(struct search *s, uint32_t host)
{
	for (size_t i = s->n_parts; s->used_s && i-- > 0;) {
		const struct part *part = &s->parts[i];

		s->used_s[(size_t)part->window * s->backhaul->n + host] += part->seconds;
		if (s->moved[i * s->backhaul->n + host])
			host = part->best;
	}
}

/* The cost of the phone whose stays are parts, from where it appeared. */
static double walk_parts(struct search *s)
{
	uint32_t last;

	memset(s->costs, 0, s->backhaul->n * sizeof(*s->costs));
	for (size_t i = 0; i < s->n_parts; i++)
		walk_part(s, i);
	last = least_of(s->costs, s->backhaul->n);
	note_use(s, last);
	return s->costs[last];
}

/* ---- All of them ---------------------------------------------------------------------------- */

static int walk_all(struct search *s, const struct stays *stays, double *ret)
{
	double sum = 0;
	int r = 0;

	s->n_parts = 0;
	for (size_t i = 0; r == 0 && i < stays->n; i++) {
		const struct stay *stay = &stays->all[i];

		if (stay->tower != STAY_ABSENT) {
			r = cut(s, stay, stays->all[i + 1].since_ns);
			continue;
		}
		sum += walk_parts(s);
		s->n_parts = 0;
	}
	*ret = sum;
	return r;
}

/* What full hosts take in. */
static double income(const struct search *s, uint32_t capacity)
{
	double sum = 0;

	for (uint32_t w = 0; w < s->windows.n; w++)
		for (uint32_t h = 0; h < s->backhaul->n; h++)
			sum += s->rents[(size_t)w * s->backhaul->n + h] * capacity *
			       window_s(&s->windows, w);
	return sum;
}

/* By `step` for a host that is wanted by twice as many as it holds. Whether any rent changes. */
static bool change_rents(struct search *s, uint32_t capacity, double step)
{
	bool any = false;

	for (uint32_t w = 0; w < s->windows.n; w++) {
		double room_s = capacity * window_s(&s->windows, w);

		for (uint32_t h = 0; h < s->backhaul->n; h++) {
			double *rent = &s->rents[(size_t)w * s->backhaul->n + h], before = *rent;
			double used_s = s->used_s[(size_t)w * s->backhaul->n + h];

			/* The margin is for rounding. */
			if (fabs(used_s - room_s) > 1e-9 * room_s)
				*rent = fmax(0, before + step * (used_s / room_s - 1));
			any = any || *rent != before;
		}
	}
	return any;
}

/* The scale of rents: what the farthest host costs. */
static double farthest(const struct backhaul *b)
{
	double most = 0;

	for (uint32_t h = 0; h < b->n; h++)
		most = fmax(most, 2 * (double)backhaul_delay_ns(b, 0, h));
	return most;
}

static int raise_bound(struct search *s, const struct stays *stays, uint32_t capacity,
		       double *bound)
{
	size_t cells = (size_t)s->windows.n * s->backhaul->n;
	double most = farthest(s->backhaul);

	s->rents = calloc(cells, sizeof(*s->rents));
	s->used_s = calloc(cells, sizeof(*s->used_s));
	if (!s->rents || !s->used_s)
		return -ENOMEM;
	for (int round = 0; round < ROUNDS_MAX && s->work < WORK_MAX; round++) {
		double cost;
		int r;

		memset(s->used_s, 0, cells * sizeof(*s->used_s));
		r = walk_all(s, stays, &cost);
		if (r < 0)
			return r;
		*bound = fmax(*bound, cost - income(s, capacity));
		if (!change_rents(s, capacity, most / (4 + round)))
			break;
	}
	return 0;
}

int optimum_find(const struct backhaul *backhaul, struct stays *stays, double price,
		 uint32_t capacity, double *ret)
{
	_cleanup_(search_clear) struct search s = { .backhaul = backhaul, .price = price };
	double cost = 0;
	int r;

	if (stays->n == 0) {
		*ret = 0;
		return 0;
	}
	qsort(stays->all, stays->n, sizeof(*stays->all), compare);
	s.costs = calloc(backhaul->n, sizeof(*s.costs));
	r = s.costs ? windows_make(stays, capacity == 0, &s.windows) : -ENOMEM;
	if (r < 0)
		return r;
	r = capacity > 0 ? raise_bound(&s, stays, capacity, &cost) : walk_all(&s, stays, &cost);
	if (r == 0)
		*ret = cost;
	return r;
}

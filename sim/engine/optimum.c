/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/engine/optimum.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"

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

static double least_of(const double *costs, uint32_t n)
{
	double least = costs[0];

	for (uint32_t h = 1; h < n; h++)
		least = costs[h] < least ? costs[h] : least;
	return least;
}

/* costs[h]: the least until now with the VM at h. While the tower is the same, one moves at the
 * beginning or never. */
static void add_stay(const struct backhaul *b, const struct stay *stay, double seconds,
		     double price, double *costs)
{
	double moved = least_of(costs, b->n) + price;

	for (uint32_t h = 0; h < b->n; h++) {
		double before = costs[h] < moved ? costs[h] : moved;

		costs[h] = before + 2 * (double)backhaul_delay_ns(b, stay->tower, h) * seconds;
	}
}

int optimum_find(const struct backhaul *backhaul, struct stays *s, double price, double *ret)
{
	_cleanup_free_ double *costs = calloc(backhaul->n, sizeof(*costs));
	double sum = 0;

	if (!costs)
		return -ENOMEM;
	if (s->n > 0)
		qsort(s->all, s->n, sizeof(*s->all), compare);
	for (size_t i = 0; i < s->n; i++) {
		const struct stay *stay = &s->all[i];

		if (stay->tower == STAY_ABSENT) {
			sum += least_of(costs, backhaul->n);
			memset(costs, 0, backhaul->n * sizeof(*costs));
			continue;
		}
		add_stay(backhaul, stay, (double)(s->all[i + 1].since_ns - stay->since_ns) / 1e9,
			 price, costs);
	}
	*ret = sum;
	return 0;
}

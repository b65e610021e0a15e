/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "placement/assign.h"

#define ROUNDS 40       /* of prices, on a sample of the items */
#define FULL_ROUNDS 4   /* the last of them, on all */
#define SAMPLE_MIN 8192 /* items: fewer are not sampled */
#define SAMPLE_STRIDE 8

/* What one unit of each limit costs, and how much of it is asked for at that. */
struct node_prices {
	double out, in, memory, vcpus;
	double want_out, want_in, want_memory, want_vcpus;
};

struct prices {
	const struct assign *a;
	struct node_prices *nodes;
	double *links, *want_links;
	double moves, want_moves;
	double value, memory, vcpus; /* of the average item: the scales of prices */
};

/* What each option is worth beyond its price. */
static void evaluate(const struct prices *p, const struct assign_item *item,
		     double worth[ASSIGN_OPTIONS_MAX])
{
	double leaving = p->moves + p->nodes[item->from].out;
	double memory = (double)item->memory, vcpus = item->vcpus;

	for (uint32_t k = 0; k < item->n_options; k++) {
		const struct assign_option *o = &item->options[k];
		const struct node_prices *to = &p->nodes[o->to];

		worth[k] = (double)o->value - leaving - to->in - to->memory * memory -
			   to->vcpus * vcpus;
		if (o->link != ASSIGN_NO_LINK)
			worth[k] -= p->links[o->link];
	}
}

/* The best option at these prices, and what it and the next best are worth; 0 is
 * what staying is worth. */
static const struct assign_option *choose(const struct prices *p, const struct assign_item *item,
					  double *ret_best, double *ret_second)
{
	const struct assign_option *best = NULL;
	double first = 0, second = 0, worth[ASSIGN_OPTIONS_MAX];

	evaluate(p, item, worth);
	for (uint32_t k = 0; k < item->n_options; k++) {
		double w = worth[k];

		if (w > first) {
			second = first;
			first = w;
			best = &item->options[k];
		} else if (w > second) {
			second = w;
		}
	}
	*ret_best = first;
	*ret_second = second;
	return best;
}

static void forget_wants(struct prices *p)
{
	for (size_t n = 0; n < p->a->n_nodes; n++) {
		struct node_prices *node = &p->nodes[n];

		node->want_out = node->want_in = node->want_memory = node->want_vcpus = 0;
	}
	memset(p->want_links, 0, p->a->n_links * sizeof(*p->want_links));
	p->want_moves = 0;
}

/* What every stride-th item would take; returns what they gain beyond the prices. */
static double ask(struct prices *p, size_t first, size_t stride)
{
	double surplus = 0, best, second;

	forget_wants(p);
	for (size_t i = first; i < p->a->n_items; i += stride) {
		const struct assign_item *item = &p->a->items[i];
		const struct assign_option *o = choose(p, item, &best, &second);
		struct node_prices *to;

		if (!o)
			continue;
		surplus += best;
		to = &p->nodes[o->to];
		p->nodes[item->from].want_out++;
		to->want_in++;
		to->want_memory += (double)item->memory;
		to->want_vcpus += item->vcpus;
		if (o->link != ASSIGN_NO_LINK)
			p->want_links[o->link]++;
		p->want_moves++;
	}
	return surplus;
}

/* Up where more is wanted than is there, down where less; by a part of the scale. */
static void adjust(double *price, double want, double have, double scale)
{
	double most = want > have ? want : have;

	if (most <= 0)
		return;
	*price += scale * (want - have) / most;
	if (*price < 0)
		*price = 0;
}

static void adjust_all(struct prices *p, double share, double step)
{
	const struct assign *a = p->a;
	double slot = step * p->value;

	for (size_t n = 0; n < a->n_nodes; n++) {
		struct node_prices *node = &p->nodes[n];
		const struct assign_node *left = &a->nodes[n];

		adjust(&node->out, node->want_out, share * left->out, slot);
		adjust(&node->in, node->want_in, share * left->in, slot);
		adjust(&node->memory, node->want_memory, share * (double)left->memory,
		       slot / p->memory);
		adjust(&node->vcpus, node->want_vcpus, share * (double)left->vcpus,
		       slot / p->vcpus);
	}
	for (size_t l = 0; l < a->n_links; l++)
		adjust(&p->links[l], p->want_links[l], share * a->links[l], slot);
	adjust(&p->moves, p->want_moves, share * a->moves, slot);
}

/* The Lagrange function: no choice within the limits is worth more. */
static double bound(const struct prices *p, double surplus)
{
	const struct assign *a = p->a;
	double sum = surplus + p->moves * a->moves;

	for (size_t n = 0; n < a->n_nodes; n++)
		sum += p->nodes[n].out * a->nodes[n].out + p->nodes[n].in * a->nodes[n].in +
		       p->nodes[n].memory * (double)a->nodes[n].memory +
		       p->nodes[n].vcpus * (double)a->nodes[n].vcpus;
	for (size_t l = 0; l < a->n_links; l++)
		sum += p->links[l] * a->links[l];
	return sum;
}

static void set_scales(struct prices *p)
{
	double n = 0;

	for (size_t i = 0; i < p->a->n_items; i++) {
		const struct assign_item *item = &p->a->items[i];

		if (item->n_options == 0)
			continue;
		p->value += (double)item->options[0].value;
		p->memory += (double)item->memory;
		p->vcpus += item->vcpus;
		n++;
	}
	p->value /= n > 0 ? n : 1;
	p->memory = p->memory > 0 ? p->memory / n : 1;
	p->vcpus = p->vcpus > 0 ? p->vcpus / n : 1;
}

static double find_prices(struct prices *p)
{
	size_t stride = p->a->n_items > SAMPLE_MIN ? SAMPLE_STRIDE : 1;
	double least = 0;

	set_scales(p);
	for (size_t round = 0; round < ROUNDS; round++) {
		bool full = stride == 1 || round + FULL_ROUNDS >= ROUNDS;
		size_t every = full ? 1 : stride;
		double surplus = ask(p, full ? 0 : round % stride, every);
		double b = full ? bound(p, surplus) : 0;

		if (full && (least == 0 || b < least))
			least = b;
		adjust_all(p, 1.0 / (double)every, 0.5 / (1.0 + 0.1 * (double)round));
	}
	return least;
}

/* ---- Choosing ------------------------------------------------------------------------ */

struct ranked {
	uint32_t key;
	uint32_t item;
};

/* Keeps the order of numbers, the largest first. */
static uint32_t sort_key(double value)
{
	float f = (float)value;
	uint32_t bits;

	memcpy(&bits, &f, sizeof(bits));
	return ~(bits & 0x80000000u ? ~bits : bits | 0x80000000u);
}

/* By the key, equals in their order: a radix sort, 11 bits a pass. The result is in `b`. */
static void sort_ranked(struct ranked *a, struct ranked *b, size_t n)
{
	for (unsigned shift = 0; shift < 33; shift += 11) {
		uint32_t counts[2049] = { 0 };
		struct ranked *swap = a;

		for (size_t i = 0; i < n; i++)
			counts[((a[i].key >> shift) & 2047) + 1]++;
		for (size_t i = 1; i < 2048; i++)
			counts[i] += counts[i - 1];
		for (size_t i = 0; i < n; i++)
			b[counts[(a[i].key >> shift) & 2047]++] = a[i];
		a = b;
		b = swap;
	}
}

/* The best of the options that fit; `least` is what it must be worth. */
static bool take_best(struct assign *a, const struct prices *p, struct assign_item *item,
		      double least)
{
	double worth[ASSIGN_OPTIONS_MAX];
	int32_t best = -1;

	evaluate(p, item, worth);
	for (uint32_t k = 0; k < item->n_options; k++)
		if (worth[k] >= least && assign_fits(a, item, &item->options[k])) {
			best = (int32_t)k;
			least = worth[k];
		}
	item->chosen = best;
	if (best >= 0)
		assign_take(a, item, &item->options[best]);
	return best >= 0;
}

/* First those who gain at these prices, by what they lose without their first choice;
 * then whoever still fits. */
static void take(struct assign *a, const struct prices *p, struct ranked *ranks,
		 struct ranked *sorted)
{
	size_t n = 0;

	for (size_t i = 0; i < a->n_items; i++) {
		double best, second;

		a->items[i].chosen = -1;
		if (choose(p, &a->items[i], &best, &second))
			ranks[n++] = (struct ranked){ sort_key(best - second), (uint32_t)i };
	}
	sort_ranked(ranks, sorted, n);
	for (size_t i = 0; i < n; i++)
		take_best(a, p, &a->items[sorted[i].item], 0);
	n = 0;
	for (size_t i = 0; i < a->n_items; i++) {
		const struct assign_item *item = &a->items[i];
		double best = -1e300, worth[ASSIGN_OPTIONS_MAX];

		if (item->chosen >= 0 || item->n_options == 0)
			continue;
		evaluate(p, item, worth);
		for (uint32_t k = 0; k < item->n_options; k++)
			best = worth[k] > best ? worth[k] : best;
		ranks[n++] = (struct ranked){ sort_key(best), (uint32_t)i };
	}
	sort_ranked(ranks, sorted, n);
	for (size_t i = 0; i < n; i++)
		take_best(a, p, &a->items[sorted[i].item], -1e300);
}

int assign_by_prices(struct assign *a, struct assign_result *ret)
{
	_cleanup_free_ struct node_prices *nodes = calloc(a->n_nodes + 1, sizeof(*nodes));
	_cleanup_free_ double *links = calloc(2 * a->n_links + 1, sizeof(*links));
	_cleanup_free_ struct ranked *ranks = calloc(2 * a->n_items + 1, sizeof(*ranks));
	struct prices p = { .a = a, .nodes = nodes, .links = links,
			    .want_links = links ? links + a->n_links : NULL };

	if (!nodes || !links || !ranks)
		return -ENOMEM;
	*ret = (struct assign_result){ .bound = find_prices(&p) };
	take(a, &p, ranks, ranks + a->n_items);
	for (size_t i = 0; i < a->n_items; i++)
		if (a->items[i].chosen >= 0)
			ret->value += a->items[i].options[a->items[i].chosen].value;
	return 0;
}

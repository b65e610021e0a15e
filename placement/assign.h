/* SPDX-License-Identifier: Apache-2.0
 *
 * Which items go where, so that the sum of what that is worth is the largest
 * within what nodes can hold and how much may be on its way. Pure integers in and
 * out; knows nothing of VMs.
 *
 * Few items: branch and bound, each bound a minimum-cost flow in which a node takes
 * as many items as the smallest that want there would fit; where all are of one
 * size, the first flow is the answer. Many items: each limit gets a price, found by
 * raising it where more is asked for than is there (Lagrange relaxation, Fisher 1981;
 * the prices like Walras' tatonnement), then items are taken in the order of what they would
 * lose without their first choice.
 */
#ifndef PLACEMENT_ASSIGN_H
#define PLACEMENT_ASSIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ASSIGN_OPTIONS_MAX 4
#define ASSIGN_NO_LINK UINT32_MAX
#define ASSIGN_VALUE_MAX (INT64_C(1) << 40)

struct assign_option {
	uint32_t to;   /* node */
	uint32_t link; /* that it takes, or ASSIGN_NO_LINK */
	int64_t value; /* 1 to ASSIGN_VALUE_MAX */
};

struct assign_item {
	uint32_t from; /* node */
	uint32_t vcpus;
	uint64_t memory;
	uint32_t n_options;
	int32_t chosen; /* set by assign_solve(); -1: none */
	struct assign_option options[ASSIGN_OPTIONS_MAX];
};

/* What is left there. */
struct assign_node {
	uint32_t out, in; /* items that may leave and come */
	uint64_t memory, vcpus; /* UINT64_MAX: no limit */
};

struct assign {
	struct assign_item *items;
	size_t n_items;
	struct assign_node *nodes;
	size_t n_nodes;
	uint32_t *links; /* items that may go over each */
	size_t n_links;
	uint32_t moves; /* in all */
};

struct assign_result {
	int64_t value; /* of what was chosen */
	double bound;  /* no choice is worth more */
	bool exact;    /* this is the largest */
};

/* Chooses, and takes what it chose from what is left. -ENOMEM: nothing was changed. */
int assign_solve(struct assign *a, struct assign_result *ret);

/* The parts of it, for each other, for tests and for benchmarks. assign_exact() looks at
 * no more edges than `work` and leaves the choice as it is when it finds no better one. */
int assign_by_prices(struct assign *a, struct assign_result *ret);
int assign_exact(struct assign *a, uint64_t work, struct assign_result *ret);

/* Whether the option fits into what is left, and takes or gives back what it needs. */
bool assign_fits(const struct assign *a, const struct assign_item *item,
		 const struct assign_option *option);
void assign_take(struct assign *a, const struct assign_item *item,
		 const struct assign_option *option);
void assign_give_back(struct assign *a, const struct assign_item *item,
		      const struct assign_option *option);

#endif

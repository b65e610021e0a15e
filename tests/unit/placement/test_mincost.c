/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "placement/mincost.h"

#define PLENTY UINT64_C(1000000)

/* The textbook case: two paths share an edge, and the second takes the first one back. */
Test(mincost, a_later_path_reroutes_an_earlier_one)
{
	_cleanup_(mincost_free_p) struct mincost *net = NULL;
	uint64_t work = PLENTY;
	uint32_t middle;

	cr_assert_eq(mincost_new(4, 5, &net), 0);
	mincost_edge(net, 0, 1, 1, -10);
	mincost_edge(net, 0, 2, 1, -6);
	middle = mincost_edge(net, 1, 2, 1, -5);
	mincost_edge(net, 1, 3, 1, -2);
	mincost_edge(net, 2, 3, 1, -1);
	cr_assert_eq(mincost_run(net, 0, 3, 1, &work), -16);
	cr_assert_eq(mincost_flow(net, middle), 1);
	cr_assert_eq(mincost_run(net, 0, 3, 1, &work), -3);
	cr_assert_eq(mincost_flow(net, middle), 0);
	cr_assert_eq(mincost_run(net, 0, 3, 1, &work), 0);
}

Test(mincost, what_costs_is_not_sent)
{
	_cleanup_(mincost_free_p) struct mincost *net = NULL;
	uint64_t work = PLENTY;
	uint32_t cheap;

	cr_assert_eq(mincost_new(2, 2, &net), 0);
	cheap = mincost_edge(net, 0, 1, 3, -1);
	mincost_edge(net, 0, 1, 5, 1);
	cr_assert_eq(mincost_run(net, 0, 1, 100, &work), -3);
	cr_assert_eq(mincost_flow(net, cheap), 3);
	mincost_reset(net);
	mincost_edge(net, 0, 1, 5, 1);
	cr_assert_eq(mincost_run(net, 0, 1, 100, &work), 0);
}

Test(mincost, stops_when_its_work_is_used_up)
{
	_cleanup_(mincost_free_p) struct mincost *net = NULL;
	uint64_t work = 1;

	cr_assert_eq(mincost_new(3, 2, &net), 0);
	mincost_edge(net, 0, 1, 1, -1);
	mincost_edge(net, 1, 2, 1, -1);
	cr_assert_eq(mincost_run(net, 0, 2, 1, &work), 0);
	cr_assert_eq(work, 0);
}

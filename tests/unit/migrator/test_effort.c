/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "migrator/effort.h"
#include "migrator/page.h"

static int settle(struct effort *e, bool starved)
{
	for (int i = 0; i < 10; i++)
		effort_next(e, starved);
	return e->level;
}

/* How many batches by the fastest codec the link has to wait for until one goes as it is. */
static int until_plain(struct effort *e)
{
	int n = 0;

	while (effort_next(e, true) != PAGE_EFFORT_NONE) {
		effort_note(e, 1000, 1000, 0);
		n++;
	}
	return n;
}

Test(effort, a_link_that_waits_gets_pages_faster)
{
	struct effort e;

	effort_init(&e);
	effort_note(&e, 1000, 1000, 0);
	cr_assert_eq(settle(&e, true), PAGE_EFFORT_FASTEST);
	cr_assert_eq(settle(&e, false), PAGE_EFFORT_THRIFTY);
	cr_assert_eq(effort_next(&e, true), PAGE_EFFORT_THRIFTY + 1);
}

Test(effort, a_link_that_waits_for_the_fastest_codec_all_the_time_gets_pages_as_they_are)
{
	struct effort e;

	effort_init(&e);
	effort_note(&e, 1000, 1000, 0);
	cr_assert_eq(settle(&e, true), PAGE_EFFORT_FASTEST, "not so soon");
	effort_next(&e, false);
	cr_assert_eq(until_plain(&e), 16, "it has to wait for so many on end");
	effort_note(&e, 10, 2000, 0); /* to copy takes no time, whatever the link */
	cr_assert_eq(settle(&e, true), PAGE_EFFORT_NONE);
}

Test(effort, pages_as_they_are_are_tried_less_often_where_they_fill_the_link)
{
	struct effort e;
	int tries[4];

	effort_init(&e);
	effort_note(&e, 1000, 1000, 0);
	for (int i = 0; i < 4; i++) {
		tries[i] = until_plain(&e);
		cr_assert_eq(effort_next(&e, false), PAGE_EFFORT_FASTEST, "it has to wait now");
	}
	cr_assert_geq(tries[1], 2 * tries[0] - 2);
	cr_assert_geq(tries[2], 2 * tries[1] - 2);
	cr_assert_eq(tries[3], tries[2], "there is a most");
}

Test(effort, and_more_often_where_they_went_well)
{
	struct effort e;
	int first, second;

	effort_init(&e);
	effort_note(&e, 1000, 1000, 0);
	first = until_plain(&e);
	settle(&e, true);
	effort_next(&e, false); /* the peer was late for once */
	second = until_plain(&e);
	cr_assert_leq(second, first / 2);
}

Test(effort, pages_that_go_as_they_are_are_compressed_when_there_is_time)
{
	struct effort e;

	effort_init(&e);
	until_plain(&e);
	effort_note(&e, 10, 2000, 0);
	effort_waited(&e, 999);
	cr_assert_eq(effort_next(&e, true), PAGE_EFFORT_NONE);
	effort_waited(&e, 1000);
	cr_assert_eq(effort_next(&e, true), PAGE_EFFORT_FASTEST);
}

Test(effort, a_link_that_waits_for_qemu_is_no_reason_for_haste)
{
	struct effort e;

	effort_init(&e);
	effort_note(&e, 1000, 1000, 0);
	settle(&e, true);
	effort_waited(&e, 600);
	effort_waited(&e, 400);
	cr_assert_eq(effort_next(&e, true), PAGE_EFFORT_FASTEST - 1);
	effort_waited(&e, 999);
	cr_assert_eq(effort_next(&e, true), PAGE_EFFORT_FASTEST, "that was not long enough");
	effort_waited(&e, 2000);
	effort_note(&e, 1001, 1000, 0);
	cr_assert_eq(effort_next(&e, true), PAGE_EFFORT_FASTEST, "and such a link needs no more");
}

Test(effort, a_link_that_is_faster_than_any_codec_gets_pages_as_they_are_at_once)
{
	struct effort e;
	int n = 0;

	effort_init(&e);
	do
		effort_note(&e, 1000, 400, 900);
	while (effort_next(&e, false) != PAGE_EFFORT_NONE && ++n < 16);
	cr_assert_leq(n, PAGE_EFFORT_NONE);
	effort_waited(&e, 100000);
	effort_note(&e, 10, 900, 900);
	cr_assert_eq(effort_next(&e, true), PAGE_EFFORT_NONE, "time makes it no better");
	effort_note(&e, 10, 1100, 1100);
	cr_assert_eq(effort_next(&e, false), PAGE_EFFORT_FASTEST, "it is slower now");
}

Test(effort, nothing_is_known_of_the_link_yet)
{
	struct effort e;

	effort_init(&e);
	effort_note(&e, 1000, 0, 0);
	cr_assert_eq(settle(&e, false), PAGE_EFFORT_THRIFTY);
}

Test(effort, the_last_steps_need_time_to_spare)
{
	struct effort e;

	effort_init(&e);
	settle(&e, false);
	effort_note(&e, 1001, 4000, 0);
	cr_assert_eq(effort_next(&e, false), PAGE_EFFORT_THRIFTY);
	effort_note(&e, 1000, 4000, 0);
	cr_assert_eq(effort_next(&e, false), PAGE_EFFORT_THRIFTY - 1);
	effort_note(&e, 2000, 4000, 0);
	cr_assert_eq(effort_next(&e, false), PAGE_EFFORT_THRIFTY - 1, "in between it stays");
	effort_note(&e, 2001, 4000, 0);
	cr_assert_eq(effort_next(&e, false), PAGE_EFFORT_THRIFTY, "half is the limit");
	effort_note(&e, 1, 4000, 0);
	cr_assert_eq(settle(&e, false), PAGE_EFFORT_SMALLEST);
	cr_assert_eq(effort_next(&e, true), PAGE_EFFORT_SMALLEST + 1);
}

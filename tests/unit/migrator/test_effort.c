/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "migrator/effort.h"
#include "migrator/page.h"

static int settle(struct effort *e, bool starved)
{
	for (int i = 0; i < 20; i++)
		effort_next(e, starved);
	return e->level;
}

Test(effort, a_link_that_waits_gets_pages_faster)
{
	struct effort e;

	effort_init(&e);
	effort_note(&e, 1000, 1000, 2000);
	cr_assert_eq(settle(&e, true), PAGE_EFFORT_FASTEST);
	cr_assert_eq(settle(&e, false), PAGE_EFFORT_THRIFTY);
	cr_assert_eq(effort_next(&e, true), PAGE_EFFORT_THRIFTY + 1);
}

Test(effort, a_link_that_is_faster_than_any_codec_gets_pages_as_they_are)
{
	struct effort e;

	effort_init(&e);
	effort_note(&e, 1999, 1000, 2000);
	cr_assert_eq(settle(&e, true), PAGE_EFFORT_FASTEST, "as they are they take longer");
	effort_note(&e, 2001, 1000, 2000);
	cr_assert_eq(settle(&e, true), PAGE_EFFORT_NONE);
	effort_note(&e, 10, 2000, 2000); /* to copy takes no time, whatever the link */
	cr_assert_eq(effort_next(&e, true), PAGE_EFFORT_NONE);
	cr_assert_eq(effort_next(&e, false), PAGE_EFFORT_FASTEST, "it has to wait now");
	effort_note(&e, 1001, 0, 0);
	cr_assert_eq(effort_next(&e, true), PAGE_EFFORT_FASTEST, "nothing is known of the link");
}

Test(effort, a_link_that_waits_for_qemu_is_no_reason_for_haste)
{
	struct effort e;

	effort_init(&e);
	effort_note(&e, 1000, 1000, 2000);
	settle(&e, true);
	effort_waited(&e, 600);
	effort_waited(&e, 400);
	cr_assert_eq(effort_next(&e, true), PAGE_EFFORT_FASTEST - 1);
	effort_waited(&e, 999);
	cr_assert_eq(effort_next(&e, true), PAGE_EFFORT_FASTEST, "that was not long enough");
	effort_waited(&e, 2000);
	effort_note(&e, 1001, 1000, 2000);
	cr_assert_eq(effort_next(&e, true), PAGE_EFFORT_FASTEST, "and such a link needs no more");
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
	effort_note(&e, 1001, 4000, 8000);
	cr_assert_eq(effort_next(&e, false), PAGE_EFFORT_THRIFTY);
	effort_note(&e, 1000, 4000, 8000);
	cr_assert_eq(effort_next(&e, false), PAGE_EFFORT_THRIFTY - 1);
	effort_note(&e, 2000, 4000, 8000);
	cr_assert_eq(effort_next(&e, false), PAGE_EFFORT_THRIFTY - 1, "in between it stays");
	effort_note(&e, 2001, 4000, 8000);
	cr_assert_eq(effort_next(&e, false), PAGE_EFFORT_THRIFTY, "half is the limit");
	effort_note(&e, 1, 4000, 8000);
	cr_assert_eq(settle(&e, false), PAGE_EFFORT_SMALLEST);
	cr_assert_eq(effort_next(&e, true), PAGE_EFFORT_SMALLEST + 1);
}

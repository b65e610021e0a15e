/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>

#include "sim/testbed/console.h"

static struct console c;

static void feed(const char *text)
{
	console_feed(&c, text, strlen(text));
}

static void setup(void)
{
	console_init(&c);
}

TestSuite(console, .init = setup);

Test(console, takes_reports_in_pieces)
{
	feed("[    0.5] Linux\r\ntagguest start uptime_ms=900 end\r\n");
	cr_assert(c.started);
	feed("tagguest report version=1 seq=4 upti");
	cr_assert_eq(c.reports, 0);
	feed("me_ms=4001 passes=3 errors=0 late_ms=12 end\r\n");
	cr_assert_eq(c.reports, 1);
	cr_assert_eq(c.last.seq, 4);
	cr_assert_eq(c.last.uptime_ms, 4001);
	cr_assert_eq(c.last.passes, 3);
	cr_assert_eq(c.last.late_ms, 12);
	cr_assert_str_eq(c.complaint, "");
}

Test(console, a_report_that_was_cut_off_does_not_count)
{
	feed("tagguest report version=1 seq=4 passes=3 errors=0\n");
	cr_assert_eq(c.reports, 0);
}

Test(console, keeps_the_first_complaint)
{
	feed("tagguest error page=5 state=stale expected=7 found=6 found_index=5 end\n");
	feed("tagguest error page=6 state=lost end\n");
	cr_assert_not_null(strstr(c.complaint, "page=5 state=stale"));
}

Test(console, a_panic_is_a_complaint)
{
	feed("[    9.1] Kernel panic - not syncing: Attempted to kill init!\n");
	cr_assert_not_null(strstr(c.complaint, "panic"));
}

Test(console, drops_a_line_that_is_too_long)
{
	for (int i = 0; i < 1000; i++)
		feed("tagguest error ");
	feed("\ntagguest report seq=1 end\n");
	cr_assert_str_eq(c.complaint, "");
	cr_assert_eq(c.reports, 1);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/testbed/page.h"

#include <stdlib.h>

#include "common/file.h"
#include "tests/unit/sim/story_sample.h"

/* Set TAGALONG_KEEP_PAGE to a path to look at the page. */
static char *write_page(const struct story *s)
{
	char path[] = "/tmp/test_page.XXXXXX", *text = NULL;
	const char *keep = getenv("TAGALONG_KEEP_PAGE");
	struct mg_error err = { 0 };
	struct verdict v;
	size_t len;
	int fd = mkstemp(path);

	cr_assert_geq(fd, 0);
	close(fd);
	verdict_reach(s, &v);
	cr_assert_eq(page_write(keep ? keep : path, s, &v, &err), 0, "%s", err.text);
	cr_assert_eq(file_read(keep ? keep : path, 1 << 22, &text, &len, NULL), 0);
	unlink(path);
	return text;
}

static int count(const char *text, const char *what)
{
	int n = 0;

	while ((text = strstr(text, what))) {
		n++;
		text += strlen(what);
	}
	return n;
}

Test(page, shows_lines_moves_and_checks)
{
	struct scenario scenario = sample_scenario();
	struct story story;
	_cleanup_free_ char *text = NULL;

	sample_story(&story, &scenario);
	text = write_page(&story);
	cr_assert_eq(count(text, "<path class='rtt tower"), 2);
	cr_assert_eq(count(text, "<path class=echo"), 1);
	cr_assert_eq(count(text, "<rect class=move "), 2);
	cr_assert_eq(count(text, "<rect class=silence "), 2);
	cr_assert_eq(count(text, "<rect class='strip "), 3);
	cr_assert_eq(count(text, "blackout 38.0 ms"), 2);
	cr_assert_eq(count(text, ">threshold 14.0 ms</text>"), 1);
	cr_assert_eq(count(text, "✓ ok"), 5);
	cr_assert_eq(count(text, "nan"), 0);
	/* Self-contained: it names no other resource and runs nothing. */
	cr_assert_eq(count(text, "http"), 0);
	cr_assert_eq(count(text, "<script"), 0);
	story_clear(&story);
}

Test(page, escapes_what_others_wrote)
{
	struct scenario scenario = sample_scenario();
	struct story story;
	_cleanup_free_ char *text = NULL;

	sample_story(&story, &scenario);
	strcpy(story.moves[0].text, "<b>RTT</b> & more");
	strcpy(story.guest_complaint, "<i>");
	text = write_page(&story);
	cr_assert_eq(count(text, "&lt;b&gt;RTT&lt;/b&gt; &amp; more"), 1);
	cr_assert_eq(count(text, "<b>RTT"), 0);
	cr_assert_eq(count(text, "<i>"), 0);
	story_clear(&story);
}

Test(page, a_run_without_samples_is_a_page_too)
{
	struct scenario scenario = sample_scenario();
	struct story story = { .scenario = &scenario };
	_cleanup_free_ char *text = write_page(&story);

	cr_assert_eq(count(text, "nan"), 0);
	cr_assert_eq(count(text, "✗ failed"), 5);
}

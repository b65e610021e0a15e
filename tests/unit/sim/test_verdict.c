/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/testbed/verdict.h"

#include "tests/unit/sim/story_sample.h"

static struct scenario scenario;
static struct story story;

static void setup(void)
{
	scenario = sample_scenario();
	sample_story(&story, &scenario);
}

static void teardown(void)
{
	story_clear(&story);
}

TestSuite(verdict, .init = setup, .fini = teardown);

/* The run fails, by this check, and says this. */
static void fails(const char *what, const char *says)
{
	struct verdict v;
	int failed = 0;

	verdict_reach(&story, &v);
	cr_assert_not(v.passed);
	for (int i = 0; i < v.n_checks; i++) {
		if (v.checks[i].passed)
			continue;
		failed++;
		cr_assert_str_eq(v.checks[i].what, what);
		cr_assert_not_null(strstr(v.checks[i].text, says), "%s", v.checks[i].text);
	}
	cr_assert_eq(failed, 1);
}

Test(verdict, a_good_run_passes)
{
	struct verdict v;

	verdict_reach(&story, &v);
	for (int i = 0; i < v.n_checks; i++)
		cr_assert(v.checks[i].passed, "%s: %s", v.checks[i].what, v.checks[i].text);
	cr_assert(v.passed);
	cr_assert_eq(v.n_checks, 5);
}

Test(verdict, a_missing_move_fails)
{
	story.n_moves = 1;
	fails("moves", "1 of 2");
}

Test(verdict, a_move_too_many_fails)
{
	sample_move(&story, 0, 55 * NS_PER_S);
	story.n_moves = 3;
	fails("moves", "3 of 2");
}

Test(verdict, a_move_for_another_reason_fails)
{
	strcpy(story.moves[1].reason, "operator");
	fails("moves", "another reason");
}

Test(verdict, a_move_to_another_tower_fails)
{
	story.moves[1].to = 1;
	fails("moves", "not the one");
}

Test(verdict, an_aborted_move_fails)
{
	story.moves[0].state = TAGALONG__MOVE_STATE__MOVE_ABORTED;
	strcpy(story.moves[0].failure, "the link broke");
	fails("moves", "the link broke");
}

Test(verdict, a_move_with_no_rtt_above_the_threshold_fails)
{
	story.moves[1].begun_ns = 30 * NS_PER_S;
	fails("moves", "above the threshold");
}

Test(verdict, a_fault_in_memory_fails)
{
	story.guest_last.errors = 1;
	fails("guest's memory", "faults");
}

Test(verdict, a_complaint_of_the_guest_fails)
{
	strcpy(story.guest_complaint, "tagguest error page=1 state=stale");
	fails("guest's memory", "state=stale");
}

Test(verdict, memory_that_was_not_verified_fails)
{
	story.guest_last.passes = story.guest_first.passes;
	fails("guest's memory", "not verified");
}

Test(verdict, a_guest_that_fell_silent_fails)
{
	story.guest_reports_after_moves = 0;
	fails("guest's memory", "no report");
}

Test(verdict, a_missing_byte_fails)
{
	story.phone.tcp_verified--;
	fails("TCP connection", "4095 of 4096");
}

Test(verdict, a_broken_connection_fails)
{
	strcpy(story.phone.failure, "Connection reset by peer");
	fails("TCP connection", "reset");
}

Test(verdict, no_data_at_all_fails)
{
	story.phone.tcp_sent = story.phone.tcp_verified = 0;
	fails("TCP connection", "0 of 0");
}

Test(verdict, an_rtt_above_the_threshold_in_the_end_fails)
{
	struct story_sample *last = &story.samples[story.n_samples - 1];

	last->tower_rtt_ns[last->vm] = 15 * NS_PER_MS;
	fails("RTT in the end", "15.0 ms");
}

Test(verdict, an_echo_above_the_threshold_in_the_end_fails)
{
	for (size_t i = 0; i < story.n_samples; i++)
		story.samples[i].guest_rtt_ns = 20 * NS_PER_MS;
	fails("RTT in the end", "20.0 ms");
}

Test(verdict, another_replay_fails)
{
	story.replay_matches = false;
	fails("replay", "byte");
}

Test(verdict, the_silence_around_the_stop_is_the_blackout)
{
	struct story_move *m = &story.moves[0];

	cr_assert_eq(m->silence_ns, 38 * NS_PER_MS);
	cr_assert_eq(m->stall_ns, 0);
	story_add_silence(&story, 1 * NS_PER_S, 3 * NS_PER_S); /* before the move */
	story_add_silence(&story, m->begun_ns + NS_PER_S, m->begun_ns + NS_PER_S + 102 * NS_PER_MS);
	story_judge_silences(&story, m);
	cr_assert_eq(m->silence_ns, 38 * NS_PER_MS);
	cr_assert_eq(m->stall_ns, 100 * NS_PER_MS);
	story_add_silence(&story, m->ended_ns - 10 * NS_PER_MS, m->ended_ns + 62 * NS_PER_MS);
	story_judge_silences(&story, m);
	cr_assert_eq(m->silence_ns, 70 * NS_PER_MS);
}

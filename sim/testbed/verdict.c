/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/testbed/verdict.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "common/clock.h"
#include "common/units.h"

#define LAST_SECONDS_NS (3 * NS_PER_S) /* of the walk: "in the end" */

static void add(struct verdict *v, const char *what, bool passed, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static void add(struct verdict *v, const char *what, bool passed, const char *fmt, ...)
{
	struct check *c = &v->checks[v->n_checks++];
	va_list args;

	c->passed = passed;
	snprintf(c->what, sizeof(c->what), "%s", what);
	va_start(args, fmt);
	vsnprintf(c->text, sizeof(c->text), fmt, args);
	va_end(args);
}

/* Whether the towers' measurements themselves support the reason "threshold":
 * the VM's tower was above it when the move began. */
static bool threshold_was_crossed(const struct story *s, const struct story_move *m)
{
	const uint64_t hold = s->scenario->policy.hold_ns;

	for (size_t i = 0; i < s->n_samples; i++) {
		const struct story_sample *p = &s->samples[i];

		if (p->t_ns <= m->begun_ns && p->t_ns + hold + NS_PER_S >= m->begun_ns &&
		    p->tower_rtt_ns[m->from] > s->scenario->policy.threshold_ns)
			return true;
	}
	return false;
}

static const char *tower_name(const struct story *s, int tower)
{
	return tower < 0 ? "?" : s->scenario->towers[tower].name;
}

/* What is wrong with move i; NULL when nothing is. */
static const char *wrong_with_move(const struct story *s, int i)
{
	const struct story_move *m = &s->moves[i];
	const struct expected_move *e = &s->scenario->expected[i];

	if (m->from != e->from || m->to != e->to)
		return "is not the one that was expected";
	if (strcmp(m->reason, e->reason) != 0)
		return "has another reason than expected";
	if (m->state != TAGALONG__MOVE_STATE__MOVE_DONE)
		return "did not complete";
	if (strcmp(m->reason, "threshold") == 0 && !threshold_was_crossed(s, m))
		return "began with no RTT above the threshold";
	return NULL;
}

static void check_moves(const struct story *s, struct verdict *v)
{
	if (s->n_moves != s->scenario->n_expected || s->too_many_moves) {
		add(v, "moves", false, "%d of %d expected", s->n_moves, s->scenario->n_expected);
		return;
	}
	for (int i = 0; i < s->n_moves; i++) {
		const struct story_move *m = &s->moves[i];
		const char *wrong = wrong_with_move(s, i);

		if (!wrong)
			continue;
		add(v, "moves", false, "move %d (%s to %s, %s, %s) %s%s%s", i + 1,
		    tower_name(s, m->from), tower_name(s, m->to), m->reason,
		    move_state_name(m->state), wrong, m->failure[0] ? ": " : "", m->failure);
		return;
	}
	add(v, "moves", true, "all %d as expected, each for its reason", s->n_moves);
}

static void check_memory(const struct story *s, struct verdict *v)
{
	const struct guest_report *a = &s->guest_first, *b = &s->guest_last;
	const char *wrong = NULL;

	if (b->errors || s->guest_complaint[0])
		wrong = "the guest found faults";
	else if (b->passes <= a->passes)
		wrong = "not verified once from end to end";
	else if (s->n_moves && s->guest_reports_after_moves == 0)
		wrong = "no report after the last move";
	add(v, "guest's memory", !wrong,
	    "%s%s%" PRIu64 " passes over all of it, %" PRIu64 " pages rewritten, %" PRIu64
	    " faults%s%.100s",
	    wrong ? wrong : "", wrong ? ": " : "", b->passes - a->passes, b->written - a->written,
	    b->errors, s->guest_complaint[0] ? "; first: " : "", s->guest_complaint);
}

static void check_connection(const struct story *s, struct verdict *v)
{
	const struct phone_message *p = &s->phone;
	bool passed = s->phone_finished && !p->failure[0] && p->tcp_sent > 0 &&
		      p->tcp_verified == p->tcp_sent;

	if (passed)
		add(v, "TCP connection", true,
		    "one connection throughout, %" PRIu64 " bytes there and back, every one right",
		    p->tcp_verified);
	else
		add(v, "TCP connection", false, "%s: %" PRIu64 " of %" PRIu64 " bytes came back",
		    p->failure[0]	 ? p->failure
		    : !s->phone_finished ? "the phone did not finish"
					 : "incomplete",
		    p->tcp_verified, p->tcp_sent);
}

static void check_rtt(const struct story *s, struct verdict *v)
{
	const uint64_t threshold = s->scenario->policy.threshold_ns;
	const struct story_sample *last = s->n_samples ? &s->samples[s->n_samples - 1] : NULL;
	uint64_t tower = last && last->vm >= 0 ? last->tower_rtt_ns[last->vm] : 0;
	uint64_t end = last ? last->t_ns : 0;
	uint64_t from = end > LAST_SECONDS_NS ? end - LAST_SECONDS_NS : 0;
	uint64_t guest = story_guest_rtt_least(s, from, end);
	char a[UNITS_TEXT_SIZE], b[UNITS_TEXT_SIZE], c[UNITS_TEXT_SIZE];

	add(v, "RTT in the end", tower && tower < threshold && guest && guest < threshold,
	    "%s to the VM's tower, %s to the VM itself; threshold %s",
	    tower ? duration_format(tower, a) : "unknown",
	    guest ? duration_format(guest, b) : "unknown", duration_format(threshold, c));
}

void verdict_reach(const struct story *s, struct verdict *ret)
{
	struct verdict v = { .passed = true };

	check_moves(s, &v);
	check_memory(s, &v);
	check_connection(s, &v);
	check_rtt(s, &v);
	add(&v, "replay", s->replay_matches, "%s", s->replay_text);
	for (int i = 0; i < v.n_checks; i++)
		v.passed &= v.checks[i].passed;
	*ret = v;
}

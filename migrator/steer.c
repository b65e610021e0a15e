/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/steer.h"

#include "common/cleanup.h"
#include "common/clock.h"

#define LIMIT_LEAST_MS 1       /* at 0 QEMU never syncs again */
#define LIMIT_MOST_MS 2000000  /* QEMU's own bound */
#define STALE_ROUNDS_MAX 3
#define THROTTLE_STEP 10

/* ---- What to do about a guest that writes too fast ------------------------------------- */

static void blackout_longer(struct steer *s, struct steer_verdict *v)
{
	(void)v;
	if (s->allowed_ns < s->most_ns)
		s->allowed_ns = s->allowed_ns > s->most_ns / 2 ? s->most_ns : s->allowed_ns * 2;
}

static void give_up(struct steer *s, struct steer_verdict *v)
{
	(void)s;
	v->give_up = true;
}

/* The next round shows what it helped. */
static void throttle(struct steer *s, struct steer_verdict *v)
{
	uint32_t next = s->throttle_percent + THROTTLE_STEP;

	s->throttle_percent = next < STEER_THROTTLE_MOST ? next : STEER_THROTTLE_MOST;
	v->throttle_percent = s->throttle_percent;
	s->stale_rounds = STALE_ROUNDS_MAX - 1;
}

static void post_copy(struct steer *s, struct steer_verdict *v)
{
	(void)s;
	v->post_copy = true;
}

#define C(name) TAGALONG__IF_NOT_CONVERGING__CONVERGE_##name

/* WAIT: nothing. */
static void (*const remedies[])(struct steer *s, struct steer_verdict *v) = {
	[C(LONGER)] = blackout_longer,
	[C(GIVE_UP)] = give_up,
	[C(THROTTLE)] = throttle,
	[C(POST_COPY)] = post_copy,
};

/* A round makes progress when it starts with a quarter less than the best one. */
static void count_round(struct steer *s, uint32_t round, uint64_t remaining,
			struct steer_verdict *v)
{
	uint32_t passed = round - s->round;

	s->round = round;
	if (remaining < s->best_bytes / 4 * 3) {
		s->best_bytes = remaining;
		s->stale_rounds = 0;
		return;
	}
	s->stale_rounds += passed;
	if (s->stale_rounds < STALE_ROUNDS_MAX)
		return;
	s->stale_rounds = 0;
	if ((unsigned)s->choice < ARRAY_SIZE(remedies) && remedies[s->choice])
		remedies[s->choice](s, v);
}

/* ---- The stop ---------------------------------------------------------------------------- */

void steer_init(struct steer *s, IfNotConverging choice, uint64_t promise_ns, uint64_t most_ns)
{
	*s = (struct steer){ .choice = choice,
			     .allowed_ns = promise_ns,
			     .most_ns = most_ns / 2 > promise_ns ? most_ns / 2 : promise_ns,
			     .limit_ms = LIMIT_LEAST_MS,
			     .best_bytes = UINT64_MAX };
}

/* Time at the link's pace, as QEMU has to be told it to let as many bytes remain. */
static uint64_t in_qemus_time(const struct cost_facts *facts, uint64_t ns, uint64_t accepted_bps)
{
	struct cost_facts written = *facts;
	uint64_t took;

	written.wire_permille = facts->again_permille;
	took = cost_transfer_ns(&written, accepted_bps); /* what QEMU thinks takes a second */
	return accepted_bps && took > NS_PER_S ? (uint64_t)((double)ns / (double)took * NS_PER_S)
					       : ns;
}

static uint32_t limit_of(const struct steer *s, const struct cost_facts *facts, uint32_t round,
			 uint64_t accepted_bps)
{
	uint64_t fixed = cost_fixed_blackout_ns(facts), limit = LIMIT_LEAST_MS;
	uint64_t rest = cost_transfer_ns(facts, facts->remaining_bytes);

	if (round > 0 && s->allowed_ns > fixed && rest <= s->allowed_ns - fixed)
		limit = in_qemus_time(facts, s->allowed_ns - fixed, accepted_bps) / NS_PER_MS;
	if (limit < LIMIT_LEAST_MS)
		return LIMIT_LEAST_MS;
	return limit < LIMIT_MOST_MS ? (uint32_t)limit : LIMIT_MOST_MS;
}

struct steer_verdict steer_update(struct steer *s, const struct cost_facts *facts, uint32_t round,
				  uint64_t accepted_bps)
{
	struct steer_verdict verdict = { 0 };
	uint32_t limit_ms;

	if (round > s->round)
		count_round(s, round, facts->remaining_bytes, &verdict);
	limit_ms = limit_of(s, facts, round, accepted_bps);
	if (limit_ms > s->limit_ms) /* lowering it again would race with QEMU's own test */
		s->limit_ms = verdict.limit_ms = limit_ms;
	return verdict;
}

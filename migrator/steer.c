/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/steer.h"

#include "common/clock.h"

#define LIMIT_LEAST_MS 1       /* at 0 QEMU never syncs again */
#define LIMIT_MOST_MS 2000000  /* QEMU's own bound */
#define STALE_ROUNDS_MAX 3

void steer_init(struct steer *s, uint64_t promise_ns, uint64_t most_ns)
{
	*s = (struct steer){ .allowed_ns = promise_ns,
			     .most_ns = most_ns / 2 > promise_ns ? most_ns / 2 : promise_ns,
			     .limit_ms = LIMIT_LEAST_MS,
			     .best_bytes = UINT64_MAX };
}

/* A round makes progress when it starts with a quarter less than the best one. */
static void count_round(struct steer *s, uint32_t round, uint64_t remaining)
{
	uint32_t passed = round - s->round;

	s->round = round;
	if (remaining < s->best_bytes / 4 * 3) {
		s->best_bytes = remaining;
		s->stale_rounds = 0;
		return;
	}
	s->stale_rounds += passed;
	if (s->stale_rounds < STALE_ROUNDS_MAX || s->allowed_ns >= s->most_ns)
		return;
	s->allowed_ns = s->allowed_ns > s->most_ns / 2 ? s->most_ns : s->allowed_ns * 2;
	s->stale_rounds = 0;
}

bool steer_update(struct steer *s, const struct cost_facts *facts, uint32_t round,
		  uint32_t *ret_limit_ms)
{
	uint64_t fixed = cost_fixed_blackout_ns(facts), limit = LIMIT_LEAST_MS;
	uint64_t rest = cost_transfer_ns(facts, facts->remaining_bytes);

	if (round > s->round)
		count_round(s, round, facts->remaining_bytes);
	if (round > 0 && s->allowed_ns > fixed && rest <= s->allowed_ns - fixed)
		limit = (s->allowed_ns - fixed) / NS_PER_MS;
	if (limit < LIMIT_LEAST_MS)
		limit = LIMIT_LEAST_MS;
	if (limit > LIMIT_MOST_MS)
		limit = LIMIT_MOST_MS;
	if (limit <= s->limit_ms) /* lowering it again would race with QEMU's own test */
		return false;
	s->limit_ms = (uint32_t)limit;
	*ret_limit_ms = s->limit_ms;
	return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/stall.h"

void stall_init(struct stall *s, uint64_t now)
{
	*s = (struct stall){ .best_start = UINT64_MAX, .least = UINT64_MAX, .better = true,
			     .since_ns = now };
}

void stall_note(struct stall *s, uint32_t round, uint64_t remaining, uint64_t now)
{
	if (round != s->round) {
		s->round = round;
		s->better = remaining < s->best_start;
		s->least = UINT64_MAX;
		if (s->better)
			s->best_start = remaining;
	}
	if (remaining >= s->least)
		return;
	s->least = remaining;
	if (s->better)
		s->since_ns = now;
}

void stall_excuse(struct stall *s, uint64_t now)
{
	s->since_ns = now;
}

uint64_t stall_ns(const struct stall *s, uint64_t now)
{
	return now - s->since_ns;
}

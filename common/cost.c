/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cost.h"

#include <math.h>

#include "common/clock.h"

#define ROUNDS_MAX 30
#define WIRE_PERMILLE_GUESS 600
#define LEAST_PROGRESS 16 /* part of what a round begins with */

static uint64_t muldiv(uint64_t a, uint64_t b, uint64_t c)
{
	unsigned __int128 v = (unsigned __int128)a * b / c;

	return v > UINT64_MAX ? UINT64_MAX : (uint64_t)v;
}

static uint64_t add(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static uint64_t link_bps(const struct cost_facts *f)
{
	return f->link_bps ? f->link_bps : COST_LINK_BPS_GUESS;
}

static uint64_t wire_bytes(const struct cost_facts *f, uint64_t guest_bytes)
{
	return muldiv(guest_bytes, f->wire_permille ? f->wire_permille : WIRE_PERMILLE_GUESS, 1000);
}

uint64_t cost_transfer_ns(const struct cost_facts *f, uint64_t guest_bytes)
{
	return muldiv(wire_bytes(f, guest_bytes), NS_PER_S, link_bps(f));
}

uint64_t cost_fixed_blackout_ns(const struct cost_facts *f)
{
	/* The tail's way there, READY back, COMMIT there: 1.5 round trips. */
	return add((f->qemu_ns ? f->qemu_ns : COST_QEMU_NS) + muldiv(COST_TAIL_BYTES, NS_PER_S, link_bps(f)),
		   muldiv(f->rtt_ns, 3, 2));
}

uint64_t cost_least_blackout_ns(uint64_t rtt_ns)
{
	return add(COST_QEMU_LEAST_NS, muldiv(rtt_ns, 3, 2));
}

static uint32_t confidence(const struct cost_facts *f, const struct cost *c)
{
	uint32_t points = 20;

	points += f->link_bps ? 30 : 0;
	points += f->wire_permille ? 20 : 0;
	points += f->dirty_bps ? 20 : 0;
	points += f->rtt_ns ? 10 : 0;
	if (!c->keeps_promise)
		points /= 2; /* when it ends is then a matter of the guest's mood */
	return points;
}

/* Written to at random, a working set fills up the slower the fuller it is. */
uint64_t cost_dirtied_bytes(const struct cost_facts *f, uint64_t ns)
{
	uint64_t written = muldiv(f->dirty_bps, ns, NS_PER_S);
	double set = (double)f->working_set_bytes;

	return f->working_set_bytes ? (uint64_t)(-set * expm1(-(double)written / set)) : written;
}

void cost_predict(const struct cost_facts *f, struct cost *ret)
{
	uint64_t fixed = cost_fixed_blackout_ns(f), left = f->remaining_bytes;
	struct cost_facts now = *f;
	struct cost c = { 0 };

	c.total_ns = f->start_ns;
	for (;;) {
		uint64_t round_ns, dirtied;

		if (c.rounds)
			now.wire_permille = f->again_permille ? f->again_permille : f->wire_permille;
		round_ns = cost_transfer_ns(&now, left);

		c.blackout_ns = add(fixed, round_ns);
		c.keeps_promise = c.blackout_ns <= f->promise_ns;
		if (c.keeps_promise || c.rounds == ROUNDS_MAX)
			break;
		dirtied = cost_dirtied_bytes(f, round_ns);
		if (c.rounds && dirtied >= left - left / LEAST_PROGRESS)
			break; /* one more round would leave no less */
		c.rounds++;
		c.bytes = add(c.bytes, wire_bytes(&now, left));
		c.total_ns = add(c.total_ns, round_ns);
		left = dirtied;
	}
	c.bytes = add(c.bytes, add(wire_bytes(&now, left), COST_TAIL_BYTES));
	c.total_ns = add(c.total_ns, c.blackout_ns);
	c.confidence = confidence(f, &c);
	*ret = c;
}

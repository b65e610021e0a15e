/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/forecast.h"

#include "common/clock.h"

#define ENOUGH_BYTES (UINT64_C(1) << 20) /* of guest bytes, for a ratio of their own */
#define MEMORY_NS 1e9                    /* of slowness */
#define SLOWNESS_MOST 8.0
#define STALE_ROUNDS 3 /* before steer.h raises what is allowed */

void forecast_init(struct forecast *f)
{
	*f = (struct forecast){ 0 };
}

static uint32_t permille(const struct forecast_sample *from, const struct forecast_sample *to)
{
	uint64_t guest = to->guest_bytes - from->guest_bytes;
	uint64_t wire = (to->wire_bytes - from->wire_bytes) * 1000;

	if (guest < ENOUGH_BYTES)
		return 0;
	return wire < guest ? 1 : (uint32_t)(wire / guest);
}

static void next_round(struct forecast *f)
{
	uint32_t found = permille(&f->round_start, &f->last);

	if (found && f->last.round <= 1)
		f->first_permille = found;
	else if (found)
		f->last_permille = found;
	f->round_start = f->last;
}

void forecast_note(struct forecast *f, const struct forecast_sample *s)
{
	double passed = (double)(s->now_ns - f->last.now_ns), keep;
	uint64_t wire = s->wire_bytes - f->last.wire_bytes;

	if (f->last.now_ns && s->link_bps && wire) {
		keep = passed < MEMORY_NS ? 1 - passed / MEMORY_NS : 0;
		f->link_ns = f->link_ns * keep + (double)wire * NS_PER_S / (double)s->link_bps;
		f->real_ns = f->real_ns * keep + passed;
	}
	if (s->round != f->last.round)
		next_round(f);
	f->last = *s;
}

void forecast_excuse(struct forecast *f)
{
	f->last.now_ns = 0;
}

uint32_t forecast_permille(const struct forecast *f)
{
	uint32_t now = permille(&f->round_start, &f->last);

	if (now)
		return now;
	/* Pages that are written are dearer than those that are only there. */
	return f->last.round > 1 ? f->last_permille : f->first_permille;
}

static double slowness(const struct forecast *f)
{
	double s = f->link_ns > 0 ? f->real_ns / f->link_ns : 1;

	return s < 1 ? 1 : (s < SLOWNESS_MOST ? s : SLOWNESS_MOST);
}

void forecast_facts(const struct forecast *f, struct cost_facts *facts)
{
	facts->link_bps = f->last.link_bps;
	facts->wire_permille = forecast_permille(f);
	facts->again_permille = f->last.round > 1 ? facts->wire_permille : f->last_permille;
}

bool forecast_predict(const struct forecast *f, struct cost_facts facts, uint64_t most_ns,
		      struct cost *ret)
{
	uint64_t waited_ns = 0;

	facts.link_bps = (uint64_t)((double)facts.link_bps / slowness(f));
	cost_predict(&facts, ret);
	while (!ret->keeps_promise && facts.promise_ns < most_ns) {
		waited_ns += STALE_ROUNDS * ret->blackout_ns;
		facts.promise_ns = facts.promise_ns > most_ns / 2 ? most_ns : facts.promise_ns * 2;
		cost_predict(&facts, ret);
	}
	ret->total_ns += waited_ns;
	return ret->keeps_promise;
}

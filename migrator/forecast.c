/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/forecast.h"

#include "common/clock.h"

#define ENOUGH_BYTES (UINT64_C(1) << 20) /* of guest bytes, for a ratio of their own */
#define MEMORY_NS 1e9                    /* of slowness */
#define SLOWNESS_MOST 8.0
/* QEMU looks every 100 ms whether it may stop, and is told so by a new limit. */
#define STOP_FOLLOWS_NS (60 * NS_PER_MS)
#define STOP_MEMORY 4 /* moves */
#define STOP_DEVIATIONS 2
#define STALE_ROUNDS 3 /* before steer.h raises what is allowed */
#define SURVEY_MEMORY_NS 4e9
#define SURVEY_PRIOR 4 /* part of the pass for which the survey is believed as it is: memory begins
			  with a kernel, and is not like that all over */
/* What looking at a page takes that nothing is to be sent of: QEMU's, mostly. */
#define LIGHT_BYTES 4096.0
#define LIGHT_NS 2000.0
#define KNOWN_NS (300 * NS_PER_MS) /* before, buffers were filled */

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

static double kept(double passed_ns, double memory_ns)
{
	return passed_ns < memory_ns ? 1 - passed_ns / memory_ns : 0;
}

static double light_ns(double bytes)
{
	return bytes / LIGHT_BYTES * LIGHT_NS;
}

static uint64_t surveyed(const struct forecast_sample *s)
{
	return s->survey.first_wire_bytes - s->survey.left_wire_bytes;
}

/* How much slower it is than the link alone, where that is what it waits for. */
static void note_slowness(struct forecast *f, const struct forecast_sample *s, double passed)
{
	double wire = (double)(s->wire_bytes - f->last.wire_bytes), keep = kept(passed, MEMORY_NS);
	double busy = passed - light_ns((double)(s->light_bytes - f->last.light_bytes));

	if (!s->link_bps || wire <= 0 || busy < passed / 2)
		return;
	f->link_ns = f->link_ns * keep + wire * NS_PER_S / (double)s->link_bps;
	f->real_ns = f->real_ns * keep + busy;
}

static void note_survey(struct forecast *f, const struct forecast_sample *s, double passed)
{
	double keep = kept(passed, SURVEY_MEMORY_NS);

	if (s->round > 1 || !s->survey.first_wire_bytes)
		return;
	f->said = f->said * keep + (double)surveyed(s) - (double)surveyed(&f->last);
	f->sent = f->sent * keep + (double)(s->wire_bytes - f->last.wire_bytes);
}

void forecast_note(struct forecast *f, const struct forecast_sample *s)
{
	double passed = (double)(s->now_ns - f->last.now_ns);

	if (f->last.now_ns) {
		note_slowness(f, s, passed);
		note_survey(f, s, passed);
	}
	if (s->round != f->last.round)
		next_round(f);
	f->last = *s;
	if (!f->flows_ns && s->wire_bytes)
		f->flows_ns = s->now_ns;
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

static void expect_first_round(const struct forecast *f, struct cost_facts *facts)
{
	const struct survey_stats *s = &f->last.survey;
	double prior = (double)s->first_wire_bytes / SURVEY_PRIOR;
	double truth = (f->sent + prior) / (f->said + prior);
	double wire = (double)s->left_wire_bytes * truth;
	uint64_t data = s->left_data_bytes;

	if (data > facts->remaining_bytes)
		data = facts->remaining_bytes;
	facts->start_ns += (uint64_t)light_ns((double)(facts->remaining_bytes - data));
	facts->remaining_bytes = data;
	if (data)
		facts->wire_permille = (uint32_t)(wire * 1000 / (double)data) + 1;
	facts->again_permille = s->writes.permille ? s->writes.permille : facts->wire_permille;
}

void forecast_expect(const struct forecast *f, struct cost_facts *facts)
{
	const struct survey_stats *s = &f->last.survey;

	if (s->first_wire_bytes && f->last.round <= 1)
		expect_first_round(f, facts);
	if (f->last.round > 1 && s->writes.permille && !facts->wire_permille)
		facts->wire_permille = facts->again_permille = s->writes.permille;
	if (s->writes.bps) {
		facts->dirty_bps = s->writes.bps;
		facts->working_set_bytes = s->writes.working_set;
	}
}

bool forecast_is_known(const struct forecast *f)
{
	return f->last.round > 1 || (f->flows_ns && f->last.now_ns > f->flows_ns + KNOWN_NS);
}

void stop_cost_note(struct stop_cost *c, uint64_t blackout_ns, uint64_t link_ns)
{
	double took = blackout_ns > link_ns ? (double)(blackout_ns - link_ns) : 0, off;

	if (!c->any)
		*c = (struct stop_cost){ .mean_ns = took, .deviation_ns = took / 8, .any = true };
	off = took - c->mean_ns;
	c->mean_ns += off / STOP_MEMORY;
	c->deviation_ns += ((off < 0 ? -off : off) - c->deviation_ns) / STOP_MEMORY;
}

uint64_t stop_cost_likely(const struct stop_cost *c)
{
	return c->any ? (uint64_t)c->mean_ns : 0;
}

/* Not so careful that nothing is left for pages: such a move would not end. */
uint64_t stop_cost_careful(const struct stop_cost *c, uint64_t room_ns)
{
	double careful = c->mean_ns + STOP_DEVIATIONS * c->deviation_ns;
	uint64_t most = room_ns / 2 > COST_QEMU_NS ? room_ns / 2 : COST_QEMU_NS;

	if (!c->any)
		return 0;
	return careful < (double)most ? (uint64_t)careful : most;
}

/* The stop follows the moment from which it may be: less is left then of what was, and more has
 * been written. */
static void let_stop_follow(const struct cost_facts *facts, struct cost *c)
{
	uint64_t fixed = cost_fixed_blackout_ns(facts), rest = c->blackout_ns - fixed;
	struct cost_facts written = *facts;

	if (!c->keeps_promise)
		return;
	if (facts->again_permille)
		written.wire_permille = facts->again_permille;
	c->total_ns -= c->blackout_ns;
	c->blackout_ns = fixed + (rest > STOP_FOLLOWS_NS ? rest - STOP_FOLLOWS_NS : 0) +
			 cost_transfer_ns(&written, facts->dirty_bps * STOP_FOLLOWS_NS / NS_PER_S);
	if (c->blackout_ns > facts->promise_ns) /* then it follows later */
		c->blackout_ns = facts->promise_ns;
	c->total_ns += STOP_FOLLOWS_NS + c->blackout_ns;
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
	let_stop_follow(&facts, ret);
	ret->total_ns += waited_ns;
	return ret->keeps_promise;
}

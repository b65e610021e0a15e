/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/client_tlvs.h"

/* ---- Notes ------------------------------------------------------------------------- */

static void note_class_of_service(struct client_tlvs_figures *f,
				  const struct client_tlvs_answer *answer,
				  struct client_tlvs_counters *counters)
{
	const struct probe_tlvs_told *told = answer->told;

	if (!told->has_class_of_service)
		return;
	f->has_class_of_service = true;
	f->dscp_there = told->dscp;
	f->dscp_back = answer->tos >> 2;
	f->dscp_refused = told->refused;
	counters->refused += told->refused;
	counters->changed_there += told->dscp != answer->wished_dscp;
	/* Which one a reflector takes that refuses is its own affair. */
	counters->changed_back += !told->refused && f->dscp_back != answer->wished_dscp;
}

/* How much later `a` is than `b`, of counters that wrap. */
static int32_t since(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b);
}

static void begin_session(struct client_tlvs *c, const struct probe_tlvs_counters *told)
{
	c->before_there = c->figures.lost_there;
	c->before_back = c->figures.lost_back;
	c->base = c->newest = *told;
	c->answers = 0;
	c->has_base = true;
}

static uint64_t lost_of(uint32_t left, uint32_t arrived)
{
	int32_t lost = since(left, arrived);

	return lost > 0 ? (uint64_t)lost : 0;
}

/* Counters that go back tell that the reflector has begun anew. Those of an answer that
 * was overtaken by a later one go back together with our own, and say nothing. */
static void note_counters(struct client_tlvs *c, const struct probe_tlvs_counters *told)
{
	c->figures.has_losses = true;
	if (!c->has_base) {
		begin_session(c, told);
		return;
	}
	c->answers += since(told->sent, c->base.sent) > 0;
	if (since(told->sent, c->newest.sent) <= 0)
		return;
	if (since(told->received, c->newest.received) <= 0 ||
	    since(told->transmitted, c->newest.transmitted) <= 0) {
		begin_session(c, told);
		return;
	}
	c->newest = *told;
	c->figures.lost_there = c->before_there + lost_of(told->sent - c->base.sent,
							  told->received - c->base.received);
	c->figures.lost_back =
		c->before_back + lost_of(told->transmitted - c->base.transmitted, c->answers);
}

/* Which link a link-local address is on is for each end to say. */
static bool is_at(struct address there, const struct address *probed)
{
	if (there.any.sa_family == AF_INET6)
		there.v6.sin6_scope_id = probed->v6.sin6_scope_id;
	return address_equal(&there, probed);
}

void client_tlvs_note(struct client_tlvs *c, const struct client_tlvs_answer *answer,
		      struct client_tlvs_counters *counters)
{
	const struct probe_tlvs_told *told = answer->told;
	struct client_tlvs_figures *f = &c->figures;

	counters->verdicts[answer->verdict]++;
	c->is_heard = true;
	f->understood = answer->verdict <= PROBE_TLVS_PARTLY;
	note_class_of_service(f, answer, counters);
	if (told->has_counters)
		note_counters(c, &told->counters);
	if (told->has_clocks) {
		f->has_clocks = true;
		f->clock_in = told->clock_in;
		f->method_in = told->method_in;
		f->clock_out = told->clock_out;
		f->method_out = told->method_out;
	}
	if (told->has_location) {
		f->has_location = true;
		f->translated = !is_at(told->to, answer->address);
	}
}

/* ---- Times that wait ---------------------------------------------------------------- */

bool client_tlvs_release(struct client_tlvs *c, const struct client_tlvs_answer *answer,
			 struct client_tlvs_counters *counters, struct client_tlvs_sample *ret)
{
	const struct probe_tlvs_told *told = answer ? answer->told : NULL;
	uint64_t left;

	if (!c->holds)
		return false;
	c->holds = false;
	*ret = c->held;
	if (!told || !told->has_follow_up || told->last_sequence != ret->sequence)
		return true;
	left = stamp_time_unpack(answer->format, told->last_t3);
	/* It cannot have left before it was written, nor after it came. */
	if (left < ret->t3_utc_ns || left - ret->t3_utc_ns > ret->rtt_ns)
		return true;
	c->figures.has_wait = true;
	c->figures.wait_ns = left - ret->t3_utc_ns;
	ret->rtt_ns -= c->figures.wait_ns;
	counters->followed_up++;
	return true;
}

/* One that tells of the answer before it will tell of this one, too. */
bool client_tlvs_hold(struct client_tlvs *c, const struct client_tlvs_answer *answer,
		      const struct client_tlvs_sample *sample)
{
	if (!answer->told->has_follow_up)
		return false;
	c->held = *sample;
	c->holds = true;
	return true;
}

void client_tlvs_break(struct client_tlvs *c)
{
	c->holds = c->has_base = false;
}

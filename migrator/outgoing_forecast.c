/* SPDX-License-Identifier: Apache-2.0
 *
 * What to expect of a move, by the model of common/cost.h: beforehand from what earlier moves
 * measured, and while it goes on.
 */
#include <string.h>
#include <sys/stat.h>

#include "migrator/node_config.h"
#include "migrator/outgoing_internal.h"

#define EARLIER_MOVES 100 /* that are looked through */

/* ---- While it goes on ------------------------------------------------------------------ */

static uint64_t most_of(const struct outgoing *o)
{
	return o->if_not_converging == TAGALONG__IF_NOT_CONVERGING__CONVERGE_LONGER
		       ? o->steer.most_ns
		       : o->steer.allowed_ns;
}

/* The stop is steered with care; what is said is what is likely. */
static void be_likely(const struct stop_cost *c, uint64_t careful_ns, struct cost *cost)
{
	if (!careful_ns)
		return;
	cost->blackout_ns = cost->blackout_ns - careful_ns + stop_cost_likely(c);
	cost->total_ns = cost->total_ns - careful_ns + stop_cost_likely(c);
}

void forecast_show(struct outgoing *o, const struct outflow_stats *s, struct cost_facts *ret_facts,
		   struct cost *ret)
{
	Tagalong__MoveFigures *f = move_figures(&o->m);
	const struct forecast_sample now = {
		.now_ns = clock_mono_ns(), .round = f->round, .wire_bytes = s->wire_bytes,
		.guest_bytes = s->guest_bytes, .link_bps = s->link_bps, .survey = s->survey,
		.light_bytes = (s->pages[PAGES_ZERO] + s->pages[PAGES_SAME]) * PAGE_SIZE_BYTES,
	};
	struct cost_facts facts = {
		.remaining_bytes = f->remaining_bytes + outgoing_disk_left(o),
		.dirty_bps = f->dirty_bps,
		.rtt_ns = s->link_rtt_ns ? s->link_rtt_ns : o->rtt_ns,
		.promise_ns = o->steer.allowed_ns,
	}, expected;
	uint64_t trips_ns = facts.rtt_ns * 3 / 2;

	facts.qemu_ns = stop_cost_careful(&o->m.node->stop_cost, facts.promise_ns > trips_ns
					  ? facts.promise_ns - trips_ns : 0);
	forecast_note(&o->forecast, &now);
	forecast_facts(&o->forecast, &facts);
	expected = facts;
	forecast_expect(&o->forecast, &expected);
	f->has_left_ns = forecast_predict(&o->forecast, expected, most_of(o), ret) &&
			 forecast_is_known(&o->forecast);
	be_likely(&o->m.node->stop_cost, expected.qemu_ns, ret);
	f->left_ns = o->ends_in_ns = ret->total_ns;
	f->has_blackout_expected_ns = f->has_confidence = f->has_rtt_ns = true;
	f->blackout_expected_ns = ret->blackout_ns;
	f->confidence = ret->confidence;
	f->rtt_ns = facts.rtt_ns;
	*ret_facts = facts;
}

void forecast_note_stop(struct outgoing *o, const struct outflow_stats *s)
{
	uint64_t rtt_ns = s->link_rtt_ns ? s->link_rtt_ns : o->rtt_ns;

	o->stop_link_ns = rtt_ns * 3 / 2;
	if (s->link_bps && s->wire_bytes > s->stopped_bytes)
		o->stop_link_ns += (uint64_t)((double)(s->wire_bytes - s->stopped_bytes) * NS_PER_S /
					      (double)s->link_bps);
}

/* ---- Beforehand --------------------------------------------------------------------------- */

/* The newest move to the same node knows the link, the VM's newest its pages. */
static void take_earlier(const struct outgoing *o, struct cost_facts *facts)
{
	const struct journal_filter newest = { .limit = EARLIER_MOVES };
	struct journal_move *rows;
	size_t count;

	if (journal_moves(o->m.node->journal, &newest, &rows, &count) < 0)
		return;
	for (size_t i = 0; i < count; i++) {
		const Tagalong__MoveFigures *f = rows[i].info->figures;

		if (rows[i].stage != JOURNAL_DONE || !f)
			continue;
		if (!facts->link_bps && !rows[i].incoming && strcmp(rows[i].peer, o->m.row.peer) == 0)
			facts->link_bps = f->link_bps;
		if (!facts->wire_permille && f->guest_bytes &&
		    strcmp(rows[i].info->vm, o->m.row.info->vm) == 0) {
			facts->wire_permille = (uint32_t)(f->wire_bytes * 1000 / f->guest_bytes);
			facts->dirty_bps = f->dirty_bps;
		}
	}
	journal_moves_free(rows, count);
}

void forecast_end_dry_run(struct outgoing *o)
{
	_cleanup_close_ int fd = guest_ram_open(o->vm->guest);
	Tagalong__MoveFigures *f = move_figures(&o->m);
	struct cost_facts facts = { .promise_ns = o->promise_ns, .rtt_ns = o->rtt_ns,
				    .start_ns = COST_START_NS,
				    .qemu_ns = stop_cost_likely(&o->m.node->stop_cost) };
	struct cost cost;
	struct stat st;

	if (!outgoing_promise_fits(o)) {
		outgoing_refuse_promise(o);
		return;
	}
	f->remaining_bytes = guest_ram_bytes(o->vm->guest);
	if (fd >= 0 && !guest_is_foreign(o->vm->guest) && fstat(fd, &st) == 0)
		f->remaining_bytes = (uint64_t)st.st_blocks * 512;
	f->has_disk_remaining_bytes = outgoing_disk_moves(o);
	f->disk_remaining_bytes = outgoing_disk_used(o);
	facts.remaining_bytes = f->remaining_bytes + f->disk_remaining_bytes;
	take_earlier(o, &facts);
	if (o->bandwidth_bps && (!facts.link_bps || facts.link_bps > o->bandwidth_bps / 8))
		facts.link_bps = o->bandwidth_bps / 8;
	cost_predict(&facts, &cost);
	f->has_remaining_bytes = f->has_left_ns = f->has_blackout_ns = f->has_wire_bytes = true;
	f->has_blackout_expected_ns = f->has_confidence = f->has_rtt_ns = true;
	f->has_link_bps = facts.link_bps > 0;
	f->has_dirty_bps = facts.dirty_bps > 0;
	f->wire_bytes = cost.bytes;
	f->left_ns = cost.total_ns;
	f->blackout_ns = f->blackout_expected_ns = cost.blackout_ns;
	f->confidence = cost.confidence;
	f->rtt_ns = facts.rtt_ns;
	f->link_bps = facts.link_bps;
	f->dirty_bps = facts.dirty_bps;
	o->live = false;
}

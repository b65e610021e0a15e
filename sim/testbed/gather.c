/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/testbed/gather.h"

#include <string.h>

#include "common/clock.h"
#include "common/units.h"

#define PROGRESS_NS (500 * NS_PER_MS) /* between two lines about a move */
#define SETTLING_NS (4 * NS_PER_S)    /* after a move, until its effect is told */

void gather_init(struct gather *g, struct story *story, struct timeline *timeline,
		 const struct uuid *device)
{
	*g = (struct gather){
		.story = story, .timeline = timeline, .device = device, .now = { .vm = -1 }
	};
	console_init(&g->console);
}

void gather_close(struct gather *g)
{
	console_close(&g->console);
}

uint64_t gather_time(const struct gather *g)
{
	uint64_t now = clock_utc_ns();

	return g->walking && now > g->story->begun_utc_ns ? now - g->story->begun_utc_ns : 0;
}

void gather_begin(struct gather *g)
{
	g->story->begun_utc_ns = clock_utc_ns();
	g->story->guest_first = g->console.last;
	g->walking = true;
}

static const struct scenario *scenario(const struct gather *g)
{
	return g->story->scenario;
}

static const char *tower_name(const struct gather *g, int tower)
{
	return tower < 0 ? "?" : scenario(g)->towers[tower].name;
}

static uint64_t since_begin(const struct gather *g, uint64_t utc_ns)
{
	return utc_ns > g->story->begun_utc_ns ? utc_ns - g->story->begun_utc_ns : 0;
}

/* ---- The controller's status ------------------------------------------------------ */

/* Where the VM runs: there may be another of that name on its way in. */
static void take_vms(struct gather *g, const Tagalong__Status *status)
{
	for (size_t i = 0; i < status->n_vms; i++) {
		const Tagalong__VmInfo *vm = status->vms[i];

		if (strcmp(vm->spec->name, scenario(g)->guest.name) != 0 ||
		    vm->state == TAGALONG__VM_STATE__VM_INCOMING)
			continue;
		g->vm_lost = vm->state == TAGALONG__VM_STATE__VM_GONE;
		if (vm->node)
			g->now.vm = scenario_tower(scenario(g), vm->node);
		if (vm->directory && vm->state == TAGALONG__VM_STATE__VM_RUNNING)
			console_follow(&g->console, vm->directory);
	}
}

static void take_rtts(struct gather *g, const Tagalong__Status *status)
{
	memset(g->now.tower_rtt_ns, 0, sizeof(g->now.tower_rtt_ns));
	for (size_t i = 0; i < status->n_pairs; i++) {
		const Tagalong__Pair *pair = status->pairs[i];

		if (pair->device.len != UUID_SIZE ||
		    memcmp(pair->device.data, g->device->bytes, UUID_SIZE) != 0)
			continue;
		for (size_t j = 0; j < pair->n_rtts; j++) {
			int tower = scenario_tower(scenario(g), pair->rtts[j]->node);

			if (tower >= 0)
				g->now.tower_rtt_ns[tower] = pair->rtts[j]->sample->srtt_ns;
		}
	}
}

static void tell_crossing(struct gather *g)
{
	uint64_t threshold = scenario(g)->policy.threshold_ns;
	uint64_t rtt = g->now.vm < 0 ? 0 : g->now.tower_rtt_ns[g->now.vm];
	char a[UNITS_TEXT_SIZE], b[UNITS_TEXT_SIZE];
	bool above = rtt > threshold;

	if (!g->walking || rtt == 0 || above == g->above)
		return;
	g->above = above;
	timeline_event(g->timeline, gather_time(g), above ? TONE_WARNING : TONE_GOOD,
		       "%s RTT to %s, where the VM is: %s, %s the threshold of %s",
		       above ? "!!" : "ok", tower_name(g, g->now.vm), duration_format(rtt, a),
		       above ? "above" : "below", duration_format(threshold, b));
}

void gather_status(struct gather *g, const Tagalong__Status *status)
{
	g->nodes_up = 0;
	for (size_t i = 0; i < status->n_nodes; i++)
		g->nodes_up += status->nodes[i]->migrator_up && status->nodes[i]->telemetry_up;
	take_vms(g, status);
	take_rtts(g, status);
	tell_crossing(g);
}

/* ---- Moves --------------------------------------------------------------------------- */

static void take_figures(struct story_move *m, const Tagalong__MoveFigures *f)
{
	if (!f)
		return;
	m->rounds = f->round;
	m->wire_bytes = f->wire_bytes;
	m->guest_bytes = f->guest_bytes;
	m->blackout_ns = f->blackout_ns;
}

static void take_move(struct gather *g, struct story_move *m, const Tagalong__MoveInfo *info)
{
	m->state = info->state;
	m->from = scenario_tower(scenario(g), info->source);
	m->to = scenario_tower(scenario(g), info->target);
	if (info->reason) {
		snprintf(m->reason, sizeof(m->reason), "%s", info->reason->code);
		snprintf(m->text, sizeof(m->text), "%s", info->reason->text);
	}
	if (info->failure)
		snprintf(m->failure, sizeof(m->failure), "%s", info->failure);
	if (!m->begun_ns)
		m->begun_ns = info->begun_utc_ns ? since_begin(g, info->begun_utc_ns)
						 : gather_time(g);
	if (!m->ended_ns && move_state_is_final(info->state))
		m->ended_ns = info->ended_utc_ns ? since_begin(g, info->ended_utc_ns)
						 : gather_time(g);
	take_figures(m, info->figures);
}

static void tell_new_move(struct gather *g, const struct story_move *m)
{
	timeline_event(g->timeline, m->begun_ns, TONE_MOVE, ">> move %s → %s ordered (%s: %s)",
		       tower_name(g, m->from), tower_name(g, m->to), m->reason, m->text);
}

static void tell_progress(struct gather *g, const struct story_move *m,
			  const Tagalong__MoveFigures *f)
{
	char sent[UNITS_TEXT_SIZE], left[UNITS_TEXT_SIZE], link[UNITS_TEXT_SIZE];
	char dirty[UNITS_TEXT_SIZE];

	timeline_event(g->timeline, gather_time(g), TONE_QUIET,
		       "   %s: round %u, %s sent, %s left, link %s%s%s%s", move_state_name(m->state),
		       f->round, size_format(f->wire_bytes, sent),
		       size_format(f->remaining_bytes, left), rate_format(f->link_bps * 8, link),
		       f->dirty_bps ? ", dirtied " : "",
		       f->dirty_bps ? size_format(f->dirty_bps, dirty) : "",
		       f->dirty_bps ? "/s" : "");
}

static void tell_end(struct gather *g, const struct story_move *m)
{
	char took[UNITS_TEXT_SIZE], stopped[UNITS_TEXT_SIZE], wire[UNITS_TEXT_SIZE];

	if (m->state == TAGALONG__MOVE_STATE__MOVE_DONE)
		timeline_event(g->timeline, m->ended_ns, TONE_MOVE,
			       "<< moved in %s: guest stopped for %s, %s on the wire, %u rounds",
			       duration_format(m->ended_ns - m->begun_ns, took),
			       duration_format(m->blackout_ns, stopped),
			       size_format(m->wire_bytes, wire), m->rounds);
	else
		timeline_event(g->timeline, m->ended_ns, TONE_BAD, "<< move %s: %s",
			       move_state_name(m->state), m->failure);
}

static void tell_move(struct gather *g, int i, bool new, const Tagalong__MoveFigures *f)
{
	struct story_move *m = &g->story->moves[i];
	bool stepped = new || g->moves[i].state != m->state;

	if (new)
		tell_new_move(g, m);
	g->moves[i].state = m->state;
	if (move_state_is_final(m->state)) {
		if (!g->moves[i].settled) {
			tell_end(g, m);
			g->reports_at_move = g->console.reports;
		}
		g->moves[i].settled = true;
	} else if (f && f->wire_bytes && (stepped || gather_time(g) >= g->next_progress_ns)) {
		tell_progress(g, m, f);
		g->next_progress_ns = gather_time(g) + PROGRESS_NS;
	}
}

void gather_moves(struct gather *g, const Tagalong__MoveList *list)
{
	for (size_t i = 0; i < list->n_moves; i++) {
		const Tagalong__MoveInfo *info = list->moves[i];
		int known = g->story->n_moves;
		struct story_move *m;
		struct uuid id;

		if (strcmp(info->vm, scenario(g)->guest.name) != 0 || info->move.len != UUID_SIZE)
			continue;
		memcpy(id.bytes, info->move.data, UUID_SIZE);
		m = story_move(g->story, &id);
		if (!m)
			continue;
		take_move(g, m, info);
		tell_move(g, (int)(m - g->story->moves), known != g->story->n_moves,
			  info->figures);
	}
}

bool gather_moving(const struct gather *g)
{
	for (int i = 0; i < g->story->n_moves; i++)
		if (!g->moves[i].told)
			return true;
	return false;
}

/* What the move did to the phone, once its echoes have come. */
static void tell_effect(struct gather *g, int i)
{
	struct story_move *m = &g->story->moves[i];
	uint64_t before = m->begun_ns > NS_PER_S ? m->begun_ns - NS_PER_S : 0;
	uint64_t rtt_before = story_guest_rtt(g->story, before, m->begun_ns);
	uint64_t rtt_after = story_guest_rtt(g->story, m->ended_ns + 2 * NS_PER_S, UINT64_MAX);
	char a[UNITS_TEXT_SIZE], b[UNITS_TEXT_SIZE], c[UNITS_TEXT_SIZE];

	story_judge_silences(g->story, m);
	g->moves[i].told = true;
	if (m->state == TAGALONG__MOVE_STATE__MOVE_DONE)
		timeline_event(g->timeline, gather_time(g), TONE_MOVE,
			       "   the phone saw a blackout of %s; RTT to its VM %s before, %s after",
			       duration_format(m->silence_ns, a), duration_format(rtt_before, b),
			       duration_format(rtt_after, c));
}

/* ---- Phone and guest ------------------------------------------------------------------ */

void gather_phone(struct gather *g, const struct phone_message *m)
{
	if (m->kind == PHONE_SILENCE) {
		if (g->walking)
			story_add_silence(g->story, since_begin(g, m->from_utc_ns),
					  since_begin(g, m->to_utc_ns));
		return;
	}
	if (m->failure[0] && !g->story->phone.failure[0])
		timeline_event(g->timeline, gather_time(g), TONE_BAD, "!! TCP connection: %s",
			       m->failure);
	g->story->phone = *m;
	g->story->phone_finished |= m->kind == PHONE_FINAL;
	if (m->kind == PHONE_SAMPLE)
		g->now.guest_rtt_ns = m->rtt_median_ns;
}

void gather_tick(struct gather *g)
{
	console_poll(&g->console);
	if (g->console.complaint[0] && !g->story->guest_complaint[0]) {
		memcpy(g->story->guest_complaint, g->console.complaint,
		       sizeof(g->story->guest_complaint));
		timeline_event(g->timeline, gather_time(g), TONE_BAD, "!! guest: %s",
			       g->console.complaint);
	}
	for (int i = 0; i < g->story->n_moves; i++)
		if (g->moves[i].settled && !g->moves[i].told &&
		    gather_time(g) > g->story->moves[i].ended_ns + SETTLING_NS)
			tell_effect(g, i);
}

void gather_end(struct gather *g)
{
	console_poll(&g->console);
	g->story->guest_last = g->console.last;
	g->story->guest_reports_after_moves = g->console.reports - g->reports_at_move;
	for (int i = 0; i < g->story->n_moves; i++)
		if (!g->moves[i].told)
			tell_effect(g, i);
}

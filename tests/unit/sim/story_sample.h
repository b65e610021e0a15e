/* SPDX-License-Identifier: Apache-2.0
 *
 * A made-up run of a two-tower scenario in which all went well; tests then
 * spoil it. */
#ifndef TESTS_UNIT_SIM_STORY_SAMPLE_H
#define TESTS_UNIT_SIM_STORY_SAMPLE_H

#include <criterion/criterion.h>
#include <string.h>

#include "common/clock.h"
#include "sim/testbed/story.h"

static inline struct scenario sample_scenario(void)
{
	struct scenario s = {
		.name = "sample",
		.duration_ns = 60 * NS_PER_S,
		.towers = { { "tower-a", { 0, 0 } }, { "tower-b", { 1000, 0 } } },
		.n_towers = 2,
		.backhaul = { .delay_ns = 8 * NS_PER_MS, .rate_bps = 1000000000 },
		.radio = { .link = { .delay_ns = 1500000 }, .delay_per_km_ns = 2e6,
			   .handover_m = 100 },
		.phone = { .name = "phone", .probe_interval_ns = 2 * NS_PER_MS, .n_path = 4,
			   .path = { { 4 * NS_PER_S, { 50, 0 } }, { 20 * NS_PER_S, { 950, 0 } },
				     { 34 * NS_PER_S, { 950, 0 } }, { 50 * NS_PER_S, { 50, 0 } } } },
		.guest = { .name = "desktop", .memory = 192 << 20, .dirty_rate = 4 << 20 },
		.policy = { .threshold_ns = 14 * NS_PER_MS, .hold_ns = NS_PER_S,
			    .margin_ns = 4 * NS_PER_MS },
		.expected = { { 0, 1, "threshold" }, { 1, 0, "threshold" } },
		.n_expected = 2,
	};

	return s;
}

static inline void sample_move(struct story *s, int from, uint64_t begun_ns)
{
	struct story_move *m = story_move(s, &(struct uuid){ .bytes = { (uint8_t)(from + 1) } });

	m->from = from;
	m->to = !from;
	strcpy(m->reason, "threshold");
	strcpy(m->text, "RTT 21 ms > 14 ms for 1 s");
	m->state = TAGALONG__MOVE_STATE__MOVE_DONE;
	m->begun_ns = begun_ns;
	m->ended_ns = begun_ns + 3 * NS_PER_S;
	m->blackout_ns = 31 * NS_PER_MS;
	m->wire_bytes = 64 << 20;
	m->rounds = 4;
	story_add_silence(s, m->ended_ns - 42 * NS_PER_MS, m->ended_ns - 2 * NS_PER_MS);
	story_judge_silences(s, m);
}

static inline void sample_story(struct story *s, const struct scenario *scenario)
{
	int attached = -1;

	*s = (struct story){ .scenario = scenario };
	for (uint64_t t = 0; t <= scenario->duration_ns; t += 200 * NS_PER_MS) {
		struct story_sample p = { .t_ns = t, .at = scenario_phone_at(scenario, t) };
		int was = attached;

		p.attached = attached = scenario_attachment(scenario, p.at, attached);
		if (was != attached)
			s->attachments[s->n_attachments++] = (struct story_attachment){ t, attached };
		p.vm = t > 16 * NS_PER_S && t < 46 * NS_PER_S;
		for (int i = 0; i < 2; i++)
			p.tower_rtt_ns[i] =
				2 * scenario_radio(scenario,
						   position_distance(p.at,
								     scenario->towers[attached].at))
						.delay_ns +
				(i == attached ? 0 : 2 * scenario->backhaul.delay_ns);
		p.guest_rtt_ns = p.tower_rtt_ns[p.vm] + NS_PER_MS;
		cr_assert_eq(story_add_sample(s, &p), 0);
	}
	sample_move(s, 0, 15 * NS_PER_S);
	sample_move(s, 1, 45 * NS_PER_S);
	s->phone = (struct phone_message){ .tcp_sent = 4096, .tcp_verified = 4096 };
	s->phone_finished = true;
	s->guest_first.passes = 2;
	s->guest_last.passes = 30;
	s->guest_last.written = 50000;
	s->guest_reports_after_moves = 9;
	s->replay_matches = true;
	strcpy(s->replay_text, "the same decisions, byte for byte");
}

#endif

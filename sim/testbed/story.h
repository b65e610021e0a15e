/* SPDX-License-Identifier: Apache-2.0
 *
 * What happened in a run: gathered by run.c, printed by timeline.c, drawn by
 * page.c and judged by verdict.c. Times are nanoseconds since the walk began.
 */
#ifndef SIM_TESTBED_STORY_H
#define SIM_TESTBED_STORY_H

#include "common/move_state.h"
#include "common/uuid.h"
#include "sim/testbed/console.h"
#include "sim/testbed/phone.h"
#include "sim/testbed/scenario.h"
#include "sim/testbed/topology.h"

#define STORY_MOVES_MAX EXPECTED_MAX
#define STORY_ATTACHMENTS_MAX 256

struct story_sample {
	uint64_t t_ns;
	struct position at;
	int attached;                     /* tower */
	int vm;                           /* the tower where it runs; -1: not known */
	uint64_t tower_rtt_ns[TOWERS_MAX]; /* as the towers measure it; 0: not known */
	uint64_t guest_rtt_ns;            /* as the phone measures it; 0: no echo */
};

struct story_move {
	struct uuid id;
	int from, to;
	char reason[SCENARIO_NAME_SIZE], text[200], failure[200];
	MoveState state;
	uint64_t begun_ns, ended_ns;
	uint64_t silence_ns;  /* the blackout as the phone saw it */
	uint64_t stall_ns;    /* the longest silence before that */
	uint64_t blackout_ns; /* as the engine measured it */
	uint64_t wire_bytes, guest_bytes;
	unsigned rounds;
};

struct story_attachment {
	uint64_t t_ns;
	int tower;
};

struct story_silence {
	uint64_t from_ns, to_ns;
};

struct story {
	const struct scenario *scenario;
	uint64_t begun_utc_ns; /* the walk */

	struct story_sample *samples;
	size_t n_samples;
	struct story_silence *silences;
	size_t n_silences;
	struct story_move moves[STORY_MOVES_MAX];
	int n_moves;
	bool too_many_moves;
	struct story_attachment attachments[STORY_ATTACHMENTS_MAX];
	int n_attachments;

	struct phone_message phone;     /* its last totals */
	bool phone_finished;
	struct guest_report guest_first, guest_last; /* at the walk's begin and end */
	uint64_t guest_reports_after_moves;
	char guest_complaint[256];
	struct topology_report network;
	bool replay_matches;
	char replay_text[160];
};

/* Frees what the story holds. */
void story_clear(struct story *s);

/* Both append; -ENOMEM. */
int story_add_sample(struct story *s, const struct story_sample *sample);
int story_add_silence(struct story *s, uint64_t from_ns, uint64_t to_ns);

/* The move of that id, made when it is new; NULL when there are too many. */
struct story_move *story_move(struct story *s, const struct uuid *id);

/* What the phone noticed of a move that has ended: the longest silence around
 * the stop (and in the second after it, in which the network learns where the VM
 * is), and the longest before that: under TCG a guest stalls when its dirty pages
 * are looked for the first time. Less the normal interval between echoes. */
void story_judge_silences(const struct story *s, struct story_move *m);

/* The round-trip time between the phone and the VM, as the phone saw it: the
 * median of the samples between two times; 0 when there are none. */
uint64_t story_guest_rtt(const struct story *s, uint64_t from_ns, uint64_t to_ns);

/* The least of those samples: the path's own, without what a busy machine adds. */
uint64_t story_guest_rtt_least(const struct story *s, uint64_t from_ns, uint64_t to_ns);

#endif

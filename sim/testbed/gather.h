/* SPDX-License-Identifier: Apache-2.0
 *
 * Turns what controller, phone and guest say into the story, and says what is
 * new on the timeline.
 */
#ifndef SIM_TESTBED_GATHER_H
#define SIM_TESTBED_GATHER_H

#include "sim/testbed/story.h"
#include "sim/testbed/timeline.h"

struct gather {
	struct story *story;
	struct timeline *timeline;
	const struct uuid *device;
	struct console console;

	struct story_sample now; /* as it stands; t_ns, at and attached are the walker's */
	int nodes_up;            /* migratord and telemetryd both connected */
	bool walking;
	bool vm_lost;            /* its QEMU died */
	bool above;              /* the VM's tower is above the threshold */
	uint64_t next_progress_ns;
	uint64_t reports_at_move;
	struct {
		MoveState state;
		bool settled, told;
	} moves[STORY_MOVES_MAX];
};

void gather_init(struct gather *g, struct story *story, struct timeline *timeline,
		 const struct uuid *device);
void gather_close(struct gather *g);

/* The walk begins now. */
void gather_begin(struct gather *g);

/* Now, as the story counts. */
uint64_t gather_time(const struct gather *g);

void gather_status(struct gather *g, const Tagalong__Status *status);
void gather_moves(struct gather *g, const Tagalong__MoveList *list);
void gather_phone(struct gather *g, const struct phone_message *m);

/* Several times a second: reads the console, and tells of a move's effect once
 * it can be judged. */
void gather_tick(struct gather *g);

/* Whether a move is under way, or its effect not yet to be seen. */
bool gather_moving(const struct gather *g);

/* The walk has ended: fills in what the story has of it as a whole. */
void gather_end(struct gather *g);

#endif

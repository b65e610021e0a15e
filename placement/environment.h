/* SPDX-License-Identifier: Apache-2.0
 *
 * All that the decision code knows of the world outside. placementd fills this
 * in with clocks, sockets and files; edgesim with a virtual clock and nothing
 * else. Decision code calls no clock, socket, file or random generator itself.
 */
#ifndef PLACEMENT_ENVIRONMENT_H
#define PLACEMENT_ENVIRONMENT_H

#include <stdint.h>

#include "common/bus.h"
#include "placement/proto/placement.pb-c.h"

typedef Tagalong__Placement__Record PlacementRecord;
typedef Tagalong__Placement__Event PlacementEvent;

struct environment {
	void *userdata;
	uint64_t (*now_mono)(void *userdata);
	uint64_t (*now_utc)(void *userdata);

	/* A pure function of the run's seed, stream and counter. */
	uint64_t (*random)(void *userdata, uint64_t stream, uint64_t counter);

	/* One timer an id; setting it again moves it. It becomes a Timer input. */
	void (*timer_set)(void *userdata, uint64_t id, uint64_t deadline_mono_ns);
	void (*timer_cancel)(void *userdata, uint64_t id);

	/* Sends if it can: what must arrive is sent again until it is answered.
	 * `request` (0: none) comes back in Received.request of the answer. The
	 * body, epoch and reply_to of `e` are set. */
	void (*send)(void *userdata, const struct bus_peer *to, uint64_t request, Envelope *e);

	/* Every input, once it has been dealt with and its effects are stored. */
	void (*record)(void *userdata, const PlacementRecord *input);

	/* A line of the decision log, without the newline. */
	void (*decision)(void *userdata, const char *line);

	/* What happened, for who listens. NULL: nobody does, and nothing is gathered. */
	void (*event)(void *userdata, const PlacementEvent *event);
};

#endif

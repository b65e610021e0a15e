/* SPDX-License-Identifier: Apache-2.0
 *
 * What the cost model needs to know of a move that is under way, out of what is seen of it. A
 * page costs something else in each round (zero, held, compressed, a patch), so bytes
 * on the wire for each of the guest's are counted round by round. And where the processor, QEMU or
 * another move makes it slower than the link alone, that is measured of late and goes on.
 * What of the first round is still to come is nothing like what has gone: there a sample of the
 * memory says what it takes (survey.h), and what went says how far the sample was off.
 *
 * Pure: times are ns of one monotonic clock.
 */
#ifndef MIGRATOR_FORECAST_H
#define MIGRATOR_FORECAST_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cost.h"
#include "migrator/survey.h"

struct forecast_sample { /* all of them since the move began */
	uint64_t now_ns;
	uint32_t round;       /* QEMU's */
	uint64_t wire_bytes;
	uint64_t guest_bytes; /* that they stand for */
	uint64_t light_bytes; /* of these: of pages without a body, zero or held by the target */
	uint64_t link_bps;    /* bytes a second; 0: not known */
	struct survey_stats survey;
};

struct forecast {
	struct forecast_sample last, round_start;
	uint64_t flows_ns; /* since when something goes over the wire */
	uint32_t first_permille, last_permille; /* of the first round, and the last that is over */
	double link_ns, real_ns; /* of late: what the link took for it, and what it took */
	double said, sent;       /* of late in the first round: wire bytes by the survey, and in truth */
};

void forecast_init(struct forecast *f);
void forecast_note(struct forecast *f, const struct forecast_sample *s);

/* The link was away: that is no sign of slowness. */
void forecast_excuse(struct forecast *f);

/* Wire bytes for 1000 guest bytes of what is left of this round. 0: not known. */
uint32_t forecast_permille(const struct forecast *f);

/* Sets the facts that are measured here: link_bps, wire_permille, again_permille. */
void forecast_facts(const struct forecast *f, struct cost_facts *facts);

/* The same for what is to be expected, with the survey: in the first round also what is left, and
 * how long pages take that are only looked at (start_ns); in all, what the guest writes. Before,
 * `facts` has what forecast_facts() says and the bytes that remain. */
void forecast_expect(const struct forecast *f, struct cost_facts *facts);

/* Whether enough has gone to say something. */
bool forecast_is_known(const struct forecast *f);

/* What the blackouts of earlier moves had beside the link's time: what QEMU and the daemons take, on
 * these machines with all else that they do. */
struct stop_cost {
	double mean_ns, deviation_ns;
	bool any;
};

/* A move ended: its blackout, and what of it the link took. */
void stop_cost_note(struct stop_cost *c, uint64_t blackout_ns, uint64_t link_ns);

/* For cost_facts.qemu_ns: what is likely, or what a promise can be kept with that has `room_ns` beside the
 * round trips. 0: no move yet. */
uint64_t stop_cost_likely(const struct stop_cost *c);
uint64_t stop_cost_careful(const struct stop_cost *c, uint64_t room_ns);

/* What to expect when the blackout is raised from `facts->promise_ns` to `most_ns` if need be (equal: it
 * is not). False when it does not end by itself. */
bool forecast_predict(const struct forecast *f, struct cost_facts facts, uint64_t most_ns,
		      struct cost *ret);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * How often a client is worth a probe. Its interval is doubled `stretch` times: once more after
 * PACE_CALM calm samples in a row, not at all any more from the first on that is not calm. A
 * sample is calm when nothing can follow from it that was not known before:
 *   - the level of the round-trip time is known, and no change of it is in the making;
 *   - hardly a probe was lost lately;
 *   - the smoothed time is far from the threshold where decisions fall: by more than four
 *     times its variation, and a quarter of the threshold.
 */
#ifndef TELEMETRY_PACE_H
#define TELEMETRY_PACE_H

#include <stdint.h>

#define PACE_CALM 8
#define PACE_STRETCH_MAX 16

struct pace {
	uint8_t calm; /* samples in a row */
	uint8_t stretch;
};

struct pace_view {
	uint64_t srtt_ns, rttvar_ns;
	uint64_t threshold_ns; /* 0: there is none */
	unsigned confidence;   /* of a sample just taken: of delivery alone */
	double doubt;          /* level_doubt() */
};

/* Takes the state after a sample; `most` is the largest stretch. */
void pace_sample(struct pace *p, const struct pace_view *v, unsigned most);

/* A probe was lost. */
void pace_alarm(struct pace *p);

/* By how many doublings `interval_ns` may grow without passing `most_ns`. */
unsigned pace_most(uint64_t interval_ns, uint64_t most_ns);

#endif

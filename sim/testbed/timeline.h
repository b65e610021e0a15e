/* SPDX-License-Identifier: Apache-2.0
 *
 * The run as lines of text for whoever watches; colours on a terminal only.
 */
#ifndef SIM_TESTBED_TIMELINE_H
#define SIM_TESTBED_TIMELINE_H

#include <stdio.h>

#include "sim/testbed/verdict.h"

struct timeline {
	FILE *out;
	bool colours;
	bool header_due;
	const struct scenario *scenario;
};

enum timeline_tone {
	TONE_PLAIN,
	TONE_QUIET,   /* detail */
	TONE_NETWORK, /* the phone changes towers */
	TONE_WARNING, /* the threshold is crossed */
	TONE_MOVE,
	TONE_GOOD,
	TONE_BAD,
};

void timeline_init(struct timeline *t, FILE *out, const struct scenario *s);

/* Before the walk, or after it: a line without a time. */
void timeline_say(struct timeline *t, enum timeline_tone tone, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Something happened. */
void timeline_event(struct timeline *t, uint64_t t_ns, enum timeline_tone tone, const char *fmt,
		    ...) __attribute__((format(printf, 4, 5)));

/* How things are. */
void timeline_row(struct timeline *t, const struct story_sample *sample);

void timeline_verdict(struct timeline *t, const struct verdict *v);

#endif

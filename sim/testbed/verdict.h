/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether a run showed what its scenario expects. Pure: story in, checks out.
 */
#ifndef SIM_TESTBED_VERDICT_H
#define SIM_TESTBED_VERDICT_H

#include "sim/testbed/story.h"

#define CHECKS_MAX 8

struct check {
	bool passed;
	char what[48];  /* "TCP connection" */
	char text[256]; /* what was found */
};

struct verdict {
	struct check checks[CHECKS_MAX];
	int n_checks;
	bool passed; /* all of them */
};

void verdict_reach(const struct story *s, struct verdict *ret);

#endif

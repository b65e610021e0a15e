/* SPDX-License-Identifier: Apache-2.0
 *
 * A whole run of a scenario, inside a sandbox (sandbox.h): network, programs,
 * VM, walk, verdict and page.
 */
#ifndef SIM_TESTBED_RUN_H
#define SIM_TESTBED_RUN_H

#include "sim/testbed/scenario.h"

struct run_config {
	const struct scenario *scenario;
	const char *programs; /* the build folder */
	const char *results;  /* an existing folder */
	const char *self;     /* the testbed's own program */
};

/* The exit status: 0 when all that the scenario expects was shown, 1 when not,
 * 130 and 143 when SIGINT or SIGTERM ended it. */
int run(const struct run_config *config);

/* Makes the network alone and runs a shell (or $SHELL) in it. */
int run_shell(const struct run_config *config);

#endif

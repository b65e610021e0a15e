/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs a study, on as many threads as one likes, into a folder of results; goes on
 * with what is there already. Threads share the world, which does not change, and
 * nothing else but the list of what is to be done.
 */
#ifndef SIM_STUDY_RUNNER_H
#define SIM_STUDY_RUNNER_H

#include "sim/study/results.h"

struct runner_options {
	const char *folder; /* is made when it is not there */
	unsigned threads;
	struct shard shard;
	bool progress; /* is shown on standard error */
};

struct runner_report {
	uint32_t runs;    /* of the shard */
	uint32_t resumed; /* of these, that were there already */
	double seconds;
	double user_seconds, events; /* of those that were run now */
};

/* -EEXIST: the folder has the results of another study. When it cannot write, what
 * is written stays, and the next call goes on from there. */
int runner_run(const struct study *s, const struct runner_options *o, struct runner_report *ret,
	       struct mg_error *err);

#endif

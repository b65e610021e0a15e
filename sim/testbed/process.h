/* SPDX-License-Identifier: Apache-2.0
 *
 * Programs run by the testbed: helpers that are waited for, and daemons that
 * stay. All of them die with the process that started them. */
#ifndef SIM_TESTBED_PROCESS_H
#define SIM_TESTBED_PROCESS_H

#include <stddef.h>
#include <sys/types.h>

#include "common/error.h"

struct process {
	const char *const *argv; /* NULL-terminated; argv[0] is searched in PATH */
	int netns;               /* network namespace to run in; -1: ours */
	int in;                  /* its standard input; -1: /dev/null */
	const char *log;         /* file that gets its output; NULL: ours */
};

/* Starts it and returns. p->in remains the caller's. */
int process_start(const struct process *p, pid_t *ret, struct mg_error *err);

/* Runs it to its end with `input` (may be NULL) on its standard input in place of
 * p->in. What it writes comes back in `output` (room for size bytes with the NUL;
 * NULL when not wanted). Anything but exit status 0 is -EIO, with its last words
 * in *err. */
int process_run(const struct process *p, const char *input, char *output, size_t size,
		struct mg_error *err);

#endif

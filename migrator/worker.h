/* SPDX-License-Identifier: Apache-2.0
 *
 * A thread that does one job at a time for another one, which goes on meanwhile: where a move
 * has several connections, the work on the pages of each. Without a thread of its own, which is
 * how a move with one connection does it, the job is done at once by whoever gives it.
 */
#ifndef MIGRATOR_WORKER_H
#define MIGRATOR_WORKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "common/error.h"

struct worker {
	/* The job; set before the first is given. What it reads and writes is the worker's from
	 * worker_do() until worker_busy() says no. */
	void (*job)(void *userdata);
	/* Called by the thread when a job is done: shall make its giver look. */
	void (*done)(void *userdata);
	void *userdata;
	pthread_t thread;
	bool threaded;
	pthread_mutex_t lock;
	pthread_cond_t given;
	bool has_job, ending; /* under the lock */
	atomic_bool busy;
};

/* Gives it a thread. */
int worker_start(struct worker *w, struct mg_error *err);

/* Waits for the job that is being done. One that is zeroed will do. */
void worker_stop(struct worker *w);

/* It must not be busy. */
void worker_do(struct worker *w);

bool worker_busy(const struct worker *w);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/worker.h"

#include "migrator/thread.h"

static bool wait_for_job(struct worker *w)
{
	bool ending;

	pthread_mutex_lock(&w->lock);
	while (!w->has_job && !w->ending)
		pthread_cond_wait(&w->given, &w->lock);
	ending = w->ending;
	w->has_job = false;
	pthread_mutex_unlock(&w->lock);
	return !ending;
}

static void *worker_main(void *userdata)
{
	struct worker *w = userdata;

	while (wait_for_job(w)) {
		w->job(w->userdata);
		atomic_store(&w->busy, false);
		w->done(w->userdata);
	}
	return NULL;
}

int worker_start(struct worker *w, struct mg_error *err)
{
	int r;

	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->given, NULL);
	r = thread_start(&w->thread, worker_main, w, err);
	w->threaded = r == 0;
	return r;
}

void worker_stop(struct worker *w)
{
	if (!w->threaded)
		return;
	pthread_mutex_lock(&w->lock);
	w->ending = true;
	pthread_cond_signal(&w->given);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	w->threaded = false;
	pthread_cond_destroy(&w->given);
	pthread_mutex_destroy(&w->lock);
}

void worker_do(struct worker *w)
{
	if (!w->threaded) {
		w->job(w->userdata);
		return;
	}
	atomic_store(&w->busy, true);
	pthread_mutex_lock(&w->lock);
	w->has_job = true;
	pthread_cond_signal(&w->given);
	pthread_mutex_unlock(&w->lock);
}

bool worker_busy(const struct worker *w)
{
	return atomic_load(&w->busy);
}

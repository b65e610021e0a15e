/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/thread.h"

#include <signal.h>
#include <string.h>

int thread_start(pthread_t *thread, void *(*run)(void *userdata), void *userdata,
		 struct mg_error *err)
{
	sigset_t all, old;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(thread, NULL, run, userdata);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return r ? mg_error_set(err, -r, "cannot start a thread: %s", strerror(r)) : 0;
}

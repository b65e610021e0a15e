/* SPDX-License-Identifier: Apache-2.0
 *
 * A thread of the data path. Signals are not for it: they belong to the loop.
 */
#ifndef MIGRATOR_THREAD_H
#define MIGRATOR_THREAD_H

#include <pthread.h>

#include "common/error.h"

/* Returns 0, or why there is none. */
int thread_start(pthread_t *thread, void *(*run)(void *userdata), void *userdata,
		 struct mg_error *err);

#endif

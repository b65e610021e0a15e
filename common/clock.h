/* SPDX-License-Identifier: Apache-2.0
 *
 * Time. Durations are nanoseconds of the monotonic clock, instants are
 * nanoseconds UTC since 1970. placement/'s decision code must not use this:
 * it takes time through its environment.
 */
#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

#include <stdint.h>
#include <time.h>

#define NS_PER_US UINT64_C(1000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)

static inline uint64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static inline uint64_t clock_mono_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

static inline uint64_t clock_utc_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * Cleanup by scope. `_cleanup_(fn) T *p = NULL;` calls fn(&p) when p leaves
 * its scope. Destructors take NULL and half-built objects.
 */
#ifndef COMMON_CLEANUP_H
#define COMMON_CLEANUP_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(fn) __attribute__((cleanup(fn)))
#define _cleanup_free_ _cleanup_(cleanup_free)
#define _cleanup_close_ _cleanup_(cleanup_close)
#define _cleanup_fclose_ _cleanup_(cleanup_fclose)

/* Makes cleanup function `name` for pointers to `type` out of destructor `fn`. */
#define DEFINE_CLEANUP(type, fn)                         \
	static inline void fn##_p(type **p)              \
	{                                                \
		if (*p)                                  \
			fn(*p);                          \
	}

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_close(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	errno = saved;
}

static inline void cleanup_fclose(FILE **f)
{
	if (*f)
		fclose(*f);
}

/* Hands a value out of a scope that would clean it up. */
#define TAKE_PTR(p)                       \
	({                                \
		__typeof__(p) taken_ = (p); \
		(p) = NULL;               \
		taken_;                   \
	})
#define TAKE_FD(fd)               \
	({                        \
		int taken_ = (fd); \
		(fd) = -1;        \
		taken_;           \
	})

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif

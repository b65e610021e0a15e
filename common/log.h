/* SPDX-License-Identifier: Apache-2.0
 *
 * Logging in logfmt to standard error: one line an event, for journald (with
 * the <N> priority prefix that it reads) or a terminal (without).
 *
 *     log_info("qmp", "vm=%s connected in %u ms", name, ms);
 *
 * The message text comes last and is free; what a machine should find goes
 * before it as key=value. Library code logs nothing above debug level: it
 * returns an error, and whoever handles that logs once.
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stdbool.h>

enum log_level { /* the priorities of syslog(3) that we use */
	LOG_LEVEL_ERROR = 3,
	LOG_LEVEL_WARNING = 4,
	LOG_LEVEL_INFO = 6,
	LOG_LEVEL_DEBUG = 7,
};

/* Sets the program's name and the highest level that is written. `program`
 * must outlive all logging. The environment variable TAGALONG_LOG (error,
 * warning, info, debug) overrides `level`. */
void log_init(const char *program, enum log_level level);

/* Parses a level's name. Returns 0, or -EINVAL. */
int log_level_parse(const char *name, enum log_level *ret_level);

bool log_enabled(enum log_level level);

void log_write(enum log_level level, const char *subsystem, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#define log_at(level, subsystem, ...)                                  \
	do {                                                           \
		if (log_enabled(level))                                \
			log_write(level, subsystem, __VA_ARGS__);      \
	} while (0)
#define log_error(subsystem, ...) log_at(LOG_LEVEL_ERROR, subsystem, __VA_ARGS__)
#define log_warning(subsystem, ...) log_at(LOG_LEVEL_WARNING, subsystem, __VA_ARGS__)
#define log_info(subsystem, ...) log_at(LOG_LEVEL_INFO, subsystem, __VA_ARGS__)
#define log_debug(subsystem, ...) log_at(LOG_LEVEL_DEBUG, subsystem, __VA_ARGS__)

#endif

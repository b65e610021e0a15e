/* SPDX-License-Identifier: Apache-2.0 */
#include "common/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"

static const struct {
	const char *name;
	enum log_level level;
} level_names[] = {
	{ "error", LOG_LEVEL_ERROR },
	{ "warning", LOG_LEVEL_WARNING },
	{ "info", LOG_LEVEL_INFO },
	{ "debug", LOG_LEVEL_DEBUG },
};

static const char *log_program = "tagalong";
static enum log_level log_max = LOG_LEVEL_INFO;
static bool log_to_journal;

int log_level_parse(const char *name, enum log_level *ret_level)
{
	for (size_t i = 0; i < ARRAY_SIZE(level_names); i++)
		if (strcasecmp(name, level_names[i].name) == 0) {
			*ret_level = level_names[i].level;
			return 0;
		}
	return -EINVAL;
}

static const char *log_level_name(enum log_level level)
{
	for (size_t i = 0; i < ARRAY_SIZE(level_names); i++)
		if (level_names[i].level == level)
			return level_names[i].name;
	return "info";
}

void log_init(const char *program, enum log_level level)
{
	const char *env = getenv("TAGALONG_LOG");

	log_program = program;
	log_max = level;
	if (env)
		(void)log_level_parse(env, &log_max);
	log_to_journal = getenv("JOURNAL_STREAM") != NULL;
}

bool log_enabled(enum log_level level)
{
	return level <= log_max;
}

void log_write(enum log_level level, const char *subsystem, const char *fmt, ...)
{
	char line[2048];
	struct timespec now;
	struct tm tm;
	va_list ap;
	int n = 0, m;

	if (log_to_journal) {
		n = snprintf(line, sizeof(line), "<%d>", (int)level);
	} else {
		clock_gettime(CLOCK_REALTIME, &now);
		gmtime_r(&now.tv_sec, &tm);
		n = (int)strftime(line, sizeof(line), "%FT%T", &tm);
		n += snprintf(line + n, sizeof(line) - (size_t)n, ".%03ldZ %s ",
			      now.tv_nsec / 1000000, log_level_name(level));
	}
	n += snprintf(line + n, sizeof(line) - (size_t)n, "%s/%s ", log_program, subsystem);
	va_start(ap, fmt);
	m = vsnprintf(line + n, sizeof(line) - (size_t)n - 1, fmt, ap);
	va_end(ap);
	if (m < 0)
		return;
	n += m;
	if ((size_t)n > sizeof(line) - 2)
		n = (int)sizeof(line) - 2;
	/* A message must not be able to forge a line of its own. */
	for (char *p = line; p < line + n; p++)
		if (*p == '\n' || *p == '\r')
			*p = ' ';
	line[n++] = '\n';
	/* One write a line, so that lines of several threads do not mix. */
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		return;
}

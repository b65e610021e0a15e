/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/fault.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/units.h"

#define DIRECTIVES_MAX 8

static struct {
	bool after;
	char step[48];
	unsigned long countdown;
} kills[DIRECTIVES_MAX];
static unsigned n_kills;
static struct {
	char step[48];
	uint64_t ns; /* 0: not any more */
} stall;
static uint64_t journal_delay_ns;

static int parse_kill(const char *value, bool after)
{
	const char *colon = strchr(value, ':');
	size_t len = colon ? (size_t)(colon - value) : strlen(value);
	unsigned long count = 1;
	char *end;

	if (n_kills == ARRAY_SIZE(kills) || len == 0 || len >= sizeof(kills[0].step))
		return -EINVAL;
	if (colon) {
		count = strtoul(colon + 1, &end, 10);
		if (*end || count == 0)
			return -EINVAL;
	}
	memcpy(kills[n_kills].step, value, len);
	kills[n_kills].step[len] = '\0';
	kills[n_kills].after = after;
	kills[n_kills++].countdown = count;
	return 0;
}

static int parse_stall(const char *value)
{
	const char *colon = strchr(value, ':');

	if (!colon || colon == value || (size_t)(colon - value) >= sizeof(stall.step))
		return -EINVAL;
	snprintf(stall.step, sizeof(stall.step), "%.*s", (int)(colon - value), value);
	return duration_parse(colon + 1, &stall.ns);
}

static int parse_directive(char *text)
{
	char *value = strchr(text, '=');

	if (!value)
		return -EINVAL;
	*value++ = '\0';
	if (strcmp(text, "kill-before") == 0)
		return parse_kill(value, false);
	if (strcmp(text, "kill-after") == 0)
		return parse_kill(value, true);
	if (strcmp(text, "stall-before") == 0)
		return parse_stall(value);
	if (strcmp(text, "journal-delay") == 0)
		return duration_parse(value, &journal_delay_ns);
	return -EINVAL;
}

int fault_init(const char *directives, struct mg_error *err)
{
	_cleanup_free_ char *copy = directives ? strdup(directives) : NULL;
	char *save = NULL;

	n_kills = 0;
	stall.ns = journal_delay_ns = 0;
	for (char *d = copy ? strtok_r(copy, ",", &save) : NULL; d; d = strtok_r(NULL, ",", &save))
		if (parse_directive(d) < 0)
			return mg_error_set(err, -EINVAL, "TAGALONG_FAULT: '%s' is not a directive",
					    d);
	return 0;
}

static void stand_still(uint64_t ns)
{
	struct timespec ts = { .tv_sec = (time_t)(ns / NS_PER_S),
			       .tv_nsec = (long)(ns % NS_PER_S) };

	if (ns)
		nanosleep(&ts, NULL);
}

static void stall_once(const char *kind, const char *step)
{
	uint64_t ns = stall.ns;
	char name[64];

	snprintf(name, sizeof(name), "%s-%s", kind, step);
	if (ns == 0 || strcmp(stall.step, name) != 0)
		return;
	stall.ns = 0;
	stand_still(ns);
}

static void count_down(const char *kind, const char *step, bool after)
{
	char name[64];

	snprintf(name, sizeof(name), "%s-%s", kind, step);
	for (unsigned i = 0; i < n_kills; i++)
		if (kills[i].after == after && strcmp(kills[i].step, name) == 0 &&
		    --kills[i].countdown == 0)
			kill(getpid(), SIGKILL);
}

void fault_before(const char *kind, const char *step)
{
	if (stall.ns)
		stall_once(kind, step);
	if (n_kills)
		count_down(kind, step, false);
}

void fault_after(const char *kind, const char *step)
{
	if (n_kills)
		count_down(kind, step, true);
}

void fault_journal_delay(void)
{
	stand_still(journal_delay_ns);
}

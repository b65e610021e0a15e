/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/testbed/console.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"

#define LOG_NAME "console.log"

void console_init(struct console *c)
{
	*c = (struct console){ .fd = -1 };
}

void console_close(struct console *c)
{
	cleanup_close(&c->fd);
	c->fd = -1;
}

static bool word_is(const char *word, const char *key, const char **ret_value)
{
	size_t n = strlen(key);

	if (strncmp(word, key, n) != 0 || word[n] != '=')
		return false;
	*ret_value = word + n + 1;
	return true;
}

static void take_word(struct guest_report *r, const char *word)
{
	const struct {
		const char *key;
		uint64_t *to;
	} fields[] = {
		{ "seq", &r->seq },           { "uptime_ms", &r->uptime_ms },
		{ "generation", &r->generation }, { "written", &r->written },
		{ "verified", &r->verified }, { "passes", &r->passes },
		{ "errors", &r->errors },     { "late_ms", &r->late_ms },
	};
	const char *value;

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (word_is(word, fields[i].key, &value))
			*fields[i].to = strtoull(value, NULL, 10);
}

/* Whether the line came whole: the console may be cut off in mid-line. */
static bool line_is_whole(const char *line)
{
	size_t n = strlen(line);

	return n >= 4 && strcmp(line + n - 4, " end") == 0;
}

static void take_report(struct console *c)
{
	struct guest_report r = { 0 };
	char *save;

	for (char *word = strtok_r(c->line, " ", &save); word; word = strtok_r(NULL, " ", &save))
		take_word(&r, word);
	c->last = r;
	c->reports++;
}

static void complain(struct console *c)
{
	if (!c->complaint[0])
		snprintf(c->complaint, sizeof(c->complaint), "%.*s",
			 (int)sizeof(c->complaint) - 1, c->line);
}

static void take_line(struct console *c)
{
	static const char prefix[] = "tagguest ";
	char *words = strstr(c->line, prefix);

	if (!words) {
		/* The kernel's own last words are a fault like any other. */
		if (strstr(c->line, "Kernel panic"))
			complain(c);
		return;
	}
	words += sizeof(prefix) - 1;
	if (strncmp(words, "error", 5) == 0 || strncmp(words, "fatal", 5) == 0)
		complain(c);
	else if (strncmp(words, "start", 5) == 0)
		c->started = true;
	else if (strncmp(words, "report", 6) == 0 && line_is_whole(words))
		take_report(c);
}

void console_feed(struct console *c, const char *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (data[i] != '\n' && data[i] != '\r') {
			if (c->len + 1 < sizeof(c->line))
				c->line[c->len++] = data[i] ? data[i] : ' ';
			else
				c->overlong = true;
			continue;
		}
		c->line[c->len] = '\0';
		if (c->len && !c->overlong)
			take_line(c);
		c->len = 0;
		c->overlong = false;
	}
}

void console_poll(struct console *c)
{
	char data[4096];
	ssize_t n;

	if (c->fd < 0 && c->path[0])
		c->fd = open(c->path, O_RDONLY | O_CLOEXEC);
	while (c->fd >= 0 && (n = read(c->fd, data, sizeof(data))) > 0)
		console_feed(c, data, (size_t)n);
}

void console_follow(struct console *c, const char *directory)
{
	char path[sizeof(c->path)];

	snprintf(path, sizeof(path), "%.*s/" LOG_NAME,
		 (int)(sizeof(path) - sizeof(LOG_NAME) - 1), directory);
	if (strcmp(path, c->path) == 0)
		return;
	console_poll(c);
	console_close(c);
	c->len = 0;
	memcpy(c->path, path, sizeof(path));
	console_poll(c);
}

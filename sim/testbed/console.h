/* SPDX-License-Identifier: Apache-2.0
 *
 * The test guest's reports (sim/guest/README.md), read from its console's log
 * as it grows. A guest that moves writes on into a new log.
 */
#ifndef SIM_TESTBED_CONSOLE_H
#define SIM_TESTBED_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct guest_report {
	uint64_t seq, uptime_ms, generation, written, verified, passes, errors, late_ms;
};

struct console {
	int fd; /* -1: no log yet */
	char path[256];
	char line[2048];
	size_t len;
	bool overlong; /* the line does not fit and is dropped at its end */

	bool started;
	uint64_t reports;
	struct guest_report last;
	char complaint[256]; /* the first line that reported a fault */
};

void console_init(struct console *c);
void console_close(struct console *c);

/* Follows the log in `directory` from its beginning, after reading the rest of
 * the one before. The same directory again changes nothing. */
void console_follow(struct console *c, const char *directory);

/* Takes in what has been written since. */
void console_poll(struct console *c);

/* Takes in bytes; what console_poll() does with what it reads. */
void console_feed(struct console *c, const char *data, size_t len);

#endif

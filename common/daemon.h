/* SPDX-License-Identifier: Apache-2.0
 *
 * What every daemon's main() has in common: --config FILE, --check-config,
 * --help, --version, the log, an sd-event loop that SIGTERM and SIGINT end,
 * and word to the service manager: when it is ready, when it stops, and while its loop
 * runs, if that asks for it (sd_notify(3), sd_event_set_watchdog(3)).
 */
#ifndef COMMON_DAEMON_H
#define COMMON_DAEMON_H

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "common/error.h"

struct daemon_program {
	const char *name;    /* "telemetryd"; its configuration is /etc/tagalong/NAME.yaml */
	const char *summary; /* one line for --help */

	/* Loads and checks a configuration, so far as that needs nothing but files. */
	int (*load)(const char *path, void **ret_config, struct mg_error *err);
	void (*unload)(void *config);

	/* Starts all there is; the loop runs after it. A start that fails leaves
	 * nothing behind. */
	int (*start)(void *config, sd_event *loop, void **ret_daemon, struct mg_error *err);
	void (*stop)(void *daemon);

	/* Gives up what only a start needs, before the first thing from outside is looked at.
	 * NULL: nothing is. */
	int (*confine)(struct mg_error *err);

	/* SIGHUP: takes what may change while it runs from `config`, which is like load() made it
	 * and is unloaded after this; `started_with` is what start() had, and stays. An error
	 * changes nothing. NULL: SIGHUP ends the daemon. */
	int (*reload)(void *daemon, const void *started_with, const void *config,
		      struct mg_error *err);
};

/* The exit status: 0, 1 (failed; the log says why) or 2 (usage). */
int daemon_main(const struct daemon_program *program, int argc, char **argv);

/* Prints "NAME (tagalong) VERSION". */
void daemon_print_version(const char *name);

/* Makes a loop that SIGTERM and SIGINT end, with SIGPIPE ignored, and that feeds the
 * service manager's watchdog. */
int daemon_loop_new(sd_event **ret, struct mg_error *err);

#endif

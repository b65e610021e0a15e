/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs a controller's record log through the controller's own code, at the
 * times that the log tells, and hands out the decisions as its decision log
 * had them.
 */
#ifndef SIM_REPLAY_H
#define SIM_REPLAY_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

struct replay_result {
	size_t runs;    /* starts of the controller */
	size_t records;
	size_t decisions;
	bool truncated; /* an incomplete record at the end was ignored */
	size_t good;    /* the log is whole up to here */
};

/* A line without its newline. */
typedef void (*replay_line_fn)(const char *line, void *userdata);

/* Errors: -EUCLEAN (no record log), -EBADMSG and others with the offset in the
 * text; the decisions before it have been handed out. */
int replay_run(const void *data, size_t len, replay_line_fn fn, void *userdata,
	       struct replay_result *ret, struct mg_error *err);

#endif

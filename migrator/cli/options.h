/* SPDX-License-Identifier: Apache-2.0
 *
 * Options. One table (options.c) feeds the parser, --help, the shell completion
 * and the test that compares all of it with the manual page.
 */
#ifndef MIGRATOR_CLI_OPTIONS_H
#define MIGRATOR_CLI_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/error.h"

/* Which options a command takes: a set of these. */
enum option_bit {
	OPTION_BACKGROUND = UINT64_C(1) << 0,
	OPTION_BANDWIDTH = UINT64_C(1) << 1,
	OPTION_BLACKOUT = UINT64_C(1) << 2,
	OPTION_BLACKOUT_MAX = UINT64_C(1) << 3,
	OPTION_CONFIG = UINT64_C(1) << 4,
	OPTION_DETACH = UINT64_C(1) << 5,
	OPTION_VERDICT = UINT64_C(1) << 6,
	OPTION_DRY_RUN = UINT64_C(1) << 7,
	OPTION_FORCE = UINT64_C(1) << 8,
	OPTION_ID = UINT64_C(1) << 9,
	OPTION_JSON = UINT64_C(1) << 10,
	OPTION_LIMIT = UINT64_C(1) << 11,
	OPTION_MOVE_TIMEOUT = UINT64_C(1) << 12,
	OPTION_NODE = UINT64_C(1) << 13,
	OPTION_ON = UINT64_C(1) << 14,
	OPTION_INCOMING = UINT64_C(1) << 15,
	OPTION_TIMEOUT = UINT64_C(1) << 16,
	OPTION_TO = UINT64_C(1) << 17,
	OPTION_VM = UINT64_C(1) << 18,
	OPTION_YES = UINT64_C(1) << 19,
	OPTION_FROM = UINT64_C(1) << 20,
	OPTION_OF_VM = UINT64_C(1) << 21,
	OPTION_PATIENCE = UINT64_C(1) << 22,
	OPTION_DRY_PLAN = UINT64_C(1) << 23,
	OPTION_FOLLOW = UINT64_C(1) << 24,
	OPTION_CONNECTIONS = UINT64_C(1) << 25,
	OPTION_COPY_BASES = UINT64_C(1) << 26,
	OPTION_CONVERGENCE = UINT64_C(1) << 27,
	OPTION_QMP = UINT64_C(1) << 28,
	OPTION_TOP = UINT64_C(1) << 29,
	OPTION_APART = UINT64_C(1) << 30,
	OPTION_PRIORITY = UINT64_C(1) << 31,
	OPTION_DAYS = UINT64_C(1) << 32,
	NODE_NEEDED = UINT64_C(1) << 33, /* no option: a node's own business, so --node is needed */
};

/* How a help text says it of an option, and of a command. */
#define NEEDS_NODE " (needs --node)"

/* What was given; what was not is 0, false or NULL. */
struct options {
	bool apart, background, copy_bases, detach, discard, dry_run, follow, force, help, json, run_here,
		top, version, yes;
	uint64_t bandwidth_bps;  /* bits a second */
	uint64_t blackout_ns, blackout_max_ns;
	uint64_t move_timeout_ns, patience_ns, stall_timeout_ns;
	uint64_t attempts, days;
	uint64_t timeout_ns;     /* for an answer */
	uint64_t limit, connections;
	const char *config, *from, *id, *if_not_converging, *incoming, *node, *on, *priority, *qmp, *to, *vm;
	bool warm; /* set by 'migrator warm', which is a move that stops short */
};

/* Parses argv[1…], options and operands in any order; "--" ends the options.
 * `set` is the options that are allowed besides --help and --version. Leaves
 * the operands in argv[*ret_first …]. Errors: -EINVAL, with the text. */
int options_parse(int argc, char **argv, uint64_t set, struct options *ret, int *ret_first,
		  struct mg_error *err);

/* Moves all options to the front of argv, whatever command they are of, and
 * returns where the operands begin. An option whose argument is missing then
 * stands before an operand: parse the argv from before. */
int options_skip(int argc, char **argv);

/* The "options:" part of a help text. */
void options_help(FILE *out, uint64_t set);

#endif

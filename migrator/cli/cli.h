/* SPDX-License-Identifier: Apache-2.0
 *
 * The `migrator` command: a table of sub-commands (cli.c), each a function
 * that gets its parsed options and operands and returns how the program ends.
 */
#ifndef MIGRATOR_CLI_CLI_H
#define MIGRATOR_CLI_CLI_H

#include "common/error.h"
#include "migrator/cli/options.h"

/* Exit codes, as migrator(1) has them. All but the first come with a text. */
enum cli_exit {
	CLI_OK = 0,
	CLI_FAILED = 1,      /* refused, or could not be done */
	CLI_USAGE = 2,       /* wrong command line or configuration */
	CLI_UNREACHABLE = 3, /* nobody answered */
	CLI_ABORTED = 4,     /* the move was aborted; the VM runs where it was */
	CLI_IN_DOUBT = 5,    /* the move needs a peer, or a person, to settle it */
	CLI_LOST = 6,        /* the move lost its VM (post-copy broke off) */
	CLI_DETACHED = 130,  /* interrupted while the move went on */
};

struct cli {
	struct options options;
	char **operands; /* ends with NULL */
	int n_operands;
};

int cli_main(int argc, char **argv);

/* Fills *err and returns `code`. */
enum cli_exit cli_fail(struct mg_error *err, enum cli_exit code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* How long an answer may take: --timeout, else `fallback_ns`. */
uint64_t cli_timeout(const struct cli *cli, uint64_t fallback_ns);
#define CLI_TIMEOUT_NS (5 * UINT64_C(1000000000))
#define CLI_TIMEOUT_SLOW_NS (30 * UINT64_C(1000000000))

/* Prints what was done: the document with --json, else `fmt` as a line. Takes
 * the reference to `document`. */
struct json_t;
void cli_report(const struct cli *cli, struct json_t *document, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The same of what changes something, or with --dry-run would: that is added to both. `fmt` begins
 * with what was done to it, "started: web". */
void cli_report_change(const struct cli *cli, struct json_t *document, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif

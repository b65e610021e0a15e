/* SPDX-License-Identifier: Apache-2.0
 *
 * Within edgesim: what its commands share. A command gets its own name as argv[0]
 * and returns the exit status.
 */
#ifndef SIM_COMMANDS_H
#define SIM_COMMANDS_H

#include "common/error.h"

enum { EXIT_OK, EXIT_FAILED, EXIT_USAGE };

int command_compare(int argc, char **argv);
int command_handovers(int argc, char **argv);
int command_merge(int argc, char **argv);
int command_references(int argc, char **argv);
int command_replay(int argc, char **argv);
int command_run(int argc, char **argv);

/* Puts shards together and prints how many runs there are; returns the exit status. */
int command_merge_folders(const char *out, char **folders, int n);

/* Prints the error, after what was printed so far; returns EXIT_FAILED. */
int command_fail(const struct mg_error *err);

/* Wrong usage; returns EXIT_USAGE. */
int command_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* What was printed has arrived: EXIT_OK, else it says so. */
int command_finish(void);

#endif

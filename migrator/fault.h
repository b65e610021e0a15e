/* SPDX-License-Identifier: Apache-2.0
 *
 * Faults on demand, for the tests that kill a daemon at every step of a move.
 * The environment variable TAGALONG_FAULT holds directives, separated by commas:
 *
 *     kill-before=STEP[:N]   SIGKILL itself before the N-th time (1st) of a step
 *     kill-after=STEP[:N]    the same, right after it
 *     stall-before=STEP:3s   stand still for so long, the first time
 *     journal-delay=20ms     every journal write takes so much longer
 *
 * A step is a journal write ("journal-commit") or a message between two
 * migratords ("send-commit", "receive-commit"); HACKING.md lists them. Without
 * the variable each hook costs one comparison.
 */
#ifndef MIGRATOR_FAULT_H
#define MIGRATOR_FAULT_H

#include "common/error.h"

/* Reads the variable. An unknown directive is an error: a test that injects
 * nothing must not pass. */
int fault_init(const char *directives, struct mg_error *err);

void fault_before(const char *kind, const char *step);
void fault_after(const char *kind, const char *step);

/* Sleeps the journal's delay. */
void fault_journal_delay(void);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * What telemetryd and the reflector can do once they are at work, whoever takes them over:
 * no capability is left, no program can be run, no file written, no socket opened but those
 * that a lost connection or a name needs. A forbidden system call ends the process (SIGSYS); only
 * code that would be loaded is refused (EPERM).
 */
#ifndef TELEMETRY_CONFINE_H
#define TELEMETRY_CONFINE_H

#include "common/error.h"

/* Gives up all capabilities of this thread and of those that it makes from now on, for good. To be
 * called when all sockets that need them are open. */
int confine_drop_privileges(struct mg_error *err);

/* From now on all threads of the process are confined to the system calls that work needs.
 * Sanitizers need others: there it does nothing. */
int confine_system_calls(struct mg_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * A cgroup (version 2) for each guest below a directory that the host has
 * delegated to us: its memory, RAM file included, and its CPU time are counted
 * there, apart from the daemon's.
 */
#ifndef MIGRATOR_CGROUP_H
#define MIGRATOR_CGROUP_H

#include "common/error.h"

/* Makes ROOT/NAME (and ROOT when it is not there yet) with the controllers that
 * are to be had, and opens its cgroup.procs for writing: a process that writes
 * "0" there moves itself in. The descriptor is the caller's. */
int cgroup_make(const char *root, const char *name, int *ret_procs_fd, struct mg_error *err);

/* Removes it; one that is not there, or has a process left, is let be. */
void cgroup_remove(const char *root, const char *name);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * Starts a program that shall outlive us: its own session, its own cgroup and
 * user, no capabilities, none of our descriptors but those named.
 *
 * It is our child, so that we can reap it; when we die it becomes init's.
 */
#ifndef MIGRATOR_LAUNCH_H
#define MIGRATOR_LAUNCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/error.h"

#define LAUNCH_GROUPS_MAX 32

struct launch_user {
	uid_t uid;
	gid_t gid;
	gid_t groups[LAUNCH_GROUPS_MAX];
	int n_groups;
};

/* Looks a user up. -ESRCH: there is none of this name; -EPERM: we may not
 * become that user. */
int launch_user_find(const char *name, struct launch_user *ret, struct mg_error *err);

struct launch {
	char *const *argv;  /* argv[0] is looked up in PATH */
	int directory_fd;   /* becomes its working directory */
	int log_fd;         /* its standard output and error */
	int pid_fd;         /* it writes its pid here, before anything that may last */
	int cgroup_fd;      /* of cgroup_make(); -1: stays in ours */
	int ram_fd;         /* is reserved (fallocate) in that cgroup */
	uint64_t ram_bytes;
	const int *kept;    /* descriptors that stay open under their numbers */
	size_t n_kept;
	const struct launch_user *user; /* NULL: as ours */
};

/* Forks. *ret_pidfd and *ret_report_fd are the caller's; the second is for
 * launch_report(). */
int launch(const struct launch *l, pid_t *ret_pid, int *ret_pidfd, int *ret_report_fd);

/* Call when report_fd is readable. Returns 0: the program itself is running now;
 * or a negative errno with the reason why it never will be. */
int launch_report(int report_fd, struct mg_error *err);

#endif

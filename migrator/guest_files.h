/* SPDX-License-Identifier: Apache-2.0
 *
 * The files of one guest (see guest.h for which). The directory belongs to us
 * and QEMU's user cannot write in it: what a restarted daemon reads there must
 * not be what an escaped guest has put there. QEMU gets open descriptors, and
 * its own logs to append to.
 */
#ifndef MIGRATOR_GUEST_FILES_H
#define MIGRATOR_GUEST_FILES_H

#include "migrator/guest.h"
#include "migrator/launch.h"
#include "migrator/qemu_args.h"

struct guest_paths {
	char *directory;
	char *ram; /* where it is, or would be without huge pages */
	char name[VM_NAME_MAX + 1 + UUID_TEXT_SIZE]; /* NAME.INCARNATION */
};

/* 0 or -ENOMEM; freed with guest_paths_free(). Of an incarnation that is there, they are
 * where it is. */
int guest_paths_make(const struct guest_host *host, const char *name,
		     const struct uuid *incarnation, struct guest_paths *ret);
void guest_paths_free(struct guest_paths *p);

struct guest_files {
	int directory, log, pid, lock, cgroup; /* lock: `pid` again, read-only and flock'ed */
	struct qemu_fds fds;
};

#define GUEST_FILES_INIT                                                                     \
	{                                                                                    \
		.directory = -1, .log = -1, .pid = -1, .lock = -1, .cgroup = -1,             \
		.fds = { .ram = -1, .qmp = -1, .console = -1,                                \
			 .taps = { -1, -1, -1, -1, -1, -1, -1, -1 } },                       \
	}

/* Makes all files, sockets, taps and the cgroup. The RAM goes into huge pages where the
 * host has enough of them and its size fits (`paths` then says so). `user` (NULL: ours) will own
 * what QEMU writes. On failure the caller closes and removes what there is;
 * -EEXIST: the incarnation has been here before, and nothing was touched. */
int guest_files_create(const struct guest_host *host, struct guest_paths *paths,
		       const VmSpec *spec, const struct launch_user *user,
		       struct guest_files *files, struct mg_error *err);
void guest_files_close(struct guest_files *files);

/* The same for a guest of a QEMU that somebody else has started: the folder, the spec and
 * room for a copy of its RAM, which takes no memory yet. */
int guest_files_create_foreign(const struct guest_host *host, const struct guest_paths *paths,
			       const VmSpec *spec, struct mg_error *err);

/* Puts another spec in the place of the one that is there. */
int guest_files_write_spec(const struct guest_paths *paths, const VmSpec *spec,
			   struct mg_error *err);

/* Reads the spec back. */
int guest_files_read_spec(const struct guest_paths *paths, VmSpec **ret, struct mg_error *err);

/* Finds the process that holds the lock. -ESRCH: nobody does. */
int guest_files_find_pid(const struct guest_paths *paths, pid_t *ret_pid, int *ret_pidfd,
			 struct mg_error *err);

/* Whether there is certainly no QEMU: false also when it cannot be told. */
bool guest_files_are_dead(const struct guest_paths *paths);

/* The last line of QEMU's log that says something, without time and program
 * name; "" when there is none. */
void guest_files_last_words(const struct guest_paths *paths, char *text, size_t size);

/* A guest writes into its logs as it likes, on our disk: one that has grown past
 * GUEST_LOG_MAX starts anew. (QEMU appends, so it goes on at the new end.) */
#define GUEST_LOG_MAX ((off_t)16 << 20)
void guest_files_limit_logs(const struct guest_paths *paths);

void guest_files_remove(const struct guest_host *host, const struct guest_paths *paths,
			bool ram_in_use);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * What guests have left behind: a power loss may take the journal's last rows
 * along, but not the directories that were made after them.
 */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "migrator/guest_files.h"

static bool is_directory(DIR *dir, const char *name)
{
	struct stat st;

	return fstatat(dirfd(dir), name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

/* As guest_paths_make() writes it, and in no other way. */
static bool read_incarnation(const char *text, struct uuid *ret)
{
	char canonical[UUID_TEXT_SIZE];

	return uuid_parse(text, ret) == 0 && strcmp(uuid_format(ret, canonical), text) == 0;
}

static void sweep_incarnation(const struct guest_host *host, const char *name,
			      const struct uuid *incarnation, guest_lost_fn is_lost, void *userdata)
{
	struct guest_paths paths;

	if (guest_paths_make(host, name, incarnation, &paths) < 0)
		return;
	if (guest_files_are_dead(&paths) && is_lost(name, incarnation, userdata))
		guest_files_remove(host, &paths, false);
	guest_paths_free(&paths);
}

static void sweep_vm(const struct guest_host *host, const char *name, guest_lost_fn is_lost,
		     void *userdata)
{
	_cleanup_free_ char *path = NULL;
	struct uuid incarnation;
	struct dirent *entry;
	DIR *dir;

	if (asprintf(&path, "%s/vm/%s", host->state_dir, name) < 0) {
		path = NULL;
		return;
	}
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		if (read_incarnation(entry->d_name, &incarnation) &&
		    is_directory(dir, entry->d_name))
			sweep_incarnation(host, name, &incarnation, is_lost, userdata);
	}
	if (dir)
		closedir(dir);
}

void guest_sweep(const struct guest_host *host, guest_lost_fn is_lost, void *userdata)
{
	_cleanup_free_ char *path = NULL;
	struct dirent *entry;
	DIR *dir;

	if (asprintf(&path, "%s/vm", host->state_dir) < 0) {
		path = NULL;
		return;
	}
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		if (vm_name_is_valid(entry->d_name) && is_directory(dir, entry->d_name))
			sweep_vm(host, entry->d_name, is_lost, userdata);
	}
	if (dir)
		closedir(dir);
}

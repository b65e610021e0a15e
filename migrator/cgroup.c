/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/cgroup.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"

/* A process that has ended is in its cgroup for a moment more (Linux 6.18). */
#define REMOVE_TRIES 20
#define REMOVE_PAUSE_US 500

static int cgroup_path(char path[PATH_MAX], const char *root, const char *name, const char *file)
{
	int n = snprintf(path, PATH_MAX, "%s/%s%s", root, name, file);

	return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

/* Without its controllers a cgroup only groups. Which there are is the host's
 * business; none are to be had in a cgroup with processes of its own. */
static void enable_controllers(const char *root)
{
	static const char *const wanted[] = { "+memory", "+cpu", "+io", "+pids" };
	_cleanup_close_ int fd = -1;
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/cgroup.subtree_control", root) >= (int)sizeof(path))
		return;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	for (size_t i = 0; fd >= 0 && i < ARRAY_SIZE(wanted); i++)
		(void)!write(fd, wanted[i], strlen(wanted[i]));
}

int cgroup_make(const char *root, const char *name, int *ret_procs_fd, struct mg_error *err)
{
	char path[PATH_MAX];
	int fd;

	if (cgroup_path(path, root, name, "") < 0)
		return mg_error_set(err, -ENAMETOOLONG, "cgroup %.100s…: path too long", root);
	if ((mkdir(root, 0755) < 0 && errno != EEXIST) || (mkdir(path, 0755) < 0 && errno != EEXIST))
		return mg_error_set(err, -errno, "cgroup %s: %s", path, strerror(errno));
	enable_controllers(root);
	if (cgroup_path(path, root, name, "/cgroup.procs") < 0)
		return mg_error_set(err, -ENAMETOOLONG, "cgroup %.100s…: path too long", root);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0) {
		int r = -errno;

		cgroup_remove(root, name);
		return mg_error_set(err, r, "%s: %s%s", path, strerror(-r),
				    r == -ENOENT ? " (no cgroup2 directory?)" : "");
	}
	*ret_procs_fd = fd;
	return 0;
}

void cgroup_remove(const char *root, const char *name)
{
	char path[PATH_MAX];

	if (cgroup_path(path, root, name, "") < 0)
		return;
	for (int tries = 0; rmdir(path) < 0 && errno == EBUSY && tries < REMOVE_TRIES; tries++)
		usleep(REMOVE_PAUSE_US);
}

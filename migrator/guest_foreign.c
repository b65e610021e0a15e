/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/guest_foreign.h"

#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/cleanup.h"

int guest_foreign_find(const char *path, pid_t *ret_pid, int *ret_pidfd, struct mg_error *err)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct ucred who;
	socklen_t len = sizeof(who);
	int pidfd;

	if (strlen(path) >= sizeof(address.sun_path))
		return mg_error_set(err, -ENAMETOOLONG, "the path of a socket has less than %zu "
				    "characters", sizeof(address.sun_path));
	memcpy(address.sun_path, path, strlen(path));
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0)
		return mg_error_set(err, -errno, "%s: %s", path, strerror(errno));
	pidfd = who.pid > 1 ? pidfd_open(who.pid, 0) : -1;
	if (pidfd < 0)
		return mg_error_set(err, -ESRCH, "%s: the process that made it cannot be found",
				    path);
	*ret_pid = who.pid;
	*ret_pidfd = pidfd;
	return 0;
}

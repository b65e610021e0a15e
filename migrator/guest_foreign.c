/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/guest_foreign.h"

#include <poll.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "migrator/link.h"

#define CONNECT_MS 1000

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

static int close_with(int fd, int r)
{
	close(fd);
	return r;
}

static int connect_unix(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	if (path[0] != '/' || strlen(path) >= sizeof(address.sun_path))
		return -EINVAL;
	memcpy(address.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	return fd < 0 ? -errno : close_with(fd, -errno);
}

/* It should be on this very host: what does not answer within a moment is not there. */
static int connect_tcp(const char *endpoint)
{
	int fd = link_connect(endpoint), error = 0;
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	socklen_t len = sizeof(error);

	if (fd < 0)
		return fd;
	if (poll(&p, 1, CONNECT_MS) != 1)
		return close_with(fd, -ETIMEDOUT);
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error)
		return close_with(fd, error ? -error : -errno);
	link_tune_socket(fd); /* which also makes it blocking */
	return fd;
}

int guest_foreign_connect(const char *address, int *ret, struct mg_error *err)
{
	int fd = -EINVAL;

	if (strncmp(address, "unix:", 5) == 0)
		fd = connect_unix(address + 5);
	else if (strncmp(address, "tcp:", 4) == 0)
		fd = connect_tcp(address + 4);
	if (fd == -EINVAL)
		return mg_error_set(err, fd, "'%.100s' is neither unix:PATH nor tcp:ADDRESS:PORT",
				    address);
	if (fd < 0)
		return mg_error_set(err, fd, "no QEMU waits at %s: %s", address, strerror(-fd));
	*ret = fd;
	return 0;
}

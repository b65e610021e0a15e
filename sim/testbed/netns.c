/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/testbed/netns.h"

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "common/file.h"
#include "sim/testbed/process.h"

#define NETNS_DIR "/run/netns"

/* The calling thread's namespace. */
static int netns_current(void)
{
	int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* Enters a namespace; *ret_home leads back. With -1 it stays. */
static int enter(int netns, int *ret_home)
{
	int home;

	*ret_home = -1;
	if (netns < 0)
		return 0;
	home = netns_current();
	if (home < 0)
		return home;
	if (setns(netns, CLONE_NEWNET) < 0) {
		int r = -errno;

		close(home);
		return r;
	}
	*ret_home = home;
	return 0;
}

/* There is no going on in the wrong namespace. */
static void go_home(int home)
{
	if (home < 0)
		return;
	if (setns(home, CLONE_NEWNET) < 0)
		abort();
	close(home);
}

static void disable_ipv6(void)
{
	_cleanup_close_ int fd = open("/proc/sys/net/ipv6/conf/default/disable_ipv6",
				      O_WRONLY | O_CLOEXEC);

	/* Without IPv6 there is no such file, and nothing to disable. */
	if (fd >= 0 && write(fd, "1", 1) < 0)
		return;
}

/* In the new namespace: makes its name. */
static int keep_as(const char *name)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), NETNS_DIR "/%s", name);
	fd = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
	if (fd < 0)
		return -errno;
	close(fd);
	if (mount("/proc/thread-self/ns/net", path, "none", MS_BIND, NULL) < 0)
		return -errno;
	disable_ipv6();
	return netns_current();
}

int netns_add(const char *name, struct mg_error *err)
{
	_cleanup_close_ int home = netns_current();
	int fd, r;

	if (home < 0)
		return mg_error_set(err, home, "/proc: %s", strerror(-home));
	r = directory_make(NETNS_DIR, 0755, err);
	if (r < 0)
		return r;
	if (unshare(CLONE_NEWNET) < 0)
		return mg_error_set(err, -errno, "a network namespace: %s", strerror(errno));
	fd = keep_as(name);
	go_home(TAKE_FD(home));
	if (fd < 0)
		return mg_error_set(err, fd, "network namespace %s: %s", name, strerror(-fd));
	r = netns_ip(name, "link set lo up\n", err);
	if (r < 0) {
		close(fd);
		return r;
	}
	return fd;
}

static int batch(const char *program, const char *name, const char *commands, struct mg_error *err)
{
	const char *in_namespace[] = { program, "-n", name, "-batch", "-", NULL };
	const char *here[] = { program, "-batch", "-", NULL };
	const struct process p = { .argv = name ? in_namespace : here, .netns = -1 };
	int r = process_run(&p, commands, NULL, 0, err);

	if (r < 0 && name)
		mg_error_prefix(err, "%s", name);
	return r;
}

int netns_ip(const char *name, const char *commands, struct mg_error *err)
{
	return batch("ip", name, commands, err);
}

int netns_bridge(const char *name, const char *commands, struct mg_error *err)
{
	return batch("bridge", name, commands, err);
}

static int tap_open(const char *interface)
{
	_cleanup_close_ int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI };

	if (fd < 0)
		return -errno;
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", interface);
	if (ioctl(fd, TUNSETIFF, &request) < 0)
		return -errno;
	return TAKE_FD(fd);
}

int netns_tap(int netns, const char *interface, struct mg_error *err)
{
	int home, fd, r;

	r = enter(netns, &home);
	if (r < 0)
		return mg_error_set(err, r, "entering a network namespace: %s", strerror(-r));
	fd = tap_open(interface);
	go_home(home);
	if (fd < 0)
		return mg_error_set(err, fd, "tap %s (/dev/net/tun): %s", interface,
				    strerror(-fd));
	return fd;
}

int netns_socket(int netns, int domain, int type, int protocol)
{
	int home, fd, r;

	r = enter(netns, &home);
	if (r < 0)
		return r;
	fd = socket(domain, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
	if (fd < 0)
		fd = -errno;
	go_home(home);
	return fd;
}

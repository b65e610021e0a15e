/* SPDX-License-Identifier: Apache-2.0
 *
 * A link with a rate and a delay between two network namespaces, made with the
 * project's own link emulator, since the kernel's netem is not everywhere: a tap in
 * each, and a thread that pumps frames between them. Says "ready" and runs until its
 * standard input ends.
 *
 *     delay-link NAMESPACE NAMESPACE TAP BITS_A_SECOND DELAY_MS
 *
 * The delay is that of one direction.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/clock.h"
#include "sim/testbed/linkem.h"

#define QUEUE_NS (50 * NS_PER_MS) /* what waits for its turn; then it is dropped */
#define QUEUE_MIN (128 << 10)

static int fail(const char *what)
{
	fprintf(stderr, "delay-link: %s: %s\n", what, strerror(errno));
	return -1;
}

/* The tap stays in the namespace that it is made in. */
static int tap_in(const char *namespace, const char *tap)
{
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	char path[300];
	int fd;

	snprintf(path, sizeof(path), "/run/netns/%s", namespace);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
		return fail(path);
	close(fd);
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", tap);
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0)
		return fail("tap");
	return fd;
}

static int join(struct linkem *l, char **argv, const struct link_params *params)
{
	int ports[2];

	for (unsigned i = 0; i < 2; i++) {
		int fd = tap_in(argv[1 + i], argv[3]);

		if (fd < 0)
			return -1;
		ports[i] = linkem_add_port(l, fd);
		if (ports[i] < 0) {
			errno = -ports[i];
			return fail("port");
		}
	}
	return linkem_add_link(l, ports[0], ports[1], params) < 0 ? fail("link") : 0;
}

int main(int argc, char **argv)
{
	struct link_params params = { 0 };
	struct linkem *l;
	char byte;

	if (argc != 6) {
		fprintf(stderr, "usage: delay-link NAMESPACE NAMESPACE TAP BITS_A_SECOND DELAY_MS\n");
		return 2;
	}
	params.rate_bps = strtoull(argv[4], NULL, 10);
	params.delay_ns = strtoull(argv[5], NULL, 10) * NS_PER_MS;
	params.queue = params.rate_bps / 8 * QUEUE_NS / NS_PER_S;
	if (params.queue < QUEUE_MIN)
		params.queue = QUEUE_MIN;
	if (linkem_new(&l) < 0)
		return 1;
	if (join(l, argv, &params) < 0) {
		linkem_free(l);
		return 1;
	}
	puts("ready");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	linkem_free(l);
	return 0;
}

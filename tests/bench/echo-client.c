/* SPDX-License-Identifier: Apache-2.0
 *
 * echo-client ADDRESS PORT INTERVAL_US
 *
 * Sends a datagram to a UDP echo at every interval and prints a line for every
 * reply: number, when it was sent and when the kernel received the reply, both
 * in ns UTC. Ends with SIGTERM or with its parent.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct probe {
	uint64_t number;
	uint64_t sent_ns;
};

static volatile sig_atomic_t stopped;

static void stop(int sig)
{
	(void)sig;
	stopped = 1;
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int open_echo(const char *address, const char *port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };
	int one = 1, fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		err(1, "socket");
	if (inet_pton(AF_INET, address, &to.sin_addr) != 1 || to.sin_port == 0)
		errx(2, "%s:%s is no address", address, port);
	if (setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof(one)) < 0)
		err(1, "SO_TIMESTAMPNS");
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		err(1, "connect");
	return fd;
}

/* The kernel's receive time: ours would include the wait for a processor. */
static uint64_t receive_time(struct msghdr *message)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		struct timespec t;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS)
			continue;
		memcpy(&t, CMSG_DATA(c), sizeof(t));
		return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
	}
	return clock_ns(CLOCK_REALTIME);
}

static void print_replies(int fd)
{
	struct probe probe;
	char control[128];
	struct iovec part = { &probe, sizeof(probe) };

	for (;;) {
		struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1,
					  .msg_control = control,
					  .msg_controllen = sizeof(control) };
		ssize_t n = recvmsg(fd, &message, 0);

		if (n == sizeof(probe))
			printf("%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", probe.number,
			       probe.sent_ns, receive_time(&message));
		else if (n < 0 && errno != ECONNREFUSED && errno != EINTR)
			return;
	}
}

/* Being late for one probe must not look like silence: nothing goes before us. */
static void hurry(void)
{
	struct sched_param param = { .sched_priority = 50 };

	if (sched_setscheduler(0, SCHED_FIFO, &param) < 0)
		warn("no real-time priority; pauses of a busy machine will be measured too");
	if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0)
		warn("mlockall");
}

int main(int argc, char **argv)
{
	static char output[1 << 16];
	uint64_t interval, next;
	struct pollfd waiting;
	int fd;

	if (argc != 4 || atoi(argv[3]) < 100)
		errx(2, "usage: echo-client ADDRESS PORT INTERVAL_US");
	interval = (uint64_t)atoi(argv[3]) * 1000;
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	signal(SIGTERM, stop);
	signal(SIGINT, stop);
	setvbuf(stdout, output, _IOFBF, sizeof(output));
	fd = open_echo(argv[1], argv[2]);
	hurry();
	waiting = (struct pollfd){ .fd = fd, .events = POLLIN };
	next = clock_ns(CLOCK_MONOTONIC);
	for (struct probe probe = { 0 }; !stopped; probe.number++) {
		probe.sent_ns = clock_ns(CLOCK_REALTIME);
		/* What cannot be sent is a reply that does not come. */
		(void)!send(fd, &probe, sizeof(probe), 0);
		next += interval;
		for (uint64_t now; !stopped && (now = clock_ns(CLOCK_MONOTONIC)) < next;) {
			struct timespec left = { .tv_nsec = (long)(next - now) };

			if (ppoll(&waiting, 1, &left, NULL) > 0)
				print_replies(fd);
		}
	}
	return fflush(stdout) == 0 ? 0 : 1;
}

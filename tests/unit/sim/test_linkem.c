/* SPDX-License-Identifier: Apache-2.0
 *
 * The emulator on the real clock, with packet sockets in place of taps. */
#include <criterion/criterion.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "sim/testbed/linkem.h"

#define PROBES 200
#define PATIENCE_MS 20000

static struct linkem *l;
static int outside[3], ports[3];

static void setup(void)
{
	cr_assert_eq(linkem_new(&l), 0);
	for (int i = 0; i < 3; i++) {
		int pair[2];

		cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
		outside[i] = pair[0];
		ports[i] = linkem_add_port(l, pair[1]);
		cr_assert_geq(ports[i], 0);
	}
}

static void teardown(void)
{
	linkem_free(l);
	for (int i = 0; i < 3; i++)
		close(outside[i]);
}

TestSuite(linkem, .init = setup, .fini = teardown);

static bool arrives(int fd, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, timeout_ms) == 1;
}

/* The emulator has the frame: an attach that follows comes after it. */
static void wait_until_taken(int fd)
{
	int unread = 1;

	while (unread) {
		cr_assert_eq(ioctl(fd, SIOCOUTQ, &unread), 0);
		usleep(100);
	}
}

/* The least of many, because the machine may be busy with other things. */
static uint64_t least_delay_ns(int from, int to)
{
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < PROBES; i++) {
		uint64_t sent = clock_mono_ns(), got, delay;

		cr_assert_eq(send(from, &sent, sizeof(sent), 0), sizeof(sent));
		cr_assert(arrives(to, PATIENCE_MS));
		cr_assert_eq(recv(to, &got, sizeof(got), 0), sizeof(got));
		cr_assert_eq(got, sent);
		delay = clock_mono_ns() - got;
		least = delay < least ? delay : least;
	}
	return least;
}

Test(linkem, delays_both_ways_by_what_was_asked)
{
	const struct link_params p = { .delay_ns = 3 * NS_PER_MS };
	struct link_report report;
	uint64_t delay;
	int link = linkem_add_link(l, ports[0], ports[1], &p);

	cr_assert_geq(link, 0);
	for (int back = 0; back < 2; back++) {
		delay = least_delay_ns(outside[back], outside[!back]);
		cr_assert_geq(delay, p.delay_ns);
		cr_assert_lt(delay, p.delay_ns + 500000, "%lu ns", delay);
	}
	linkem_report(l, link, &report);
	cr_assert_eq(report.out.frames, PROBES);
	cr_assert_eq(report.back.bytes, PROBES * sizeof(uint64_t));
	cr_assert_geq(report.late_max_ns, report.late_mean_ns);
}

Test(linkem, takes_new_parameters_while_it_runs)
{
	struct link_params p = { .delay_ns = NS_PER_MS };
	int link = linkem_add_link(l, ports[0], ports[1], &p);

	cr_assert_lt(least_delay_ns(outside[0], outside[1]), 2 * NS_PER_MS);
	p.delay_ns = 4 * NS_PER_MS;
	linkem_set(l, link, &p);
	cr_assert_geq(least_delay_ns(outside[0], outside[1]), 4 * NS_PER_MS);
	p.loss = 1.0;
	linkem_set(l, link, &p);
	cr_assert_eq(send(outside[0], "x", 1, 0), 1);
	cr_assert_not(arrives(outside[1], 50));
}

Test(linkem, attach_moves_the_far_end)
{
	const struct link_params p = { .delay_ns = 20 * NS_PER_MS };
	int link = linkem_add_link(l, ports[0], ports[1], &p);

	cr_assert_eq(send(outside[0], "a", 1, 0), 1);
	wait_until_taken(outside[0]);
	cr_assert_eq(linkem_attach(l, link, ports[2]), 0);
	cr_assert_eq(send(outside[0], "b", 1, 0), 1);
	cr_assert(arrives(outside[1], PATIENCE_MS), "what was under way keeps its end");
	cr_assert(arrives(outside[2], PATIENCE_MS));
	/* The old end is cut off, the new one answers. */
	cr_assert_eq(send(outside[1], "c", 1, 0), 1);
	cr_assert_not(arrives(outside[0], 50));
	cr_assert_eq(send(outside[2], "d", 1, 0), 1);
	cr_assert(arrives(outside[0], PATIENCE_MS));
}

Test(linkem, a_port_has_one_link)
{
	const struct link_params p = { 0 };

	cr_assert_eq(linkem_add_link(l, ports[0], ports[0], &p), -EINVAL);
	cr_assert_eq(linkem_add_link(l, ports[0], ports[1], &p), 0);
	cr_assert_eq(linkem_add_link(l, ports[1], ports[2], &p), -EBUSY);
	cr_assert_eq(linkem_add_link(l, ports[2], 99, &p), -EBUSY);
	cr_assert_eq(linkem_attach(l, 0, ports[1]), 0, "where it is already");
	cr_assert_eq(linkem_attach(l, 0, ports[0]), -EBUSY);
}

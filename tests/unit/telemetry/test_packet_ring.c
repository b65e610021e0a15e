/* SPDX-License-Identifier: Apache-2.0
 *
 * What passes the loopback; each frame does twice, out and in.
 */
#include "telemetry/packet_ring.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <string.h>

#include "common/address.h"
#include "common/clock.h"

#define CUT 60

struct world {
	struct packet_ring *ring;
	struct address to; /* where somebody listens: else there would be more, of ICMP */
	int listener;
	char marker[100]; /* tests that run at the same time see each other's frames */
	unsigned seen;
	uint64_t utc_ns;
	size_t len;
};

static void setup(struct world *w)
{
	socklen_t len = sizeof(w->to);
	int r;

	*w = (struct world){ 0 };
	r = packet_ring_new(&w->ring);
	if (r == -EPERM)
		cr_skip_test("a packet socket takes CAP_NET_RAW");
	cr_assert_eq(r, 0, "%s", strerror(-r));
	snprintf(w->marker, sizeof(w->marker), "ring %d", (int)getpid());
	w->listener = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(address_parse("127.0.0.1:0", 0, &w->to), 0);
	cr_assert_eq(bind(w->listener, &w->to.any, address_len(&w->to)), 0);
	cr_assert_eq(getsockname(w->listener, &w->to.any, &len), 0);
}

static void teardown(struct world *w)
{
	packet_ring_free(w->ring);
	close(w->listener);
}

static void send_marker(const struct world *w)
{
	cr_assert_gt(sendto(w->listener, w->marker, sizeof(w->marker), 0, &w->to.any,
			    address_len(&w->to)), 0);
}

static void on_frame(const void *frame, size_t len, uint64_t utc_ns, void *userdata)
{
	struct world *w = userdata;

	if (!memmem(frame, len, w->marker, strlen(w->marker)))
		return;
	w->seen++;
	w->utc_ns = utc_ns;
	w->len = len;
}

/* Until there were so many of ours, or nothing came for a while. */
static void look(struct world *w, unsigned wanted)
{
	struct pollfd p = { .fd = packet_ring_fd(w->ring), .events = POLLIN };
	int ms = wanted ? 20000 : 100;

	while ((w->seen < wanted || wanted == 0) && poll(&p, 1, ms) > 0 && p.revents == POLLIN)
		while (packet_ring_take(w->ring, on_frame, w))
			;
}

Test(packet_ring, frames_come_with_their_times)
{
	uint64_t before;
	struct world w;

	setup(&w);
	send_marker(&w);
	look(&w, 0);
	cr_assert_eq(w.seen, 0, "it does not look anywhere yet");
	cr_assert_eq(packet_ring_attach(w.ring, "lo"), 1);
	cr_assert_eq(packet_ring_attach(w.ring, "lo"), 0, "it is there");
	cr_assert_eq(packet_ring_interface(w.ring), if_nametoindex("lo"));
	for (unsigned i = 1; i <= 300; i++) { /* more than the ring has blocks for */
		before = clock_utc_ns();
		send_marker(&w);
		look(&w, 2 * i);
		cr_assert_eq(w.seen, 2 * i);
		cr_assert(w.utc_ns >= before && w.utc_ns <= clock_utc_ns());
		cr_assert_eq(w.len, 14 + 20 + 8 + sizeof(w.marker));
	}
	teardown(&w);
}

Test(packet_ring, a_filter_cuts_and_drops)
{
	const struct sock_filter none[] = { BPF_STMT(BPF_RET | BPF_K, 0) };
	const struct sock_filter all[] = { BPF_STMT(BPF_RET | BPF_K, CUT) };
	struct world w;

	setup(&w);
	cr_assert_eq(packet_ring_set_filter(w.ring, none, 1), 0);
	cr_assert_eq(packet_ring_attach(w.ring, "lo"), 1);
	send_marker(&w);
	look(&w, 0);
	cr_assert_eq(w.seen, 0);
	cr_assert_eq(packet_ring_set_filter(w.ring, all, 1), 0);
	send_marker(&w);
	look(&w, 2);
	cr_assert_eq(w.len, CUT);
	teardown(&w);
}

Test(packet_ring, what_does_not_fit_is_counted)
{
	struct world w;

	setup(&w);
	cr_assert_eq(packet_ring_attach(w.ring, "lo"), 1);
	for (int i = 0; i < 10000; i++)
		send_marker(&w);
	cr_assert_gt(packet_ring_dropped(w.ring), 0);
	cr_assert_eq(packet_ring_dropped(w.ring), 0);
	teardown(&w);
}

Test(packet_ring, an_interface_that_is_not_there_is_told)
{
	struct world w;

	setup(&w);
	cr_assert_eq(packet_ring_attach(w.ring, "nowhere"), -ENODEV);
	cr_assert_eq(packet_ring_interface(w.ring), 0);
	cr_assert_eq(packet_ring_attach(w.ring, "lo"), 1);
	cr_assert_eq(packet_ring_attach(w.ring, "nowhere"), -ENODEV, "it has gone");
	teardown(&w);
}

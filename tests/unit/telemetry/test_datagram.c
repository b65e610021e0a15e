/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "telemetry/datagram.h"

static int open_loopback(const char *text, struct address *ret)
{
	struct mg_error err = { 0 };
	struct address a;
	int fd, r;

	cr_assert_eq(address_parse(text, 0, &a), 0);
	r = datagram_open(&a, &fd, &err);
	if (r == -EAFNOSUPPORT || r == -EADDRNOTAVAIL)
		cr_skip_test("%s", err.text);
	cr_assert_eq(r, 0, "%s", err.text);
	cr_assert_eq(datagram_local(fd, ret), 0);
	cr_assert_neq(address_port(ret), 0);
	return fd;
}

static void receive(int fd, struct datagram *d)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	for (int i = 0; i < 100; i++) {
		if (datagram_receive(fd, d) == 0)
			return;
		poll(&p, 1, 20);
	}
	cr_assert_fail("nothing came");
}

/* False when the kernel tells none. */
static bool sent_time(int fd, size_t size, struct datagram_sent *ret)
{
	for (int i = 0; i < 50; i++) {
		if (datagram_sent_times(fd, size, ret, 1) == 1 && ret->utc_ns)
			return true;
		poll(NULL, 0, 1);
	}
	return false;
}

static void goes_there_and_back(const char *loopback, size_t size)
{
	char packet[DATAGRAM_MAX] = "ahoy, there it goes";
	struct address a, b, to;
	_cleanup_close_ int fa = open_loopback(loopback, &a), fb = open_loopback(loopback, &b);
	struct datagram_outgoing out = { &b, packet, size, -1 };
	uint64_t before = clock_utc_ns();
	struct datagram_sent sent;
	struct datagram d;

	cr_assert_eq(datagram_receive(fb, &d), -EAGAIN);
	datagram_send_many(fa, &out, 1);
	cr_assert_eq(out.result, 0);
	receive(fb, &d);
	cr_assert_eq(d.len, size);
	cr_assert_arr_eq(d.data, packet, size);
	cr_assert_not(d.cut);
	cr_assert(address_equal(&d.from, &a));
	to = d.to;
	address_set_port(&to, address_port(&b));
	cr_assert(address_equal(&to, &b));
	cr_assert_eq(d.ttl, 255);
	cr_assert(d.received_utc_ns >= before && d.received_utc_ns <= clock_utc_ns());
	/* An answer from the address that was asked; no time of sending for it. */
	cr_assert_eq(datagram_send(fb, &d.to, &d.from, "aye", 3), 0);
	cr_assert_eq(datagram_sent_times(fb, 3, &sent, 1), -EAGAIN);
	if (!sent_time(fa, size, &sent))
		cr_skip_test("this kernel tells no time of sending here");
	cr_assert_arr_eq(sent.head, packet, size < DATAGRAM_HEAD ? size : DATAGRAM_HEAD);
	cr_assert(sent.utc_ns >= before && sent.utc_ns <= d.received_utc_ns);
	receive(fa, &d);
	cr_assert(address_equal(&d.from, &b));
}

Test(datagram, goes_there_and_back_with_the_kernels_times)
{
	goes_there_and_back("127.0.0.1:0", 44);
	goes_there_and_back("127.0.0.1:0", DATAGRAM_MAX - 28);
}

Test(datagram, does_so_over_ipv6)
{
	goes_there_and_back("[::1]:0", DATAGRAM_HEAD + 6);
}

/* Those that cannot be sent keep none of the others back. */
Test(datagram, many_go_at_once_and_each_has_its_result)
{
	char packets[DATAGRAM_BATCH][DATAGRAM_HEAD];
	struct datagram_outgoing out[DATAGRAM_BATCH];
	static struct datagram d[DATAGRAM_BATCH];
	struct address a, b, nowhere;
	_cleanup_close_ int fa = open_loopback("127.0.0.1:0", &a);
	_cleanup_close_ int fb = open_loopback("127.0.0.1:0", &b);
	struct datagram_sent sent;
	int got = 0;

	/* A socket bound to the loopback reaches nothing else. */
	cr_assert_eq(address_parse("192.0.2.1:9", 0, &nowhere), 0);
	for (int i = 0; i < DATAGRAM_BATCH; i++) {
		memset(packets[i], i, sizeof(packets[i]));
		out[i] = (struct datagram_outgoing){ i % 5 == 0 ? &nowhere : &b, packets[i],
						     sizeof(packets[i]), 1 };
	}
	datagram_send_many(fa, out, DATAGRAM_BATCH);
	for (int i = 0; i < DATAGRAM_BATCH; i++)
		cr_assert(i % 5 == 0 ? out[i].result < 0 : out[i].result == 0, "%d: %d", i,
			  out[i].result);
	while (got < DATAGRAM_BATCH - 13) {
		int r = datagram_receive_many(fb, d + got, DATAGRAM_BATCH - (size_t)got);

		got += r > 0 ? r : 0;
		poll(NULL, 0, r > 0 ? 0 : 1);
	}
	for (int i = 0; i < got; i++)
		cr_assert_eq(d[i].data[0], 1 + i + i / 4);
	for (int i = 0; i < got; i++) {
		if (!sent_time(fa, DATAGRAM_HEAD, &sent))
			cr_skip_test("this kernel tells no time of sending here");
		cr_assert_eq(sent.head[0], 1 + i + i / 4);
	}
}

Test(datagram, an_answer_leaves_from_the_address_that_was_asked)
{
	struct address any, asked, client;
	_cleanup_close_ int fa = open_loopback("0.0.0.0:0", &any);
	_cleanup_close_ int fb = open_loopback("127.0.0.1:0", &client);
	struct datagram d;

	cr_assert_eq(address_parse("127.0.0.77", address_port(&any), &asked), 0);
	cr_assert_eq(datagram_send(fb, NULL, &asked, "?", 1), 0);
	receive(fa, &d);
	cr_assert_eq(datagram_send(fa, &d.to, &d.from, "!", 1), 0);
	receive(fb, &d);
	cr_assert(address_equal(&d.from, &asked));
}

static void has_a_type_of_service(const char *loopback)
{
	struct address a, b;
	_cleanup_close_ int fa = open_loopback(loopback, &a), fb = open_loopback(loopback, &b);
	struct datagram_outgoing out = { &b, "!", 1, -1 };
	struct datagram d;

	cr_assert_eq(datagram_want_tos(fb), 0);
	cr_assert_eq(datagram_set_tos(fa, 46 << 2), 0);
	datagram_send_many(fa, &out, 1);
	receive(fb, &d);
	cr_assert_eq(d.tos, 46 << 2);
	cr_assert_eq(datagram_send_tos(fa, NULL, &b, 10 << 2, "!", 1), 0);
	receive(fb, &d);
	cr_assert_eq(d.tos, 10 << 2);
}

Test(datagram, a_socket_has_a_type_of_service)
{
	has_a_type_of_service("127.0.0.1:0");
	has_a_type_of_service("[::1]:0");
}

Test(datagram, one_that_is_too_long_is_marked)
{
	static const uint8_t large[DATAGRAM_MAX + 1];
	struct address a, b;
	_cleanup_close_ int fa = open_loopback("127.0.0.1:0", &a);
	_cleanup_close_ int fb = open_loopback("127.0.0.1:0", &b);
	struct datagram d;

	cr_assert_eq(datagram_send(fa, NULL, &b, large, sizeof(large)), 0);
	receive(fb, &d);
	cr_assert(d.cut);
	cr_assert_eq(d.len, DATAGRAM_MAX);
	cr_assert_eq(datagram_send(fa, NULL, &b, large, 0), 0);
	receive(fb, &d);
	cr_assert_not(d.cut);
	cr_assert_eq(d.len, 0);
}

Test(datagram, a_port_in_use_is_a_clear_error)
{
	struct address a;
	_cleanup_close_ int fa = open_loopback("127.0.0.1:0", &a);
	struct mg_error err = { 0 };
	int fd = -1;

	cr_assert_geq(fa, 0);
	cr_assert_eq(datagram_open(&a, &fd, &err), -EADDRINUSE);
	cr_assert_not_null(strstr(err.text, "127.0.0.1:"), "%s", err.text);
	cr_assert_eq(fd, -1);
}

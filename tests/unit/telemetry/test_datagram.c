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

static void goes_there_and_back(const char *loopback)
{
	struct address a, b, to;
	_cleanup_close_ int fa = open_loopback(loopback, &a), fb = open_loopback(loopback, &b);
	uint64_t before = clock_utc_ns(), sent = 0;
	struct datagram d;
	char tail[5];
	int r = -EAGAIN;

	cr_assert_eq(datagram_receive(fb, &d), -EAGAIN);
	cr_assert_eq(datagram_send(fa, NULL, &b, "ahoy there", 10, true), 0);
	receive(fb, &d);
	cr_assert_eq(d.len, 10);
	cr_assert_arr_eq(d.data, "ahoy there", 10);
	cr_assert_not(d.cut);
	cr_assert(address_equal(&d.from, &a));
	to = d.to;
	address_set_port(&to, address_port(&b));
	cr_assert(address_equal(&to, &b));
	cr_assert_eq(d.ttl, 255);
	cr_assert(d.received_utc_ns >= before && d.received_utc_ns <= clock_utc_ns());
	for (int i = 0; i < 50 && r == -EAGAIN; i++) {
		r = datagram_sent_time(fa, tail, sizeof(tail), &sent);
		poll(NULL, 0, r == -EAGAIN ? 1 : 0);
	}
	if (r == -EAGAIN)
		cr_skip_test("this kernel tells no time of sending here");
	cr_assert_eq(r, 0);
	cr_assert_arr_eq(tail, "there", 5);
	cr_assert(sent >= before && sent <= d.received_utc_ns);
	/* An answer from the address that was asked; no time of sending for it. */
	cr_assert_eq(datagram_send(fb, &d.to, &d.from, "aye", 3, false), 0);
	receive(fa, &d);
	cr_assert(address_equal(&d.from, &b));
	cr_assert_eq(datagram_sent_time(fb, tail, 3, &sent), -EAGAIN);
}

Test(datagram, goes_there_and_back_with_the_kernels_times)
{
	goes_there_and_back("127.0.0.1:0");
}

Test(datagram, does_so_over_ipv6)
{
	goes_there_and_back("[::1]:0");
}

Test(datagram, an_answer_leaves_from_the_address_that_was_asked)
{
	struct address any, asked, client;
	_cleanup_close_ int fa = open_loopback("0.0.0.0:0", &any);
	_cleanup_close_ int fb = open_loopback("127.0.0.1:0", &client);
	struct datagram d;

	cr_assert_eq(address_parse("127.0.0.77", address_port(&any), &asked), 0);
	cr_assert_eq(datagram_send(fb, NULL, &asked, "?", 1, false), 0);
	receive(fa, &d);
	cr_assert_eq(datagram_send(fa, &d.to, &d.from, "!", 1, false), 0);
	receive(fb, &d);
	cr_assert(address_equal(&d.from, &asked));
}

Test(datagram, one_that_is_too_long_is_marked)
{
	static const uint8_t large[DATAGRAM_MAX + 1];
	struct address a, b;
	_cleanup_close_ int fa = open_loopback("127.0.0.1:0", &a);
	_cleanup_close_ int fb = open_loopback("127.0.0.1:0", &b);
	struct datagram d;

	cr_assert_eq(datagram_send(fa, NULL, &b, large, sizeof(large), false), 0);
	receive(fb, &d);
	cr_assert(d.cut);
	cr_assert_eq(d.len, DATAGRAM_MAX);
	cr_assert_eq(datagram_send(fa, NULL, &b, large, 0, false), 0);
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

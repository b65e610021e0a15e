/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/tcp.h>
#include <string.h>

#include "common/clock.h"
#include "telemetry/tcp_diag.h"

#define SEQUENCE 7

struct dump {
	_Alignas(8) uint8_t data[4096];
	size_t len;
	struct tcp_session session; /* the last one */
	unsigned sessions;
};

static struct nlmsghdr *begin(struct dump *d, uint16_t type)
{
	struct nlmsghdr *h = (struct nlmsghdr *)(void *)(d->data + d->len);

	*h = (struct nlmsghdr){ .nlmsg_len = sizeof(*h), .nlmsg_type = type, .nlmsg_seq = SEQUENCE };
	d->len += sizeof(*h);
	return h;
}

static void put(struct dump *d, struct nlmsghdr *h, const void *data, size_t len)
{
	memcpy(d->data + d->len, data, len);
	d->len += NLMSG_ALIGN(len);
	h->nlmsg_len += (uint32_t)NLMSG_ALIGN(len);
}

static void put_attribute(struct dump *d, struct nlmsghdr *h, uint16_t type, const void *data,
			  size_t len)
{
	struct rtattr a = { .rta_len = (uint16_t)(sizeof(a) + len), .rta_type = type };

	put(d, h, &a, sizeof(a));
	put(d, h, data, len);
}

static struct nlmsghdr *add_session(struct dump *d, int family, const char *peer, uint32_t rtt_us,
				    size_t info_len)
{
	struct nlmsghdr *h = begin(d, TCPDIAG_GETSOCK);
	struct inet_diag_msg m = { .idiag_family = (uint8_t)family, .idiag_state = 1 };
	struct tcp_info info = { .tcpi_rtt = rtt_us, .tcpi_last_data_sent = 5,
				 .tcpi_last_ack_recv = 3 };
	struct address a;

	cr_assert_eq(address_parse(peer, 0, &a), 0);
	m.id.idiag_dport = htons(address_port(&a));
	if (a.any.sa_family == AF_INET)
		memcpy(m.id.idiag_dst, &a.v4.sin_addr, 4);
	else
		memcpy(m.id.idiag_dst, &a.v6.sin6_addr, 16);
	put(d, h, &m, sizeof(m));
	put_attribute(d, h, INET_DIAG_SHUTDOWN, "\3", 1); /* padded, and of no interest */
	put_attribute(d, h, INET_DIAG_INFO, &info, info_len);
	return h;
}

static void on_session(const struct tcp_session *s, void *userdata)
{
	struct dump *d = userdata;

	d->session = *s;
	d->sessions++;
}

static int read_dump(struct dump *d)
{
	d->sessions = 0;
	return tcp_diag_read(d->data, d->len, SEQUENCE, on_session, d);
}

static void check_peer(const struct dump *d, const char *expected)
{
	char text[ADDRESS_TEXT_SIZE];

	cr_assert_str_eq(address_format(&d->session.peer, text), expected);
}

Test(tcp_diag, sessions_are_told)
{
	struct dump d = { .len = 0 };

	add_session(&d, AF_INET, "192.0.2.7:443", 20500, sizeof(struct tcp_info));
	cr_assert_eq(read_dump(&d), 0);
	cr_assert_eq(d.sessions, 1);
	check_peer(&d, "192.0.2.7:0");
	cr_assert_eq(d.session.rtt_ns, 20500 * NS_PER_US);
	cr_assert_eq(d.session.sent_ns_ago, 5 * NS_PER_MS);
	cr_assert_eq(d.session.acknowledged_ns_ago, 3 * NS_PER_MS);
	add_session(&d, AF_INET6, "[2001:db8::7]:443", 1, sizeof(struct tcp_info));
	add_session(&d, AF_INET6, "[::ffff:192.0.2.9]:1", 9, sizeof(struct tcp_info));
	put(&d, begin(&d, NLMSG_DONE), "\0\0\0\0", 4);
	cr_assert_eq(read_dump(&d), 1);
	cr_assert_eq(d.sessions, 3);
	check_peer(&d, "192.0.2.9:0");
	cr_assert_eq(d.session.rtt_ns, 9 * NS_PER_US);
}

Test(tcp_diag, what_has_no_time_is_passed_over)
{
	struct dump d = { .len = 0 };
	struct nlmsghdr *h;

	add_session(&d, AF_INET, "192.0.2.7:443", 0, sizeof(struct tcp_info));
	/* Of an older kernel, whose tcp_info ends before or after the time. */
	add_session(&d, AF_INET, "192.0.2.7:443", 20, offsetof(struct tcp_info, tcpi_rtt));
	add_session(&d, AF_UNIX, "192.0.2.7:443", 20, sizeof(struct tcp_info));
	h = add_session(&d, AF_INET, "192.0.2.8:443", 20, sizeof(struct tcp_info));
	h->nlmsg_seq = SEQUENCE - 1;
	cr_assert_eq(read_dump(&d), 0);
	cr_assert_eq(d.sessions, 0);
	add_session(&d, AF_INET, "192.0.2.9:443", 20, offsetof(struct tcp_info, tcpi_rtt) + 4);
	cr_assert_eq(read_dump(&d), 0);
	cr_assert_eq(d.sessions, 1);
	check_peer(&d, "192.0.2.9:0");
}

Test(tcp_diag, an_error_of_the_kernels_is_told)
{
	const struct nlmsgerr denied = { .error = -EPERM }, fine = { .error = 0 };
	struct dump d = { .len = 0 };

	put(&d, begin(&d, NLMSG_ERROR), &denied, sizeof(denied));
	cr_assert_eq(read_dump(&d), -EPERM);
	d.len = 0;
	put(&d, begin(&d, NLMSG_ERROR), &fine, sizeof(fine));
	cr_assert_eq(read_dump(&d), -EBADMSG, "nobody asked for an acknowledgement");
}

Test(tcp_diag, what_is_cut_or_has_a_wrong_length_is_refused)
{
	struct dump d = { .len = 0 }, bad;
	struct nlmsghdr *h = add_session(&d, AF_INET, "192.0.2.7:443", 20, sizeof(struct tcp_info));
	size_t whole = d.len, first = sizeof(*h) + sizeof(struct inet_diag_msg);

	for (d.len = 1; d.len < whole; d.len++)
		cr_assert_eq(read_dump(&d), -EBADMSG, "%zu bytes", d.len);
	d.len = whole;
	cr_assert_eq(d.sessions, 0);
	bad = d;
	((struct nlmsghdr *)(void *)bad.data)->nlmsg_len = sizeof(*h) - 1;
	cr_assert_eq(read_dump(&bad), -EBADMSG);
	bad = d;
	((struct rtattr *)(void *)(bad.data + first))->rta_len = 3;
	cr_assert_eq(read_dump(&bad), -EBADMSG);
	((struct rtattr *)(void *)(bad.data + first))->rta_len = 60000;
	cr_assert_eq(read_dump(&bad), -EBADMSG);
	cr_assert_eq(bad.sessions, 0);
}

Test(tcp_diag, a_request_asks_for_established_sessions)
{
	uint8_t bytes[TCP_DIAG_REQUEST_SIZE];
	struct nlmsghdr h;
	struct inet_diag_req body;

	tcp_diag_request(99, bytes);
	memcpy(&h, bytes, sizeof(h));
	memcpy(&body, bytes + sizeof(h), sizeof(body));
	cr_assert_eq(h.nlmsg_len, sizeof(bytes));
	cr_assert_eq(h.nlmsg_seq, 99);
	cr_assert_eq(h.nlmsg_flags, NLM_F_REQUEST | NLM_F_DUMP);
	cr_assert_eq(body.idiag_states, 2);
	cr_assert_eq(body.idiag_ext, 2);
}

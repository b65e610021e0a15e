/* SPDX-License-Identifier: Apache-2.0
 *
 * The filter is run by the kernel, before a socket of our own.
 */
#include "telemetry/tcp_filter.h"

#include <stdlib.h>
#include <sys/socket.h>

#include "common/cleanup.h"
#include "telemetry/tcp_segment.h"
#include "tests/unit/telemetry/tcp_frames.h"

struct filtered {
	int near, far;
};

static void setup(struct filtered *f, const struct sock_filter *code, size_t n)
{
	const struct sock_fprog program = { (unsigned short)n, (struct sock_filter *)code };
	int fds[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds), 0);
	f->near = fds[0];
	f->far = fds[1];
	cr_assert_eq(setsockopt(f->far, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)),
		     0);
}

static void teardown(struct filtered *f)
{
	close(f->near);
	close(f->far);
}

static bool passes_bytes(const struct filtered *f, const void *data, size_t len)
{
	uint8_t got[512];

	(void)!send(f->near, data, len, MSG_DONTWAIT);
	return recv(f->far, got, sizeof(got), MSG_DONTWAIT) > 0;
}

static bool passes(const struct filtered *f, const struct frame_spec *spec)
{
	struct frame frame;

	frame_make(spec, &frame);
	return passes_bytes(f, frame.data, frame.len);
}

static void setup_hosts(struct filtered *f, const char *const *hosts, size_t n)
{
	static struct sock_filter code[TCP_FILTER_SIZE];
	uint32_t keys[TCP_FILTER_HOSTS];

	for (size_t i = 0; i < n; i++) {
		struct address a;

		cr_assert_eq(address_parse(hosts[i], 1, &a), 0);
		keys[i] = tcp_filter_key(&a);
	}
	n = tcp_filter_sort(keys, n);
	setup(f, code, tcp_filter_make(keys, n, code));
}

#define THEIRS_V4 .from = "192.0.2.1:1", .to = "192.0.2.2:2"

Test(tcp_filter, only_segments_from_and_to_hosts_pass)
{
	static const char *const hosts[] = { "192.0.2.7", "[2001:db8::7]", "192.0.2.7" };
	static const struct frame_spec ours[] = {
		{ .from = "192.0.2.7:1", .to = "192.0.2.1:2" },
		{ .from = "192.0.2.1:1", .to = "192.0.2.7:2", .ip_options = 10 },
		{ .from = "192.0.2.1:1", .to = "192.0.2.7:2", .tags = { 0x8100 } },
		{ .from = "192.0.2.7:1", .to = "192.0.2.1:2", .tags = { 0x88a8, 0x8100 } },
		{ .from = "[2001:db8::7]:1", .to = "[2001:db8::1]:2" },
		{ .from = "[2001:db8::1]:1", .to = "[2001:db8::7]:2", .tags = { 0x8100 } },
	};
	static const struct frame_spec others[] = {
		{ THEIRS_V4 },
		{ .from = "[2001:db8::1]:1", .to = "[2001:db8::2]:2" },
		{ .from = "192.0.2.7:1", .to = "192.0.2.1:2", .protocol = IPPROTO_UDP },
		{ .from = "[2001:db8::7]:1", .to = "[2001:db8::1]:2", .protocol = IPPROTO_UDP },
		{ .from = "192.0.2.7:1", .to = "192.0.2.1:2", .fragment = 0x2000 },
		{ .from = "192.0.2.7:1", .to = "192.0.2.1:2", .fragment = 0x1fff },
		{ .from = "192.0.2.7:1", .to = "192.0.2.1:2", .options = "\1\1\1\1\1\1\1\1",
		  .options_len = 8 }, /* no room for time stamps */
		{ .from = "192.0.2.7:1", .to = "192.0.2.1:2", .tags = { 0x0806 } },
		{ .from = "192.0.2.7:1", .to = "192.0.2.1:2", .tags = { 0x8100, 0x8100, 0x8100 } },
	};
	struct filtered f;

	setup_hosts(&f, hosts, ARRAY_SIZE(hosts));
	for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
		cr_assert(passes(&f, &ours[i]), "%zu", i);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		cr_assert_not(passes(&f, &others[i]), "%zu", i);
	cr_assert_not(passes_bytes(&f, "\0", 1));
	teardown(&f);
}

Test(tcp_filter, what_passes_has_all_headers)
{
	static struct sock_filter code[TCP_FILTER_SIZE];
	struct filtered f;
	uint8_t got[512], longest[400] = { 0 };
	struct frame frame;

	setup(&f, code, tcp_filter_make_open(code));
	frame_make(&(struct frame_spec){ THEIRS_V4, .tags = { 0x88a8, 0x8100 }, .ip_options = 10,
					 .payload = 200 }, &frame);
	memcpy(longest, frame.data, frame.len);
	cr_assert_gt(send(f.near, longest, sizeof(longest), 0), 0);
	cr_assert_eq(recv(f.far, got, sizeof(got), MSG_DONTWAIT), TCP_SEGMENT_HEADERS);
	cr_assert_eq(TCP_SEGMENT_HEADERS, 142);
	cr_assert_not(passes(&f, &(struct frame_spec){ THEIRS_V4, .protocol = IPPROTO_UDP }));
	teardown(&f);
}

/* Each of them is found, and what lies between is not, in filters of any size. */
Test(tcp_filter, of_many_hosts_each_is_found)
{
	static struct sock_filter code[TCP_FILTER_SIZE];
	static const size_t sizes[] = { 0, 1, 2, 8, 9, 17, 64, 255, TCP_FILTER_HOSTS };

	for (size_t k = 0; k < ARRAY_SIZE(sizes); k++) {
		uint32_t keys[TCP_FILTER_HOSTS];
		struct filtered f;

		for (size_t i = 0; i < sizes[k]; i++)
			keys[i] = 0xe0000000u - (uint32_t)(i * 1000003); /* from the highest down */
		cr_assert_eq(tcp_filter_sort(keys, sizes[k]), sizes[k]);
		setup(&f, code, tcp_filter_make(keys, sizes[k], code));
		for (size_t i = 0; i < sizes[k]; i++) {
			char host[32], beside[32];

			snprintf(host, sizeof(host), "%u.%u.%u.%u:1", keys[i] >> 24,
				 keys[i] >> 16 & 255, keys[i] >> 8 & 255, keys[i] & 255);
			snprintf(beside, sizeof(beside), "%u.%u.%u.%u:1", (keys[i] + 1) >> 24,
				 (keys[i] + 1) >> 16 & 255, (keys[i] + 1) >> 8 & 255,
				 (keys[i] + 1) & 255);
			cr_assert(passes(&f, &(struct frame_spec){ .from = host, .to = "9.9.9.9:1" }));
			cr_assert(passes(&f, &(struct frame_spec){ .from = "9.9.9.9:1", .to = host }));
			cr_assert_not(passes(&f, &(struct frame_spec){ .from = beside,
								       .to = "9.9.9.9:1" }));
		}
		cr_assert_not(passes(&f, &(struct frame_spec){ THEIRS_V4 }));
		teardown(&f);
	}
}

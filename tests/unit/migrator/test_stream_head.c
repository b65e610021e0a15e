/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/stream_head.h"

#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/migrator/capture.h"

static void make(int fds[2])
{
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
}

static void drop(int fds[2])
{
	close(fds[0]);
	close(fds[1]);
}

Test(stream_head, is_told_once_it_is_there_and_stays)
{
	struct stream_head head = { 0 };
	struct mg_error err = { 0 };
	size_t len, sent = 0;
	uint8_t *data = capture_load(&len), *taken = malloc(len);
	int fds[2], r = 0;

	make(fds);
	cr_assert_eq(stream_head_peek(fds[0], &head, &err), 0, "nothing has come");
	while (r == 0 && sent < len) {
		cr_assert_eq(write(fds[1], data + sent, 1), 1);
		sent++;
		r = stream_head_peek(fds[0], &head, &err);
	}
	cr_assert_eq(r, 1, "%s", err.text);
	cr_assert_str_eq(head.ram.name, CAPTURE_SHARED);
	cr_assert_eq(head.ram.length, 1016 << 10);
	cr_assert_not(head.returns);
	cr_assert_lt(sent, 1024, "it waited for %zu bytes", sent);
	cr_assert_eq(read(fds[0], taken, len), (ssize_t)sent);
	cr_assert_eq(memcmp(taken, data, sent), 0);
	drop(fds);
	free(taken);
	free(data);
}

/* The same with COMMAND OPEN_RETURN_PATH behind its header. */
Test(stream_head, knows_of_a_return_path)
{
	static const uint8_t open[] = { RAMSTREAM_COMMAND, 0, 1, 0, 0 };
	struct stream_head head = { 0 };
	struct mg_error err = { 0 };
	size_t len, header = 4 + 4 + 1 + 4 + strlen("pc-q35-7.2");
	uint8_t *data = capture_load(&len);
	int fds[2];

	make(fds);
	cr_assert_eq(data[header], RAMSTREAM_START);
	cr_assert_eq(write(fds[1], data, header), (ssize_t)header);
	cr_assert_eq(write(fds[1], open, sizeof(open)), (ssize_t)sizeof(open));
	cr_assert_eq(write(fds[1], data + header, 1024), 1024);
	cr_assert_eq(stream_head_peek(fds[0], &head, &err), 1, "%s", err.text);
	cr_assert(head.returns);
	drop(fds);
	free(data);
}

Test(stream_head, is_refused_when_it_is_none)
{
	struct stream_head head = { 0 };
	struct mg_error err = { 0 };
	int fds[2];

	make(fds);
	cr_assert_eq(write(fds[1], "GET / HTTP/1.1\r\n\r\n", 18), 18);
	cr_assert_eq(stream_head_peek(fds[0], &head, &err), -EPROTO);
	cr_assert_not_null(strstr(err.text, "byte "), "%s", err.text);
	drop(fds);
}

Test(stream_head, one_that_is_closed_is_told)
{
	struct stream_head head = { 0 };
	struct mg_error err = { 0 };
	int fds[2];

	make(fds);
	close(fds[1]);
	cr_assert_eq(stream_head_peek(fds[0], &head, &err), -ECONNRESET);
	close(fds[0]);
}

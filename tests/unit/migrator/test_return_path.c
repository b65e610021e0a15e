/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/return_path.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* PONG 7, SHUT 1 as QEMU 7.2 writes them. */
static const uint8_t said[] = { 0, 2, 0, 4, 0, 0, 0, 7, 0, 1, 0, 4, 0, 0, 0, 1 };

Test(return_path, is_read_in_any_pieces)
{
	for (size_t step = 1; step <= sizeof(said); step++) {
		struct return_path_reader r = { .have = 0 };
		enum return_path_type type, types[2];
		uint32_t value, values[2];
		unsigned n = 0;

		for (size_t at = 0; at < sizeof(said); at += step) {
			const uint8_t *p = said + at;
			size_t len = sizeof(said) - at < step ? sizeof(said) - at : step;

			while (len && return_path_read(&r, &p, &len, &type, &value, NULL) > 0) {
				cr_assert_lt(n, 2);
				types[n] = type;
				values[n++] = value;
			}
		}
		cr_assert_eq(n, 2, "pieces of %zu", step);
		cr_assert(types[0] == RETURN_PATH_PONG && values[0] == 7);
		cr_assert(types[1] == RETURN_PATH_SHUT && values[1] == 1);
	}
}

Test(return_path, what_only_post_copy_says_is_refused)
{
	static const uint8_t bad[][8] = {
		{ 0, 0, 0, 4 }, { 0, 3, 0, 12 }, { 0, 1, 0, 0 }, { 0, 1, 0, 5 }, { 0xff, 0xff, 0, 4 },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct return_path_reader r = { .have = 0 };
		enum return_path_type type;
		const uint8_t *p = bad[i];
		struct mg_error err = { 0 };
		size_t len = 8;
		uint32_t value;

		cr_assert_eq(return_path_read(&r, &p, &len, &type, &value, &err), -EPROTO);
		cr_assert_not_null(strstr(err.text, "return path"));
	}
}

Test(return_path, is_written_at_once_or_not_at_all)
{
	uint8_t got[8];
	int fds[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	cr_assert_eq(return_path_send(fds[0], RETURN_PATH_PONG, 7), 0);
	cr_assert_eq(recv(fds[1], got, sizeof(got), 0), 8);
	cr_assert_eq(memcmp(got, said, 8), 0);
	close(fds[1]);
	cr_assert_eq(return_path_send(fds[0], RETURN_PATH_SHUT, 0), -EPIPE);
	close(fds[0]);
}

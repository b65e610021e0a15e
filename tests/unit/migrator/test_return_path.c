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

/* REQ_PAGES_ID of "m0" at 0x5000, then REQ_PAGES at 0x9000, as QEMU 7.2 writes them. */
static const uint8_t asked[] = {
	0, 3, 0, 15, 0, 0, 0, 0, 0, 0, 0x50, 0, 0, 0, 0x10, 0, 2, 'm', '0',
	0, 4, 0, 12, 0, 0, 0, 0, 0, 0, 0x90, 0, 0, 0, 0x10, 0,
};

Test(return_path, in_post_copy_each_request_names_its_block)
{
	static const uint8_t second[] = { 0, 3, 0, 15, 0, 0, 0, 0, 0, 0, 0x90, 0, 0, 0, 0x10, 0,
					  2, 'm', '0' };

	for (size_t step = 1; step <= sizeof(asked); step++) {
		struct return_path_reader r = { .post_copy = true };
		enum return_path_type type;
		uint32_t value;
		unsigned n = 0;

		for (size_t at = 0; at < sizeof(asked); at += step) {
			const uint8_t *p = asked + at;
			size_t len = sizeof(asked) - at < step ? sizeof(asked) - at : step;

			while (len && return_path_read(&r, &p, &len, &type, &value, NULL) > 0) {
				cr_assert_eq(r.len, sizeof(second));
				cr_assert_eq(memcmp(r.held, n++ ? second : asked, r.len), 0);
			}
		}
		cr_assert_eq(n, 2, "pieces of %zu", step);
	}
}

Test(return_path, requests_that_cannot_be)
{
	static const struct {
		size_t len;
		uint8_t bytes[20];
	} bad[] = {
		{ 16, { 0, 4, 0, 12 } },                      /* of which block? */
		{ 17, { 0, 3, 0, 13 } },                      /* a name without a byte */
		{ 19, { 0, 3, 0, 15, [16] = 9, 'm', '0' } },  /* longer than its message */
		{ 4, { 0, 3, 0x02, 0 } },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct return_path_reader r = { .post_copy = true };
		const uint8_t *p = bad[i].bytes;
		size_t len = bad[i].len;
		enum return_path_type type;
		uint32_t value;

		cr_assert_eq(return_path_read(&r, &p, &len, &type, &value, NULL), -EPROTO, "%zu", i);
	}
}

Test(return_path, what_was_said_is_said_again)
{
	static struct return_log l;
	uint8_t out[64];

	for (uint8_t i = 0; i < 3; i++)
		return_log_add(&l, &i, 1);
	cr_assert_eq(return_log_take(&l, out, 2), 2);
	cr_assert_eq(return_log_take(&l, out, sizeof(out)), 1);
	cr_assert_eq(out[0], 2);
	cr_assert_eq(return_log_take(&l, out, sizeof(out)), 0);
	return_log_again(&l);
	cr_assert_eq(return_log_take(&l, out, sizeof(out)), 3);
	for (unsigned i = 0; i < 2 * RETURN_LOG_KEPT; i++)
		return_log_add(&l, (const uint8_t[]){ (uint8_t)i }, 1);
	cr_assert_eq(return_log_take(&l, out, 1), 1, "the oldest that is kept");
	cr_assert_eq(out[0], (uint8_t)RETURN_LOG_KEPT);
}

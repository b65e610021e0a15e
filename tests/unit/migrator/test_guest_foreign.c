/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/guest_foreign.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/address.h"
#include "common/cleanup.h"

/* What is said at one end is heard at the other, by a reader that waits. */
static void expect_connected(int listener, const char *address)
{
	struct mg_error err = { 0 };
	char heard[5] = "";
	int fd = -1, peer;

	cr_assert_eq(guest_foreign_connect(address, &fd, &err), 0, "%s", err.text);
	peer = accept(listener, NULL, NULL);
	cr_assert_geq(peer, 0);
	cr_assert_eq(write(peer, "QEVM", 4), 4);
	cr_assert_eq(read(fd, heard, 4), 4);
	cr_assert_str_eq(heard, "QEVM");
	cr_assert_not(fcntl(fd, F_GETFL) & O_NONBLOCK, "io_uring waits by itself");
	close(peer);
	close(fd);
}

Test(guest_foreign, connects_to_a_socket)
{
	struct sockaddr_un there = { .sun_family = AF_UNIX };
	char directory[] = "/tmp/test-foreign-XXXXXX", address[128];
	struct mg_error err = { 0 };
	int fd, listener = socket(AF_UNIX, SOCK_STREAM, 0);

	cr_assert_not_null(mkdtemp(directory));
	snprintf(there.sun_path, sizeof(there.sun_path), "%s/s", directory);
	snprintf(address, sizeof(address), "unix:%s", there.sun_path);
	cr_assert_eq(guest_foreign_connect(address, &fd, &err), -ENOENT);
	cr_assert_not_null(strstr(err.text, "no QEMU waits"), "%s", err.text);
	cr_assert_eq(bind(listener, (struct sockaddr *)&there, sizeof(there)), 0);
	cr_assert_eq(listen(listener, 1), 0);
	expect_connected(listener, address);
	close(listener);
	cr_assert_eq(guest_foreign_connect(address, &fd, &err), -ECONNREFUSED);
	unlink(there.sun_path);
	rmdir(directory);
}

Test(guest_foreign, connects_to_a_port)
{
	struct address there;
	char text[ADDRESS_TEXT_SIZE], address[ADDRESS_TEXT_SIZE + 4];
	struct mg_error err = { 0 };
	socklen_t len = sizeof(there);
	int fd, listener = socket(AF_INET, SOCK_STREAM, 0);

	cr_assert_eq(address_parse("127.0.0.1:0", 0, &there), 0);
	cr_assert_eq(bind(listener, &there.any, address_len(&there)), 0);
	cr_assert_eq(listen(listener, 1), 0);
	cr_assert_eq(getsockname(listener, &there.any, &len), 0);
	snprintf(address, sizeof(address), "tcp:%s", address_format(&there, text));
	expect_connected(listener, address);
	close(listener);
	cr_assert_eq(guest_foreign_connect(address, &fd, &err), -ECONNREFUSED);
}

Test(guest_foreign, knows_no_other_addresses)
{
	static const char *const bad[] = { "", "unix:", "unix:relative", "tcp:", "tcp:localhost:1",
					   "tcp:127.0.0.1", "fd:7", "exec:cat", "defer" };
	struct mg_error err = { 0 };
	int fd;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		cr_assert_eq(guest_foreign_connect(bad[i], &fd, &err), -EINVAL, "%s", bad[i]);
}

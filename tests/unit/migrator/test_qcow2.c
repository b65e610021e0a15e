/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/qcow2.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MIB (UINT64_C(1) << 20)

static char directory[] = "/tmp/test-qcow2-XXXXXX";

static void setup(void)
{
	cr_assert_not_null(mkdtemp(directory));
	cr_assert_eq(chdir(directory), 0);
}

static void teardown(void)
{
	char command[64];

	cr_assert_eq(chdir("/"), 0);
	snprintf(command, sizeof(command), "rm -rf '%s'", directory);
	cr_assert_eq(system(command), 0);
}

TestSuite(qcow2, .init = setup, .fini = teardown);

static int make(const char *path, uint64_t size, const char *backing, const char *format)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int r = qcow2_make(fd, size, backing, format);

	close(fd);
	return r;
}

static void read_header(const char *path, struct qcow2_info *ret)
{
	uint8_t header[QCOW2_HEADER_MAX];
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	cr_assert_eq(read(fd, header, sizeof(header)), (ssize_t)sizeof(header));
	close(fd);
	cr_assert_eq(qcow2_read_header(header, sizeof(header), ret), 0);
}

/* QEMU's own tool is the judge. */
Test(qcow2, qemu_img_finds_nothing_wrong)
{
	static const uint64_t sizes[] = { 512, 64 * 1024, 512 * MIB, 512 * MIB + 512, 3 * 1024 * MIB,
					  QCOW2_SIZE_MAX };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char path[32], command[200];
		struct qcow2_info info;

		snprintf(path, sizeof(path), "empty%zu.qcow2", i);
		cr_assert_eq(make(path, sizes[i], NULL, NULL), 0);
		read_header(path, &info);
		cr_assert(info.size == sizes[i] && info.alone);
		snprintf(command, sizeof(command),
			 "qemu-img check -q %s && qemu-img info --output=json %s | "
			 "grep -q '\"virtual-size\": %llu,'", path, path,
			 (unsigned long long)sizes[i]);
		cr_assert_eq(system(command), 0, "%s", command);
	}
}

/* Written at its very end, where the tables have to grow, over a base that shows through. */
Test(qcow2, it_can_be_written_and_lies_on_its_base)
{
	struct qcow2_info info;

	cr_assert_eq(system("qemu-img create -q -f raw base.raw 2M && "
			    "qemu-io -f raw -c 'write -q -P 7 0 2M' base.raw"), 0);
	cr_assert_eq(make("over.qcow2", 700 * MIB, "base.raw", "raw"), 0);
	read_header("over.qcow2", &info);
	cr_assert(info.size == 700 * MIB && !info.alone);
	cr_assert_eq(system("qemu-io -c 'read -q -P 7 0 2M' -c 'read -q -P 0 2M 1M' "
			    "-c 'write -q -P 9 699M 1M' -c 'write -q -P 8 1M 64k' over.qcow2 >out && "
			    "test ! -s out && qemu-img check -q over.qcow2 && "
			    "qemu-io -c 'read -q -P 9 699M 1M' -c 'read -q -P 8 1M 64k' "
			    "-c 'read -q -P 7 0 1M' over.qcow2 >out && test ! -s out"), 0);
}

Test(qcow2, what_cannot_be_made)
{
	char name[QCOW2_BACKING_MAX + 2];

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	cr_assert_eq(make("a", 0, NULL, NULL), -EINVAL);
	cr_assert_eq(make("b", 1000, NULL, NULL), -EINVAL);
	cr_assert_eq(make("c", QCOW2_SIZE_MAX + 512, NULL, NULL), -EINVAL);
	cr_assert_eq(make("d", MIB, name, "raw"), -EINVAL);
	name[QCOW2_BACKING_MAX] = '\0';
	cr_assert_eq(make("e", MIB, name, "raw"), 0);
}

Test(qcow2, headers_of_qemu)
{
	struct qcow2_info info;

	cr_assert_eq(system("qemu-img create -q -f qcow2 -o compat=0.10 old.qcow2 5M && "
			    "qemu-img create -q -f qcow2 -o data_file=data,data_file_raw=on "
			    "away.qcow2 6M && "
			    "qemu-img create -q -f qcow2 -b old.qcow2 -F qcow2 on.qcow2"), 0);
	read_header("old.qcow2", &info);
	cr_assert(info.size == 5 * MIB && info.alone);
	read_header("away.qcow2", &info);
	cr_assert(info.size == 6 * MIB && !info.alone, "its data is elsewhere");
	read_header("on.qcow2", &info);
	cr_assert(info.size == 5 * MIB && !info.alone);
}

Test(qcow2, what_is_no_header)
{
	uint8_t header[QCOW2_HEADER_MAX];
	struct qcow2_info info;
	int fd;

	cr_assert_eq(make("x", MIB, NULL, NULL), 0);
	fd = open("x", O_RDONLY | O_CLOEXEC);
	cr_assert_eq(read(fd, header, sizeof(header)), (ssize_t)sizeof(header));
	close(fd);
	for (size_t len = 0; len < 80; len++)
		cr_assert_eq(qcow2_read_header(header, len, &info), -EPROTO, "%zu bytes", len);
	header[7] = 4;
	cr_assert_eq(qcow2_read_header(header, sizeof(header), &info), -EPROTO, "version 4");
	header[7] = 3;
	header[0] = 'q';
	cr_assert_eq(qcow2_read_header(header, sizeof(header), &info), -EPROTO, "magic");
}

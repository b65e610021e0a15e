/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/disk.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "migrator/disk_digest.h"

#define MIB (UINT64_C(1) << 20)

static char directory[] = "/tmp/test-disk-XXXXXX";

static void setup(void)
{
	cr_assert_not_null(mkdtemp(directory));
	cr_assert_eq(chdir(directory), 0);
	cr_assert_eq(system("qemu-img create -q -f qcow2 base.qcow2 8M && "
			    "qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 on.qcow2 && "
			    "truncate -s 1000 odd.raw && mkdir folder"), 0);
}

static void teardown(void)
{
	char command[64];

	cr_assert_eq(chdir("/"), 0);
	snprintf(command, sizeof(command), "rm -rf '%s'", directory);
	cr_assert_eq(system(command), 0);
}

TestSuite(disk, .init = setup, .fini = teardown);

/* A description with one disk. */
struct fixture {
	VmSpec spec;
	Tagalong__Disk disk, *list[1];
	struct mg_error err;
};

static VmSpec *describe(struct fixture *f, const char *base, const char *format, uint64_t size)
{
	*f = (struct fixture){ 0 };
	tagalong__vm_spec__init(&f->spec);
	tagalong__disk__init(&f->disk);
	f->disk.base_path = (char *)(uintptr_t)base;
	f->disk.format = (char *)(uintptr_t)format;
	f->disk.has_size = size > 0;
	f->disk.size = size;
	f->list[0] = &f->disk;
	f->spec.disks = f->list;
	f->spec.n_disks = 1;
	return &f->spec;
}

Test(disk, sizes)
{
	struct fixture f;

	cr_assert_eq(disk_set_sizes(describe(&f, "base.qcow2", "qcow2", 0), &f.err), 0);
	cr_assert(f.disk.has_size && f.disk.size == 8 * MIB);
	cr_assert_eq(disk_set_sizes(describe(&f, "base.qcow2", "qcow2", 9 * MIB), &f.err), 0);
	cr_assert_eq(f.disk.size, 9 * MIB);
	cr_assert_eq(disk_set_sizes(describe(&f, "odd.raw", "raw", 0), &f.err), 0);
	cr_assert_eq(f.disk.size, 1024);
	cr_assert_eq(disk_set_sizes(describe(&f, NULL, "qcow2", MIB), &f.err), 0);
	cr_assert_eq(disk_count(&f.spec), 1);
	f.disk.path = (char *)(uintptr_t)"/srv/x";
	cr_assert_eq(disk_count(&f.spec), 0);
}

static void expect(const char *base, const char *format, uint64_t size, int r, const char *says)
{
	struct fixture f;

	cr_assert_eq(disk_set_sizes(describe(&f, base, format, size), &f.err), r, "%s", base);
	cr_assert_not_null(strstr(f.err.text, says), "%s", f.err.text);
}

Test(disk, bases_that_cannot_be_one)
{
	expect("none.qcow2", "qcow2", 0, -ENOENT, "the base 'none.qcow2': No such file");
	expect("odd.raw", "qcow2", 0, -EPROTO, "is not of format qcow2");
	expect("on.qcow2", "qcow2", 0, -ENOTSUP, "lies on another file");
	expect("folder", "raw", 0, -ENOTSUP, "is not a file");
	expect("base.qcow2", "qcow2", 4 * MIB, -EINVAL, "a disk of 4.00 MiB cannot lie on");
	expect("/dev/null", "raw", 0, -ENOTSUP, "is not a file");
}

Test(disk, overlays)
{
	struct fixture f;
	char name[DISK_NAME_SIZE];
	int dir = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	cr_assert_eq(disk_set_sizes(describe(&f, "base.qcow2", "qcow2", 16 * MIB), &f.err), 0);
	cr_assert_eq(disk_make_overlays(dir, &f.spec, NULL, &f.err), 0);
	cr_assert_str_eq(disk_overlay_name(0, name), "disk0.qcow2");
	cr_assert_eq(stat(name, &st), 0);
	cr_assert_eq(st.st_mode & 07777, 0600);
	cr_assert_gt(disk_used_bytes(".", 0), 0);
	cr_assert_eq(disk_used_bytes(".", 1), 0);
	cr_assert_gt(disk_free_bytes("."), 0);
	cr_assert_eq(system("qemu-img check -q disk0.qcow2 && qemu-img info disk0.qcow2 | "
			    "grep -q 'backing file: base.qcow2'"), 0);
	/* One that is there belongs to somebody. */
	cr_assert_eq(disk_make_overlays(dir, &f.spec, NULL, &f.err), -EEXIST);
	close(dir);
}

Test(disk, socket)
{
	int listener = disk_listen(".", NULL), ours = disk_connect("."), theirs;
	struct stat st;

	cr_assert_geq(listener, 0);
	cr_assert_geq(ours, 0);
	cr_assert_eq(stat(DISK_SOCKET, &st), 0);
	cr_assert_eq(st.st_mode & 07777, 0600);
	theirs = accept(listener, NULL, NULL);
	cr_assert_geq(theirs, 0);
	disk_unlisten(".");
	cr_assert_eq(disk_connect("."), -ENOENT);
	close(theirs);
	close(ours);
	close(listener);
}

static int digest_of(struct disk_digests *d, const char *path, char *digest)
{
	struct mg_error err = { 0 };
	int r;

	for (int i = 0; i < 3000 && (r = disk_digest_get(d, path, digest, &err)) == -EAGAIN; i++)
		usleep(10000);
	return r;
}

Test(disk, digests_follow_the_content)
{
	_cleanup_(disk_digests_free_p) struct disk_digests *d = disk_digests_new();
	char one[DISK_DIGEST_TEXT_SIZE], other[DISK_DIGEST_TEXT_SIZE], same[DISK_DIGEST_TEXT_SIZE];
	struct mg_error err = { 0 };

	cr_assert_eq(system("head -c 3000000 /dev/urandom >x && cp x y"), 0);
	cr_assert_eq(disk_digest_get(d, "x", one, &err), -EAGAIN);
	cr_assert_eq(digest_of(d, "x", one), 0);
	cr_assert_eq(strlen(one), 64);
	cr_assert_eq(disk_digest_get(d, "x", same, &err), 0, "it is known now");
	cr_assert_eq(digest_of(d, "y", same), 0);
	cr_assert_str_eq(one, same);
	cr_assert_eq(system("printf 0123456789abcdef | dd of=y bs=1 seek=2999984 conv=notrunc status=none"), 0);
	cr_assert_eq(digest_of(d, "y", other), 0);
	cr_assert_str_neq(one, other);
	cr_assert_eq(digest_of(d, "nothing", other), -ENOENT);
	cr_assert_eq(digest_of(d, "folder", other), -EISDIR);
	/* One that is being computed when all of it ends. */
	cr_assert_eq(system("truncate -s 1G large"), 0);
	cr_assert_eq(disk_digest_get(d, "large", other, &err), -EAGAIN);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/disk.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/units.h"
#include "migrator/qcow2.h"

#define SECTOR 512

bool disk_moves(const Tagalong__Disk *disk)
{
	return !disk->path;
}

size_t disk_count(const VmSpec *spec)
{
	size_t n = 0;

	for (size_t i = 0; i < spec->n_disks; i++)
		n += disk_moves(spec->disks[i]);
	return n;
}

static int read_qcow2_size(int fd, const char *path, uint64_t *ret_size, struct mg_error *err)
{
	uint8_t header[QCOW2_HEADER_MAX];
	struct qcow2_info info;
	ssize_t n = pread(fd, header, sizeof(header), 0);

	if (n < 0 || qcow2_read_header(header, (size_t)n, &info) < 0)
		return mg_error_set(err, -EPROTO, "the base '%.160s' is not of format qcow2", path);
	if (!info.alone)
		return mg_error_set(err, -ENOTSUP, "the base '%.160s' lies on another file: make one "
				    "of them ('qemu-img convert')", path);
	*ret_size = info.size;
	return 0;
}

int disk_base_check(const Tagalong__Disk *disk, uint64_t *ret_size, struct mg_error *err)
{
	_cleanup_close_ int fd = open(disk->base_path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return mg_error_set(err, -errno, "the base '%.160s': %s", disk->base_path,
				    strerror(errno));
	if (!S_ISREG(st.st_mode))
		return mg_error_set(err, -ENOTSUP, "the base '%.160s' is not a file", disk->base_path);
	if (strcmp(disk->format, "qcow2") == 0)
		return read_qcow2_size(fd, disk->base_path, ret_size, err);
	*ret_size = ((uint64_t)st.st_size + SECTOR - 1) / SECTOR * SECTOR;
	return 0;
}

static int set_size(Tagalong__Disk *d, struct mg_error *err)
{
	char described[UNITS_TEXT_SIZE], base[UNITS_TEXT_SIZE];
	uint64_t base_size = 0;
	int r = d->base_path ? disk_base_check(d, &base_size, err) : 0;

	if (r < 0)
		return r;
	if (!d->has_size) {
		d->has_size = true;
		d->size = base_size;
	}
	if (d->size < base_size)
		return mg_error_set(err, -EINVAL, "a disk of %s cannot lie on '%.120s', which has %s",
				    size_format(d->size, described), d->base_path,
				    size_format(base_size, base));
	if (d->size == 0 || d->size > QCOW2_SIZE_MAX)
		return mg_error_set(err, -EINVAL, "a disk of %s; possible are 512 bytes to 4096G",
				    size_format(d->size, described));
	return 0;
}

int disk_set_sizes(VmSpec *spec, struct mg_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < spec->n_disks; i++)
		if (disk_moves(spec->disks[i]))
			r = set_size(spec->disks[i], err);
	return r;
}

const char *disk_overlay_name(size_t i, char buffer[DISK_NAME_SIZE])
{
	snprintf(buffer, DISK_NAME_SIZE, "disk%zu.qcow2", i);
	return buffer;
}

static int make_overlay(int directory_fd, const Tagalong__Disk *d, size_t i,
			const struct launch_user *user)
{
	char name[DISK_NAME_SIZE];
	_cleanup_close_ int fd = openat(directory_fd, disk_overlay_name(i, name),
					O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int r = fd < 0 ? -errno : qcow2_make(fd, d->size, d->base_path, d->format);

	if (r == 0 && user && fchown(fd, user->uid, user->gid) < 0)
		r = -errno;
	return r;
}

int disk_make_overlays(int directory_fd, const VmSpec *spec, const struct launch_user *user,
		       struct mg_error *err)
{
	for (size_t i = 0; i < spec->n_disks; i++) {
		int r = disk_moves(spec->disks[i])
				? make_overlay(directory_fd, spec->disks[i], i, user)
				: 0;

		if (r < 0)
			return mg_error_set(err, r, "the overlay of disk %zu: %s", i, strerror(-r));
	}
	return 0;
}

/* Through a descriptor: the path is longer than a socket's may be. */
static int open_socket(const char *directory, struct sockaddr_un *ret_address, int *ret_dir)
{
	*ret_dir = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	ret_address->sun_family = AF_UNIX;
	snprintf(ret_address->sun_path, sizeof(ret_address->sun_path),
		 "/proc/self/fd/%d/" DISK_SOCKET, *ret_dir);
	return *ret_dir < 0 ? -1 : socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

int disk_listen(const char *directory, const char *user)
{
	struct launch_user owner = { .uid = geteuid(), .gid = getegid() };
	_cleanup_close_ int dir = -1, fd = -1;
	struct sockaddr_un address;

	if (user && launch_user_find(user, &owner, NULL) < 0)
		return -ESRCH;
	fd = open_socket(directory, &address, &dir);
	if (fd < 0)
		return -errno;
	(void)unlinkat(dir, DISK_SOCKET, 0);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    fchmodat(dir, DISK_SOCKET, 0600, 0) < 0 ||
	    fchownat(dir, DISK_SOCKET, owner.uid, owner.gid, AT_SYMLINK_NOFOLLOW) < 0 ||
	    listen(fd, VM_DISKS_MAX) < 0)
		return -errno;
	return TAKE_FD(fd);
}

int disk_connect(const char *directory)
{
	_cleanup_close_ int dir = -1, fd = -1;
	struct sockaddr_un address;

	fd = open_socket(directory, &address, &dir);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return TAKE_FD(fd);
}

void disk_unlisten(const char *directory)
{
	_cleanup_close_ int dir = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (dir >= 0)
		(void)unlinkat(dir, DISK_SOCKET, 0);
}

uint64_t disk_used_bytes(const char *directory, size_t i)
{
	char path[PATH_MAX], name[DISK_NAME_SIZE];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", directory, disk_overlay_name(i, name));
	return stat(path, &st) == 0 ? (uint64_t)st.st_blocks * SECTOR : 0;
}

uint64_t disk_free_bytes(const char *directory)
{
	struct statvfs fs;

	return statvfs(directory, &fs) == 0 ? (uint64_t)fs.f_bavail * fs.f_frsize : UINT64_MAX;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/guest_files.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/un.h>

#include "common/file.h"
#include "common/log.h"
#include "migrator/cgroup.h"
#include "migrator/disk.h"
#include "migrator/ram_idle.h"
#include "migrator/tap.h"

#define SPEC_MAX ((size_t)1 << 20)
#define LAST_WORDS_MAX 2048

_Static_assert(VM_NETWORKS_MAX == 8, "GUEST_FILES_INIT lists the taps one by one");

/* NULL: without huge pages, or without memory. */
static char *huge_path(const struct guest_host *host, const char *name)
{
	char *path;

	return host->huge_page_dir && asprintf(&path, "%s/%s", host->huge_page_dir, name) >= 0
		       ? path
		       : NULL;
}

int guest_paths_make(const struct guest_host *host, const char *name,
		     const struct uuid *incarnation, struct guest_paths *ret)
{
	struct guest_paths p = { 0 };
	char id[UUID_TEXT_SIZE];

	uuid_format(incarnation, id);
	snprintf(p.name, sizeof(p.name), "%s.%s", name, id);
	if (asprintf(&p.directory, "%s/vm/%s/%s", host->state_dir, name, id) < 0)
		return -ENOMEM;
	p.ram = huge_path(host, p.name);
	if (p.ram && access(p.ram, F_OK) < 0) {
		free(p.ram);
		p.ram = NULL;
	}
	if (!p.ram && asprintf(&p.ram, "%s/%s", host->ram_dir, p.name) < 0) {
		free(p.directory);
		return -ENOMEM;
	}
	*ret = p;
	return 0;
}

void guest_paths_free(struct guest_paths *p)
{
	free(p->directory);
	free(p->ram);
}

/* ---- Making ------------------------------------------------------------------- */

static int give_to(int fd, const struct launch_user *user)
{
	return user && fchown(fd, user->uid, user->gid) < 0 ? -errno : 0;
}

static int make_directory(const struct guest_host *host, const struct guest_paths *paths,
			  struct guest_files *files, struct mg_error *err)
{
	_cleanup_free_ char *parent = strndup(
		paths->directory, (size_t)(strrchr(paths->directory, '/') - paths->directory));
	int r;

	if (!parent)
		return mg_error_set(err, -ENOMEM, "out of memory");
	r = directory_make(parent, 0700, err);
	if (r == 0)
		r = directory_make(host->ram_dir, 0700, err);
	if (r < 0)
		return r;
	/* Nobody gets here past the parent; QEMU, which is put here, needs the x. */
	if (mkdir(paths->directory, 0711) < 0)
		return mg_error_set(err, -errno, "%s: %s", paths->directory, strerror(errno));
	files->directory = open(paths->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (files->directory < 0)
		return mg_error_set(err, -errno, "%s: %s", paths->directory, strerror(errno));
	return 0;
}

static int create_at(int dir, const char *name, int flags)
{
	int fd = openat(dir, name, O_CREAT | O_EXCL | O_CLOEXEC | flags, 0600);

	return fd < 0 ? -errno : fd;
}

/* Logs that QEMU opens itself. */
static int make_log(int dir, const char *name, const struct launch_user *user)
{
	_cleanup_close_ int fd = create_at(dir, name, O_WRONLY);

	return fd < 0 ? fd : give_to(fd, user);
}

static int make_logs(struct guest_files *f, const struct launch_user *user)
{
	int r = f->log = create_at(f->directory, "qemu.log", O_WRONLY | O_APPEND);

	if (r >= 0)
		r = make_log(f->directory, "console.log", user);
	if (r >= 0)
		r = make_log(f->directory, "serial.log", user);
	return r < 0 ? r : 0;
}

static int make_lock(struct guest_files *f)
{
	f->pid = create_at(f->directory, "pid", O_WRONLY);
	if (f->pid < 0)
		return f->pid;
	f->lock = openat(f->directory, "pid", O_RDONLY | O_CLOEXEC);
	return f->lock < 0 || flock(f->lock, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
}

static int write_spec(const struct guest_files *f, const VmSpec *spec)
{
	_cleanup_close_ int fd = create_at(f->directory, "spec", O_WRONLY);
	size_t len = tagalong__vm_spec__get_packed_size(spec);
	_cleanup_free_ uint8_t *packed = malloc(len);
	ssize_t n;

	if (fd < 0)
		return fd;
	if (!packed)
		return -ENOMEM;
	tagalong__vm_spec__pack(spec, packed);
	n = write(fd, packed, len);
	return n == (ssize_t)len ? 0 : n < 0 ? -errno : -ENOSPC;
}

/* The path of a socket has 108 bytes at most, ours would be longer. */
static void short_path(struct sockaddr_un *address, int directory, const char *name)
{
	address->sun_family = AF_UNIX;
	snprintf(address->sun_path, sizeof(address->sun_path), "/proc/self/fd/%d/%s", directory,
		 name);
}

/* Listening from now on: whoever connects before QEMU is up waits for it. */
static int make_listener(const struct guest_files *f, const char *name, int *ret_fd)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address;

	if (fd < 0)
		return -errno;
	short_path(&address, f->directory, name);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    fchmodat(f->directory, name, 0600, 0) < 0 || listen(fd, 4) < 0)
		return -errno;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* Mapping a file there reserves its pages, until the file is gone; touching them is left to
 * whoever has the time. */
static int reserve_huge_pages(int fd, uint64_t bytes)
{
	struct statfs fs;
	void *map;

	if (fstatfs(fd, &fs) < 0)
		return -errno;
	if (bytes % (uint64_t)fs.f_bsize)
		return -EINVAL;
	if (ftruncate(fd, (off_t)bytes) < 0)
		return -errno;
	map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	munmap(map, bytes);
	return 0;
}

/* Whatever is in the way of huge pages, small ones will do. */
static int try_huge_pages(const struct guest_host *host, struct guest_paths *paths, uint64_t bytes)
{
	_cleanup_free_ char *path = huge_path(host, paths->name);
	_cleanup_close_ int fd = -1;
	int r;

	if (!path)
		return -1;
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -1;
	r = reserve_huge_pages(fd, bytes);
	if (r < 0) {
		(void)unlink(path);
		log_info("guest", "%s: no huge pages for its RAM: %s", paths->name,
			 r == -EINVAL ? "the size is not whole ones" : strerror(-r));
		return -1;
	}
	free(paths->ram);
	paths->ram = TAKE_PTR(path);
	return TAKE_FD(fd);
}

static int make_ram(const struct guest_host *host, struct guest_paths *paths, const VmSpec *spec,
		    const struct launch_user *user, struct guest_files *f, struct mg_error *err)
{
	int r;

	f->fds.ram = try_huge_pages(host, paths, spec->memory_bytes);
	if (f->fds.ram < 0)
		f->fds.ram = open(paths->ram, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	r = f->fds.ram < 0 ? -errno : give_to(f->fds.ram, user);
	if (r == 0 && ftruncate(f->fds.ram, (off_t)spec->memory_bytes) < 0)
		r = -errno;
	return r < 0 ? mg_error_set(err, r, "%s: %s", paths->ram, strerror(-r)) : 0;
}

int guest_files_create(const struct guest_host *host, struct guest_paths *paths,
		       const VmSpec *spec, const struct launch_user *user,
		       struct guest_files *f, struct mg_error *err)
{
	int r;

	r = make_directory(host, paths, f, err);
	if (r < 0)
		return r;
	r = make_logs(f, user);
	if (r == 0)
		r = make_lock(f);
	if (r == 0)
		r = write_spec(f, spec);
	if (r == 0)
		r = make_listener(f, "qmp.sock", &f->fds.qmp);
	if (r == 0)
		r = make_listener(f, "console.sock", &f->fds.console);
	if (r < 0)
		return mg_error_set(err, r, "%s: %s", paths->directory, strerror(-r));
	r = disk_make_overlays(f->directory, spec, user, err);
	if (r == 0)
		r = make_ram(host, paths, spec, user, f, err);
	if (r == 0 && host->cgroup_root)
		r = cgroup_make(host->cgroup_root, paths->name, &f->cgroup, err);
	for (size_t i = 0; r == 0 && i < spec->n_networks; i++)
		r = tap_open(spec->networks[i]->bridge, spec->networks[i]->mac, &f->fds.taps[i],
			     err);
	return r;
}

int guest_files_write_spec(const struct guest_paths *paths, const VmSpec *spec,
			   struct mg_error *err)
{
	_cleanup_close_ int dir = open(paths->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct guest_files f = { .directory = dir };
	int r = dir < 0 ? -errno : 0;

	if (r == 0 && unlinkat(dir, "spec", 0) < 0 && errno != ENOENT)
		r = -errno;
	if (r == 0)
		r = write_spec(&f, spec);
	return r < 0 ? mg_error_set(err, r, "%s: %s", paths->directory, strerror(-r)) : 0;
}

int guest_files_create_foreign(const struct guest_host *host, const struct guest_paths *paths,
			       const VmSpec *spec, struct mg_error *err)
{
	struct guest_files files = GUEST_FILES_INIT;
	_cleanup_close_ int ram = -1;
	int r = make_directory(host, paths, &files, err);

	guest_files_close(&files);
	if (r == 0)
		r = guest_files_write_spec(paths, spec, err);
	if (r < 0)
		return r;
	ram = open(paths->ram, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (ram < 0 || ftruncate(ram, (off_t)spec->memory_bytes) < 0)
		return mg_error_set(err, -errno, "%s: %s", paths->ram, strerror(errno));
	return 0;
}

static void close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void guest_files_close(struct guest_files *f)
{
	int *const all[] = { &f->directory, &f->log,	 &f->pid,     &f->lock,
			     &f->cgroup,    &f->fds.ram, &f->fds.qmp, &f->fds.console };

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		close_one(all[i]);
	for (size_t i = 0; i < VM_NETWORKS_MAX; i++)
		close_one(&f->fds.taps[i]);
}

/* ---- Finding again --------------------------------------------------------------- */

static char *path_in(const struct guest_paths *paths, const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s", paths->directory, name) < 0 ? NULL : path;
}

int guest_files_read_spec(const struct guest_paths *paths, VmSpec **ret, struct mg_error *err)
{
	_cleanup_free_ char *path = path_in(paths, "spec"), *packed = NULL;
	_cleanup_(vm_spec_free_p) VmSpec *spec = NULL;
	size_t len;
	int r;

	if (!path)
		return mg_error_set(err, -ENOMEM, "out of memory");
	r = file_read(path, SPEC_MAX, &packed, &len, err);
	if (r < 0)
		return r;
	spec = tagalong__vm_spec__unpack(NULL, len, (uint8_t *)packed);
	if (!spec || vm_spec_check(spec, NULL) < 0)
		return mg_error_set(err, -EBADMSG, "%s: not the description of a VM", path);
	*ret = TAKE_PTR(spec);
	return 0;
}

static bool is_held(int lock_fd)
{
	return flock(lock_fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

/* Written at once by a new process; it may be the one instruction before that. */
static pid_t read_pid(int fd)
{
	for (int tries = 0; tries < 100; tries++) {
		char text[16] = "";
		ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

		if (n > 0 && text[n - 1] == '\n')
			return (pid_t)atoi(text);
		usleep(10000);
	}
	return 0;
}

int guest_files_find_pid(const struct guest_paths *paths, pid_t *ret_pid, int *ret_pidfd,
			 struct mg_error *err)
{
	_cleanup_free_ char *path = path_in(paths, "pid");
	_cleanup_close_ int fd = -1, pidfd = -1;
	pid_t pid;

	if (!path)
		return mg_error_set(err, -ENOMEM, "out of memory");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno != ENOENT)
		return mg_error_set(err, -errno, "%s: %s", path, strerror(errno));
	if (fd < 0 || !is_held(fd))
		return mg_error_set(err, -ESRCH, "its QEMU is no more");
	pid = read_pid(fd);
	pidfd = pid > 1 ? pidfd_open(pid, 0) : -1;
	/* Still held now: so the process that we have hold of is the one. */
	if (pidfd < 0 || !is_held(fd))
		return mg_error_set(err, -ESRCH, "its QEMU is no more");
	*ret_pid = pid;
	*ret_pidfd = TAKE_FD(pidfd);
	return 0;
}

bool guest_files_are_dead(const struct guest_paths *paths)
{
	_cleanup_free_ char *path = path_in(paths, "pid");
	_cleanup_close_ int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;

	if (fd < 0) /* it is made and locked before there is a process */
		return path && errno == ENOENT;
	return flock(fd, LOCK_EX | LOCK_NB) == 0;
}

/* "2026-01-02T03:04:05.678901Z qemu-system-x86_64: words" to "words". */
static const char *words_of(const char *line)
{
	const char *colon = strstr(line, ": ");
	const char *space = strchr(line, ' ');

	if (space && space[-1] == 'Z' && isdigit((unsigned char)line[0]))
		line = space + 1;
	return colon && strncmp(line, "qemu", 4) == 0 ? colon + 2 : line;
}

void guest_files_last_words(const struct guest_paths *paths, char *text, size_t size)
{
	_cleanup_free_ char *path = path_in(paths, "qemu.log");
	_cleanup_close_ int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	char end[LAST_WORDS_MAX + 1];
	off_t length = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
	ssize_t n;
	char *newline;

	text[0] = '\0';
	if (length <= 0)
		return;
	n = pread(fd, end, LAST_WORDS_MAX, length > LAST_WORDS_MAX ? length - LAST_WORDS_MAX : 0);
	while (n > 0 && isspace((unsigned char)end[n - 1]))
		n--;
	if (n <= 0)
		return;
	end[n] = '\0';
	for (char *p = end; *p; p++) {
		if (*p != '\n' && !isprint((unsigned char)*p))
			*p = '?';
	}
	newline = strrchr(end, '\n');
	snprintf(text, size, "%s", words_of(newline ? newline + 1 : end));
}

void guest_files_limit_logs(const struct guest_paths *paths)
{
	static const char *const logs[] = { "console.log", "serial.log", "qemu.log" };
	_cleanup_close_ int dir = open(paths->directory, O_PATH | O_DIRECTORY | O_CLOEXEC);

	for (size_t i = 0; dir >= 0 && i < ARRAY_SIZE(logs); i++) {
		_cleanup_close_ int fd = openat(dir, logs[i], O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
		struct stat st;

		if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size > GUEST_LOG_MAX)
			(void)!ftruncate(fd, 0);
	}
}

/* ---- Removing ---------------------------------------------------------------------- */

static void empty_directory(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			(void)unlinkat(dirfd(dir), entry->d_name, 0);
	}
	closedir(dir);
}

void guest_files_remove(const struct guest_host *host, const struct guest_paths *paths,
			bool ram_in_use)
{
	char *slash = strrchr(paths->directory, '/');

	empty_directory(paths->directory);
	(void)rmdir(paths->directory);
	*slash = '\0'; /* the VM's own, if this was its last incarnation here */
	(void)rmdir(paths->directory);
	*slash = '/';
	if (!ram_in_use)
		ram_release(open(paths->ram, O_RDWR | O_CLOEXEC));
	(void)unlink(paths->ram);
	if (host->cgroup_root)
		cgroup_remove(host->cgroup_root, paths->name);
}

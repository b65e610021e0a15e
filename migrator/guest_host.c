/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "migrator/guest.h"

#define OUTPUT_MAX ((size_t)256 << 10)
#define PROBE_TIMEOUT_NS (20 * NS_PER_S)
#define CPUINFO_MAX ((size_t)8 << 20)
#define MACHINE_TYPES_MAX 1024

extern char **environ;

/* Reads to the end, or the deadline. */
static int read_output(int fd, char *text, size_t size)
{
	uint64_t end = clock_mono_ns() + PROBE_TIMEOUT_NS;
	size_t len = 0;

	while (len < size - 1) {
		uint64_t now = clock_mono_ns();
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t n;

		if (now >= end || poll(&p, 1, (int)((end - now) / NS_PER_MS) + 1) <= 0)
			return -ETIMEDOUT;
		n = read(fd, text + len, size - 1 - len);
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	text[len] = '\0';
	return 0;
}

static int spawn(char *const *argv, int output_fd, pid_t *ret_pid)
{
	posix_spawn_file_actions_t actions;
	int r = posix_spawn_file_actions_init(&actions);

	if (r == 0)
		r = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(&actions, output_fd, STDOUT_FILENO);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(&actions, output_fd, STDERR_FILENO);
	if (r == 0)
		r = posix_spawnp(ret_pid, argv[0], &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	return -r;
}

/* What QEMU prints with these arguments; the caller frees it. */
static int ask_qemu(const char *qemu, const char *option, const char *value, char **ret,
		    struct mg_error *err)
{
	const char *argv[] = { qemu, option, value, NULL };
	_cleanup_free_ char *text = malloc(OUTPUT_MAX);
	int fds[2], status = 0, r;
	pid_t pid;

	if (!text || pipe2(fds, O_CLOEXEC) < 0)
		return mg_error_set(err, text ? -errno : -ENOMEM, "cannot run %s", qemu);
	r = spawn((char *const *)(uintptr_t)argv, fds[1], &pid);
	close(fds[1]);
	if (r < 0) {
		close(fds[0]);
		return mg_error_set(err, r, "cannot run '%s': %s", qemu, strerror(-r));
	}
	r = read_output(fds[0], text, OUTPUT_MAX);
	close(fds[0]);
	if (r < 0)
		kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	if (r < 0)
		return mg_error_set(err, r, "%s %s: %s", qemu, option, strerror(-r));
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return mg_error_set(err, -EIO, "%s %s failed: %.*s", qemu, option,
				    (int)strcspn(text, "\n"), text);
	*ret = TAKE_PTR(text);
	return 0;
}

/* "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)". */
static int probe_version(struct guest_host *host, struct mg_error *err)
{
	_cleanup_free_ char *text = NULL;
	const char *version;
	int r = ask_qemu(host->qemu, "-version", NULL, &text, err);

	if (r < 0)
		return r;
	version = strstr(text, "version ");
	if (!version || sscanf(version, "version %u.", &host->qemu_major) != 1)
		return mg_error_set(err, -EPROTO, "'%s' does not say its version; is it QEMU?",
				    host->qemu);
	version += strlen("version ");
	snprintf(host->qemu_version, sizeof(host->qemu_version), "%.*s",
		 (int)strspn(version, "0123456789."), version);
	return 0;
}

/* A title, then one machine a line: its name, blanks, words about it. */
static int probe_machines(struct guest_host *host, struct mg_error *err)
{
	_cleanup_free_ char *text = NULL;
	char *save = NULL;
	size_t n = 0;
	int r = ask_qemu(host->qemu, "-machine", "help", &text, err);

	if (r < 0)
		return r;
	host->machine_types = calloc(MACHINE_TYPES_MAX + 1, sizeof(char *));
	if (!host->machine_types)
		return mg_error_set(err, -ENOMEM, "out of memory");
	strtok_r(text, "\n", &save);
	for (char *line; n < MACHINE_TYPES_MAX && (line = strtok_r(NULL, "\n", &save)); n++) {
		host->machine_types[n] = strndup(line, strcspn(line, " "));
		if (!host->machine_types[n])
			return mg_error_set(err, -ENOMEM, "out of memory");
	}
	return 0;
}

/* A /dev/kvm that opens is not enough: without the CPU's help behind it stock
 * guests may hang there. */
static bool probe_kvm(void)
{
	_cleanup_close_ int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	_cleanup_free_ char *text = NULL;
	const char *flags;
	size_t len;

	if (fd < 0 || file_read("/proc/cpuinfo", CPUINFO_MAX, &text, &len, NULL) < 0)
		return false;
	flags = strstr(text, "\nflags");
	if (!flags)
		return false;
	text[(size_t)(flags - text) + 1 + strcspn(flags + 1, "\n")] = '\0';
	return strstr(flags, " vmx") || strstr(flags, " svm");
}

int guest_host_probe(struct guest_host *host, struct mg_error *err)
{
	int r = probe_version(host, err);

	if (r == 0)
		r = probe_machines(host, err);
	if (r < 0) {
		guest_host_release(host);
		return r;
	}
	host->has_kvm = probe_kvm();
	return 0;
}

void guest_host_release(struct guest_host *host)
{
	for (char **p = host->machine_types; p && *p; p++)
		free(*p);
	free(host->machine_types);
	host->machine_types = NULL;
}

bool guest_host_has_faults(const struct guest_host *host)
{
	_cleanup_free_ char *text = NULL;
	size_t len;

	if (file_read("/proc/sys/vm/unprivileged_userfaultfd", 16, &text, &len, NULL) == 0 &&
	    text[0] == '1')
		return true;
	return host->qemu_major >= 8 && access("/dev/userfaultfd", F_OK) == 0;
}

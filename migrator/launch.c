/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/launch.h"

#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/close_range.h>
#include <pwd.h>
#include <signal.h>
#include <stdnoreturn.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "common/cleanup.h"

#define DESCRIPTORS 1024

int launch_user_find(const char *name, struct launch_user *ret, struct mg_error *err)
{
	const struct passwd *p = getpwnam(name);
	struct launch_user user = { .n_groups = LAUNCH_GROUPS_MAX };

	if (!p)
		return mg_error_set(err, -ESRCH, "there is no user '%s'", name);
	user.uid = p->pw_uid;
	user.gid = p->pw_gid;
	if (geteuid() != 0 && user.uid != geteuid())
		return mg_error_set(err, -EPERM, "only root can run QEMU as user '%s'", name);
	if (getgrouplist(name, user.gid, user.groups, &user.n_groups) < 0)
		return mg_error_set(err, -E2BIG, "user '%s' is in more than %d groups", name,
				    LAUNCH_GROUPS_MAX);
	*ret = user;
	return 0;
}

/* ---- In the child: system calls only, since the parent may have threads -------- */

enum step { STEP_SETUP, STEP_CGROUP, STEP_RAM, STEP_USER, STEP_EXEC };

static const char *const step_names[] = {
	[STEP_SETUP] = "preparing the process", [STEP_CGROUP] = "entering the cgroup",
	[STEP_RAM] = "reserving the RAM",       [STEP_USER] = "changing the user",
	[STEP_EXEC] = "starting the program",
};

struct report {
	int step;
	int error;
};

static void reset_signals(void)
{
	const struct sigaction standard = { .sa_handler = SIG_DFL };
	sigset_t none;

	for (int s = 1; s < NSIG; s++)
		(void)sigaction(s, &standard, NULL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static int write_pid(int fd)
{
	char text[16];
	size_t at = sizeof(text);

	text[--at] = '\n';
	for (unsigned pid = (unsigned)getpid(); pid; pid /= 10)
		text[--at] = (char)('0' + pid % 10);
	return write(fd, text + at, sizeof(text) - at) < 0 ? -errno : 0;
}

static int set_standard_files(int log_fd)
{
	int null = open("/dev/null", O_RDWR);

	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(log_fd, STDOUT_FILENO) < 0 ||
	    dup2(log_fd, STDERR_FILENO) < 0)
		return -errno;
	return 0;
}

static int keep_descriptors(const struct launch *l)
{
	if (close_range(3, UINT_MAX, CLOSE_RANGE_CLOEXEC) < 0)
		return -errno;
	for (size_t i = 0; i < l->n_kept; i++) {
		if (fcntl(l->kept[i], F_SETFD, 0) < 0)
			return -errno;
	}
	return 0;
}

/* Makes the descriptor table as large as QEMU will ever need. A table that grows under a process
 * with threads waits for an RCU grace period (10-30 ms; Linux fs/file.c, expand_fdtable()), and
 * QEMU opens its ioeventfds, of which a virtio console alone has more than 64, when the guest
 * begins to run: at the end of a blackout. exec() keeps the table. */
static void grow_descriptor_table(int fd)
{
	int high = fcntl(fd, F_DUPFD_CLOEXEC, DESCRIPTORS - 1);

	if (high >= 0) /* else more than this process may open: it grows when it has to */
		close(high);
}

/* An empty bounding set: not even a program that root executes gains any. That
 * is denied to whoever has no capabilities anyway. */
static int give_up_privileges(const struct launch_user *user)
{
	for (unsigned long cap = 0; cap < 64; cap++)
		(void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (user && user->uid != geteuid() &&
	    (setgroups((size_t)user->n_groups, user->groups) < 0 ||
	     setresgid(user->gid, user->gid, user->gid) < 0 ||
	     setresuid(user->uid, user->uid, user->uid) < 0))
		return -errno;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
}

static int become_the_program(const struct launch *l, enum step *step)
{
	int r;

	*step = STEP_SETUP;
	reset_signals();
	umask(077);
	if (setsid() < 0 || fchdir(l->directory_fd) < 0)
		return -errno;
	r = write_pid(l->pid_fd);
	if (r < 0)
		return r;
	*step = STEP_CGROUP;
	if (l->cgroup_fd >= 0 && write(l->cgroup_fd, "0", 1) < 0)
		return -errno;
	*step = STEP_RAM;
	if (fallocate(l->ram_fd, 0, 0, (off_t)l->ram_bytes) < 0)
		return -errno;
	*step = STEP_SETUP;
	r = set_standard_files(l->log_fd);
	grow_descriptor_table(l->log_fd);
	if (r == 0)
		r = keep_descriptors(l);
	if (r < 0)
		return r;
	*step = STEP_USER;
	r = give_up_privileges(l->user);
	if (r < 0)
		return r;
	*step = STEP_EXEC;
	execvp(l->argv[0], l->argv);
	return -errno;
}

static noreturn void run_child(const struct launch *l, int report_fd)
{
	enum step step = STEP_SETUP;
	struct report report = { .error = become_the_program(l, &step) };

	report.step = step;
	(void)!write(report_fd, &report, sizeof(report));
	_exit(127);
}

/* ---- In the parent --------------------------------------------------------------- */

int launch(const struct launch *l, pid_t *ret_pid, int *ret_pidfd, int *ret_report_fd)
{
	int report[2], pidfd;
	pid_t pid;

	if (pipe2(report, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid == 0)
		run_child(l, report[1]);
	close(report[1]);
	pidfd = pid < 0 ? -1 : pidfd_open(pid, 0);
	if (pidfd < 0) {
		int r = -errno;

		if (pid > 0)
			kill(pid, SIGKILL);
		close(report[0]);
		return r;
	}
	*ret_pid = pid;
	*ret_pidfd = pidfd;
	*ret_report_fd = report[0];
	return 0;
}

int launch_report(int report_fd, struct mg_error *err)
{
	struct report report;
	ssize_t n = read(report_fd, &report, sizeof(report));

	if (n == 0)
		return 0;
	if (n != (ssize_t)sizeof(report) || report.step < 0 ||
	    (size_t)report.step >= ARRAY_SIZE(step_names))
		return mg_error_set(err, -EIO, "the new process said nothing that makes sense");
	return mg_error_set(err, report.error, "%s: %s", step_names[report.step],
			    strerror(-report.error));
}

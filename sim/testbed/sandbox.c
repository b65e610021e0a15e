/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/testbed/sandbox.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common/cleanup.h"

static void watched_signals(sigset_t *ret)
{
	sigemptyset(ret);
	sigaddset(ret, SIGINT);
	sigaddset(ret, SIGTERM);
	sigaddset(ret, SIGHUP);
	sigaddset(ret, SIGCHLD);
}

static int exit_status(int wait_status)
{
	return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
}

/* Reaps every child and forwards signals until `child` ends; the watched
 * signals are blocked. */
static int attend(pid_t child, const sigset_t *watched)
{
	for (;;) {
		int sig = sigwaitinfo(watched, NULL), status;
		pid_t pid;

		if (sig > 0 && sig != SIGCHLD)
			kill(child, sig);
		while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
			if (pid == child)
				return exit_status(status);
	}
}

static int write_file(const char *path, const char *text)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		return -errno;
	return 0;
}

/* We are root inside, and the caller outside. */
static int map_user(uid_t uid, gid_t gid, struct mg_error *err)
{
	char map[64];
	int r;

	r = write_file("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "0 %u 1", uid);
	if (r == 0)
		r = write_file("/proc/self/uid_map", map);
	snprintf(map, sizeof(map), "0 %u 1", gid);
	if (r == 0)
		r = write_file("/proc/self/gid_map", map);
	return r < 0 ? mg_error_set(err, r, "mapping our user into the namespace: %s", strerror(-r))
		     : 0;
}

static int mount_private(struct mg_error *err)
{
	static const struct {
		const char *type, *at, *options;
	} mounts[] = {
		{ "proc", "/proc", NULL },
		{ "tmpfs", "/run", "mode=755" },
		{ "tmpfs", "/dev/shm", "mode=1777" },
	};

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return mg_error_set(err, -errno, "making mounts private: %s", strerror(errno));
	for (size_t i = 0; i < ARRAY_SIZE(mounts); i++)
		if (mount(mounts[i].type, mounts[i].at, mounts[i].type, MS_NOSUID | MS_NODEV,
			  mounts[i].options) < 0)
			return mg_error_set(err, -errno, "mounting a private %s: %s", mounts[i].at,
					    strerror(errno));
	return 0;
}

struct birth {
	int (*run)(void *arg);
	void *arg;
	uid_t uid;
	gid_t gid;
	bool user_namespace;
	int alive; /* reads end of file once the parent is gone */
	sigset_t watched, signals_before;
};

static int prepare(const struct birth *b, struct mg_error *err)
{
	char byte;
	int r;

	if (b->user_namespace) {
		r = map_user(b->uid, b->gid, err);
		if (r < 0)
			return r;
	}
	/* After the mapping, which clears it. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (read(b->alive, &byte, 1) == 0)
		return mg_error_set(err, -ECANCELED, "the parent is gone");
	/* A terminal's ^C goes to the parent alone, which passes it on. */
	setsid();
	return mount_private(err);
}

/* Process 1 of the new world. */
static int first_process(const struct birth *b)
{
	struct mg_error err = { 0 };
	pid_t child;

	if (prepare(b, &err) < 0) {
		fprintf(stderr, "testbed: %s\n", err.text);
		return 1;
	}
	child = fork();
	if (child < 0) {
		fprintf(stderr, "testbed: fork: %s\n", strerror(errno));
		return 1;
	}
	if (child == 0) {
		/* A shell starts background jobs with SIGINT ignored. */
		signal(SIGINT, SIG_DFL);
		sigprocmask(SIG_SETMASK, &b->signals_before, NULL);
		exit(b->run(b->arg));
	}
	return attend(child, &b->watched);
}

static int explain(int error, bool user_namespace, struct mg_error *err)
{
	if (user_namespace)
		return mg_error_set(err, -error,
				    "no user namespace: %s; run as root, or allow them (sysctl "
				    "user.max_user_namespaces, kernel.unprivileged_userns_clone)",
				    strerror(error));
	return mg_error_set(err, -error, "no namespaces: %s", strerror(error));
}

int sandbox_run(int (*run)(void *arg), void *arg, struct mg_error *err)
{
	struct birth b = {
		.run = run,
		.arg = arg,
		.uid = geteuid(),
		.gid = getegid(),
		.user_namespace = geteuid() != 0,
	};
	int flags = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID, alive[2], status;
	pid_t child;

	if (pipe2(alive, O_CLOEXEC | O_NONBLOCK) < 0)
		return mg_error_set(err, -errno, "pipe: %s", strerror(errno));
	b.alive = alive[0];
	watched_signals(&b.watched);
	sigprocmask(SIG_BLOCK, &b.watched, &b.signals_before);
	fflush(NULL);
	if (b.user_namespace)
		flags |= CLONE_NEWUSER;
	child = (pid_t)syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, NULL);
	if (child == 0) {
		close(alive[1]);
		_exit(first_process(&b));
	}
	if (child < 0)
		status = explain(errno, b.user_namespace, err);
	else
		status = attend(child, &b.watched);
	close(alive[0]);
	close(alive[1]);
	sigprocmask(SIG_SETMASK, &b.signals_before, NULL);
	return status;
}

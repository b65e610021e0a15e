/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/testbed/process.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "common/cleanup.h"

/* In the child; does not return. */
static void become(const struct process *p, int in, int out, int errors)
{
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (p->netns >= 0 && setns(p->netns, CLONE_NEWNET) < 0)
		_exit(126);
	dup2(in, STDIN_FILENO);
	if (out >= 0)
		dup2(out, STDOUT_FILENO);
	if (errors >= 0)
		dup2(errors, STDERR_FILENO);
	execvp(p->argv[0], (char *const *)p->argv);
	dprintf(STDERR_FILENO, "%s: %s\n", p->argv[0], strerror(errno));
	_exit(127);
}

static pid_t spawn(const struct process *p, int in, int out, int errors)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0)
		become(p, in, out, errors);
	return pid < 0 ? -errno : pid;
}

int process_start(const struct process *p, pid_t *ret, struct mg_error *err)
{
	_cleanup_close_ int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int log = -1;
	pid_t pid;

	if (null < 0)
		return mg_error_set(err, -errno, "/dev/null: %s", strerror(errno));
	if (p->log) {
		log = open(p->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
		if (log < 0)
			return mg_error_set(err, -errno, "%s: %s", p->log, strerror(errno));
	}
	pid = spawn(p, p->in >= 0 ? p->in : null, log, log);
	if (pid < 0)
		return mg_error_set(err, pid, "%s: %s", p->argv[0], strerror(-pid));
	*ret = pid;
	return 0;
}

/* The file's text from its beginning, without the closing newline. */
static void slurp(int fd, char *text, size_t size)
{
	ssize_t n = pread(fd, text, size - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	if (n > 0 && text[n - 1] == '\n')
		text[n - 1] = '\0';
}

static void one_line(char *text)
{
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ')
			*c = ' ';
}

/* Files instead of pipes: nobody has to read and write at the same time. */
int process_run(const struct process *p, const char *input, char *output, size_t size,
		struct mg_error *err)
{
	_cleanup_close_ int in = memfd_create("input", MFD_CLOEXEC);
	_cleanup_close_ int out = memfd_create("output", MFD_CLOEXEC);
	_cleanup_close_ int errors = memfd_create("errors", MFD_CLOEXEC);
	char words[200];
	int status;
	pid_t pid;

	if (in < 0 || out < 0 || errors < 0)
		return mg_error_set(err, -errno, "memfd: %s", strerror(errno));
	if (input && (write(in, input, strlen(input)) < 0 || lseek(in, 0, SEEK_SET) < 0))
		return mg_error_set(err, -errno, "input of %s: %s", p->argv[0], strerror(errno));
	pid = spawn(p, in, out, errors);
	if (pid < 0)
		return mg_error_set(err, pid, "%s: %s", p->argv[0], strerror(-pid));
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return mg_error_set(err, -errno, "%s: %s", p->argv[0], strerror(errno));
	if (output)
		slurp(out, output, size);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	slurp(errors, words, sizeof(words));
	if (!words[0])
		slurp(out, words, sizeof(words));
	one_line(words);
	return mg_error_set(err, -EIO, "%s failed: %s", p->argv[0], words);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Each case is a process of its own: what is confined stays so.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "telemetry/confine.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SKIP_SANITIZED() cr_skip_test("sanitizers need other system calls")
#else
#define SKIP_SANITIZED() (void)0
#endif

/* How a child ends that calls `fn`. */
static int status_of(void (*fn)(void), bool confined)
{
	struct mg_error err = { 0 };
	int status;
	pid_t child = fork();

	cr_assert_geq(child, 0);
	if (child == 0) {
		const struct rlimit no_core = { 0 };

		setrlimit(RLIMIT_CORE, &no_core);
		if (confined && confine_system_calls(&err) < 0)
			_exit(99);
		fn();
		_exit(0);
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	return status;
}

/* ---- What is forbidden ------------------------------------------------------------------
 * Each of these is tried without the filter, too, and does nothing then.
 */

static void run_a_program(void)
{
	execl("/bin/true", "true", NULL);
}

static void write_a_file(void)
{
	(void)!open("/dev/null", O_WRONLY);
}

static void truncate_a_file(void)
{
	(void)!open("/dev/null", O_RDONLY | O_TRUNC);
}

static void open_a_packet_socket(void)
{
	(void)!socket(AF_PACKET, SOCK_RAW, 0);
}

static void open_a_raw_socket(void)
{
	(void)!socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
}

static void open_a_ping_socket(void)
{
	(void)!socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
}

static void listen_for_others(void)
{
	(void)!listen(socket(AF_INET, SOCK_STREAM, 0), 1);
}

static void trace_another(void)
{
	(void)!ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

static void mount_nothing(void)
{
	(void)!mount("none", "/nonexistent", "tmpfs", 0, NULL);
}

static void make_a_process(void)
{
	(void)!fork();
}

static void kill_another(void)
{
	(void)!kill(1, 0);
}

static void become_another(void)
{
	(void)!setuid(getuid());
}

Test(confine, forbidden_calls_end_the_process)
{
	static const struct {
		const char *name;
		void (*fn)(void);
	} cases[] = {
		{ "execve", run_a_program },
		{ "open for writing", write_a_file },
		{ "truncate", truncate_a_file },
		{ "AF_PACKET", open_a_packet_socket },
		{ "SOCK_RAW", open_a_raw_socket },
		{ "ICMP", open_a_ping_socket },
		{ "listen", listen_for_others },
		{ "ptrace", trace_another },
		{ "mount", mount_nothing },
		{ "fork", make_a_process },
		{ "kill", kill_another },
		{ "setuid", become_another },
	};

	SKIP_SANITIZED();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int status = status_of(cases[i].fn, true);

		cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS, "%s: status %x",
			  cases[i].name, status);
		/* It is the filter that ends it. */
		cr_assert(WIFEXITED(status_of(cases[i].fn, false)), "%s", cases[i].name);
	}
}

/* ---- Threads ------------------------------------------------------------------------------ */

static pthread_barrier_t confined;

static void *wait_and_run(void *arg)
{
	pthread_barrier_wait(&confined);
	open_a_raw_socket();
	return arg;
}

static void confine_with_a_thread(void)
{
	struct mg_error err;
	pthread_t thread;

	pthread_barrier_init(&confined, NULL, 2);
	if (pthread_create(&thread, NULL, wait_and_run, NULL) != 0 || confine_system_calls(&err) < 0)
		_exit(98);
	pthread_barrier_wait(&confined);
	pthread_join(thread, NULL);
}

Test(confine, threads_that_are_there_already_are_confined_too)
{
	int status;

	SKIP_SANITIZED();
	status = status_of(confine_with_a_thread, false);
	cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS, "status %x", status);
}

/* ---- What work needs ------------------------------------------------------------------------ */

/* As the bus's threads do, which may start only when all else is ready. */
static void begin_a_thread(void)
{
	struct sched_param param;
	int policy;

	if (pthread_getschedparam(pthread_self(), &policy, &param) != 0 ||
	    pthread_setschedparam(pthread_self(), policy, &param) != 0 ||
	    pthread_setname_np(pthread_self(), "bus") != 0)
		_exit(4);
}

static void work(void)
{
	int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int tcp = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, IPPROTO_TCP);
	int local = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	char *memory = malloc(1 << 20), byte;
	struct timex clock_state = { 0 };

	if (udp < 0 || local < 0 || file < 0 || !memory || read(file, &byte, 1) != 1)
		_exit(1);
	if (tcp < 0 && errno != EAFNOSUPPORT)
		_exit(2);
	if (adjtimex(&clock_state) < 0)
		_exit(3);
	memset(memory, 1, 1 << 20);
	free(memory);
	begin_a_thread();
	(void)if_nametoindex("lo");
	usleep(1);
}

Test(confine, work_goes_on)
{
	int status = status_of(work, true);

	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", status);
}

static void run_memory(void)
{
	void *data = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (data == MAP_FAILED)
		_exit(1);
	if (mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
		    MAP_FAILED ||
	    errno != EPERM)
		_exit(2);
	if (mprotect(data, 4096, PROT_READ | PROT_EXEC) == 0 || errno != EPERM)
		_exit(3);
}

/* A module for looking up names may be wanted at any time: without it there are others. */
Test(confine, code_is_not_loaded)
{
	int status;

	SKIP_SANITIZED();
	status = status_of(run_memory, true);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", status);
}

/* ---- Privileges ------------------------------------------------------------------------------- */

static void drop(void)
{
	struct mg_error err = { 0 };
	_cleanup_fclose_ FILE *f = NULL;
	char line[128];
	int seen = 0;

	if (confine_drop_privileges(&err) < 0)
		_exit(1);
	f = fopen("/proc/self/status", "re");
	while (f && fgets(line, sizeof(line), f)) {
		unsigned long long set;

		if (sscanf(line, "CapEff: %llx", &set) == 1 || sscanf(line, "CapPrm: %llx", &set) == 1 ||
		    sscanf(line, "CapInh: %llx", &set) == 1 || sscanf(line, "CapAmb: %llx", &set) == 1) {
			if (set != 0)
				_exit(2);
			seen++;
		}
	}
	if (seen != 4)
		_exit(3);
	if (socket(AF_PACKET, SOCK_RAW, 0) >= 0 || errno != EPERM)
		_exit(4);
}

Test(confine, no_capability_is_left)
{
	int status = status_of(drop, false);

	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", status);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/cleanup.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED 1
#else
#define IS_SANITIZED 0
#endif

#define SOCKET_TYPE_MASK 0xf /* beside it: SOCK_NONBLOCK, SOCK_CLOEXEC */

int confine_drop_privileges(struct mg_error *err)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };

	/* Without it a program with capabilities of its own could be run. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 ||
	    syscall(SYS_capset, &header, none) < 0)
		return mg_error_set(err, -errno, "cannot give up privileges: %s", strerror(errno));
	return 0;
}

/* ---- System calls -------------------------------------------------------------------- */

/* Whatever their arguments. */
static const char *const harmless[] = {
	/* files and descriptors that are open */
	"read", "readv", "pread64", "write", "writev", "close", "lseek", "fstat", "dup", "fcntl",
	"fstatfs", "getdents64",
	/* what is there */
	"stat", "lstat", "newfstatat", "statx", "statfs", "access", "faccessat", "faccessat2",
	"readlink", "readlinkat", "getcwd",
	/* sockets */
	"connect", "bind", "accept4", "getsockname", "getpeername", "getsockopt", "setsockopt",
	"sendto", "sendmsg", "sendmmsg", "recvfrom", "recvmsg", "recvmmsg", "shutdown", "sendfile",
	/* waiting, and being woken */
	"poll", "ppoll", "select", "pselect6", "epoll_create1", "epoll_ctl", "epoll_wait",
	"epoll_pwait", "epoll_pwait2", "eventfd2", "timerfd_create", "timerfd_settime",
	"signalfd4", "nanosleep", "clock_nanosleep", "futex", "sched_yield", "restart_syscall",
	/* time, where the vDSO has none, and how exact it is: to set it takes a capability */
	"clock_gettime", "clock_getres", "gettimeofday", "time", "adjtimex", "clock_adjtime",
	/* memory; whether it may be executable is a rule of its own */
	"brk", "munmap", "mremap", "madvise", "mlock", "munlock",
	/* signals and the end */
	"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "tgkill", "exit",
	"exit_group",
	/* who and where we are */
	"getpid", "gettid", "getuid", "geteuid", "getgid", "getegid", "getrandom", "uname",
	"sysinfo", "getrusage", "sched_getaffinity", "getcpu", "rseq", "set_robust_list",
	"membarrier",
	/* the bus's threads, which may still be on their way; without privileges it makes none faster */
	"sched_getparam", "sched_getscheduler", "sched_setscheduler",
};

/* Those that are allowed when one argument, seen through a mask, has a value. */
static const struct {
	const char *name;
	unsigned argument;
	scmp_datum_t mask, value;
} conditional[] = {
	{ "open", 1, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY },
	{ "openat", 2, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY },
	{ "mmap", 2, PROT_EXEC, 0 },
	{ "mprotect", 2, PROT_EXEC, 0 },
	{ "ioctl", 1, UINT32_MAX, FIONREAD },
	{ "ioctl", 1, UINT32_MAX, FIONBIO },
	{ "ioctl", 1, UINT32_MAX, TCGETS }, /* is it a terminal? */
	{ "ioctl", 1, UINT32_MAX, SIOCGIFINDEX }, /* of a link-local gateway */
	{ "prctl", 0, UINT32_MAX, PR_SET_NAME },
	{ "prlimit64", 2, UINT64_MAX, 0 /* to read one */ },
};

/* A connection to the controller that is made again, a name that is looked up, and what is told to
 * the service manager. */
static const struct {
	int family, type, protocol; /* that, or 0 */
} sockets[] = {
	{ AF_INET, SOCK_STREAM, IPPROTO_TCP }, { AF_INET6, SOCK_STREAM, IPPROTO_TCP },
	{ AF_INET, SOCK_DGRAM, IPPROTO_UDP },  { AF_INET6, SOCK_DGRAM, IPPROTO_UDP },
	{ AF_UNIX, SOCK_STREAM, 0 },           { AF_UNIX, SOCK_DGRAM, 0 },
};

/* A call that this machine's architecture does not have needs no rule. */
static int allow_harmless(scmp_filter_ctx filter)
{
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(harmless) && r == 0; i++) {
		int number = seccomp_syscall_resolve_name(harmless[i]);

		if (number >= 0)
			r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0);
	}
	return r;
}

static int allow_conditional(scmp_filter_ctx filter)
{
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(conditional) && r == 0; i++) {
		const struct scmp_arg_cmp same = { .arg = conditional[i].argument,
						   .op = SCMP_CMP_MASKED_EQ,
						   .datum_a = conditional[i].mask,
						   .datum_b = conditional[i].value };
		int number = seccomp_syscall_resolve_name(conditional[i].name);

		if (number >= 0)
			r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, number, 1, &same);
	}
	return r;
}

static int allow_socket(scmp_filter_ctx filter, int family, int type, int protocol)
{
	return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 3,
				SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)family),
				SCMP_A1(SCMP_CMP_MASKED_EQ, SOCKET_TYPE_MASK, (scmp_datum_t)type),
				SCMP_A2(SCMP_CMP_EQ, (scmp_datum_t)protocol));
}

static int allow_sockets(scmp_filter_ctx filter)
{
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(sockets) && r == 0; i++) {
		r = allow_socket(filter, sockets[i].family, sockets[i].type, 0);
		if (r == 0 && sockets[i].protocol)
			r = allow_socket(filter, sockets[i].family, sockets[i].type,
					 sockets[i].protocol);
	}
	/* getaddrinfo(3) asks which families there are. */
	if (r == 0)
		r = allow_socket(filter, AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	return r;
}

/* A module that a name would be looked up with is not loaded, and the next one is asked. */
static int refuse_code(scmp_filter_ctx filter)
{
	const struct scmp_arg_cmp executable = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC);
	int r = seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(mmap), 1,
				       &executable);

	return r < 0 ? r
		     : seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(mprotect), 1,
					      &executable);
}

static int load_filter(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int r;

	if (!filter)
		return -ENOMEM;
	/* The bus has threads already. */
	r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	if (r == 0)
		r = allow_harmless(filter);
	if (r == 0)
		r = allow_conditional(filter);
	if (r == 0)
		r = allow_sockets(filter);
	if (r == 0)
		r = refuse_code(filter);
	if (r == 0)
		r = seccomp_load(filter);
	seccomp_release(filter);
	return r;
}

int confine_system_calls(struct mg_error *err)
{
	int r = IS_SANITIZED ? 0 : load_filter();

	return r < 0 ? mg_error_set(err, r, "cannot filter system calls: %s", strerror(-r)) : 0;
}

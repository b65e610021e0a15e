/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/guest.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#include "common/clock.h"
#include "common/log.h"
#include "migrator/disk.h"
#include "migrator/guest_files.h"
#include "migrator/guest_foreign.h"
#include "migrator/launch.h"
#include "migrator/qemu_args.h"

#define START_TIMEOUT_NS (60 * NS_PER_S) /* from exec to the monitor's greeting */
#define RECONNECT_NS (100 * NS_PER_MS)
#define QUIT_GRACE_NS (5 * NS_PER_S)
#define LOGS_NS (10 * NS_PER_S)

struct guest {
	sd_event *loop;
	struct guest_paths paths;
	struct uuid incarnation;
	VmSpec *spec;
	pid_t pid;
	int pidfd;
	sd_event_source *exit_source;
	sd_event_source *report_source; /* while the new process is not QEMU yet */
	sd_event_source *timer;	        /* start deadline, or reconnect */
	sd_event_source *quit_timer;
	sd_event_source *logs_timer;
	struct qmp *qmp;
	char version[32];
	bool ready;    /* the monitor answers */
	bool heard_out; /* QEMU closed it, and all that it had said before was taken */
	bool leaving;  /* it was told to quit, or shut itself down */
	struct mg_error error;
	struct guest_handlers handlers;
	void *userdata;
};

/* ---- The monitor ------------------------------------------------------------- */

static void connect_monitor(struct guest *g);

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct guest *g = userdata;

	(void)source;
	(void)usec;
	g->timer = sd_event_source_disable_unref(g->timer);
	if (!g->qmp) {
		connect_monitor(g);
		return 0;
	}
	mg_error_set(&g->error, -ETIMEDOUT, "QEMU's monitor did not answer within %d s of its start",
		     (int)(START_TIMEOUT_NS / NS_PER_S));
	guest_kill(g);
	return 0;
}

static void set_timer(struct guest *g, uint64_t delay_ns)
{
	g->timer = sd_event_source_disable_unref(g->timer);
	(void)sd_event_add_time_relative(g->loop, &g->timer, CLOCK_MONOTONIC, delay_ns / NS_PER_US,
					 1000, on_timer, g);
}

static void on_qmp_ready(struct qmp *q, const char *version, void *userdata)
{
	struct guest *g = userdata;

	(void)q;
	snprintf(g->version, sizeof(g->version), "%s", version);
	g->timer = sd_event_source_disable_unref(g->timer);
	g->ready = true;
	g->heard_out = false;
	if (g->handlers.on_ready)
		g->handlers.on_ready(g, g->userdata);
}

static void on_qmp_event(struct qmp *q, const char *event, json_t *data, uint64_t utc_ns,
			 void *userdata)
{
	struct guest *g = userdata;

	(void)q;
	if (strcmp(event, "SHUTDOWN") == 0)
		g->leaving = true;
	if (g->handlers.on_event)
		g->handlers.on_event(g, event, data, utc_ns, g->userdata);
}

/* QEMU is exiting, which its pidfd will say, or has to be asked again. */
static void on_qmp_closed(struct qmp *q, int error, void *userdata)
{
	struct guest *g = userdata;

	log_debug("guest", "vm=%s monitor: %s", g->spec->name, strerror(-error));
	qmp_free(q);
	g->qmp = NULL;
	g->heard_out = g->ready && error == -ECONNRESET;
	g->ready = false;
	set_timer(g, RECONNECT_NS);
}

/* Ours through a descriptor: the path is longer than a socket's may be. */
static void connect_monitor(struct guest *g)
{
	static const struct qmp_handlers handlers = { on_qmp_ready, on_qmp_event, on_qmp_closed };
	_cleanup_close_ int dir =
		open(g->paths.directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	char path[VM_MONITOR_MAX + 1];

	if (g->spec->monitor)
		snprintf(path, sizeof(path), "%s", g->spec->monitor);
	else
		snprintf(path, sizeof(path), "/proc/self/fd/%d/qmp.sock", dir);
	if (dir < 0 || qmp_connect(g->loop, path, &handlers, g, &g->qmp) < 0)
		set_timer(g, RECONNECT_NS);
}

/* ---- The process --------------------------------------------------------------- */

static void explain_exit(struct guest *g, const siginfo_t *status)
{
	char words[sizeof(g->error.text)];

	if (g->error.code != 0 || g->leaving)
		return;
	guest_files_last_words(&g->paths, words, sizeof(words));
	if (words[0])
		mg_error_set(&g->error, -EIO, "%s", words);
	else if (status->si_code == CLD_KILLED || status->si_code == CLD_DUMPED)
		mg_error_set(&g->error, -EIO, "QEMU was killed by signal %d (%s)",
			     status->si_status, strsignal(status->si_status));
	else
		mg_error_set(&g->error, -EIO, "QEMU is gone and has not said why");
}

static int on_exit_of_qemu(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct guest *g = userdata;
	siginfo_t status = { 0 };

	(void)source;
	(void)revents;
	/* Fails for one that we adopted: init reaps it. */
	(void)waitid(P_PIDFD, (id_t)fd, &status, WEXITED | WNOHANG);
	g->exit_source = sd_event_source_disable_unref(g->exit_source);
	g->report_source = sd_event_source_disable_unref(g->report_source);
	g->timer = sd_event_source_disable_unref(g->timer);
	g->quit_timer = sd_event_source_disable_unref(g->quit_timer);
	g->logs_timer = sd_event_source_disable_unref(g->logs_timer);
	qmp_free(TAKE_PTR(g->qmp));
	g->ready = false;
	explain_exit(g, &status);
	if (g->handlers.on_exit)
		g->handlers.on_exit(g, g->userdata);
	return 0;
}

static int on_logs_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct guest *g = userdata;

	(void)usec;
	guest_files_limit_logs(&g->paths);
	(void)sd_event_source_set_time_relative(source, LOGS_NS / NS_PER_US);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int watch_process(struct guest *g)
{
	int r = sd_event_add_io(g->loop, &g->exit_source, g->pidfd, EPOLLIN, on_exit_of_qemu, g);

	/* After what QEMU said last: its events, the reason why it never started. */
	if (r >= 0)
		r = sd_event_source_set_priority(g->exit_source, SD_EVENT_PRIORITY_IDLE);
	if (r >= 0)
		r = sd_event_add_time_relative(g->loop, &g->logs_timer, CLOCK_MONOTONIC,
					       LOGS_NS / NS_PER_US, 0, on_logs_timer, g);
	return r;
}

static int on_launched(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct guest *g = userdata;

	(void)source;
	(void)revents;
	if (launch_report(fd, &g->error) == 0)
		set_timer(g, START_TIMEOUT_NS);
	g->report_source = sd_event_source_disable_unref(g->report_source);
	return 0;
}

/* One that was forgotten alive: it is our child, so we owe it a burial. */
static int on_forgotten_exit(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	siginfo_t status;

	(void)revents;
	(void)userdata;
	(void)waitid(P_PIDFD, (id_t)fd, &status, WEXITED | WNOHANG);
	(void)sd_event_source_set_enabled(source, SD_EVENT_OFF);
	(void)sd_event_source_set_floating(source, false);
	return 0;
}

static void reap_later(sd_event *loop, int pidfd)
{
	sd_event_source *source;

	if (sd_event_add_io(loop, &source, pidfd, EPOLLIN, on_forgotten_exit, NULL) < 0) {
		close(pidfd);
		return;
	}
	(void)sd_event_source_set_io_fd_own(source, true);
	(void)sd_event_source_set_floating(source, true);
	sd_event_source_unref(source);
}

/* ---- Starting -------------------------------------------------------------------- */

static int guest_new(sd_event *loop, const struct guest_host *host, const char *name,
		     const struct uuid *incarnation, const struct guest_handlers *handlers,
		     void *userdata, struct guest **ret)
{
	struct guest *g = calloc(1, sizeof(*g));

	if (!g)
		return -ENOMEM;
	g->pidfd = -1;
	g->incarnation = *incarnation;
	g->handlers = *handlers;
	g->userdata = userdata;
	g->loop = sd_event_ref(loop);
	if (guest_paths_make(host, name, incarnation, &g->paths) < 0) {
		guest_free(g);
		return -ENOMEM;
	}
	*ret = g;
	return 0;
}

static int check_readable(const char *what, const char *path, struct mg_error *err)
{
	if (!path || access(path, R_OK) == 0)
		return 0;
	return mg_error_set(err, -errno, "%s '%s': %s", what, path, strerror(errno));
}

static bool has_machine(const struct guest_host *host, const char *machine)
{
	for (char **p = host->machine_types; p && *p; p++) {
		if (strcmp(*p, machine) == 0)
			return true;
	}
	return !host->machine_types;
}

int guest_host_check(const struct guest_host *host, const VmSpec *spec, struct mg_error *err)
{
	int r = check_readable("kernel", spec->kernel, err);

	if (r == 0)
		r = check_readable("initrd", spec->initrd, err);
	if (r == 0)
		r = check_readable("firmware", spec->firmware, err);
	for (size_t i = 0; r == 0 && i < spec->n_disks; i++)
		r = check_readable("disk", spec->disks[i]->path, err);
	for (size_t i = 0; r == 0 && i < spec->n_disks; i++)
		r = check_readable("base", spec->disks[i]->base_path, err);
	if (r < 0)
		return r;
	if (!has_machine(host, spec->machine))
		return mg_error_set(err, -ENOTSUP, "QEMU %s on this host has no machine '%s'",
				    host->qemu_version, spec->machine);
	if (strcmp(spec->accelerator, "kvm") == 0 && !host->has_kvm)
		return mg_error_set(err, -ENOTSUP, "this host has no KVM: take accelerator tcg");
	return 0;
}

static int launch_qemu(struct guest *g, const struct guest_host *host, enum guest_mode mode,
		       const struct guest_files *f, const struct launch_user *user,
		       struct mg_error *err)
{
	char **argv = qemu_args_make(host->qemu, g->spec, mode, &f->fds);
	int kept[4 + VM_NETWORKS_MAX] = { f->lock, f->fds.ram, f->fds.qmp, f->fds.console };
	struct launch l = {
		.argv = argv, .directory_fd = f->directory, .log_fd = f->log, .pid_fd = f->pid,
		.cgroup_fd = f->cgroup, .ram_fd = f->fds.ram, .ram_bytes = g->spec->memory_bytes,
		.kept = kept, .n_kept = 4, .user = user,
	};
	int report, r;

	if (!argv)
		return mg_error_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < g->spec->n_networks; i++)
		kept[l.n_kept++] = f->fds.taps[i];
	r = launch(&l, &g->pid, &g->pidfd, &report);
	qemu_args_free(argv);
	if (r < 0)
		return mg_error_set(err, r, "a process for QEMU: %s", strerror(-r));
	r = sd_event_add_io(g->loop, &g->report_source, report, EPOLLIN, on_launched, g);
	if (r < 0)
		close(report);
	else
		(void)sd_event_source_set_io_fd_own(g->report_source, true);
	if (r >= 0)
		r = watch_process(g);
	return r < 0 ? mg_error_set(err, r, "event loop: %s", strerror(-r)) : 0;
}

/* With the guest's own spec set. */
static int start(struct guest *g, const struct guest_host *host, enum guest_mode mode,
		 struct mg_error *err)
{
	struct guest_files files = GUEST_FILES_INIT;
	struct launch_user user;
	int r;

	r = vm_spec_check(g->spec, err);
	if (r == 0)
		r = guest_host_check(host, g->spec, err);
	if (r == 0 && host->user)
		r = launch_user_find(host->user, &user, err);
	if (r < 0)
		return r;
	r = disk_set_sizes(g->spec, err);
	if (r < 0)
		return r;
	r = guest_files_create(host, &g->paths, g->spec, host->user ? &user : NULL, &files, err);
	if (r == -EEXIST)
		return r;
	if (r == 0)
		r = launch_qemu(g, host, mode, &files, host->user ? &user : NULL, err);
	guest_files_close(&files);
	if (r < 0) {
		if (g->pidfd >= 0)
			guest_kill(g);
		guest_files_remove(host, &g->paths, false);
		return r;
	}
	connect_monitor(g);
	return 0;
}

int guest_start(sd_event *loop, const struct guest_host *host, const VmSpec *spec,
		enum guest_mode mode, const struct uuid *incarnation,
		const struct guest_handlers *handlers, void *userdata, struct guest **ret,
		struct mg_error *err)
{
	_cleanup_(guest_free_p) struct guest *g = NULL;
	int r;

	r = guest_new(loop, host, spec->name, incarnation, handlers, userdata, &g);
	if (r == 0) {
		g->spec = vm_spec_copy(spec);
		r = g->spec ? 0 : -ENOMEM;
	}
	if (r < 0)
		return mg_error_set(err, r, "out of memory");
	if (mode == GUEST_RUN)
		g->spec->memory_bytes = vm_spec_ram_bytes(spec, host->qemu_major);
	r = start(g, host, mode, err);
	if (r == 0)
		*ret = TAKE_PTR(g);
	return r;
}

static int find_again(struct guest *g, struct mg_error *err)
{
	int r = guest_files_read_spec(&g->paths, &g->spec, err);

	if (r == -ENOENT) /* there is no guest without one */
		return mg_error_set(err, -ESRCH, "its QEMU is no more");
	if (r < 0)
		return r;
	if (!g->spec->monitor)
		return guest_files_find_pid(&g->paths, &g->pid, &g->pidfd, err);
	r = guest_foreign_find(g->spec->monitor, &g->pid, &g->pidfd, err);
	return r == -ENOENT || r == -ECONNREFUSED ? -ESRCH : r;
}

int guest_attach(sd_event *loop, const struct guest_host *host, const VmSpec *spec,
		 const struct uuid *incarnation, const struct guest_handlers *handlers,
		 void *userdata, struct guest **ret, struct mg_error *err)
{
	_cleanup_(guest_free_p) struct guest *g = NULL;
	int r = guest_new(loop, host, spec->name, incarnation, handlers, userdata, &g);

	if (r == 0) {
		g->spec = vm_spec_copy(spec);
		r = g->spec ? 0 : -ENOMEM;
	}
	if (r < 0)
		return mg_error_set(err, r, "out of memory");
	r = guest_foreign_find(spec->monitor, &g->pid, &g->pidfd, err);
	if (r == 0)
		r = guest_files_create_foreign(host, &g->paths, spec, err);
	if (r < 0)
		return r;
	r = watch_process(g);
	if (r < 0)
		return mg_error_set(err, r, "event loop: %s", strerror(-r));
	connect_monitor(g);
	*ret = TAKE_PTR(g);
	return 0;
}

int guest_describe(struct guest *g, const VmSpec *spec, struct mg_error *err)
{
	VmSpec *copy = vm_spec_copy(spec);
	int r = copy ? guest_files_write_spec(&g->paths, spec, err)
		     : mg_error_set(err, -ENOMEM, "out of memory");

	if (r < 0) {
		vm_spec_free(copy);
		return r;
	}
	vm_spec_free(g->spec);
	g->spec = copy;
	guest_ram_forget(g);
	return 0;
}

int guest_adopt(sd_event *loop, const struct guest_host *host, const char *name,
		const struct uuid *incarnation, const struct guest_handlers *handlers,
		void *userdata, struct guest **ret, struct mg_error *err)
{
	_cleanup_(guest_free_p) struct guest *g = NULL;
	int r;

	if (!vm_name_is_valid(name))
		return mg_error_set(err, -EINVAL, "'%.64s' is not the name of a VM", name);
	r = guest_new(loop, host, name, incarnation, handlers, userdata, &g);
	if (r < 0)
		return mg_error_set(err, r, "out of memory");
	r = find_again(g, err);
	if (r < 0)
		return r;
	r = watch_process(g);
	if (r < 0)
		return mg_error_set(err, r, "event loop: %s", strerror(-r));
	connect_monitor(g);
	*ret = TAKE_PTR(g);
	return 0;
}

/* ---- Ending ---------------------------------------------------------------------- */

void guest_free(struct guest *g)
{
	bool alive;

	if (!g)
		return;
	alive = g->exit_source != NULL;
	sd_event_source_disable_unref(g->exit_source);
	sd_event_source_disable_unref(g->report_source);
	sd_event_source_disable_unref(g->timer);
	sd_event_source_disable_unref(g->quit_timer);
	sd_event_source_disable_unref(g->logs_timer);
	qmp_free(g->qmp);
	if (g->pidfd >= 0 && alive)
		reap_later(g->loop, g->pidfd);
	else if (g->pidfd >= 0)
		close(g->pidfd);
	vm_spec_free(g->spec);
	guest_paths_free(&g->paths);
	sd_event_unref(g->loop);
	free(g);
}

void guest_kill(struct guest *g)
{
	g->leaving = true;
	(void)pidfd_send_signal(g->pidfd, SIGKILL, NULL, 0);
}

static int on_quit_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)source;
	(void)usec;
	guest_kill(userdata);
	return 0;
}

void guest_quit(struct guest *g)
{
	g->leaving = true;
	if (!g->ready || qmp_command(g->qmp, "quit", NULL, QUIT_GRACE_NS, NULL, NULL) < 0)
		(void)pidfd_send_signal(g->pidfd, SIGTERM, NULL, 0);
	if (!g->quit_timer)
		(void)sd_event_add_time_relative(g->loop, &g->quit_timer, CLOCK_MONOTONIC,
						 QUIT_GRACE_NS / NS_PER_US, 1000, on_quit_timer, g);
}

void guest_remove_files(const struct guest_host *host, const char *name,
			const struct uuid *incarnation, bool ram_in_use)
{
	struct guest_paths paths;

	if (!vm_name_is_valid(name) || guest_paths_make(host, name, incarnation, &paths) < 0)
		return;
	guest_files_remove(host, &paths, ram_in_use);
	guest_paths_free(&paths);
}

/* ---- Asking ---------------------------------------------------------------------- */

struct qmp *guest_qmp(struct guest *g)
{
	return g->ready ? g->qmp : NULL;
}

const VmSpec *guest_spec(const struct guest *g)
{
	return g->spec;
}

const struct uuid *guest_incarnation(const struct guest *g)
{
	return &g->incarnation;
}

const char *guest_directory(const struct guest *g)
{
	return g->paths.directory;
}

pid_t guest_pid(const struct guest *g)
{
	return g->pid;
}

bool guest_was_heard_out(const struct guest *g)
{
	return g->heard_out;
}

const struct mg_error *guest_error(const struct guest *g)
{
	return &g->error;
}

uint64_t guest_ram_bytes(const struct guest *g)
{
	return g->spec->memory_bytes;
}

bool guest_is_foreign(const struct guest *g)
{
	return g->spec->monitor != NULL;
}

const char *guest_qemu_version(const struct guest *g)
{
	return g->version;
}

void guest_ram_forget(const struct guest *g)
{
	_cleanup_close_ int fd = guest_is_foreign(g) ? guest_ram_open(g) : -1;

	if (fd >= 0 && (ftruncate(fd, 0) < 0 || ftruncate(fd, (off_t)g->spec->memory_bytes) < 0))
		log_warning("guest", "vm=%s the copy of its RAM: %s", g->spec->name,
			    strerror(errno));
}

int guest_ram_open(const struct guest *g)
{
	int fd = open(g->paths.ram, O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int guest_ram_open_left(const struct guest_host *host, const char *name,
			const struct uuid *incarnation)
{
	struct guest_paths paths;
	int fd;

	if (guest_paths_make(host, name, incarnation, &paths) < 0)
		return -ENOMEM;
	fd = open(paths.ram, O_RDWR | O_CLOEXEC);
	fd = fd < 0 ? -errno : fd;
	guest_paths_free(&paths);
	return fd;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * With real QEMUs, one after the other.
 */
#include <criterion/criterion.h>
#include <criterion/options.h>
#include <fcntl.h>
#include <linux/if_bridge.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "migrator/guest_files.h"
#include "tests/unit/migrator/guest_fixture.h"
#include "tests/unit/migrator/huge_pages.h"

#define MIB (UINT64_C(1) << 20)

/* ---- Life -------------------------------------------------------------------- */

Test(guest, boots_and_quits)
{
	struct fixture f;
	struct stat st;
	int fd;

	setup(&f);
	start_ready(&f, GUEST_RUN);
	cr_assert_not_null(strstr(ask(&f, "query-status", NULL), "\"running\": true"), "%s", f.reply);
	/* Under TCG the size avoids the multiple that loses dirty pages. */
	cr_assert_eq(guest_ram_bytes(f.g), 64 * MIB - 8192);
	cr_assert_eq(guest_spec(f.g)->memory_bytes, 64 * MIB - 8192);
	cr_assert_not_null(strstr(ask(&f, "query-memory-size-summary", NULL), "67100672"), "%s",
			   f.reply);
	fd = guest_ram_open(f.g);
	cr_assert_geq(fd, 0);
	cr_assert_eq(fstat(fd, &st), 0);
	close(fd);
	cr_assert_eq((uint64_t)st.st_size, 64 * MIB - 8192);
	cr_assert_geq((uint64_t)st.st_blocks * 512, 64 * MIB - 8192, "it is reserved");
	quit(&f);
	teardown(&f);
}

Test(guest, everything_a_description_can_say)
{
	struct fixture f;
	char more[1024], command[256], *args;

	setup(&f);
	vm_spec_free(f.spec);
	snprintf(command, sizeof(command),
		 "qemu-img create -q -f qcow2 '%s/a, b.qcow2' 16M && truncate -s 1M '%s/c.raw'", f.dir,
		 f.dir);
	cr_assert_eq(system(command), 0);
	snprintf(more, sizeof(more),
		 "name: guest\nmemory: 96M\nvcpus: 2\ndisks:\n"
		 "  - {path: 'a, b.qcow2', format: qcow2}\n"
		 "  - {path: c.raw, format: raw, readonly: true}\n"
		 "extra: [-device, 'virtio-rng-pci,id=rng', -serial, 'file:serial.log']\n");
	cr_assert_eq(vm_spec_parse("vm.yaml", more, strlen(more), f.dir, &f.spec, &f.err), 0, "%s",
		     f.err.text);
	start_ready(&f, GUEST_RUN);
	ask(&f, "query-block", NULL);
	cr_assert_not_null(strstr(f.reply, "a, b.qcow2"), "%s", f.reply);
	cr_assert_not_null(strstr(f.reply, "c.raw"), "%s", f.reply);
	ask(&f, "query-cpus-fast", NULL);
	cr_assert_not_null(strstr(f.reply, "\"cpu-index\": 1"), "%s", f.reply);
	args = read_proc(&f, "cmdline");
	cr_assert_not_null(strstr(args, "-sandbox on,"));
	cr_assert_not_null(strstr(args, "suppress-vmdesc=on"));
	free(args);
	quit(&f);
	teardown(&f);
}

Test(guest, incoming_waits)
{
	struct fixture f;

	setup(&f);
	f.spec->memory_bytes = 64 * MIB - 16384; /* what the source says */
	start_ready(&f, GUEST_INCOMING);
	cr_assert_eq(guest_ram_bytes(f.g), 64 * MIB - 16384);
	cr_assert_not_null(strstr(ask(&f, "query-status", NULL), "inmigrate"), "%s", f.reply);
	quit(&f);
	teardown(&f);
}

Test(guest, the_guests_own_shutdown_is_no_error)
{
	struct fixture f;

	setup(&f);
	start_ready(&f, GUEST_RUN);
	cr_assert_eq(qmp_command(guest_qmp(f.g), "quit", NULL, NS_PER_S, NULL, NULL), 0);
	cr_assert(run_until(&f, &f.exited, 1));
	cr_assert_geq(f.events, 1);
	cr_assert_eq(guest_error(f.g)->code, 0, "%s", guest_error(f.g)->text);
	teardown(&f);
}

Test(guest, a_killed_qemu_is_an_error)
{
	struct fixture f;

	setup(&f);
	start_ready(&f, GUEST_RUN);
	kill(guest_pid(f.g), SIGKILL);
	cr_assert(run_until(&f, &f.exited, 1));
	cr_assert_eq(guest_error(f.g)->code, -EIO);
	cr_assert_not_null(strstr(guest_error(f.g)->text, "signal 9"), "%s", guest_error(f.g)->text);
	cr_assert_null(guest_qmp(f.g));
	teardown(&f);
}

Test(guest, one_that_does_not_quit_is_killed)
{
	struct fixture f;

	setup(&f);
	start_ready(&f, GUEST_RUN);
	kill(guest_pid(f.g), SIGSTOP);
	quit(&f);
	teardown(&f);
}

/* ---- Refusals ------------------------------------------------------------------ */

static void expect_refused(const char *more, int code, const char *says)
{
	static char machine[] = "pc-i440fx-7.2";
	static char *machines[] = { machine, NULL };
	struct fixture f;
	int r;

	setup_with(&f, more);
	if (strstr(says, "no machine"))
		f.host.machine_types = machines;
	r = start(&f, GUEST_RUN);
	f.host.machine_types = NULL;
	cr_assert_eq(r, code, "%s: %d %s", more, r, f.err.text);
	cr_assert_not_null(strstr(f.err.text, says), "%s", f.err.text);
	assert_nothing_left(&f);
	teardown(&f);
}

Test(guest, what_the_host_lacks_is_refused_and_leaves_nothing)
{
	expect_refused("kernel: /no/vmlinuz\n", -ENOENT, "kernel '/no/vmlinuz'");
	expect_refused("firmware: /no/bios\n", -ENOENT, "firmware '/no/bios'");
	expect_refused("disks: [{path: /no/disk, format: raw}]\n", -ENOENT, "disk '/no/disk'");
	expect_refused("machine: pc-q35-7.2\n", -ENOTSUP, "no machine 'pc-q35-7.2'");
	expect_refused("accelerator: kvm\n", -ENOTSUP, "no KVM");
	expect_refused("networks: [{bridge: no-bridge, mac: '52:54:00:00:00:01'}]\n", -ENODEV,
		       "no bridge 'no-bridge'");
}

Test(guest, an_unknown_user_is_refused)
{
	struct fixture f;

	setup(&f);
	f.host.user = "no-such-user";
	cr_assert_eq(start(&f, GUEST_RUN), -ESRCH);
	assert_nothing_left(&f);
	teardown(&f);
}

Test(guest, an_incarnation_is_used_once)
{
	struct fixture f;
	struct guest *second = NULL;

	setup(&f);
	start_ready(&f, GUEST_RUN);
	cr_assert_eq(guest_start(f.loop, &f.host, f.spec, GUEST_RUN, &f.incarnation, &handlers, &f,
				 &second, &f.err), -EEXIST);
	cr_assert_not_null(strstr(ask(&f, "query-status", NULL), "running"));
	quit(&f);
	teardown(&f);
}

Test(guest, qemus_own_words_are_passed_on)
{
	struct fixture f;

	setup_with(&f, "extra: [-device, no-such-device]\n");
	cr_assert_eq(start(&f, GUEST_RUN), 0);
	cr_assert(run_until(&f, &f.exited, 1));
	cr_assert_eq(f.ready, 0);
	cr_assert_eq(guest_error(f.g)->code, -EIO);
	cr_assert_str_eq(guest_error(f.g)->text,
			 "-device no-such-device: 'no-such-device' is not a valid device model name");
	teardown(&f);
}

Test(guest, a_program_that_is_not_there)
{
	struct fixture f;

	setup(&f);
	f.host.qemu = "/no/qemu";
	cr_assert_eq(start(&f, GUEST_RUN), 0);
	cr_assert(run_until(&f, &f.exited, 1));
	cr_assert_eq(guest_error(f.g)->code, -ENOENT, "%s", guest_error(f.g)->text);
	teardown(&f);
}

Test(guest, no_room_for_the_ram)
{
	struct fixture f;

	if (unshare(CLONE_NEWNS) < 0)
		cr_skip_test("mount namespaces need root");
	setup(&f);
	cr_assert_eq(mkdir(f.ram_dir, 0700), 0);
	cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	cr_assert_eq(mount("tmpfs", f.ram_dir, "tmpfs", 0, "size=16m"), 0);
	cr_assert_eq(start(&f, GUEST_RUN), 0, "%s", f.err.text);
	cr_assert(run_until(&f, &f.exited, 1));
	cr_assert_eq(guest_error(f.g)->code, -ENOSPC);
	cr_assert_str_eq(guest_error(f.g)->text, "reserving the RAM: No space left on device");
	guest_remove_files(&f.host, "guest", &f.incarnation, false);
	assert_nothing_left(&f);
	cr_assert_eq(umount2(f.ram_dir, MNT_DETACH), 0); /* its last pages may be going still */
	teardown(&f);
}

static bool has_ram_in(const struct fixture *f, const char *directory)
{
	char start[128];
	struct stat st;
	_cleanup_close_ int fd = guest_ram_open(f->g);
	char link[64], target[256];
	ssize_t n;

	snprintf(start, sizeof(start), "%s/guest.", directory);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, target, sizeof(target) - 1);
	cr_assert_gt(n, 0);
	target[n] = '\0';
	cr_assert_eq(fstat(fd, &st), 0);
	cr_assert_eq((uint64_t)st.st_size, guest_ram_bytes(f->g));
	return strncmp(target, start, strlen(start)) == 0;
}

/* A guest that does not move needs no size that does not lose pages: so this one is told
 * that its QEMU is of those that lose none. */
Test(guest, ram_goes_into_huge_pages_where_it_fits)
{
	static const int pages = 64 / 2; /* for one of two */
	struct fixture f;
	char huge[96];

	if (unshare(CLONE_NEWNS) < 0)
		cr_skip_test("mount namespaces need root");
	huge_pages_allow(pages);
	setup(&f);
	snprintf(huge, sizeof(huge), "%s/huge", f.dir);
	cr_assert_eq(mkdir(huge, 0700), 0);
	cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	cr_assert_eq(mount("none", huge, "hugetlbfs", 0, "pagesize=2M"), 0);
	f.host.huge_page_dir = huge;
	f.host.qemu_major = 9;
	start_ready(&f, GUEST_RUN);
	cr_assert(has_ram_in(&f, huge));
	cr_assert_not_null(strstr(ask(&f, "query-memory-size-summary", NULL), "67108864"), "%s",
			   f.reply);
	guest_free(f.g); /* as a daemon that restarts */
	f.ready = 0;
	cr_assert_eq(adopt(&f), 0, "%s", f.err.text);
	cr_assert(run_until(&f, &f.ready, 1));
	cr_assert(has_ram_in(&f, huge));
	quit(&f);
	cr_assert_eq(entries_in(huge), 0);

	f.host.qemu_major = 7; /* what it is: the size is not whole pages, and they are not used */
	f.incarnation = uuid_random();
	f.exited = f.ready = 0;
	start_ready(&f, GUEST_RUN);
	cr_assert(has_ram_in(&f, f.ram_dir));
	quit(&f);

	huge_pages_allow(-pages); /* none is left, and they are not used */
	f.host.qemu_major = 9;
	f.incarnation = uuid_random();
	f.exited = f.ready = 0;
	start_ready(&f, GUEST_RUN);
	cr_assert(has_ram_in(&f, f.ram_dir));
	cr_assert_eq(entries_in(huge), 0);
	quit(&f);
	cr_assert_eq(umount2(huge, MNT_DETACH), 0);
	teardown(&f);
}

Test(guest, logs_are_kept_within_bounds)
{
	struct fixture f;
	struct guest_paths paths;
	int fd;

	setup(&f);
	start_ready(&f, GUEST_RUN);
	cr_assert_eq(guest_paths_make(&f.host, "guest", &f.incarnation, &paths), 0);
	cr_assert_eq(chdir(guest_directory(f.g)), 0);
	cr_assert_eq(truncate("console.log", GUEST_LOG_MAX), 0);
	cr_assert_eq(truncate("qemu.log", GUEST_LOG_MAX + 1), 0);
	guest_files_limit_logs(&paths);
	cr_assert_eq(stat_in(&f, "console.log").st_size, GUEST_LOG_MAX);
	cr_assert_eq(stat_in(&f, "qemu.log").st_size, 0);
	/* A guest that has put something else in its place hurts nobody. */
	fd = open("victim", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	cr_assert_eq(ftruncate(fd, 2 * GUEST_LOG_MAX), 0);
	close(fd);
	cr_assert_eq(unlink("serial.log"), 0);
	cr_assert_eq(symlink("victim", "serial.log"), 0);
	guest_files_limit_logs(&paths);
	cr_assert_eq(stat_in(&f, "victim").st_size, 2 * GUEST_LOG_MAX);
	guest_paths_free(&paths);
	cr_assert_eq(chdir("/"), 0);
	quit(&f);
	teardown(&f);
}

/* ---- The daemon comes and goes --------------------------------------------------- */

Test(guest, is_forgotten_and_adopted)
{
	struct fixture f;
	pid_t pid;

	setup(&f);
	start_ready(&f, GUEST_RUN);
	pid = guest_pid(f.g);
	guest_free(TAKE_PTR(f.g));
	cr_assert_eq(adopt(&f), 0, "%s", f.err.text);
	cr_assert_eq(guest_pid(f.g), pid);
	cr_assert_str_eq(guest_spec(f.g)->name, "guest");
	cr_assert_eq(guest_ram_bytes(f.g), 64 * MIB - 8192);
	cr_assert(run_until(&f, &f.ready, 2));
	cr_assert_not_null(strstr(ask(&f, "query-status", NULL), "running"));
	quit(&f);
	cr_assert_eq(waitpid(pid, NULL, WNOHANG), -1, "it has been reaped");
	cr_assert_eq(adopt(&f), -ESRCH);
	teardown(&f);
}

Test(guest, survives_kill_9_of_the_daemon)
{
	struct fixture f;
	int pipe_fds[2];
	pid_t daemon;
	char byte;

	setup(&f);
	/* The guest comes to us when its parent dies, as it would to init. */
	cr_assert_eq(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
	cr_assert_eq(pipe2(pipe_fds, O_CLOEXEC), 0);
	daemon = fork();
	if (daemon == 0) {
		sd_event *loop;

		sd_event_new(&loop);
		f.loop = loop;
		if (start(&f, GUEST_RUN) < 0 || !run_until(&f, &f.ready, 1) ||
		    write(pipe_fds[1], "!", 1) != 1)
			_exit(1);
		pause();
	}
	close(pipe_fds[1]);
	cr_assert_eq(read(pipe_fds[0], &byte, 1), 1);
	close(pipe_fds[0]);
	kill(daemon, SIGKILL);
	waitpid(daemon, NULL, 0);
	cr_assert_eq(adopt(&f), 0, "%s", f.err.text);
	cr_assert(run_until(&f, &f.ready, 1));
	cr_assert_not_null(strstr(ask(&f, "query-status", NULL), "running"));
	quit(&f);
	teardown(&f);
}

/* Breaks the connection of this process to the monitor. */
static bool break_monitor(void)
{
	for (int fd = 3; fd < 256; fd++) {
		struct sockaddr_un peer = { 0 };
		socklen_t len = sizeof(peer);

		if (getpeername(fd, (struct sockaddr *)&peer, &len) == 0 &&
		    peer.sun_family == AF_UNIX && strstr(peer.sun_path, "/qmp.sock"))
			return shutdown(fd, SHUT_RDWR) == 0;
	}
	return false;
}

Test(guest, a_lost_monitor_is_found_again)
{
	struct fixture f;

	setup(&f);
	start_ready(&f, GUEST_RUN);
	cr_assert(break_monitor());
	cr_assert(run_until(&f, &f.ready, 2));
	cr_assert_not_null(strstr(ask(&f, "query-status", NULL), "running"));
	cr_assert_eq(f.exited, 0);
	quit(&f);
	teardown(&f);
}

/* ---- What it is part of ------------------------------------------------------------- */

static const char *find_cgroup2(void)
{
	static const char *const places[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		char path[128];

		snprintf(path, sizeof(path), "%s/cgroup.controllers", places[i]);
		if (access(path, R_OK) == 0 && access(places[i], W_OK) == 0)
			return places[i];
	}
	return NULL;
}

Test(guest, has_a_cgroup_of_its_own)
{
	const char *root = find_cgroup2();
	struct fixture f;
	char mine[128], *cgroup;

	snprintf(mine, sizeof(mine), "%s/test_guest.%d", root ? root : "", (int)getpid());
	if (!root || mkdir(mine, 0755) < 0)
		cr_skip_test("no cgroup2 directory that we may write to");
	setup(&f);
	f.host.cgroup_root = mine;
	start_ready(&f, GUEST_RUN);
	cgroup = read_proc(&f, "cgroup");
	cr_assert_not_null(strstr(cgroup, strrchr(mine, '/')), "%s", cgroup);
	cr_assert_not_null(strstr(cgroup, "/guest."), "%s", cgroup);
	free(cgroup);
	quit(&f);
	cr_assert_eq(rmdir(mine), 0, "the guest's is gone: %s", strerror(errno));
	teardown(&f);
}

Test(guest, a_cgroup_that_is_none_is_refused)
{
	struct fixture f;

	setup(&f);
	f.host.cgroup_root = f.dir;
	cr_assert_eq(start(&f, GUEST_RUN), -ENOENT);
	cr_assert_not_null(strstr(f.err.text, "no cgroup2 directory"), "%s", f.err.text);
	assert_nothing_left(&f);
	teardown(&f);
}

Test(guest, networks_are_taps_on_bridges)
{
	static const char bridge[] = "br-test";
	struct fixture f;
	int control;

	if (unshare(CLONE_NEWNET) < 0)
		cr_skip_test("network namespaces need root");
	control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (ioctl(control, SIOCBRADDBR, bridge) < 0 || access("/dev/net/tun", R_OK | W_OK) < 0)
		cr_skip_test("no bridges or no /dev/net/tun here");
	setup_with(&f, "networks: [{bridge: br-test, mac: '52:54:00:00:00:01'}, "
		       "{bridge: br-test, mac: '52:54:00:00:00:02'}]\n");
	start_ready(&f, GUEST_RUN);
	cr_assert(if_nametoindex("tgl0") && if_nametoindex("tgl1"));
	ask(&f, "query-rx-filter", json_pack("{s:s}", "name", "nic1"));
	cr_assert_not_null(strstr(f.reply, "52:54:00:00:00:02"), "%.200s", f.reply);
	int ports[8] = { 0 }, n = 0;
	unsigned long args[4] = { BRCTL_GET_PORT_LIST, (unsigned long)ports, 8, 0 };
	struct ifreq ifr = { .ifr_data = (void *)args };
	strcpy(ifr.ifr_name, bridge);
	cr_assert_geq(ioctl(control, SIOCDEVPRIVATE, &ifr), 0);
	for (int i = 0; i < 8; i++)
		n += ports[i] != 0;
	cr_assert_eq(n, 2, "both taps are ports of the bridge");
	quit(&f);
	cr_assert_eq(if_nametoindex("tgl0"), 0, "gone with QEMU");
	close(control);
	teardown(&f);
}

/* ---- The host ----------------------------------------------------------------------- */

Test(guest, probes_the_host)
{
	struct fixture f;
	bool found = false;

	setup(&f);
	cr_assert_eq(guest_host_probe(&f.host, &f.err), 0, "%s", f.err.text);
	cr_assert_geq(f.host.qemu_major, 5);
	cr_assert_eq((unsigned)atoi(f.host.qemu_version), f.host.qemu_major);
	cr_assert_not_null(strchr(f.host.qemu_version, '.'));
	for (char **p = f.host.machine_types; *p; p++)
		found |= strcmp(*p, "pc-q35-7.2") == 0;
	cr_assert(found);
	teardown(&f);
}

/* A directory as a power loss leaves it; its id ends in `digit`. */
static void leave(const struct fixture *f, const char *name, char digit, bool with_pid)
{
	char command[1024];

	snprintf(command, sizeof(command),
		 "d='%s/vm/%s/00000000-0000-4000-8000-00000000000%c'; mkdir -p \"$d\" && "
		 ">\"$d/qemu.log\" && %s && >'%s/%s.00000000-0000-4000-8000-00000000000%c'",
		 f->state_dir, name, digit, with_pid ? "echo 1 >\"$d/pid\"" : "true", f->ram_dir,
		 name, digit);
	cr_assert_eq(system(command), 0);
}

static void rename_left(const struct fixture *f, const char *name, const char *id, const char *to)
{
	char from_path[256], to_path[256];

	snprintf(from_path, sizeof(from_path), "%s/vm/%s/%s", f->state_dir, name, id);
	snprintf(to_path, sizeof(to_path), "%s/vm/%s/%s", f->state_dir, name, to);
	cr_assert_eq(rename(from_path, to_path), 0);
}

static bool is_there(const char *dir, const char *rest)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, rest);
	return access(path, F_OK) == 0;
}

/* Of those without a QEMU all but the one whose id ends in 3. */
static bool is_lost(const char *name, const struct uuid *incarnation, void *userdata)
{
	cr_assert(vm_name_is_valid(name));
	++*(unsigned *)userdata;
	return incarnation->bytes[15] != 3;
}

Test(guest, what_is_left_is_swept_and_a_living_one_is_not)
{
	struct fixture f;
	unsigned asked = 0;

	setup(&f);
	start_ready(&f, GUEST_RUN);
	leave(&f, "guest", '1', true);  /* beside the living one's */
	leave(&f, "lost", '2', false);
	leave(&f, "known", '3', true);
	leave(&f, "..odd name", '4', true); /* no VM can be called that */
	leave(&f, "more", '5', true);
	rename_left(&f, "more", "00000000-0000-4000-8000-000000000005", "other-than-an-id");
	guest_sweep(&f.host, is_lost, &asked);
	cr_assert_eq(asked, 3);
	cr_assert_not(is_there(f.state_dir, "vm/guest/00000000-0000-4000-8000-000000000001"));
	cr_assert_not(is_there(f.ram_dir, "guest.00000000-0000-4000-8000-000000000001"));
	cr_assert_not(is_there(f.state_dir, "vm/lost/00000000-0000-4000-8000-000000000002"));
	cr_assert(is_there(f.state_dir, "vm/known/00000000-0000-4000-8000-000000000003/pid"));
	cr_assert(is_there(f.ram_dir, "known.00000000-0000-4000-8000-000000000003"));
	cr_assert(is_there(f.state_dir, "vm/..odd name"));
	cr_assert(is_there(f.state_dir, "vm/more/other-than-an-id/qemu.log"));
	cr_assert_eq(access(guest_directory(f.g), F_OK), 0);
	cr_assert_not_null(strstr(ask(&f, "query-status", NULL), "\"status\": \"running\""));
	guest_quit(f.g);
	cr_assert(run_until(&f, &f.exited, 1));
	teardown(&f);
}

Test(guest, a_binary_that_is_not_qemu)
{
	struct fixture f;

	setup(&f);
	f.host.qemu = "/no/qemu";
	cr_assert_eq(guest_host_probe(&f.host, &f.err), -ENOENT);
	f.host.qemu = "true";
	cr_assert_eq(guest_host_probe(&f.host, &f.err), -EPROTO);
	cr_assert_not_null(strstr(f.err.text, "is it QEMU?"), "%s", f.err.text);
	f.host.qemu = "false";
	cr_assert_eq(guest_host_probe(&f.host, &f.err), -EIO);
	teardown(&f);
}

/* One QEMU at a time. */
int main(int argc, char **argv)
{
	struct criterion_test_set *tests = criterion_initialize();
	int ok;

	criterion_options.jobs = 1;
	ok = !criterion_handle_args(argc, argv, true) || criterion_run_all_tests(tests);
	criterion_finalize(tests);
	return !ok;
}

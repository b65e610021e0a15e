/* SPDX-License-Identifier: Apache-2.0
 *
 * One guest on this host: its directory, RAM file, QEMU process and monitor.
 *
 * A guest's QEMU is not ours to lose: it is started detached (own session, own
 * cgroup where the host allows it, own user when configured) and survives this
 * daemon; guest_adopt() finds it again. Everything about it lies in one
 * directory, which is QEMU's working directory:
 *
 *     STATE_DIR/vm/NAME/INCARNATION/   qmp.sock console.sock console.log
 *                                      qemu.log pid spec (packed VmSpec)
 *                                      arrival (arrival.h), disk0.qcow2 (disk.h)
 *     RAM_DIR/NAME.INCARNATION         the RAM file (tmpfs)
 *     CGROUP_ROOT/NAME.INCARNATION     its cgroup
 *
 * `pid` is locked (flock) by QEMU itself, which inherits the descriptor: while
 * the lock is held the guest lives, whatever the daemon has been through.
 *
 * Every incarnation has a RAM file of its own: an old QEMU may still map the
 * last one.
 *
 * A spec with a `monitor` is of a QEMU that somebody else has started. Of the files above it
 * has `spec` and a RAM file, which QEMU does not map: it is our copy of what was moved.
 */
#ifndef MIGRATOR_GUEST_H
#define MIGRATOR_GUEST_H

#include <stdbool.h>

#include "common/uuid.h"
#include "migrator/qmp.h"
#include "migrator/vm_spec.h"

struct guest_host { /* what this host gives to guests; from migratord's configuration */
	const char *state_dir;
	const char *ram_dir;      /* a tmpfs, "/dev/shm/tagalong" */
	const char *huge_page_dir; /* a hugetlbfs, for the RAM that fits there; NULL: none */
	const char *qemu;         /* the binary */
	const char *user;         /* QEMU runs as this user; NULL: as ours */
	const char *cgroup_root;  /* a delegated cgroup2 directory; NULL: none */
	char qemu_version[32];    /* probed by guest_host_probe() */
	unsigned qemu_major;
	char **machine_types;     /* NULL-terminated, probed */
	bool has_kvm;             /* vmx or svm in the CPU flags and a /dev/kvm that opens */
};

/* Asks the QEMU binary for its version and machine types, and the host for KVM.
 * Takes a moment: done once at start. */
int guest_host_probe(struct guest_host *host, struct mg_error *err);

/* Whether this host has what a VM needs: machine type, accelerator, files. */
int guest_host_check(const struct guest_host *host, const VmSpec *spec, struct mg_error *err);

/* Whether the kernel lets a QEMU of this host, which has no capabilities, hear of its guest's page
 * faults, as far as can be told before it tries: userfaultfd(2). From 8.0 on QEMU opens the device
 * for that, if it may. */
bool guest_host_has_faults(const struct guest_host *host);

/* Frees what the probe found. */
void guest_host_release(struct guest_host *host);

struct guest;

struct guest_handlers {
	/* The monitor answers; for a started guest once, after a reconnect again. */
	void (*on_ready)(struct guest *g, void *userdata);
	/* STOP, RESUME, MIGRATION, SHUTDOWN and all other events. */
	void (*on_event)(struct guest *g, const char *event, json_t *data, uint64_t utc_ns,
			 void *userdata);
	/* QEMU is gone, or never came up; guest_error() says why. The guest may be
	 * freed here, as in the other two. */
	void (*on_exit)(struct guest *g, void *userdata);
};

enum guest_mode {
	GUEST_RUN,      /* boot it */
	GUEST_INCOMING, /* -incoming defer -S: wait for guest_qmp() to say more */
};

/* Starts QEMU. Checks, files, taps and the process are made before this returns,
 * and their failure is told at once, with nothing left behind; then on_ready
 * follows, or on_exit. The RAM is reserved (fallocate) by the new process from
 * inside the VM's cgroup, since tmpfs pages are charged to whoever touches them
 * first; -ENOSPC comes with on_exit.
 *
 * With GUEST_RUN the RAM size is vm_spec_ram_bytes(); with GUEST_INCOMING it is
 * spec->memory_bytes as it is: the source's guest_spec() has the size that the
 * guest really has. */
int guest_start(sd_event *loop, const struct guest_host *host, const VmSpec *spec,
		enum guest_mode mode, const struct uuid *incarnation,
		const struct guest_handlers *handlers, void *userdata, struct guest **ret,
		struct mg_error *err);

/* Takes up with a QEMU that somebody else has started, by spec->monitor. on_ready follows once
 * its monitor has time for us. -ENOENT, -ECONNREFUSED: nobody listens there. */
int guest_attach(sd_event *loop, const struct guest_host *host, const VmSpec *spec,
		 const struct uuid *incarnation, const struct guest_handlers *handlers,
		 void *userdata, struct guest **ret, struct mg_error *err);

/* Writes down what is known of such a guest by now: guest_adopt() will read it. */
int guest_describe(struct guest *g, const VmSpec *spec, struct mg_error *err);

/* Whether somebody else has started it. */
bool guest_is_foreign(const struct guest *g);

/* Gives back the memory of the copy of a foreign guest's RAM; does nothing to our own. */
void guest_ram_forget(const struct guest *g);

/* "7.2.22"; "" until the monitor answered. */
const char *guest_qemu_version(const struct guest *g);

/* Finds a guest that an earlier run of the daemon started; on_ready follows when
 * its monitor answers. -ESRCH when its QEMU is no more (the directory is left for
 * the caller to judge). */
int guest_adopt(sd_event *loop, const struct guest_host *host, const char *name,
		const struct uuid *incarnation, const struct guest_handlers *handlers,
		void *userdata, struct guest **ret, struct mg_error *err);

/* Forgets the guest; its QEMU runs on. NULL is fine. */
void guest_free(struct guest *g);
DEFINE_CLEANUP(struct guest, guest_free)

/* Makes QEMU quit (QMP, then SIGKILL after a grace time); on_exit follows. What
 * the guest had not written to its disks stays unwritten. */
void guest_quit(struct guest *g);

/* SIGKILL at once; on_exit follows. */
void guest_kill(struct guest *g);

/* Removes directory, cgroup and RAM file of a guest whose QEMU is gone;
 * ram_in_use: somebody still reads the RAM file's memory, so only its name goes. */
void guest_remove_files(const struct guest_host *host, const char *name,
			const struct uuid *incarnation, bool ram_in_use);

/* Goes through the directories of all guests below STATE_DIR/vm. For each whose QEMU
 * is certainly gone `is_lost` says whether nobody knows it; then directory, cgroup
 * and RAM file are removed. What is not named as a guest's directory is let be. */
typedef bool (*guest_lost_fn)(const char *name, const struct uuid *incarnation, void *userdata);
void guest_sweep(const struct guest_host *host, guest_lost_fn is_lost, void *userdata);

struct qmp *guest_qmp(struct guest *g); /* NULL while not connected */
const VmSpec *guest_spec(const struct guest *g); /* memory_bytes is what it really has */
const struct uuid *guest_incarnation(const struct guest *g);
const char *guest_directory(const struct guest *g);
pid_t guest_pid(const struct guest *g);

/* Why it is gone, in QEMU's own words (the end of its log) where there are any;
 * code is 0 while it lives and after it was told to quit. */
const struct mg_error *guest_error(const struct guest *g);

/* Once it is gone: whether it has said nothing that was not heard, on a monitor that it closed itself
 * by its end. QEMU says RESUME before the guest's first instruction (softmmu/cpus.c,
 * vm_prepare_start()), so a guest of which that was not heard has not run. */
bool guest_was_heard_out(const struct guest *g);

/* The size of its RAM and a fresh descriptor of the RAM file, which the caller closes. */
uint64_t guest_ram_bytes(const struct guest *g);
int guest_ram_open(const struct guest *g);

/* The same for a guest whose QEMU is gone, until its files are removed. */
int guest_ram_open_left(const struct guest_host *host, const char *name,
			const struct uuid *incarnation);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/qemu_args.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "migrator/disk.h"

struct args {
	char **list;
	size_t n, room;
	bool failed;
};

/* Takes the string over. */
static void add_taken(struct args *a, char *text)
{
	if (a->n + 1 >= a->room) {
		size_t room = a->room * 2 + 64;
		char **bigger = reallocarray(a->list, room, sizeof(*bigger));

		if (bigger) {
			a->list = bigger;
			a->room = room;
		} else {
			a->failed = true;
		}
	}
	if (!text || a->failed) {
		free(text);
		a->failed = true;
		return;
	}
	a->list[a->n++] = text;
	a->list[a->n] = NULL;
}

static void add(struct args *a, const char *text)
{
	add_taken(a, strdup(text));
}

/* An option and its value. */
__attribute__((format(printf, 3, 4))) static void
add_option(struct args *a, const char *option, const char *format, ...)
{
	va_list list;
	char *value;

	add(a, option);
	va_start(list, format);
	if (vasprintf(&value, format, list) < 0)
		value = NULL;
	va_end(list);
	add_taken(a, value);
}

/* JSON, because a path may contain what QEMU's own syntax gives a meaning. The
 * object is taken over. */
static void add_json(struct args *a, const char *option, json_t *object)
{
	add(a, option);
	add_taken(a, object ? json_dumps(object, JSON_COMPACT) : NULL);
	json_decref(object);
}

static void add_machine(struct args *a, const VmSpec *spec)
{
	/* suppress-vmdesc: 100 KB of JSON at the end of the stream that nobody reads. */
	add_option(a, "-machine",
		   "%s,memory-backend=%s,suppress-vmdesc=on,dump-guest-core=off", spec->machine,
		   vm_spec_ram_block(spec));
	add_option(a, "-accel", "%s", spec->accelerator);
	add_option(a, "-cpu", "%s", spec->cpu);
	add_option(a, "-smp", "cpus=%" PRIu32 ",maxcpus=%" PRIu32, spec->vcpus, spec->vcpus);
}

/* Where QEMU maps a file is a multiple of 4 KiB only, and huge pages of a tmpfs are then mapped
 * as small ones, each of which is a fault. The file system says what its pages are. */
static unsigned long alignment_of(int ram)
{
	struct stat st;

	return fstat(ram, &st) == 0 && st.st_blksize > 0 ? (unsigned long)st.st_blksize
							 : (unsigned long)sysconf(_SC_PAGESIZE);
}

static void add_memory(struct args *a, const VmSpec *spec, const struct qemu_fds *fds)
{
	add_option(a, "-m", "size=%" PRIu64 "K", spec->memory_bytes >> 10);
	add_option(a, "-object",
		   "memory-backend-file,id=%s,size=%" PRIu64 ",align=%lu,share=on,"
		   "mem-path=/proc/self/fd/%d",
		   vm_spec_ram_block(spec), spec->memory_bytes, alignment_of(fds->ram), fds->ram);
}

static void add_monitor(struct args *a, const struct qemu_fds *fds)
{
	add_option(a, "-chardev", "socket,id=qmp,fd=%d,server=on,wait=off", fds->qmp);
	add_option(a, "-mon", "chardev=qmp,mode=control");
}

static void add_console(struct args *a, const struct qemu_fds *fds)
{
	add_option(a, "-device", "virtio-serial-pci,id=serial0");
	add_option(a, "-chardev",
		   "socket,id=console,fd=%d,server=on,wait=off,logfile=console.log,logappend=on",
		   fds->console);
	add_option(a, "-device", "virtconsole,chardev=console,id=console0");
}

static void add_boot(struct args *a, const VmSpec *spec)
{
	if (spec->firmware)
		add_option(a, "-bios", "%s", spec->firmware);
	if (spec->kernel)
		add_option(a, "-kernel", "%s", spec->kernel);
	if (spec->initrd)
		add_option(a, "-initrd", "%s", spec->initrd);
	if (spec->cmdline)
		add_option(a, "-append", "%s", spec->cmdline);
}

/* Locks stay at QEMU's defaults: they keep two running guests off one image. */
static void add_disk(struct args *a, const Tagalong__Disk *disk, size_t i)
{
	char file[32], node[32];

	snprintf(file, sizeof(file), "file%zu", i);
	snprintf(node, sizeof(node), "disk%zu", i);
	add_json(a, "-blockdev",
		 json_pack("{s:s, s:s, s:s, s:b}", "driver", "file", "filename", disk->path,
			   "node-name", file, "read-only", disk->readonly));
	add_json(a, "-blockdev",
		 json_pack("{s:s, s:s, s:s, s:b}", "driver", disk->format, "file", file,
			   "node-name", node, "read-only", disk->readonly));
	add_option(a, "-device", "virtio-blk-pci,drive=%s,id=vd%zu", node, i);
}

/* The base is given as a node of its own, and not by the name that is in the overlay. */
static void add_overlay(struct args *a, const Tagalong__Disk *disk, size_t i)
{
	char name[DISK_NAME_SIZE], base_file[32], base[32], file[32], node[32];

	snprintf(base_file, sizeof(base_file), "basefile%zu", i);
	snprintf(base, sizeof(base), "base%zu", i);
	snprintf(file, sizeof(file), "file%zu", i);
	snprintf(node, sizeof(node), "disk%zu", i);
	if (disk->base_path) {
		add_json(a, "-blockdev",
			 json_pack("{s:s, s:s, s:s, s:b}", "driver", "file", "filename", disk->base_path,
				   "node-name", base_file, "read-only", 1));
		add_json(a, "-blockdev",
			 json_pack("{s:s, s:s, s:s, s:b}", "driver", disk->format, "file", base_file,
				   "node-name", base, "read-only", 1));
	}
	add_json(a, "-blockdev",
		 json_pack("{s:s, s:s, s:s, s:s}", "driver", "file", "filename",
			   disk_overlay_name(i, name), "node-name", file, "discard", "unmap"));
	add_json(a, "-blockdev",
		 json_pack("{s:s, s:s, s:s, s:s, s:o}", "driver", "qcow2", "file", file,
			   "node-name", node, "discard", "unmap", "backing",
			   disk->base_path ? json_string(base) : json_null()));
	add_option(a, "-device", "virtio-blk-pci,drive=%s,id=vd%zu", node, i);
}

/* romfile=: no boot ROM, which would be one more block of memory to move. */
static void add_network(struct args *a, const Tagalong__Network *network, int tap, size_t i)
{
	add_option(a, "-netdev", "tap,id=net%zu,fd=%d,vhost=off", i, tap);
	add_option(a, "-device", "virtio-net-pci,netdev=net%zu,mac=%s,id=nic%zu,romfile=", i,
		   network->mac, i);
}

char **qemu_args_make(const char *qemu, const VmSpec *spec, enum guest_mode mode,
		      const struct qemu_fds *fds)
{
	struct args a = { 0 };

	add(&a, qemu);
	add_option(&a, "-name", "guest=%s,process=vm-%.12s", spec->name, spec->name);
	add(&a, "-no-user-config");
	add(&a, "-nodefaults");
	add_option(&a, "-vga", "none");
	add_option(&a, "-display", "none");
	add_option(&a, "-msg", "timestamp=on");
	add_option(&a, "-sandbox",
		   "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
	add_machine(&a, spec);
	add_memory(&a, spec, fds);
	add_monitor(&a, fds);
	add_console(&a, fds);
	add_boot(&a, spec);
	for (size_t i = 0; i < spec->n_disks; i++)
		(disk_moves(spec->disks[i]) ? add_overlay : add_disk)(&a, spec->disks[i], i);
	for (size_t i = 0; i < spec->n_networks; i++)
		add_network(&a, spec->networks[i], fds->taps[i], i);
	for (size_t i = 0; i < spec->n_extra; i++)
		add(&a, spec->extra[i]);
	if (mode == GUEST_INCOMING) {
		add_option(&a, "-incoming", "defer");
		add(&a, "-S");
	}
	if (a.failed) {
		qemu_args_free(a.list);
		return NULL;
	}
	return a.list;
}

void qemu_args_free(char **args)
{
	for (char **p = args; p && *p; p++)
		free(*p);
	free(args);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/preflight.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "common/units.h"
#include "migrator/disk.h"

/* What may be forced is what an operator can know better than we do. */
static const struct {
	const char *name;
	int error;
	bool may_force;
} codes[] = {
	[PREFLIGHT_NOT_RUNNING] = { "not-running", -EINVAL, false },
	[PREFLIGHT_MOVING] = { "moving", -EBUSY, false },
	[PREFLIGHT_SAME_NODE] = { "same-node", -EINVAL, false },
	[PREFLIGHT_NAME_TAKEN] = { "name-taken", -EEXIST, false },
	[PREFLIGHT_LOCAL_DISK] = { "local-disk", -EPERM, true },
	[PREFLIGHT_NO_BASE] = { "no-base", -ENOENT, false },
	[PREFLIGHT_OTHER_BASE] = { "other-base", -EEXIST, false },
	[PREFLIGHT_BASE_UNFIT] = { "base-unfit", -ENOTSUP, false },
	[PREFLIGHT_DISK_ROOM] = { "disk-room", -ENOSPC, false },
	[PREFLIGHT_DEVICE] = { "device", -ENOTSUP, false },
	[PREFLIGHT_POST_COPY] = { "post-copy", -ENOTSUP, false },
	[PREFLIGHT_CAPABILITY] = { "capability", -ENOTSUP, false },
	[PREFLIGHT_CPU] = { "cpu", -EPERM, true },
	[PREFLIGHT_LOSES_PAGES] = { "loses-pages", -EPERM, true },
	[PREFLIGHT_MACHINE] = { "machine", -ENOTSUP, false },
	[PREFLIGHT_OLDER_QEMU] = { "older-qemu", -EPERM, true },
	[PREFLIGHT_ACCELERATOR] = { "accelerator", -ENOTSUP, false },
	[PREFLIGHT_MEMORY] = { "memory", -ENOSPC, false },
	[PREFLIGHT_VCPUS] = { "vcpus", -ENOSPC, false },
};

const char *preflight_name(enum preflight_code code)
{
	return codes[code].name;
}

bool preflight_may_force(enum preflight_code code)
{
	return codes[code].may_force;
}

__attribute__((format(printf, 3, 4))) static void
find(struct preflight *p, enum preflight_code code, const char *format, ...)
{
	struct preflight_finding *f = &p->findings[p->n];
	va_list args;

	if (p->n == PREFLIGHT_FINDINGS_MAX)
		return;
	f->code = code;
	va_start(args, format);
	vsnprintf(f->text, sizeof(f->text), format, args);
	va_end(args);
	p->n++;
}

/* ---- The VM where it is --------------------------------------------------------- */

static void check_state(const struct preflight_facts *f, struct preflight *p)
{
	const char *vm = f->spec->name;

	if (strcmp(f->source, f->target) == 0)
		find(p, PREFLIGHT_SAME_NODE, "%s is on %s already", vm, f->target);
	if (f->moving)
		find(p, PREFLIGHT_MOVING, "%s is being moved already", vm);
	else if (!f->running)
		find(p, PREFLIGHT_NOT_RUNNING, "%s does not run; only a running VM can be moved", vm);
}

static void check_disks(const struct preflight_facts *f, struct preflight *p)
{
	for (size_t i = 0; i < f->spec->n_disks; i++) {
		const Tagalong__Disk *d = f->spec->disks[i];

		if (!disk_moves(d) && !d->shared)
			find(p, PREFLIGHT_LOCAL_DISK, "disk '%.80s' is not on shared storage; if %s "
			     "sees the same file there, its description says 'shared: true'",
			     d->path, f->target);
	}
}

/* Node names disk0, disk1, … are ours (qemu_args.c); any other came by an extra
 * argument, and nobody has said that it is shared. */
static bool is_described_disk(const VmSpec *spec, const char *node)
{
	unsigned long i;
	char *end;

	if (!node || strncmp(node, "disk", 4) != 0 || !node[4])
		return false;
	i = strtoul(node + 4, &end, 10);
	return !*end && i < spec->n_disks;
}

static void check_block(const struct preflight_facts *f, struct preflight *p)
{
	size_t i;
	json_t *device;

	json_array_foreach(f->block, i, device) {
		json_t *inserted = json_object_get(device, "inserted");
		const char *node = json_string_value(json_object_get(inserted, "node-name"));
		const char *file = json_string_value(json_object_get(inserted, "file"));

		if (inserted && !is_described_disk(f->spec, node))
			find(p, PREFLIGHT_LOCAL_DISK, "the disk '%.80s', given by an extra argument, "
			     "may not be on shared storage", file ? file : "?");
	}
}

static void check_devices(const struct preflight_facts *f, struct preflight *p)
{
	const json_t *reasons = json_object_get(f->migrate, "blocked-reasons");
	size_t i;
	json_t *reason;

	json_array_foreach(reasons, i, reason)
		find(p, PREFLIGHT_DEVICE, "QEMU cannot move %s: %.120s", f->spec->name,
		     json_string_value(reason) ? json_string_value(reason) : "it does not say why");
}

static bool has_capability(const json_t *capabilities, const char *name)
{
	size_t i;
	json_t *entry;

	json_array_foreach(capabilities, i, entry) {
		const char *has = json_string_value(json_object_get(entry, "capability"));

		if (has && strcmp(has, name) == 0)
			return true;
	}
	return false;
}

static void check_capabilities(const struct preflight_facts *f, struct preflight *p)
{
	static const char *const needed[] = { "events", "return-path", "late-block-activate" };

	for (size_t i = 0; f->capabilities && i < ARRAY_SIZE(needed); i++) {
		if (!has_capability(f->capabilities, needed[i]))
			find(p, PREFLIGHT_CAPABILITY, "QEMU on %s lacks the migration capability '%s'",
			     f->source, needed[i]);
	}
}

static bool any_disk_moves(const VmSpec *spec)
{
	for (size_t i = 0; i < spec->n_disks; i++)
		if (disk_moves(spec->disks[i]))
			return true;
	return false;
}

static void check_post_copy(const struct preflight_facts *f, struct preflight *p)
{
	const struct preflight_target *t = f->host;

	if (!f->post_copy)
		return;
	if (f->spec->monitor || (t && t->foreign))
		find(p, PREFLIGHT_POST_COPY, "there is no post-copy for %s: its memory is its QEMU's "
		     "own, on %s", f->spec->name, f->spec->monitor ? f->source : f->target);
	if (any_disk_moves(f->spec))
		find(p, PREFLIGHT_POST_COPY, "there is no post-copy for %s: it has disks that move",
		     f->spec->name);
	if (f->connections > 1)
		find(p, PREFLIGHT_POST_COPY, "post-copy takes one data connection, not %u",
		     f->connections);
	if (f->huge_pages || (t && t->huge_pages))
		find(p, PREFLIGHT_POST_COPY, "there is no post-copy with huge pages, which %s has for "
		     "its VMs ('huge_page_dir')", f->huge_pages ? f->source : f->target);
	if (f->capabilities && !has_capability(f->capabilities, "postcopy-ram"))
		find(p, PREFLIGHT_POST_COPY, "QEMU on %s knows no post-copy", f->source);
	if (t && t->no_faults)
		find(p, PREFLIGHT_POST_COPY, "post-copy needs userfaultfd, which %s does not allow to "
		     "QEMU: 'sysctl vm.unprivileged_userfaultfd=1' there does", f->target);
}

static unsigned major_of(const char *version)
{
	return (unsigned)strtoul(version, NULL, 10);
}

static void check_guest(const struct preflight_facts *f, struct preflight *p)
{
	size_t model = strcspn(f->spec->cpu, ",");

	if ((model == 4 && strncmp(f->spec->cpu, "host", 4) == 0) ||
	    (model == 3 && strncmp(f->spec->cpu, "max", 3) == 0))
		find(p, PREFLIGHT_CPU, "%s has CPU '%.*s', which may not be the same on %s: start it "
		     "with a named model", f->spec->name, (int)model, f->spec->cpu, f->target);
	if (f->source_qemu && vm_spec_loses_pages(f->spec, major_of(f->source_qemu)))
		find(p, PREFLIGHT_LOSES_PAGES, "QEMU %s loses changes to the memory of a TCG guest "
		     "whose size (%" PRIu64 " bytes) is a multiple of 256 KiB: take QEMU 9 or KVM, or "
		     "start it anew", f->source_qemu, f->spec->memory_bytes);
}

/* ---- The target --------------------------------------------------------------------- */

static bool knows_machine(const struct preflight_target *t, const char *machine)
{
	for (size_t i = 0; i < t->n_machine_types; i++) {
		if (strcmp(t->machine_types[i], machine) == 0)
			return true;
	}
	return t->n_machine_types == 0;
}

/* Micro versions fix bugs; major and minor ones change what devices save. */
static bool is_older(const char *version, const char *than)
{
	unsigned a[2] = { 0 }, b[2] = { 0 };

	if (sscanf(version, "%u.%u", &a[0], &a[1]) != 2 || sscanf(than, "%u.%u", &b[0], &b[1]) != 2)
		return false;
	return a[0] != b[0] ? a[0] < b[0] : a[1] < b[1];
}

static void check_target_qemu(const struct preflight_facts *f, struct preflight *p)
{
	const struct preflight_target *t = f->host;

	if (!knows_machine(t, f->spec->machine))
		find(p, PREFLIGHT_MACHINE, "%s has no machine type '%s' (QEMU %s)", f->target,
		     f->spec->machine, t->qemu_version ? t->qemu_version : "?");
	if (t->qemu_version && f->source_qemu && is_older(t->qemu_version, f->source_qemu))
		find(p, PREFLIGHT_OLDER_QEMU, "QEMU %s on %s is older than %s on %s and may not "
		     "understand what that sends", t->qemu_version, f->target, f->source_qemu,
		     f->source);
	if (strcmp(f->spec->accelerator, "kvm") == 0 && !t->has_kvm)
		find(p, PREFLIGHT_ACCELERATOR, "%s runs with KVM, which %s does not have",
		     f->spec->name, f->target);
	if (t->qemu_version && vm_spec_loses_pages(f->spec, major_of(t->qemu_version)))
		find(p, PREFLIGHT_LOSES_PAGES, "%s could not leave %s again: QEMU %s there loses "
		     "changes to the memory of a TCG guest whose size (%" PRIu64 " bytes) is a "
		     "multiple of 256 KiB", f->spec->name, f->target, t->qemu_version,
		     f->spec->memory_bytes);
}

static void check_target_room(const struct preflight_facts *f, struct preflight *p)
{
	const struct preflight_target *t = f->host;
	char need[UNITS_TEXT_SIZE], have[UNITS_TEXT_SIZE];

	if (t->has_vm)
		find(p, PREFLIGHT_NAME_TAKEN, "%s has a VM named '%s'", f->target, f->spec->name);
	if (f->spec->memory_bytes > t->memory_free)
		find(p, PREFLIGHT_MEMORY, "%s is full: %s needs %s of memory, %s is left", f->target,
		     f->spec->name, size_format(f->spec->memory_bytes, need),
		     size_format(t->memory_free, have));
	if (f->spec->vcpus > t->vcpus_free)
		find(p, PREFLIGHT_VCPUS, "%s is full: %s needs %" PRIu32 " vcpus, %" PRIu32 " are left",
		     f->target, f->spec->name, f->spec->vcpus, t->vcpus_free);
}

static void check_target_disks(const struct preflight_facts *f, struct preflight *p)
{
	const struct preflight_target *t = f->host;
	char need[UNITS_TEXT_SIZE], have[UNITS_TEXT_SIZE];

	for (size_t i = 0; i < f->spec->n_disks; i++) {
		const char *base = f->spec->disks[i]->base_path;

		if (t->disks[i].base_missing)
			find(p, PREFLIGHT_NO_BASE, "%s lacks the base '%.80s': copy it there, or "
			     "move with '--copy-bases'", f->target, base);
		else if (t->disks[i].problem[0])
			find(p, PREFLIGHT_BASE_UNFIT, "%s: %s", f->target, t->disks[i].problem);
		else if (t->disks[i].base_differs)
			find(p, PREFLIGHT_OTHER_BASE, "on %s the base '%.80s' has other content: "
			     "copy it there, or move with '--copy-bases'", f->target, base);
	}
	if (t->disk_needed > t->disk_free)
		find(p, PREFLIGHT_DISK_ROOM, "%s has no room for the disks of %s: they need %s, %s "
		     "is left", f->target, f->spec->name, size_format(t->disk_needed, need),
		     size_format(t->disk_free, have));
}

void preflight_check(const struct preflight_facts *facts, struct preflight *ret)
{
	ret->n = 0;
	check_state(facts, ret);
	check_disks(facts, ret);
	check_block(facts, ret);
	check_devices(facts, ret);
	check_capabilities(facts, ret);
	check_post_copy(facts, ret);
	check_guest(facts, ret);
	if (facts->host) {
		check_target_qemu(facts, ret);
		check_target_room(facts, ret);
		check_target_disks(facts, ret);
	}
}

int preflight_verdict(const struct preflight *p, bool force, struct mg_error *err)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct preflight_finding *f = &p->findings[i];

		if (!codes[f->code].may_force)
			return mg_error_set(err, codes[f->code].error, "%s", f->text);
		if (!force)
			return mg_error_set(err, codes[f->code].error, "%s ('--force' passes over it)",
					    f->text);
	}
	return 0;
}

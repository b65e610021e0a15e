/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>

#include "migrator/preflight.h"

#define MIB (UINT64_C(1) << 20)

/* A move that nothing blocks; each test changes what it is about. */
struct fixture {
	VmSpec spec;
	Tagalong__Disk disk, *disks[1];
	struct preflight_target host;
	struct preflight_facts facts;
	struct preflight found;
};

static const char *const machines[] = { "pc-i440fx-7.2", "pc-q35-7.2" };

static void setup(struct fixture *f)
{
	static char name[] = "vm1", machine[] = "pc-q35-7.2", cpu[] = "qemu64", tcg[] = "tcg";
	static char path[] = "/srv/disk.qcow2", format[] = "qcow2";

	memset(f, 0, sizeof(*f));
	tagalong__vm_spec__init(&f->spec);
	tagalong__disk__init(&f->disk);
	f->disk.path = path;
	f->disk.format = format;
	f->disk.has_shared = f->disk.shared = true;
	f->disks[0] = &f->disk;
	f->spec.name = name;
	f->spec.memory_bytes = 512 * MIB - 8192;
	f->spec.vcpus = 2;
	f->spec.machine = machine;
	f->spec.cpu = cpu;
	f->spec.accelerator = tcg;
	f->spec.disks = f->disks;
	f->spec.n_disks = 1;
	f->host = (struct preflight_target){
		.qemu_version = "7.2.22", .machine_types = machines, .n_machine_types = 2,
		.memory_free = 512 * MIB, .vcpus_free = 2,
	};
	f->facts = (struct preflight_facts){
		.spec = &f->spec, .source = "tower-a", .target = "tower-b", .running = true,
		.source_qemu = "7.2.22", .host = &f->host,
	};
}

static void expect(struct fixture *f, enum preflight_code code, bool may_force, const char *says)
{
	struct mg_error err = { 0 };

	preflight_check(&f->facts, &f->found);
	cr_assert_eq(f->found.n, 1, "%zu findings, first: %s", f->found.n,
		     f->found.n ? f->found.findings[0].text : "none");
	cr_assert_eq(f->found.findings[0].code, code, "%s",
		     preflight_name(f->found.findings[0].code));
	cr_assert_not_null(strstr(f->found.findings[0].text, says), "%s",
			   f->found.findings[0].text);
	cr_assert_lt(preflight_verdict(&f->found, false, &err), 0);
	cr_assert_not_null(strstr(err.text, says), "%s", err.text);
	cr_assert_eq(strstr(err.text, "--force") != NULL, may_force);
	cr_assert_eq(preflight_may_force(code), may_force);
	cr_assert_eq(preflight_verdict(&f->found, true, &err) == 0, may_force);
}

static void expect_nothing(struct fixture *f)
{
	preflight_check(&f->facts, &f->found);
	cr_assert_eq(f->found.n, 0, "%s", f->found.findings[0].text);
	cr_assert_eq(preflight_verdict(&f->found, false, NULL), 0);
}

Test(preflight, nothing_blocks)
{
	struct fixture f;

	setup(&f);
	expect_nothing(&f);
	f.facts.host = NULL;
	f.facts.source_qemu = NULL;
	expect_nothing(&f);
}

Test(preflight, state)
{
	struct fixture f;

	setup(&f);
	f.facts.target = "tower-a";
	expect(&f, PREFLIGHT_SAME_NODE, false, "vm1 is on tower-a already");
	setup(&f);
	f.facts.moving = true;
	expect(&f, PREFLIGHT_MOVING, false, "being moved already");
	setup(&f);
	f.facts.running = false;
	expect(&f, PREFLIGHT_NOT_RUNNING, false, "does not run");
}

Test(preflight, local_disk)
{
	struct fixture f;

	setup(&f);
	f.disk.shared = false;
	expect(&f, PREFLIGHT_LOCAL_DISK, true, "'/srv/disk.qcow2' is not on shared storage");
}

/* The disk is the VM's own. */
static void setup_own_disk(struct fixture *f)
{
	static char base[] = "/srv/base.qcow2";

	setup(f);
	f->disk.path = NULL;
	f->disk.shared = false;
	f->disk.base_path = base;
	f->host.disk_free = 100 * MIB;
	f->host.disk_needed = 100 * MIB;
}

Test(preflight, disk_that_moves)
{
	struct fixture f;

	setup_own_disk(&f);
	expect_nothing(&f);
	f.host.disk_needed++;
	expect(&f, PREFLIGHT_DISK_ROOM, false, "has no room for the disks of vm1: they need 100 MiB");
	setup_own_disk(&f);
	f.host.disks[0].base_differs = true;
	expect(&f, PREFLIGHT_OTHER_BASE, false,
	       "on tower-b the base '/srv/base.qcow2' has other content");
	setup_own_disk(&f);
	f.host.disks[0].base_missing = true;
	strcpy(f.host.disks[0].problem, "the base '/srv/base.qcow2': No such file or directory");
	expect(&f, PREFLIGHT_NO_BASE, false, "tower-b lacks the base '/srv/base.qcow2': copy it there");
	f.host.disks[0].base_missing = false;
	strcpy(f.host.disks[0].problem, "the base '/srv/base.qcow2' is not of format qcow2");
	expect(&f, PREFLIGHT_BASE_UNFIT, false, "tower-b: the base '/srv/base.qcow2' is not of format");
}

static json_t *block(const char *node, const char *file)
{
	return json_pack("[{s:s, s:{s:s, s:s}}, {s:s}]", "device", "", "inserted", "node-name", node,
			 "file", file, "device", "empty-cdrom");
}

Test(preflight, disk_of_an_extra_argument)
{
	static const char *const nodes[] = { "#block123", "disk1", "disk", "disk0x", "other" };
	struct fixture f;

	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++) {
		json_auto_t *devices = block(nodes[i], "/root/x.img");

		setup(&f);
		f.facts.block = devices;
		expect(&f, PREFLIGHT_LOCAL_DISK, true, "'/root/x.img', given by an extra argument");
	}
	json_auto_t *described = block("disk0", "/srv/disk.qcow2");
	setup(&f);
	f.facts.block = described;
	expect_nothing(&f);
}

Test(preflight, device_that_cannot_migrate)
{
	struct fixture f;
	json_auto_t *blocked = json_pack("{s:b, s:[s]}", "blocked", 1, "blocked-reasons",
					 "The VirtFS export is mounted");
	json_auto_t *fine = json_pack("{s:b}", "blocked", 0);

	setup(&f);
	f.facts.migrate = blocked;
	expect(&f, PREFLIGHT_DEVICE, false, "The VirtFS export is mounted");
	f.facts.migrate = fine;
	expect_nothing(&f);
}

Test(preflight, capabilities)
{
	struct fixture f;
	json_auto_t *most = json_pack("[{s:s, s:b}, {s:s, s:b}]", "capability", "events", "state", 0,
				      "capability", "return-path", "state", 0);
	json_auto_t *all = json_deep_copy(most);

	setup(&f);
	f.facts.capabilities = most;
	expect(&f, PREFLIGHT_CAPABILITY, false, "'late-block-activate'");
	json_array_append_new(all, json_pack("{s:s, s:b}", "capability", "late-block-activate",
					     "state", 0));
	f.facts.capabilities = all;
	expect_nothing(&f);
}

Test(preflight, cpu_of_this_host)
{
	static char host[] = "host", max[] = "max,-avx", model[] = "hostile";
	struct fixture f;

	setup(&f);
	f.spec.cpu = host;
	expect(&f, PREFLIGHT_CPU, true, "CPU 'host'");
	f.spec.cpu = max;
	expect(&f, PREFLIGHT_CPU, true, "CPU 'max'");
	f.spec.cpu = model;
	expect_nothing(&f);
}

Test(preflight, memory_size_that_loses_pages)
{
	struct fixture f;

	setup(&f);
	f.spec.memory_bytes = 512 * MIB;
	f.host.qemu_version = "9.0.0";
	expect(&f, PREFLIGHT_LOSES_PAGES, true, "multiple of 256 KiB");
	f.facts.source_qemu = "9.0.0";
	expect_nothing(&f);
}

Test(preflight, memory_size_that_would_lose_pages_at_the_target)
{
	struct fixture f;

	setup(&f);
	f.spec.memory_bytes = 512 * MIB;
	f.facts.source_qemu = "7.2.22"; /* KVM there */
	f.spec.accelerator = (char[]){ "kvm" };
	f.host.has_kvm = true;
	expect_nothing(&f);
	setup(&f);
	f.spec.memory_bytes = 512 * MIB;
	f.facts.source_qemu = NULL;
	expect(&f, PREFLIGHT_LOSES_PAGES, true, "vm1 could not leave tower-b again");
}

Test(preflight, machine)
{
	struct fixture f;

	setup(&f);
	f.spec.machine = (char[]){ "pc-q35-9.2" };
	expect(&f, PREFLIGHT_MACHINE, false, "tower-b has no machine type 'pc-q35-9.2' (QEMU 7.2.22)");
	f.host.n_machine_types = 0;
	expect_nothing(&f);
}

Test(preflight, older_qemu)
{
	static const struct {
		const char *source, *target;
		bool older;
	} cases[] = {
		{ "7.2.22", "7.2.1", false }, { "7.2.22", "7.1.9", true }, { "10.0.2", "9.2.0", true },
		{ "9.2.0", "10.0.0", false }, { "7.2.22", "6.2.0", true }, { "?", "7.2.0", false },
	};
	struct fixture f;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		setup(&f);
		f.facts.source_qemu = cases[i].source;
		f.host.qemu_version = cases[i].target;
		if (cases[i].older)
			expect(&f, PREFLIGHT_OLDER_QEMU, true, "is older than");
		else
			expect_nothing(&f);
	}
}

Test(preflight, accelerator)
{
	struct fixture f;

	setup(&f);
	f.spec.accelerator = (char[]){ "kvm" };
	expect(&f, PREFLIGHT_ACCELERATOR, false, "KVM, which tower-b does not have");
	f.host.has_kvm = true;
	expect_nothing(&f);
}

Test(preflight, room)
{
	struct fixture f;

	setup(&f);
	f.host.memory_free = 512 * MIB - 8193;
	expect(&f, PREFLIGHT_MEMORY, false, "tower-b is full: vm1 needs 512 MiB of memory");
	setup(&f);
	f.host.vcpus_free = 1;
	expect(&f, PREFLIGHT_VCPUS, false, "vm1 needs 2 vcpus, 1 are left");
	setup(&f);
	f.host.has_vm = true;
	expect(&f, PREFLIGHT_NAME_TAKEN, false, "tower-b has a VM named 'vm1'");
}

Test(preflight, all_that_is_wrong_is_found)
{
	struct fixture f;
	struct mg_error err = { 0 };
	json_auto_t *blocked = json_object();
	json_t *reasons = json_array();

	setup(&f);
	f.disk.shared = false;
	f.host.vcpus_free = 0;
	f.host.has_vm = true;
	preflight_check(&f.facts, &f.found);
	cr_assert_eq(f.found.n, 3);
	/* Forced, the disk is passed over and the next is the reason. */
	cr_assert_eq(preflight_verdict(&f.found, false, &err), -EPERM);
	cr_assert_eq(preflight_verdict(&f.found, true, &err), -EEXIST);
	for (int i = 0; i < 2 * PREFLIGHT_FINDINGS_MAX; i++)
		json_array_append_new(reasons, json_string("x"));
	json_object_set_new(blocked, "blocked-reasons", reasons);
	f.facts.migrate = blocked;
	preflight_check(&f.facts, &f.found);
	cr_assert_eq(f.found.n, PREFLIGHT_FINDINGS_MAX);
}

/* What QEMU might say in another version must not crash us. */
Test(preflight, odd_answers)
{
	static const char *const answers[] = {
		"[]", "{}", "[1, null, {}]", "[{\"inserted\": 5, \"capability\": 7}]",
		"{\"blocked-reasons\": 3}",
	};
	struct fixture f;

	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		json_auto_t *answer = json_loads(answers[i], 0, NULL);

		setup(&f);
		f.facts.block = f.facts.migrate = f.facts.capabilities = answer;
		preflight_check(&f.facts, &f.found);
	}
}

Test(preflight, post_copy)
{
	static char monitor[] = "/run/qmp";
	json_auto_t *without = json_loads("[{\"capability\": \"events\"}, {\"capability\": "
					  "\"return-path\"}, {\"capability\": "
					  "\"late-block-activate\"}]", 0, NULL);
	struct fixture f;

	setup(&f);
	f.host.no_faults = f.host.huge_pages = f.host.foreign = true;
	f.facts.connections = 3;
	expect_nothing(&f); /* it is not to come to that */
#define POST_COPY(change, says)                                    \
	do {                                                       \
		setup(&f);                                         \
		f.facts.post_copy = true;                          \
		f.facts.connections = 1;                           \
		change;                                            \
		expect(&f, PREFLIGHT_POST_COPY, false, says);      \
	} while (0)
	POST_COPY(f.host.no_faults = true, "tower-b does not allow");
	POST_COPY(f.host.huge_pages = true, "which tower-b has");
	POST_COPY(f.facts.huge_pages = true, "which tower-a has");
	POST_COPY(f.host.foreign = true, "own, on tower-b");
	POST_COPY(f.spec.monitor = monitor, "own, on tower-a");
	POST_COPY(f.facts.connections = 2, "not 2");
	POST_COPY(f.facts.capabilities = without, "knows no post-copy");
}

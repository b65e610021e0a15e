/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "common/file.h"
#include "migrator/vm_spec.h"

#define MIB (UINT64_C(1) << 20)

static int parse(const char *text, VmSpec **ret, struct mg_error *err)
{
	return vm_spec_parse("vm.yaml", text, strlen(text), "/usr/lib", ret, err);
}

Test(vm_spec, defaults)
{
	struct mg_error err = { 0 };
	VmSpec *s = NULL;

	cr_assert_eq(parse("name: demo\nmemory: 128M\n", &s, &err), 0, "%s", err.text);
	cr_assert_str_eq(s->name, "demo");
	cr_assert_eq(s->memory_bytes, 128 * MIB);
	cr_assert_eq(s->vcpus, 1);
	cr_assert_str_eq(s->machine, "pc-q35-7.2");
	cr_assert_str_eq(s->cpu, "qemu64");
	cr_assert_str_eq(s->accelerator, "tcg");
	cr_assert(!s->kernel && !s->initrd && !s->cmdline && !s->firmware);
	cr_assert(s->n_disks == 0 && s->n_networks == 0 && s->n_extra == 0);
	vm_spec_free(s);
}

static const char full[] = "name: full-1\n"
			   "memory: 1G\n"
			   "vcpus: 4\n"
			   "machine: pc-i440fx-7.2\n"
			   "cpu: Haswell-v4,+ssse3\n"
			   "accelerator: kvm\n"
			   "kernel: guest/vmlinuz\n"
			   "initrd: /boot/initrd.img\n"
			   "cmdline: console=hvc0 quiet\n"
			   "firmware: bios.bin\n"
			   "base_image: debian\n"
			   "disks:\n"
			   "  - path: disk, with comma.qcow2\n"
			   "    format: qcow2\n"
			   "    shared: true\n"
			   "  - path: /srv/data.raw\n"
			   "    format: raw\n"
			   "    readonly: true\n"
			   "networks:\n"
			   "  - bridge: br-tower\n"
			   "    mac: 52:54:00:AB:cd:01\n"
			   "extra: [-device, virtio-rng-pci]\n";

static void assert_full(const VmSpec *s)
{
	cr_assert_str_eq(s->name, "full-1");
	cr_assert_eq(s->memory_bytes, 1024 * MIB);
	cr_assert_eq(s->vcpus, 4);
	cr_assert_str_eq(s->machine, "pc-i440fx-7.2");
	cr_assert_str_eq(s->cpu, "Haswell-v4,+ssse3");
	cr_assert_str_eq(s->accelerator, "kvm");
	cr_assert_str_eq(s->kernel, "/usr/lib/guest/vmlinuz");
	cr_assert_str_eq(s->initrd, "/boot/initrd.img");
	cr_assert_str_eq(s->cmdline, "console=hvc0 quiet");
	cr_assert_str_eq(s->firmware, "/usr/lib/bios.bin");
	cr_assert_str_eq(s->base_image, "debian");
	cr_assert_eq(s->n_disks, 2);
	cr_assert_str_eq(s->disks[0]->path, "/usr/lib/disk, with comma.qcow2");
	cr_assert_str_eq(s->disks[0]->format, "qcow2");
	cr_assert(s->disks[0]->shared && !s->disks[0]->readonly);
	cr_assert_str_eq(s->disks[1]->path, "/srv/data.raw");
	cr_assert(!s->disks[1]->shared && s->disks[1]->readonly);
	cr_assert_eq(s->n_networks, 1);
	cr_assert_str_eq(s->networks[0]->bridge, "br-tower");
	cr_assert_str_eq(s->networks[0]->mac, "52:54:00:AB:cd:01");
	cr_assert_eq(s->n_extra, 2);
	cr_assert_str_eq(s->extra[1], "virtio-rng-pci");
}

Test(vm_spec, everything)
{
	struct mg_error err = { 0 };
	VmSpec *s = NULL, *copy;

	cr_assert_eq(parse(full, &s, &err), 0, "%s", err.text);
	assert_full(s);
	copy = vm_spec_copy(s);
	vm_spec_free(s);
	assert_full(copy);
	vm_spec_free(copy);
}

Test(vm_spec, loads_a_file_and_takes_paths_from_its_directory)
{
	struct mg_error err = { 0 };
	VmSpec *s = NULL;
	char dir[] = "/tmp/test_vm_spec.XXXXXX", path[64], kernel[64];
	int fd;

	cr_assert_not_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/vm.yaml", dir);
	snprintf(kernel, sizeof(kernel), "%s/vmlinuz", dir);
	cr_assert_eq(vm_spec_load(path, &s, &err), -ENOENT);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	cr_assert_gt(dprintf(fd, "name: x\nmemory: 64M\nkernel: vmlinuz\n"), 0);
	close(fd);
	cr_assert_eq(vm_spec_load(path, &s, &err), 0, "%s", err.text);
	cr_assert_str_eq(s->kernel, kernel);
	vm_spec_free(s);
	cr_assert_eq(chdir(dir), 0);
	cr_assert_eq(vm_spec_load("vm.yaml", &s, &err), 0, "%s", err.text);
	cr_assert_str_eq(s->kernel, kernel);
	vm_spec_free(s);
	unlink(path);
	rmdir(dir);
}

Test(vm_spec, what_is_wrong_is_said)
{
	static const char head[] = "name: x\nmemory: 64M\n";
	static const struct {
		const char *text, *says;
		bool alone; /* without the head */
	} cases[] = {
		{ "", "empty", true },
		{ "memory: 64M\n", "name", true },
		{ "name: x\n", "memory", true },
		{ "name: X\nmemory: 64M\n", "name 'X'", true },
		{ "name: -x\nmemory: 64M\n", "name '-x'", true },
		{ "name: ../x\nmemory: 64M\n", "name '../x'", true },
		{ "name: a.b\nmemory: 64M\n", "name 'a.b'", true },
		{ "name: x\nmemory: lots\n", "memory 'lots'", true },
		{ "name: x\nmemory: 1M\n", "possible are", true },
		{ "name: x\nmemory: 5000G\n", "possible are", true },
		{ "name: x\nmemory: 67112960\n", "multiple of 8192", true },
		{ "colour: red\n", "colour", false },
		{ "vcpus: 256\n", "256 vcpus", false },
		{ "vcpus: -1\n", "vcpus", false },
		{ "machine: q35\n", "machine 'q35' has no version", false },
		{ "machine: microvm\n", "machine 'microvm' has no version", false },
		{ "machine: pc-q35-7.2,accel=kvm\n", "has no version", false },
		{ "machine: pc-q35-latest\n", "has no version", false },
		{ "cpu: host\n", "cpu 'host'", false },
		{ "cpu: max,-avx\n", "cpu 'max'", false },
		{ "cpu: ',x'\n", "not the name of a model", false },
		{ "cpu: 'qemu64 x'\n", "not the name of a model", false },
		{ "accelerator: xen\n", "accelerator 'xen'", false },
		{ "initrd: a\n", "initrd without a kernel", false },
		{ "cmdline: quiet\n", "cmdline without a kernel", false },
		{ "kernel: a\ncmdline: \"a\\nb\"\n", "cmdline is not one line", false },
		{ "kernel: \"/a\\nb\"\n", "kernel", false },
		{ "disks: [{path: a}]\n", "format", false },
		{ "disks: [{path: a, format: vmdk}]\n", "format 'vmdk'", false },
		{ "disks: [{path: a, format: raw}, {path: a, format: raw}]\n", "twice", false },
		{ "disks: [{readonly: false}]\n", "a path, or a base", false },
		{ "disks: [{base: a}]\n", "'/usr/lib/a' has no format", false },
		{ "disks: [{base: a, format: qcow2, path: b}]\n", "neither base nor size", false },
		{ "disks: [{path: b, format: raw, size: 1G}]\n", "neither base nor size", false },
		{ "disks: [{base: a, format: raw, shared: true}]\n", "the VM's own", false },
		{ "disks: [{size: 1G, readonly: true}]\n", "the VM's own", false },
		{ "disks: [{size: much}]\n", "size 'much' of a disk", false },
		{ "disks: [{size: 1000}]\n", "a disk of 1000 bytes", false },
		{ "disks: [{size: 0}]\n", "a disk of 0 bytes", false },
		{ "disks: [{size: 4097G}]\n", "up to 4096G", false },
		{ "networks: [{bridge: 'a/b', mac: '52:54:00:00:00:01'}]\n", "bridge 'a/b'", false },
		{ "networks: [{bridge: b, mac: '52:54:00:00:00'}]\n", "mac", false },
		{ "networks: [{bridge: b, mac: '52:54:00:00:00:0g'}]\n", "mac", false },
		{ "networks: [{bridge: b, mac: '53:54:00:00:00:01'}]\n", "one host's", false },
		{ "networks: [{bridge: b, mac: '00:00:00:00:00:00'}]\n", "one host's", false },
		{ "networks: [{bridge: b, mac: '52:54:00:00:00:0a'}, "
		  "{bridge: c, mac: '52:54:00:00:00:0A'}]\n", "twice", false },
		{ "extra: [virtio-rng]\n", "the first is an option", false },
		{ "extra: [\"-a\\nb\"]\n", "extra argument 1", false },
		{ "extra: [-device, \"\"]\n", "vm.yaml", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct mg_error err = { 0 };
		VmSpec *s = NULL;
		char text[512];

		snprintf(text, sizeof(text), "%s%s", cases[i].alone ? "" : head, cases[i].text);
		cr_assert_eq(parse(text, &s, &err), -EINVAL, "case %zu", i);
		cr_assert_not_null(strstr(err.text, cases[i].says), "case %zu: %s", i, err.text);
		cr_assert_not_null(strstr(err.text, "vm.yaml"), "case %zu: %s", i, err.text);
	}
}

Test(vm_spec, disks_of_the_vms_own)
{
	struct mg_error err = { 0 };
	VmSpec *s = NULL;

	cr_assert_eq(parse("name: x\nmemory: 64M\ndisks:\n"
			   "  - {base: debian.qcow2, format: qcow2}\n"
			   "  - {base: /srv/b.raw, format: raw, size: 20G}\n"
			   "  - {size: 1G}\n", &s, &err), 0, "%s", err.text);
	cr_assert_eq(s->n_disks, 3);
	cr_assert_str_eq(s->disks[0]->base_path, "/usr/lib/debian.qcow2");
	cr_assert(!s->disks[0]->path && !s->disks[0]->has_size);
	cr_assert_str_eq(s->disks[1]->format, "raw");
	cr_assert_eq(s->disks[1]->size, 20480 * MIB);
	cr_assert_null(s->disks[2]->base_path);
	cr_assert_str_eq(s->disks[2]->format, "qcow2");
	vm_spec_free(s);
}

Test(vm_spec, arguments_that_collide_are_refused_with_the_reason)
{
	static const struct {
		const char *option, *says;
	} cases[] = {
		{ "-incoming", "the daemon needs it" }, { "--qmp", "the daemon needs it" },
		{ "-S", "the daemon needs it" },	{ "-m", "has a field" },
		{ "-daemonize", "the daemon needs it" }, { "-sandbox", "confined" },
		{ "--runas", "confined" },	       { "-vga", "loses dirty pages" },
		{ "-cpu", "has a field" },	       { "-M", "has a field" },
	};
	struct mg_error err = { 0 };
	VmSpec *s = NULL;
	char text[256];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		snprintf(text, sizeof(text),
			 "name: x\nmemory: 64M\nextra: [-device, virtio-rng-pci, %s, x]\n",
			 cases[i].option);
		cr_assert_eq(parse(text, &s, &err), -EINVAL, "%s", cases[i].option);
		cr_assert_not_null(strstr(err.text, cases[i].option), "%s", err.text);
		cr_assert_not_null(strstr(err.text, cases[i].says), "%s", err.text);
	}
	cr_assert_eq(parse("name: x\nmemory: 64M\nextra: [-smbios, 'type=1', -no-hpet]\n", &s, &err),
		     0, "%s", err.text);
	vm_spec_free(s);
}

Test(vm_spec, lists_have_limits)
{
	struct mg_error err = { 0 };
	VmSpec *s = NULL;
	char text[8192] = "name: x\nmemory: 64M\nextra: [-a";
	size_t n = strlen(text);

	for (int i = 0; i < VM_EXTRA_MAX; i++)
		n += (size_t)sprintf(text + n, ", -a");
	strcpy(text + n, "]\n");
	cr_assert_eq(parse(text, &s, &err), -EINVAL);

	n = (size_t)sprintf(text, "name: x\nmemory: 64M\ndisks:\n");
	for (int i = 0; i <= VM_DISKS_MAX; i++)
		n += (size_t)sprintf(text + n, "  - {path: d%d, format: raw}\n", i);
	cr_assert_eq(parse(text, &s, &err), -EINVAL);
}

/* Messages come past the YAML schema, so the check alone must hold. */
Test(vm_spec, checks_messages)
{
	struct mg_error err = { 0 };
	VmSpec s = TAGALONG__VM_SPEC__INIT;
	char *extra[VM_EXTRA_MAX + 1];
	char name[VM_NAME_MAX + 2], relative[] = "relative", rng[] = "-a", empty[] = "";

	s.name = (char[]){ "x" };
	s.memory_bytes = 64 * MIB;
	s.vcpus = 1;
	s.machine = (char[]){ "pc-q35-7.2" };
	s.cpu = (char[]){ "qemu64" };
	s.accelerator = (char[]){ "tcg" };
	cr_assert_eq(vm_spec_check(&s, &err), 0, "%s", err.text);
	s.kernel = relative;
	cr_assert_eq(vm_spec_check(&s, &err), -EINVAL);
	s.kernel = (char[]){ "/not/utf-8/\xff" };
	cr_assert_eq(vm_spec_check(&s, &err), -EPROTO);
	s.kernel = NULL;
	s.vcpus = 0;
	cr_assert_eq(vm_spec_check(&s, &err), -EINVAL);
	s.vcpus = 1;
	s.cpu = empty;
	cr_assert_eq(vm_spec_check(&s, &err), -EINVAL);
	s.cpu = (char[]){ "qemu64" };
	for (int i = 0; i <= VM_EXTRA_MAX; i++)
		extra[i] = rng;
	s.extra = extra;
	s.n_extra = VM_EXTRA_MAX;
	cr_assert_eq(vm_spec_check(&s, &err), 0, "%s", err.text);
	s.n_extra++;
	cr_assert_eq(vm_spec_check(&s, &err), -EINVAL);
	s.n_extra = 1;
	extra[0] = empty;
	cr_assert_eq(vm_spec_check(&s, &err), -EINVAL);
	s.n_extra = 0;
	memset(name, 'a', sizeof(name));
	name[VM_NAME_MAX + 1] = '\0';
	s.name = name;
	cr_assert_eq(vm_spec_check(&s, &err), -EINVAL);
	name[VM_NAME_MAX] = '\0';
	cr_assert_eq(vm_spec_check(&s, &err), 0, "%s", err.text);
	s.name = empty;
	cr_assert_eq(vm_spec_check(&s, &err), -EINVAL);
}

Test(vm_spec, ram_size_avoids_the_multiple_that_loses_pages)
{
	VmSpec s = TAGALONG__VM_SPEC__INIT;
	struct mg_error err = { 0 };

	s.accelerator = (char[]){ "tcg" };
	s.memory_bytes = 512 * MIB;
	cr_assert(vm_spec_loses_pages(&s, 7));
	cr_assert_eq(vm_spec_ram_bytes(&s, 7), UINT64_C(524280) << 10);
	cr_assert_eq(vm_spec_ram_bytes(&s, 8), UINT64_C(524280) << 10);
	cr_assert_eq(vm_spec_ram_bytes(&s, 9), 512 * MIB);
	s.accelerator = (char[]){ "kvm" };
	cr_assert_eq(vm_spec_ram_bytes(&s, 7), 512 * MIB);
	s.accelerator = (char[]){ "tcg" };
	s.memory_bytes = 512 * MIB + 8192;
	cr_assert_eq(vm_spec_ram_bytes(&s, 7), 512 * MIB + 8192);
	/* The smallest, once cut, is still one that the next host takes. */
	s.memory_bytes = VM_MEMORY_MIN;
	s.memory_bytes = vm_spec_ram_bytes(&s, 7);
	s.name = (char[]){ "x" };
	s.vcpus = 1;
	s.machine = (char[]){ "pc-q35-7.2" };
	s.cpu = (char[]){ "qemu64" };
	cr_assert_eq(vm_spec_check(&s, &err), 0, "%s", err.text);
	cr_assert_eq(vm_spec_ram_bytes(&s, 7), s.memory_bytes);
}

/* ---- What people read ----------------------------------------------------------- */

static char *source_file(const char *name)
{
	const char *top = getenv("top_srcdir");
	char path[PATH_MAX], *text;
	struct mg_error err = { 0 };
	size_t len;

	snprintf(path, sizeof(path), "%s/%s", top ? top : ".", name);
	cr_assert_eq(file_read(path, 1 << 20, &text, &len, &err), 0, "%s", err.text);
	return text;
}

static unsigned assert_documented(const cyaml_schema_value_t *schema, const char *page)
{
	unsigned n = 0;

	if (schema->type == CYAML_SEQUENCE)
		return assert_documented(schema->sequence.entry, page);
	if (schema->type != CYAML_MAPPING)
		return 0;
	for (const cyaml_schema_field_t *f = schema->mapping.fields; f->key; f++) {
		char mark[64];

		snprintf(mark, sizeof(mark), "*%s*", f->key);
		cr_assert_not_null(strstr(page, mark), "tagalong-vm(5) lacks the field %s", f->key);
		n += 1 + assert_documented(&f->value, page);
	}
	return n;
}

Test(vm_spec, the_manual_has_every_field)
{
	_cleanup_free_ char *page = source_file("docs/man/tagalong-vm.5.scd");

	cr_assert_eq(assert_documented(vm_spec_schema(), page), 22);
	cr_assert_not_null(strstr(page, VM_MACHINE_DEFAULT));
	cr_assert_not_null(strstr(page, VM_CPU_DEFAULT));
}

Test(vm_spec, the_manual_has_every_refused_option)
{
	_cleanup_free_ char *page = source_file("docs/man/tagalong-vm.5.scd");
	const char *option;

	for (size_t i = 0; (option = vm_spec_refused_option(i)); i++) {
		bool found = false;
		size_t n = strlen(option);

		for (const char *p = page; !found && (p = strstr(p, option)); p++)
			found = p[-1] == '-' && strchr(",.", p[n]);
		cr_assert(found, "tagalong-vm(5) lacks -%s", option);
	}
}

Test(vm_spec, the_example_is_one)
{
	const char *top = getenv("top_srcdir");
	struct mg_error err = { 0 };
	char path[PATH_MAX];
	VmSpec *s = NULL;

	snprintf(path, sizeof(path), "%s/dist/examples/vm.yaml", top ? top : ".");
	cr_assert_eq(vm_spec_load(path, &s, &err), 0, "%s", err.text);
	vm_spec_free(s);
}

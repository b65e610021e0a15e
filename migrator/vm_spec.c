/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/vm_spec.h"

#include <ctype.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "common/envelope.h"
#include "common/file.h"
#include "common/units.h"

#define MEMORY_MULTIPLE 8192 /* QEMU rounds -m to it, but not its memory backend */
#define TEXT_MAX 4096
#define CMDLINE_MAX 2047       /* what x86 kernels take */
#define BRIDGE_MAX 15          /* IFNAMSIZ less the NUL */
#define LOSING_MULTIPLE (256u << 10)
#define LOSING_CUT (8u << 10)
#define FIRST_SOUND_QEMU 9

/* ---- The file ---------------------------------------------------------------- */

struct file_disk {
	char *path, *base, *size;
	char *format;
	bool shared;
	bool readonly;
};

struct file_network {
	char *bridge;
	char *mac;
};

struct file {
	char *name, *memory, *machine, *cpu, *accelerator;
	char *kernel, *initrd, *cmdline, *firmware, *base_image;
	uint32_t vcpus;
	struct file_disk *disks;
	struct file_network *networks;
	char **extra;
	unsigned disks_count, networks_count, extra_count;
};

#define OPTIONAL_TEXT (CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL)

static const cyaml_schema_field_t disk_fields[] = {
	CYAML_FIELD_STRING_PTR("path", OPTIONAL_TEXT, struct file_disk, path, 1, PATH_MAX),
	CYAML_FIELD_STRING_PTR("base", OPTIONAL_TEXT, struct file_disk, base, 1, PATH_MAX),
	CYAML_FIELD_STRING_PTR("size", OPTIONAL_TEXT, struct file_disk, size, 1, 32),
	CYAML_FIELD_STRING_PTR("format", OPTIONAL_TEXT, struct file_disk, format, 1, 16),
	CONFIG_FIELD_BOOL("shared", CYAML_FLAG_OPTIONAL, struct file_disk, shared),
	CONFIG_FIELD_BOOL("readonly", CYAML_FLAG_OPTIONAL, struct file_disk, readonly),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t disk_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct file_disk, disk_fields),
};

static const cyaml_schema_field_t network_fields[] = {
	CYAML_FIELD_STRING_PTR("bridge", CYAML_FLAG_POINTER, struct file_network, bridge, 1,
			       BRIDGE_MAX),
	CYAML_FIELD_STRING_PTR("mac", CYAML_FLAG_POINTER, struct file_network, mac, 1, 32),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t network_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct file_network, network_fields),
};

static const cyaml_schema_value_t extra_schema = {
	CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char *, 1, TEXT_MAX),
};

static const cyaml_schema_field_t fields[] = {
	CYAML_FIELD_STRING_PTR("name", CYAML_FLAG_POINTER, struct file, name, 1, TEXT_MAX),
	CYAML_FIELD_STRING_PTR("memory", CYAML_FLAG_POINTER, struct file, memory, 1, 32),
	CYAML_FIELD_UINT("vcpus", CYAML_FLAG_OPTIONAL, struct file, vcpus),
	CYAML_FIELD_STRING_PTR("machine", OPTIONAL_TEXT, struct file, machine, 1, 64),
	CYAML_FIELD_STRING_PTR("cpu", OPTIONAL_TEXT, struct file, cpu, 1, TEXT_MAX),
	CYAML_FIELD_STRING_PTR("accelerator", OPTIONAL_TEXT, struct file, accelerator, 1, 16),
	CYAML_FIELD_STRING_PTR("kernel", OPTIONAL_TEXT, struct file, kernel, 1, PATH_MAX),
	CYAML_FIELD_STRING_PTR("initrd", OPTIONAL_TEXT, struct file, initrd, 1, PATH_MAX),
	CYAML_FIELD_STRING_PTR("cmdline", OPTIONAL_TEXT, struct file, cmdline, 0, TEXT_MAX),
	CYAML_FIELD_SEQUENCE("disks", OPTIONAL_TEXT, struct file, disks, &disk_schema, 0,
			     VM_DISKS_MAX),
	CYAML_FIELD_SEQUENCE("networks", OPTIONAL_TEXT, struct file, networks, &network_schema, 0,
			     VM_NETWORKS_MAX),
	CYAML_FIELD_SEQUENCE("extra", OPTIONAL_TEXT, struct file, extra, &extra_schema, 0,
			     VM_EXTRA_MAX),
	CYAML_FIELD_STRING_PTR("firmware", OPTIONAL_TEXT, struct file, firmware, 1, PATH_MAX),
	CYAML_FIELD_STRING_PTR("base_image", OPTIONAL_TEXT, struct file, base_image, 1, VM_NAME_MAX),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct file, fields),
};

const cyaml_schema_value_t *vm_spec_schema(void)
{
	return &schema;
}

/* Replaces a path (which may be absent) by its absolute form. */
static int make_absolute(char **path, const char *base)
{
	char *absolute;

	if (!*path || **path == '/')
		return 0;
	if (asprintf(&absolute, "%s/%s", base, *path) < 0)
		return -ENOMEM;
	free(*path);
	*path = absolute;
	return 0;
}

static int make_all_absolute(struct file *f, const char *base_dir)
{
	_cleanup_free_ char *base = realpath(base_dir, NULL);
	int r;

	if (!base)
		return -errno;
	r = make_absolute(&f->kernel, base);
	if (r == 0)
		r = make_absolute(&f->initrd, base);
	if (r == 0)
		r = make_absolute(&f->firmware, base);
	for (unsigned i = 0; r == 0 && i < f->disks_count; i++) {
		r = make_absolute(&f->disks[i].path, base);
		if (r == 0)
			r = make_absolute(&f->disks[i].base, base);
	}
	return r;
}

static char *or_default(char *text, const char *fallback)
{
	return text ? text : (char *)(uintptr_t)fallback;
}

/* An overlay without a base has no file whose format could be said. */
static int convert_disk(const struct file_disk *from, Tagalong__Disk *to, struct mg_error *err)
{
	tagalong__disk__init(to);
	to->path = from->path;
	to->base_path = from->base;
	if ((from->path || from->base) && !from->format)
		return mg_error_set(err, -EINVAL, "disk '%.100s' has no format (raw, qcow2)",
				    from->path ? from->path : from->base);
	to->format = or_default(from->format, "qcow2");
	to->has_shared = to->has_readonly = true;
	to->shared = from->shared;
	to->readonly = from->readonly;
	to->has_size = from->size != NULL;
	if (from->size && size_parse(from->size, &to->size) < 0)
		return mg_error_set(err, -EINVAL, "size '%s' of a disk is not one like 20G",
				    from->size);
	return 0;
}

/* A VmSpec over the file's own strings is checked and then copied. */
static int convert(const struct file *f, VmSpec **ret, struct mg_error *err)
{
	VmSpec spec = TAGALONG__VM_SPEC__INIT;
	Tagalong__Disk disks[VM_DISKS_MAX], *disk_list[VM_DISKS_MAX];
	Tagalong__Network networks[VM_NETWORKS_MAX], *network_list[VM_NETWORKS_MAX];
	int r;

	if (size_parse(f->memory, &spec.memory_bytes) < 0)
		return mg_error_set(err, -EINVAL, "memory '%s' is not a size like 512M or 2G",
				    f->memory);
	spec.name = f->name;
	spec.vcpus = f->vcpus ? f->vcpus : 1;
	spec.machine = or_default(f->machine, VM_MACHINE_DEFAULT);
	spec.cpu = or_default(f->cpu, VM_CPU_DEFAULT);
	spec.accelerator = or_default(f->accelerator, VM_ACCELERATOR_DEFAULT);
	spec.kernel = f->kernel;
	spec.initrd = f->initrd;
	spec.cmdline = f->cmdline;
	spec.firmware = f->firmware;
	spec.base_image = f->base_image;
	spec.extra = f->extra;
	spec.n_extra = f->extra_count;
	spec.disks = disk_list;
	spec.networks = network_list;
	for (; spec.n_disks < f->disks_count; spec.n_disks++) {
		disk_list[spec.n_disks] = &disks[spec.n_disks];
		r = convert_disk(&f->disks[spec.n_disks], &disks[spec.n_disks], err);
		if (r < 0)
			return r;
	}
	for (; spec.n_networks < f->networks_count; spec.n_networks++) {
		Tagalong__Network *to = network_list[spec.n_networks] = &networks[spec.n_networks];

		tagalong__network__init(to);
		to->bridge = f->networks[spec.n_networks].bridge;
		to->mac = f->networks[spec.n_networks].mac;
	}
	r = vm_spec_check(&spec, err);
	if (r < 0)
		return r;
	*ret = vm_spec_copy(&spec);
	return *ret ? 0 : mg_error_set(err, -ENOMEM, "out of memory");
}

int vm_spec_parse(const char *name, const char *text, size_t len, const char *base_dir,
		  VmSpec **ret, struct mg_error *err)
{
	struct file *f = NULL;
	int r;

	r = config_parse(name, text, len, &schema, (void **)&f, err);
	if (r < 0)
		return r;
	r = make_all_absolute(f, base_dir);
	if (r < 0)
		mg_error_set(err, r, "%s: %s", base_dir, strerror(-r));
	else
		r = convert(f, ret, err);
	if (r < 0)
		mg_error_prefix(err, "%s", name);
	config_free(&schema, f);
	return r;
}

int vm_spec_load(const char *path, VmSpec **ret, struct mg_error *err)
{
	_cleanup_free_ char *text = NULL, *dir = strdup(path);
	size_t len;
	char *slash;
	int r;

	if (!dir)
		return mg_error_set(err, -ENOMEM, "out of memory");
	r = file_read(path, CONFIG_MAX, &text, &len, err);
	if (r < 0)
		return r;
	slash = strrchr(dir, '/');
	if (slash)
		slash[slash == dir] = '\0';
	return vm_spec_parse(path, text, len, slash ? dir : ".", ret, err);
}

/* ---- Checks ------------------------------------------------------------------ */

static bool consists_of(const char *text, const char *more)
{
	for (const char *p = text; *p; p++) {
		if (!isascii((unsigned char)*p) ||
		    (!isalnum((unsigned char)*p) && !strchr(more, *p)))
			return false;
	}
	return true;
}

static bool is_one_line(const char *text, size_t max)
{
	size_t n = 0;

	for (const char *p = text; *p; p++, n++) {
		if (iscntrl((unsigned char)*p))
			return false;
	}
	return n <= max;
}

bool vm_name_is_valid(const char *name)
{
	size_t n = strlen(name);

	return n >= 1 && n <= VM_NAME_MAX && name[0] != '-' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
}

static int check_memory(const VmSpec *spec, struct mg_error *err)
{
	/* A running spec is one that vm_spec_ram_bytes() has cut. */
	if (spec->memory_bytes < VM_MEMORY_MIN - LOSING_CUT || spec->memory_bytes > VM_MEMORY_MAX)
		return mg_error_set(err, -EINVAL,
				    "memory of %" PRIu64 " bytes; possible are 16M to 4096G",
				    spec->memory_bytes);
	if (spec->memory_bytes % MEMORY_MULTIPLE)
		return mg_error_set(err, -EINVAL, "memory of %" PRIu64
				    " bytes is not a multiple of %d", spec->memory_bytes,
				    MEMORY_MULTIPLE);
	return 0;
}

/* An alias ("q35") and a type without version ("microvm") mean another machine
 * on another QEMU. */
static bool is_versioned(const char *machine)
{
	const char *version = strrchr(machine, '-');
	int major, minor, end = 0;

	return consists_of(machine, "-._") && version &&
	       sscanf(version + 1, "%2d.%2d%n", &major, &minor, &end) == 2 && !version[1 + end];
}

static int check_machine(const VmSpec *spec, struct mg_error *err)
{
	size_t model = strcspn(spec->cpu, ",");

	if (!is_versioned(spec->machine))
		return mg_error_set(err, -EINVAL, "machine '%.64s' has no version: "
				    "take one like " VM_MACHINE_DEFAULT
				    ", which is the same on every host", spec->machine);
	if (model == 0 || !consists_of(spec->cpu, "-._,+=") || !is_one_line(spec->cpu, TEXT_MAX))
		return mg_error_set(err, -EINVAL, "cpu '%.64s' is not the name of a model",
				    spec->cpu);
	if ((model == 4 && strncmp(spec->cpu, "host", 4) == 0) ||
	    (model == 3 && strncmp(spec->cpu, "max", 3) == 0))
		return mg_error_set(err, -EINVAL, "cpu '%.*s' differs from host to host, so the VM "
				    "could not move: name a model like qemu64", (int)model,
				    spec->cpu);
	if (strcmp(spec->accelerator, "tcg") != 0 && strcmp(spec->accelerator, "kvm") != 0)
		return mg_error_set(err, -EINVAL, "accelerator '%.32s'; possible are tcg and kvm",
				    spec->accelerator);
	if (spec->vcpus < 1 || spec->vcpus > VM_VCPUS_MAX)
		return mg_error_set(err, -EINVAL, "%" PRIu32 " vcpus; possible are 1 to %d",
				    spec->vcpus, VM_VCPUS_MAX);
	return 0;
}

static int check_path(const char *what, const char *path, struct mg_error *err)
{
	if (!path)
		return 0;
	if (path[0] != '/')
		return mg_error_set(err, -EINVAL, "%s '%.100s' is not an absolute path", what, path);
	if (!is_one_line(path, PATH_MAX - 1))
		return mg_error_set(err, -EINVAL, "%s: not a path", what);
	return 0;
}

static int check_boot(const VmSpec *spec, struct mg_error *err)
{
	int r = check_path("kernel", spec->kernel, err);

	if (r == 0)
		r = check_path("initrd", spec->initrd, err);
	if (r == 0)
		r = check_path("firmware", spec->firmware, err);
	if (r < 0)
		return r;
	if (spec->base_image && !vm_name_is_valid(spec->base_image))
		return mg_error_set(err, -EINVAL, "base_image: '%.64s' is no name: a-z, 0-9 and '-'",
				    spec->base_image);
	if (!spec->kernel && (spec->initrd || spec->cmdline))
		return mg_error_set(err, -EINVAL, "%s without a kernel",
				    spec->initrd ? "initrd" : "cmdline");
	if (spec->cmdline && !is_one_line(spec->cmdline, CMDLINE_MAX))
		return mg_error_set(err, -EINVAL, "cmdline is not one line of at most %d characters",
				    CMDLINE_MAX);
	return 0;
}

/* Either a file, or an overlay that moves. */
static int check_disk_kind(const Tagalong__Disk *d, struct mg_error *err)
{
	if (!d->path && !d->base_path && !d->has_size)
		return mg_error_set(err, -EINVAL, "a disk has a path, or a base, a size or both");
	if (d->path && (d->base_path || d->has_size))
		return mg_error_set(err, -EINVAL, "disk '%.100s' is a file that is there, so it has "
				    "neither base nor size", d->path);
	if (!d->path && (d->shared || d->readonly))
		return mg_error_set(err, -EINVAL, "a disk with a base or size is the VM's own: it is "
				    "neither shared nor read only");
	if (d->has_size && (d->size == 0 || d->size % 512 || d->size > VM_DISK_SIZE_MAX))
		return mg_error_set(err, -EINVAL, "a disk of %" PRIu64 " bytes; possible are "
				    "multiples of 512 up to 4096G", d->size);
	return 0;
}

static int check_disks(const VmSpec *spec, struct mg_error *err)
{
	if (spec->n_disks > VM_DISKS_MAX)
		return mg_error_set(err, -EINVAL, "%zu disks; the limit is %d", spec->n_disks,
				    VM_DISKS_MAX);
	for (size_t i = 0; i < spec->n_disks; i++) {
		const Tagalong__Disk *d = spec->disks[i];
		int r = check_path("disk", d->path, err);

		if (r == 0)
			r = check_path("base", d->base_path, err);
		if (r == 0)
			r = check_disk_kind(d, err);
		if (r < 0)
			return r;
		if (strcmp(d->format, "raw") != 0 && strcmp(d->format, "qcow2") != 0)
			return mg_error_set(err, -EINVAL,
					    "disk format '%.32s'; possible are raw and qcow2",
					    d->format);
		for (size_t j = 0; j < i; j++) {
			if (d->path && spec->disks[j]->path &&
			    strcmp(d->path, spec->disks[j]->path) == 0)
				return mg_error_set(err, -EINVAL, "disk '%.100s' is there twice",
						    d->path);
		}
	}
	return 0;
}

/* Six pairs of hexadecimal digits; not a group address, not all zero. */
static bool is_mac(const char *text)
{
	unsigned sum = 0, first = 0;

	if (strlen(text) != 17)
		return false;
	for (int i = 0; i < 17; i++) {
		if (i % 3 == 2 ? text[i] != ':' : !isxdigit((unsigned char)text[i]))
			return false;
	}
	for (int i = 0; i < 17; i += 3)
		sum += (unsigned)strtoul(text + i, NULL, 16);
	first = (unsigned)strtoul(text, NULL, 16);
	return sum != 0 && !(first & 1);
}

static int check_networks(const VmSpec *spec, struct mg_error *err)
{
	if (spec->n_networks > VM_NETWORKS_MAX)
		return mg_error_set(err, -EINVAL, "%zu networks; the limit is %d", spec->n_networks,
				    VM_NETWORKS_MAX);
	for (size_t i = 0; i < spec->n_networks; i++) {
		const Tagalong__Network *n = spec->networks[i];

		if (!n->bridge[0] || strlen(n->bridge) > BRIDGE_MAX || n->bridge[0] == '.' ||
		    !consists_of(n->bridge, "-._"))
			return mg_error_set(err, -EINVAL, "bridge '%.32s' is no interface name",
					    n->bridge);
		if (!is_mac(n->mac))
			return mg_error_set(err, -EINVAL, "mac '%.32s' is not one host's address "
					    "like 52:54:00:12:34:56", n->mac);
		for (size_t j = 0; j < i; j++) {
			if (strcasecmp(n->mac, spec->networks[j]->mac) == 0)
				return mg_error_set(err, -EINVAL, "mac %s is there twice", n->mac);
		}
	}
	return 0;
}

/* A backend's id, as QEMU wants it (util/id.c). */
static int check_foreign(const VmSpec *spec, struct mg_error *err)
{
	const char *id = spec->ram_block;
	int r = check_path("monitor", spec->monitor, err);

	if (r < 0)
		return r;
	if (spec->monitor && strlen(spec->monitor) > VM_MONITOR_MAX)
		return mg_error_set(err, -EINVAL, "monitor: the path of a socket has at most %d "
				    "characters", VM_MONITOR_MAX);
	if (id && (!isalpha((unsigned char)id[0]) || strlen(id) > VM_NAME_MAX ||
		   !consists_of(id, "-._")))
		return mg_error_set(err, -EINVAL, "memory called '%.64s' cannot be moved", id);
	return 0;
}

const char *vm_spec_ram_block(const VmSpec *spec)
{
	return spec->ram_block ? spec->ram_block : VM_RAM_BLOCK_DEFAULT;
}

static int check_extra(const VmSpec *spec, struct mg_error *err);

int vm_spec_check(const VmSpec *spec, struct mg_error *err)
{
	static int (*const checks[])(const VmSpec *, struct mg_error *) = {
		check_memory, check_machine, check_boot, check_disks, check_networks, check_extra,
		check_foreign,
	};
	int r = message_check(&spec->base, err);

	if (r < 0)
		return r;
	if (!vm_name_is_valid(spec->name))
		return mg_error_set(err, -EINVAL, "name '%.64s': a VM's name is 1 to %d of a-z, "
				    "0-9 and '-', not '-' first", spec->name, VM_NAME_MAX);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(checks); i++)
		r = checks[i](spec, err);
	return r;
}

/* ---- Extra arguments --------------------------------------------------------- */

#define DESCRIBED "the description has a field for it"
#define DAEMONS "the daemon needs it as it is"
#define HARMFUL "it would undo how QEMU is confined"

/* What collides with the arguments that we give (qemu_args.c), or undoes what
 * they are for. */
static const struct {
	const char *option, *reason;
} refused_options[] = {
	{ "accel", DESCRIBED },
	{ "add-fd", DAEMONS },
	{ "append", DESCRIBED },
	{ "bios", DESCRIBED },
	{ "chroot", HARMFUL },
	{ "cpu", DESCRIBED },
	{ "daemonize", DAEMONS },
	{ "enable-kvm", DESCRIBED },
	{ "g", "there is no display" },
	{ "gdb", HARMFUL },
	{ "h", "it starts no VM" },
	{ "help", "it starts no VM" },
	{ "incoming", DAEMONS },
	{ "initrd", DESCRIBED },
	{ "kernel", DESCRIBED },
	{ "L", HARMFUL },
	{ "loadvm", DAEMONS },
	{ "M", DESCRIBED },
	{ "m", DESCRIBED },
	{ "machine", DESCRIBED },
	{ "mem-path", DAEMONS },
	{ "mem-prealloc", "it would zero memory that has just arrived" },
	{ "mon", DAEMONS },
	{ "monitor", DAEMONS },
	{ "name", DESCRIBED },
	{ "pidfile", DAEMONS },
	{ "plugin", HARMFUL },
	{ "preconfig", DAEMONS },
	{ "qmp", DAEMONS },
	{ "qmp-pretty", DAEMONS },
	{ "readconfig", HARMFUL },
	{ "runas", HARMFUL },
	{ "s", HARMFUL },
	{ "S", DAEMONS },
	{ "sandbox", HARMFUL },
	{ "set", DAEMONS },
	{ "smp", DESCRIBED },
	{ "snapshot", "the disks' changes would be lost with the first move" },
	{ "version", "it starts no VM" },
	{ "vga", "video memory loses dirty pages under TCG before QEMU 9" },
	{ "writeconfig", DAEMONS },
};

const char *vm_spec_refused_option(size_t i)
{
	return i < ARRAY_SIZE(refused_options) ? refused_options[i].option : NULL;
}

static int check_option(const char *argument, struct mg_error *err)
{
	const char *option = argument + 1;

	if (*option == '-')
		option++;
	for (size_t i = 0; i < ARRAY_SIZE(refused_options); i++) {
		if (strcmp(option, refused_options[i].option) == 0)
			return mg_error_set(err, -EINVAL, "extra argument '%.64s' is refused: %s",
					    argument, refused_options[i].reason);
	}
	return 0;
}

static int check_extra(const VmSpec *spec, struct mg_error *err)
{
	if (spec->n_extra > VM_EXTRA_MAX)
		return mg_error_set(err, -EINVAL, "%zu extra arguments; the limit is %d",
				    spec->n_extra, VM_EXTRA_MAX);
	for (size_t i = 0; i < spec->n_extra; i++) {
		const char *argument = spec->extra[i];
		int r = 0;

		if (!argument[0] || !is_one_line(argument, TEXT_MAX))
			return mg_error_set(err, -EINVAL, "extra argument %zu is empty or not one "
					    "line of at most %d characters", i + 1, TEXT_MAX);
		if (argument[0] == '-')
			r = check_option(argument, err);
		else if (i == 0)
			r = mg_error_set(err, -EINVAL,
					 "extra argument '%.64s': the first is an option (-device)",
					 argument);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- The rest ------------------------------------------------------------------ */

VmSpec *vm_spec_copy(const VmSpec *spec)
{
	size_t len = tagalong__vm_spec__get_packed_size(spec);
	_cleanup_free_ uint8_t *packed = malloc(len + 1);

	if (!packed)
		return NULL;
	tagalong__vm_spec__pack(spec, packed);
	return tagalong__vm_spec__unpack(NULL, len, packed);
}

void vm_spec_free(VmSpec *spec)
{
	if (spec)
		tagalong__vm_spec__free_unpacked(spec, NULL);
}

bool vm_spec_loses_pages(const VmSpec *spec, unsigned qemu_major)
{
	return strcmp(spec->accelerator, "tcg") == 0 && qemu_major < FIRST_SOUND_QEMU &&
	       spec->memory_bytes % LOSING_MULTIPLE == 0;
}

uint64_t vm_spec_ram_bytes(const VmSpec *spec, unsigned qemu_major)
{
	return vm_spec_loses_pages(spec, qemu_major) ? spec->memory_bytes - LOSING_CUT
						     : spec->memory_bytes;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * VM descriptions: YAML to VmSpec (common/proto/tagalong.proto), with every
 * check that needs no host. docs/man/tagalong-vm.5.scd describes the file.
 */
#ifndef MIGRATOR_VM_SPEC_H
#define MIGRATOR_VM_SPEC_H

#include <stdbool.h>

#include "common/cleanup.h"
#include "common/config.h"
#include "common/error.h"
#include "common/proto/tagalong.pb-c.h"

#define VM_NAME_MAX 48 /* a-z, 0-9 and '-' */
#define VM_MEMORY_MIN (UINT64_C(16) << 20)
#define VM_MEMORY_MAX (UINT64_C(4) << 40)
#define VM_VCPUS_MAX 255
#define VM_DISKS_MAX 16
#define VM_DISK_SIZE_MAX (UINT64_C(4) << 40)
#define VM_NETWORKS_MAX 8
#define VM_EXTRA_MAX 64
#define VM_MONITOR_MAX 107 /* the path of a unix socket */
#define VM_RAM_BLOCK_DEFAULT "ram0"
#define VM_MACHINE_DEFAULT "pc-q35-7.2"
#define VM_CPU_DEFAULT "qemu64"
#define VM_ACCELERATOR_DEFAULT "tcg"

typedef Tagalong__VmSpec VmSpec;

/* What the migration stream calls the RAM. */
const char *vm_spec_ram_block(const VmSpec *spec);

/* Reads a description. Relative paths are taken from the file's directory and
 * made absolute. The result is freed with vm_spec_free(). Errors: -EINVAL, and
 * those of reading. */
int vm_spec_load(const char *path, VmSpec **ret, struct mg_error *err);
int vm_spec_parse(const char *name, const char *text, size_t len, const char *base_dir,
		  VmSpec **ret, struct mg_error *err);

/* Checks one that came in a message, by the same rules. 0, -EINVAL, or -EPROTO
 * for text that is not clean. */
int vm_spec_check(const VmSpec *spec, struct mg_error *err);

/* Whether `name` is one that a VM may have (and so part of a path). */
bool vm_name_is_valid(const char *name);

/* NULL when out of memory. */
VmSpec *vm_spec_copy(const VmSpec *spec);
void vm_spec_free(VmSpec *spec);
DEFINE_CLEANUP(VmSpec, vm_spec_free)

/* Whether QEMU loses dirty pages of this guest when it is moved: under TCG on
 * a QEMU before 9.0, a RAM size that is a multiple of 256 KiB (the fast path of
 * the bitmap sync forgets TCG's TLB). */
bool vm_spec_loses_pages(const VmSpec *spec, unsigned qemu_major);

/* The RAM that a guest gets when it is started on that QEMU: memory_bytes, less
 * 8 KiB where it would lose pages otherwise. A guest's running spec carries this
 * size, and every later host takes it as it is. */
uint64_t vm_spec_ram_bytes(const VmSpec *spec, unsigned qemu_major);

/* The schema of the file, and the options that `extra` may not hold (the i-th,
 * NULL after the last), for the test that all of it is documented. */
const cyaml_schema_value_t *vm_spec_schema(void);
const char *vm_spec_refused_option(size_t i);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * VM descriptions: the input as a YAML file, and as the message that comes over
 * the bus. What passes the checks must make a command line and be the same
 * when it is copied.
 */
#include <stdint.h>
#include <string.h>

#include "migrator/qemu_args.h"
#include "migrator/vm_spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const VmSpec *spec)
{
	static const struct qemu_fds fds = { 10, 11, 12, { 13, 14, 15, 16, 17, 18, 19, 20 } };
	struct mg_error err = { 0 };
	VmSpec *copy = vm_spec_copy(spec);
	char **args;

	if (!copy || vm_spec_check(copy, &err) < 0 || !vm_name_is_valid(copy->name))
		abort();
	copy->memory_bytes = vm_spec_ram_bytes(copy, 7);
	if (vm_spec_check(copy, &err) < 0 || vm_spec_loses_pages(copy, 7))
		abort();
	args = qemu_args_make("qemu", copy, GUEST_INCOMING, &fds);
	if (!args)
		abort();
	for (char **p = args; *p; p++) {
		if (strchr(*p, '\n'))
			abort();
	}
	qemu_args_free(args);
	vm_spec_free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mg_error err = { 0 };
	VmSpec *spec = NULL;

	if (vm_spec_parse("fuzz.yaml", (const char *)data, size, "/", &spec, &err) == 0) {
		use(spec);
		vm_spec_free(spec);
	} else if (!err.text[0]) {
		abort();
	}
	spec = tagalong__vm_spec__unpack(NULL, size, data);
	if (spec && vm_spec_check(spec, &err) == 0)
		use(spec);
	vm_spec_free(spec);
	return 0;
}

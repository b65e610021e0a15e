/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/foreign.h"

#include <criterion/criterion.h>
#include <string.h>

struct facts {
	struct foreign_answers a;
	VmSpec *spec;
};

static struct facts facts_new(void)
{
	static const char text[] = "name: web\nmemory: 64M\nmachine: pc-q35-7.2\n";
	struct facts f = { 0 };
	struct mg_error err = { 0 };

	cr_assert_eq(vm_spec_parse("t", text, strlen(text), "/", &f.spec, &err), 0, "%s", err.text);
	f.a.status = json_pack("{s:b, s:s}", "running", 1, "status", "running");
	f.a.memory = json_pack("[{s:s, s:I}, {s:s, s:I}]", "id", "dimm", "size", (json_int_t)8192,
			       "id", "pc.ram", "size", (json_int_t)((64 << 20) - 8192));
	f.a.kvm = json_pack("{s:b, s:b}", "enabled", 0, "present", 1);
	f.a.cpus = json_pack("[{s:i}]", "cpu-index", 0);
	f.a.machine = json_string("pc-q35-7.2-machine");
	return f;
}

static void facts_free(struct facts *f)
{
	json_decref((json_t *)f->a.status);
	json_decref((json_t *)f->a.memory);
	json_decref((json_t *)f->a.kvm);
	json_decref((json_t *)f->a.cpus);
	json_decref((json_t *)f->a.machine);
	vm_spec_free(f->spec);
}

Test(foreign, what_fits_is_taken_with_the_memory_that_it_has)
{
	struct facts f = facts_new();
	struct mg_error err = { 0 };

	cr_assert_eq(foreign_judge(&f.a, "7.2.22", false, f.spec, &err), 0, "%s", err.text);
	cr_assert_eq(f.spec->memory_bytes, (64 << 20) - 8192);
	cr_assert_str_eq(vm_spec_ram_block(f.spec), "pc.ram");
	facts_free(&f);
}

/* Replaces one answer, and expects to be refused with these words. */
static void refused(size_t offset, json_t *answer, int code, const char *words)
{
	struct facts f = facts_new();
	struct mg_error err = { 0 };
	json_t **place = (json_t **)((char *)&f.a + offset);

	json_decref(*place);
	*place = answer;
	cr_assert_eq(foreign_judge(&f.a, "7.2.22", false, f.spec, &err), code, "%s: %s", words,
		     err.text);
	cr_assert_not_null(strstr(err.text, words), "'%s' is not in '%s'", words, err.text);
	facts_free(&f);
}

#define REFUSED(what, answer, code, words) \
	refused(offsetof(struct foreign_answers, what), answer, code, words)

Test(foreign, what_does_not_fit_is_refused)
{
	REFUSED(status, json_pack("{s:b}", "running", 0), -EINVAL, "does not run");
	REFUSED(machine, json_string("pc-q35-8.0-machine"), -EINVAL, "pc-q35-8.0");
	REFUSED(machine, json_null(), -EINVAL, "'?'");
	REFUSED(kvm, json_pack("{s:b}", "enabled", 1), -EINVAL, "accelerator 'kvm'");
	REFUSED(cpus, json_pack("[{},{}]"), -EINVAL, "2 vcpus");
	REFUSED(memory, json_array(), -EINVAL, "what its memory is called");
	REFUSED(memory, json_pack("[{s:s, s:I}]", "id", "/x", "size", (json_int_t)(64 << 20)), -EINVAL,
		"cannot be moved");
	REFUSED(memory, json_pack("{}"), -EINVAL, "what its memory is called");
}

Test(foreign, memory_whose_changes_would_be_lost_has_to_be_insisted_on)
{
	struct facts f = facts_new();
	struct mg_error err = { 0 };
	json_t *memory = (json_t *)f.a.memory;

	json_object_set_new(json_array_get(memory, 1), "size", json_integer(64 << 20));
	cr_assert_eq(foreign_judge(&f.a, "7.2.22", false, f.spec, &err), -EPERM);
	cr_assert_not_null(strstr(err.text, "256 KiB"));
	cr_assert_eq(foreign_judge(&f.a, "7.2.22", true, f.spec, &err), 0);
	cr_assert_eq(foreign_judge(&f.a, "10.0.2", false, f.spec, &err), 0);
	facts_free(&f);
}

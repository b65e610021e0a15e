/* SPDX-License-Identifier: Apache-2.0
 *
 * A real QEMU for a test: started, asked, ended, and nothing left of it. Without a kernel the
 * firmware runs and finds nothing to boot, which is guest enough here.
 */
#ifndef TESTS_UNIT_MIGRATOR_GUEST_FIXTURE_H
#define TESTS_UNIT_MIGRATOR_GUEST_FIXTURE_H

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "common/file.h"
#include "migrator/guest.h"

#define WAIT_NS (40 * NS_PER_S)

struct fixture {
	char dir[64], state_dir[80], ram_dir[80];
	sd_event *loop;
	struct guest_host host;
	VmSpec *spec;
	struct uuid incarnation;
	struct guest *g;
	struct mg_error err;
	unsigned ready, exited, events, replies;
	char reply[8192];
};

static inline void on_ready(struct guest *g, void *userdata)
{
	(void)g;
	((struct fixture *)userdata)->ready++;
}

static inline void on_event(struct guest *g, const char *event, json_t *data, uint64_t utc_ns,
			    void *userdata)
{
	(void)g;
	(void)event;
	(void)data;
	(void)utc_ns;
	((struct fixture *)userdata)->events++;
}

static inline void on_exit_of(struct guest *g, void *userdata)
{
	(void)g;
	((struct fixture *)userdata)->exited++;
}

static const struct guest_handlers handlers = { on_ready, on_event, on_exit_of };

static inline bool have_qemu(void)
{
	return system("command -v qemu-system-x86_64 >/dev/null") == 0;
}

static inline void setup_with(struct fixture *f, const char *more)
{
	char text[1024];

	if (!have_qemu())
		cr_skip_test("there is no qemu-system-x86_64");
	*f = (struct fixture){ 0 };
	strcpy(f->dir, "/dev/shm/test_guest.XXXXXX");
	cr_assert_not_null(mkdtemp(f->dir));
	snprintf(f->state_dir, sizeof(f->state_dir), "%s/state", f->dir);
	snprintf(f->ram_dir, sizeof(f->ram_dir), "%s/ram", f->dir);
	f->host = (struct guest_host){ .state_dir = f->state_dir,
				       .ram_dir = f->ram_dir,
				       .qemu = "qemu-system-x86_64",
				       .qemu_major = 7 };
	f->incarnation = uuid_random();
	cr_assert_eq(sd_event_new(&f->loop), 0);
	snprintf(text, sizeof(text), "name: guest\nmemory: 64M\n%s", more);
	cr_assert_eq(vm_spec_parse("vm.yaml", text, strlen(text), "/", &f->spec, &f->err), 0, "%s",
		     f->err.text);
}

static inline void setup(struct fixture *f)
{
	setup_with(f, "");
}

static inline int start(struct fixture *f, enum guest_mode mode)
{
	return guest_start(f->loop, &f->host, f->spec, mode, &f->incarnation, &handlers, f, &f->g,
			   &f->err);
}

static inline int adopt(struct fixture *f)
{
	return guest_adopt(f->loop, &f->host, "guest", &f->incarnation, &handlers, f, &f->g,
			   &f->err);
}

static inline bool run_until(struct fixture *f, const unsigned *counter, unsigned n)
{
	uint64_t end = clock_mono_ns() + WAIT_NS;

	while (*counter < n && f->exited == 0 && clock_mono_ns() < end)
		sd_event_run(f->loop, 10000);
	return *counter >= n;
}

static inline void start_ready(struct fixture *f, enum guest_mode mode)
{
	cr_assert_eq(start(f, mode), 0, "%s", f->err.text);
	cr_assert(run_until(f, &f->ready, 1), "%s", guest_error(f->g)->text);
	cr_assert_not_null(guest_qmp(f->g));
}

static inline void on_reply(struct qmp *q, int r, json_t *result, const struct mg_error *err,
			    void *userdata)
{
	struct fixture *f = userdata;
	_cleanup_free_ char *text = result ? json_dumps(result, JSON_ENCODE_ANY) : NULL;

	(void)q;
	cr_assert_eq(r, 0, "%s", err ? err->text : "");
	snprintf(f->reply, sizeof(f->reply), "%s", text);
	f->replies++;
}

static inline const char *ask(struct fixture *f, const char *command, json_t *arguments)
{
	unsigned n = f->replies + 1;

	cr_assert_eq(qmp_command(guest_qmp(f->g), command, arguments, 20 * NS_PER_S, on_reply, f),
		     0);
	cr_assert(run_until(f, &f->replies, n));
	return f->reply;
}

static inline unsigned entries_in(const char *path)
{
	DIR *dir = opendir(path);
	unsigned n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n > 2 ? n - 2 : 0;
}

static inline void assert_nothing_left(const struct fixture *f)
{
	char vms[128];

	snprintf(vms, sizeof(vms), "%s/vm", f->state_dir);
	cr_assert_eq(entries_in(vms), 0);
	cr_assert_eq(entries_in(f->ram_dir), 0);
}

static inline void quit(struct fixture *f)
{
	guest_quit(f->g);
	cr_assert(run_until(f, &f->exited, 1));
	cr_assert_eq(guest_error(f->g)->code, 0, "%s", guest_error(f->g)->text);
	guest_free(TAKE_PTR(f->g));
	guest_remove_files(&f->host, "guest", &f->incarnation, false);
	assert_nothing_left(f);
}

static inline void teardown(struct fixture *f)
{
	char command[128];

	guest_free(f->g);
	vm_spec_free(f->spec);
	guest_host_release(&f->host);
	sd_event_unref(f->loop);
	snprintf(command, sizeof(command), "rm -rf '%s'", f->dir);
	cr_assert_eq(system(command), 0);
}

static inline char *read_proc(const struct fixture *f, const char *what)
{
	char path[64], *text;
	size_t len;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)guest_pid(f->g), what);
	cr_assert_eq(file_read(path, 1 << 20, &text, &len, NULL), 0, "%s", path);
	for (size_t i = 0; i < len; i++) {
		if (!text[i])
			text[i] = ' ';
	}
	return text;
}

static inline struct stat stat_in(const struct fixture *f, const char *name)
{
	char path[256];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", guest_directory(f->g), name);
	cr_assert_eq(stat(path, &st), 0, "%s", path);
	return st;
}

#endif

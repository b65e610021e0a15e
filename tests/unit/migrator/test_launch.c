/* SPDX-License-Identifier: Apache-2.0
 *
 * What a QEMU may do that was launched, and what it finds.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <pwd.h>

#include "tests/unit/migrator/guest_fixture.h"

static void assert_status(const char *status, const char *key, const char *value)
{
	const char *line = strstr(status, key);

	cr_assert_not_null(line);
	line += strlen(key);
	line += strspn(line, " \t");
	cr_assert_eq(strncmp(line, value, strlen(value)), 0, "%s%.40s", key, line);
}

static void assert_confined(struct fixture *f)
{
	char *status = read_proc(f, "status");

	assert_status(status, "CapInh:", "0000000000000000");
	assert_status(status, "CapPrm:", "0000000000000000");
	assert_status(status, "CapEff:", "0000000000000000");
	assert_status(status, "CapAmb:", "0000000000000000");
	assert_status(status, "NoNewPrivs:", "1");
	assert_status(status, "Seccomp:", "2");
	if (geteuid() == 0)
		assert_status(status, "CapBnd:", "0000000000000000");
	free(status);
}

Test(launch, has_no_capabilities_and_a_sandbox)
{
	struct fixture f;

	setup(&f);
	start_ready(&f, GUEST_RUN);
	assert_confined(&f);
	cr_assert_eq(stat_in(&f, "console.log").st_mode & 077, 0);
	cr_assert_eq(stat_in(&f, "qemu.log").st_mode & 077, 0);
	cr_assert_eq(stat_in(&f, "spec").st_mode & 077, 0);
	cr_assert_eq(stat_in(&f, "qmp.sock").st_mode & 077, 0);
	cr_assert_eq(stat_in(&f, "console.sock").st_mode & 077, 0);
	cr_assert_eq(stat_in(&f, "..").st_mode & 077, 0);
	quit(&f);
	teardown(&f);
}

Test(launch, runs_as_the_user_that_is_given)
{
	const struct passwd *user = getpwnam("nobody");
	struct fixture f;
	struct stat st;
	char ids[64], *status;
	int fd;

	if (geteuid() != 0 || !user)
		cr_skip_test("only root can change users");
	setup(&f);
	f.host.user = "nobody";
	start_ready(&f, GUEST_RUN);
	assert_confined(&f);
	status = read_proc(&f, "status");
	snprintf(ids, sizeof(ids), "%u\t%u\t%u\t%u", user->pw_uid, user->pw_uid, user->pw_uid,
		 user->pw_uid);
	assert_status(status, "Uid:", ids);
	free(status);
	fd = guest_ram_open(f.g);
	cr_assert_eq(fstat(fd, &st), 0);
	close(fd);
	cr_assert(st.st_uid == user->pw_uid && (st.st_mode & 0777) == 0600);
	st = stat_in(&f, "console.log");
	cr_assert(st.st_uid == user->pw_uid && (st.st_mode & 0777) == 0600);
	/* What a restarted daemon believes is not QEMU's to write. */
	cr_assert_eq(stat_in(&f, ".").st_uid, 0);
	cr_assert_eq(stat_in(&f, ".").st_mode & 022, 0);
	cr_assert_eq(stat_in(&f, "spec").st_uid, 0);
	cr_assert_eq(stat_in(&f, "pid").st_uid, 0);
	quit(&f);
	teardown(&f);
}

Test(launch, inherits_no_other_descriptor)
{
	struct fixture f;
	char path[64], target[256];
	int leak = open("/etc/passwd", O_RDONLY); /* not close-on-exec, for once */
	struct dirent *e;
	DIR *dir;

	setup(&f);
	start_ready(&f, GUEST_RUN);
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)guest_pid(f.g));
	dir = opendir(path);
	cr_assert_not_null(dir);
	while ((e = readdir(dir))) {
		ssize_t n = readlinkat(dirfd(dir), e->d_name, target, sizeof(target) - 1);

		if (n < 0)
			continue;
		target[n] = '\0';
		cr_assert_str_neq(target, "/etc/passwd");
	}
	closedir(dir);
	close(leak);
	quit(&f);
	teardown(&f);
}

/* It would grow at the end of a blackout. */
Test(launch, its_descriptor_table_need_not_grow)
{
	struct fixture f;
	char *status;

	setup(&f);
	start_ready(&f, GUEST_INCOMING);
	status = read_proc(&f, "status");
	assert_status(status, "FDSize:", "1024");
	free(status);
	quit(&f);
	teardown(&f);
}

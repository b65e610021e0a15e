/* SPDX-License-Identifier: Apache-2.0 */
#include "common/file.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int read_as(const char *path, mode_t mode, struct mg_error *err)
{
	char *text = NULL;
	size_t len;
	int r;

	cr_assert_eq(chmod(path, mode), 0);
	r = file_read_secret(path, 100, &text, &len, err);
	if (r == 0)
		cr_assert_str_eq(text, "secret");
	free(text);
	return r;
}

/* But systemd's credentials show the mask of an access list as their group's. */
Test(file, a_secret_is_its_owners_alone)
{
	char directory[] = "/tmp/tagalong-file-XXXXXX", path[64], beside[64];
	struct mg_error err = { 0 };
	FILE *f;

	cr_assert_not_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/key", directory);
	f = fopen(path, "w");
	cr_assert_not_null(f);
	fputs("secret", f);
	fclose(f);
	unsetenv("CREDENTIALS_DIRECTORY");
	cr_assert_eq(read_as(path, 0600, &err), 0);
	cr_assert_eq(read_as(path, 0640, &err), -EPERM);
	cr_assert_not_null(strstr(err.text, "others may read this secret"));
	setenv("CREDENTIALS_DIRECTORY", directory, 1);
	cr_assert_eq(read_as(path, 0440, &err), 0);
	cr_assert_eq(read_as(path, 0460, &err), -EPERM);
	cr_assert_eq(read_as(path, 0444, &err), -EPERM);
	snprintf(beside, sizeof(beside), "%.*s", (int)strlen(directory) - 1, directory);
	setenv("CREDENTIALS_DIRECTORY", beside, 1);
	cr_assert_eq(read_as(path, 0440, &err), -EPERM);
	unlink(path);
	rmdir(directory);
}

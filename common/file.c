/* SPDX-License-Identifier: Apache-2.0 */
#include "common/file.h"

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"

int file_read(const char *path, size_t max, char **ret_text, size_t *ret_len, struct mg_error *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_free_ char *text = NULL;
	size_t len = 0, room = 4096;

	if (fd < 0)
		return mg_error_set(err, -errno, "%s: %s", path, strerror(errno));
	for (;;) {
		char *bigger = realloc(text, room + 1);
		ssize_t n;

		if (!bigger)
			return mg_error_set(err, -ENOMEM, "out of memory");
		text = bigger;
		n = read(fd, text + len, room - len);
		if (n < 0)
			return mg_error_set(err, -errno, "%s: %s", path, strerror(errno));
		if (n == 0)
			break;
		len += (size_t)n;
		if (len > max)
			return mg_error_set(err, -EFBIG, "%s: larger than %zu bytes", path, max);
		if (len == room)
			room *= 2;
	}
	text[len] = '\0';
	*ret_text = TAKE_PTR(text);
	*ret_len = len;
	return 0;
}

/* Given by systemd (LoadCredential=), whose files are of root's group: its bits are the mask of an
 * access list there. */
static bool is_credential(const char *path)
{
	const char *directory = getenv("CREDENTIALS_DIRECTORY");
	size_t len = directory ? strlen(directory) : 0;

	return len > 0 && strncmp(path, directory, len) == 0 && path[len] == '/';
}

int file_read_secret(const char *path, size_t max, char **ret_text, size_t *ret_len,
		     struct mg_error *err)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return mg_error_set(err, -errno, "%s: %s", path, strerror(errno));
	if (st.st_mode & (is_credential(path) ? 037 : 077))
		return mg_error_set(err, -EPERM, "%s: others may read this secret; 'chmod 600' it",
				    path);
	return file_read(path, max, ret_text, ret_len, err);
}

int file_write_at(int fd, const void *data, size_t len, off_t offset)
{
	const char *p = data;

	while (len) {
		ssize_t n = pwrite(fd, p, len, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		p += n;
		len -= (size_t)n;
		offset += n;
	}
	return 0;
}

int directory_make(const char *path, mode_t mode, struct mg_error *err)
{
	char part[PATH_MAX];

	if (strlen(path) >= sizeof(part))
		return mg_error_set(err, -ENAMETOOLONG, "%.100s…: path too long", path);
	strcpy(part, path);
	for (char *p = part + 1;; p++) {
		char was = *p;

		if (was != '/' && was != '\0')
			continue;
		*p = '\0';
		if (mkdir(part, mode) < 0 && errno != EEXIST)
			return mg_error_set(err, -errno, "%s: %s", part, strerror(errno));
		if (was == '\0')
			return 0;
		*p = was;
	}
}

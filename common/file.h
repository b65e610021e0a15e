/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COMMON_FILE_H
#define COMMON_FILE_H

#include <stddef.h>
#include <sys/types.h>

#include "common/error.h"

/* Reads a whole file of at most `max` bytes into fresh memory with a NUL
 * behind it, which the caller frees. -EFBIG when it is larger. */
int file_read(const char *path, size_t max, char **ret_text, size_t *ret_len,
	      struct mg_error *err);

/* The same for a file that only its owner may read; -EPERM for another. */
int file_read_secret(const char *path, size_t max, char **ret_text, size_t *ret_len,
		     struct mg_error *err);

/* Writes all of it at `offset`, however many calls that takes. -EIO: no more fits. */
int file_write_at(int fd, const void *data, size_t len, off_t offset);

/* Makes a directory and its parents; one that exists is fine. */
int directory_make(const char *path, mode_t mode, struct mg_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * What we need to know of QEMU's disk format (QEMU docs/interop/qcow2.txt): the header of an
 * image, and an image in which nothing has been written yet.
 */
#ifndef MIGRATOR_QCOW2_H
#define MIGRATOR_QCOW2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

#define QCOW2_HEADER_MAX 104         /* as much of a header as is looked at */
#define QCOW2_SIZE_MAX (UINT64_C(4) << 40)
#define QCOW2_BACKING_MAX 1023       /* bytes of a name */

struct qcow2_info {
	uint64_t size; /* of the disk; bytes */
	bool alone;    /* all of it is in this file: it lies on no other, and has no data elsewhere */
};

/* Reads the first bytes of a file. -EPROTO when they are not the header of an image of
 * version 2 or 3. */
int qcow2_read_header(const void *data, size_t len, struct qcow2_info *ret);

/* Writes an image of `size` bytes (at most QCOW2_SIZE_MAX, a multiple of 512) into an empty file.
 * It lies on `backing`, a file of that format; NULL: on nothing. 0 or a negative errno. */
int qcow2_make(int fd, uint64_t size, const char *backing, const char *backing_format);

#endif

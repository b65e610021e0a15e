/* SPDX-License-Identifier: Apache-2.0
 *
 * What is in the bases of disks: a digest (BLAKE2b, 256 bits) of each file's bytes, by which two
 * nodes find out that they have the same. It is computed by a thread, once as long as
 * the file stays as it is.
 */
#ifndef MIGRATOR_DISK_DIGEST_H
#define MIGRATOR_DISK_DIGEST_H

#include "common/cleanup.h"
#include "common/error.h"

#define DISK_DIGEST_TEXT_SIZE 65 /* hexadecimal */

struct disk_digests;

struct disk_digests *disk_digests_new(void); /* NULL when out of memory */

/* Waits for the threads, which stop soon. NULL is fine. */
void disk_digests_free(struct disk_digests *d);
DEFINE_CLEANUP(struct disk_digests, disk_digests_free)

/* Returns 0 and the digest of the file as it is now; -EAGAIN while it is being computed (the first
 * call begins that: ask again); or why that cannot be done, once. */
int disk_digest_get(struct disk_digests *d, const char *path, char ret[DISK_DIGEST_TEXT_SIZE],
		    struct mg_error *err);

#endif

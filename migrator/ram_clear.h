/* SPDX-License-Identifier: Apache-2.0
 *
 * Clears the part of a guest's reserved memory that nobody has touched yet,
 * ahead of time and at the lowest priority.
 *
 * Reserved pages of a tmpfs are cleared when they are touched first. The guest
 * may never touch them, but its next move does: QEMU reads all of its memory,
 * with the guest at work and the way to the target idle, and clearing would
 * take longer than sending (half a second for each 300 MB was measured).
 * The memory is the guest's already, so nothing more is taken or accounted.
 */
#ifndef MIGRATOR_RAM_CLEAR_H
#define MIGRATOR_RAM_CLEAR_H

#include <stdint.h>

#include "common/cleanup.h"

struct ram_clear;

/* Begins, some seconds from now, on a thread of its own. `fd` is the RAM file, of
 * `bytes` bytes; it is taken over, also on failure. No byte of it changes.
 * -ENOMEM, or why there is no thread. */
int ram_clear_start(int fd, uint64_t bytes, struct ram_clear **ret);

/* Ends it, done or not. NULL is fine. */
void ram_clear_free(struct ram_clear *c);
DEFINE_CLEANUP(struct ram_clear, ram_clear_free)

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * What can be done to the RAM file of a guest when the host has nothing better
 * to do: clearing it ahead of time, and giving it back.
 */
#ifndef MIGRATOR_RAM_IDLE_H
#define MIGRATOR_RAM_IDLE_H

#include <stdint.h>

#include "common/cleanup.h"

struct ram_clear;

/* Clears the reserved memory that nobody has touched yet. Reserved pages of a
 * tmpfs are cleared when they are touched first. The guest may never touch them,
 * but its next move does: QEMU reads all of its memory, with the guest at work
 * and the way to the target idle, and clearing would take longer than sending
 * (half a second for each 300 MB was measured). The memory is the guest's already,
 * so nothing more is taken or accounted.
 *
 * Begins some seconds from now, on a thread of its own, with the lowest priority.
 * `fd` is the RAM file, of `bytes` bytes; it is taken over, also on failure. No
 * byte of it changes. -ENOMEM, or why there is no thread. */
int ram_clear_start(int fd, uint64_t bytes, struct ram_clear **ret);

/* Ends it, done or not. NULL is fine. */
void ram_clear_free(struct ram_clear *c);
DEFINE_CLEANUP(struct ram_clear, ram_clear_free)

/* Frees the memory of a RAM file that nobody needs any more and closes it (not when
 * fd is negative), on a thread of its own: it takes a tenth of a second a gigabyte
 * and more, in which the daemon would not answer. */
void ram_release(int fd);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * A disk that is written and read back all the time: blocks of the pattern, one
 * after the other over its first MiB, past the guest's page cache.
 */
#ifndef SIM_GUEST_DISK_H
#define SIM_GUEST_DISK_H

#include <stdint.h>

#include "sim/guest/pattern.h"

struct disk_counts {
	_Atomic uint64_t writes;
	_Atomic uint64_t errors;
};

/* Never returns while the device can be opened; calls on_error for every block
 * that could not be written or does not read back. Returns -errno. */
int disk_exercise(const char *device, uint64_t seed, struct disk_counts *counts,
		  void (*on_error)(uint64_t block, const char *what));

#endif

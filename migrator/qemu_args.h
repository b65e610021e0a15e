/* SPDX-License-Identifier: Apache-2.0
 *
 * QEMU's command line for one guest. What can be opened beforehand is passed as
 * a descriptor, so that QEMU needs no right to any of our directories; the rest
 * are the description's own paths.
 *
 * Source and target must build the same machine, so all of this follows from
 * the VmSpec alone, descriptors and mode aside. The order of the devices gives
 * them their PCI slots: append to it, never insert.
 */
#ifndef MIGRATOR_QEMU_ARGS_H
#define MIGRATOR_QEMU_ARGS_H

#include "migrator/guest.h"

struct qemu_fds {
	int ram;     /* the RAM file */
	int qmp;     /* listening unix sockets */
	int console;
	int taps[VM_NETWORKS_MAX];
};

/* `spec` has been checked; its memory_bytes is what the guest gets. Returns a
 * NULL-terminated list (free with qemu_args_free()), or NULL when out of memory. */
char **qemu_args_make(const char *qemu, const VmSpec *spec, enum guest_mode mode,
		      const struct qemu_fds *fds);
void qemu_args_free(char **args);

#endif

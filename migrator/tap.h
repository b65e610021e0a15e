/* SPDX-License-Identifier: Apache-2.0
 *
 * A guest's end of a network: a tap device on one of the host's bridges. It goes
 * away with the last descriptor, so with the guest's QEMU.
 */
#ifndef MIGRATOR_TAP_H
#define MIGRATOR_TAP_H

#include "common/error.h"

/* Makes a tap, adds it to `bridge` and brings it up. Needs CAP_NET_ADMIN. `mac`
 * is the guest's address; the tap's own is made from it. The descriptor is
 * close-on-exec and the caller's. */
int tap_open(const char *bridge, const char *mac, int *ret_fd, struct mg_error *err);

/* Whether `bridge` sends what is for `mac` to a tap of ours: 1; 0: it has not learnt the address, or
 * sends it elsewhere, as it does until a guest that has come is heard. -errno: it cannot be
 * asked. Needs no privileges. */
int tap_is_learnt(const char *bridge, const char *mac);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * A world of its own for a run: fresh mount, network and process-id namespaces,
 * inside a fresh user namespace when not root. /run and /dev/shm are private
 * tmpfs in it. Nothing that happens inside outlives it: when its first process
 * ends, the kernel kills all others (a detached QEMU too) and takes the mounts,
 * interfaces and namespaces away. That first process dies with its parent.
 */
#ifndef SIM_TESTBED_SANDBOX_H
#define SIM_TESTBED_SANDBOX_H

#include "common/error.h"

/* Runs `run(arg)` inside and returns its exit status (128 + N when signal N
 * ended it), or a negative errno when there can be no such world here. SIGINT,
 * SIGTERM and SIGHUP to the calling process reach run()'s process. */
int sandbox_run(int (*run)(void *arg), void *arg, struct mg_error *err);

#endif

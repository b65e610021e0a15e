/* SPDX-License-Identifier: Apache-2.0
 *
 * Network namespaces and what is in them, inside a sandbox (sandbox.h): a
 * namespace is kept as /run/netns/NAME, where ip(8) finds it too.
 */
#ifndef SIM_TESTBED_NETNS_H
#define SIM_TESTBED_NETNS_H

#include "common/error.h"

/* Makes a namespace with its loopback up, without IPv6, and returns a
 * descriptor of it. */
int netns_add(const char *name, struct mg_error *err);

/* Runs commands of ip(8) or bridge(8), one a line, inside a namespace; a NULL
 * name means our own. */
int netns_ip(const char *name, const char *commands, struct mg_error *err);
int netns_bridge(const char *name, const char *commands, struct mg_error *err);

/* Makes a tap interface in a namespace (-1: ours) and returns the descriptor
 * whose closing removes it. */
int netns_tap(int netns, const char *interface, struct mg_error *err);

/* socket(2) in a namespace, non-blocking and close-on-exec; -errno. */
int netns_socket(int netns, int domain, int type, int protocol);

#endif

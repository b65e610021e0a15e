/* SPDX-License-Identifier: Apache-2.0
 *
 * A scenario's network, inside a sandbox (sandbox.h). The outer namespace is the
 * operator's site: the controller runs there, and a bridge joins the towers'
 * uplinks.
 *
 *     controller ── core0 ═uplink═ tower-a: up0, vx0 ─ br0 ─ radio0 ═radio═ phone
 *                     ╚════uplink═ tower-b: up0, vx0 ─ br0 ─ radio0
 *
 * Underlay (core0, up0): control and page traffic, 10.99.0.0/24, jumbo frames.
 * Overlay (br0, radio0, the VMs): one L2 segment, 10.88.0.0/24, that the towers
 * carry to each other by VXLAN. Double lines are emulated (linkem.h). The phone's
 * radio link ends at one tower at a time.
 */
#ifndef SIM_TESTBED_TOPOLOGY_H
#define SIM_TESTBED_TOPOLOGY_H

#include <netinet/in.h>

#include "sim/testbed/linkem.h"
#include "sim/testbed/scenario.h"

#define TOPOLOGY_BRIDGE "br0" /* where a VM's interface belongs, at every tower */
#define TOPOLOGY_CONTROLLER "10.99.0.1"
#define TOPOLOGY_PHONE "10.88.0.100"
#define TOPOLOGY_GUEST "10.88.0.200"
#define TOPOLOGY_GUEST_MAC "52:54:00:74:67:01"
#define TOPOLOGY_PREFIX 24

struct topology;

int topology_new(const struct scenario *s, struct topology **ret, struct mg_error *err);
void topology_free(struct topology *t);
DEFINE_CLEANUP(struct topology, topology_free)

/* A tower's addresses on underlay and overlay: a literal that lives as long as
 * the topology. */
const char *topology_underlay(const struct topology *t, int tower);
const char *topology_overlay(const struct topology *t, int tower);

/* Descriptors of namespaces; they remain the topology's. */
int topology_tower_netns(const struct topology *t, int tower);
int topology_phone_netns(const struct topology *t);

/* Sets the radio link for the phone's distance from its tower. */
void topology_set_radio(struct topology *t, const struct link_params *params);

/* Moves the phone's radio link to a tower and its default route with it, and
 * lets the phone announce itself there, as it would to a new network. */
int topology_attach(struct topology *t, int tower, struct mg_error *err);

/* How the emulator did over all links: the worst and the mean lateness, and
 * what it carried. */
struct topology_report {
	uint64_t frames, bytes, lost, dropped;
	uint64_t late_max_ns, late_mean_ns;
};

void topology_report(struct topology *t, struct topology_report *ret);

#endif

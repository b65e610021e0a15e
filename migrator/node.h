/* SPDX-License-Identifier: Apache-2.0
 *
 * One migratord: what its parts share. daemon.c makes and serves it; vm.c,
 * outgoing.c and incoming.c live in it.
 */
#ifndef MIGRATOR_NODE_H
#define MIGRATOR_NODE_H

#include <sys/queue.h>
#include <systemd/sd-event.h>

#include "common/bus.h"
#include "migrator/forecast.h"
#include "migrator/guest.h"
#include "migrator/journal.h"
#include "migrator/refusals.h"

struct node_config;
struct vm;
struct outgoing;
struct incoming;
struct farewell;
struct base_adding;
struct waiting;
struct image_store;
struct share;
struct disk_digests;
struct exporter;
struct relay;
struct relay_target;

struct node {
	sd_event *loop;
	const struct node_config *config;
	struct guest_host host;
	struct keypair keys;
	struct allow_list *allow;
	struct journal *journal;
	struct bus *bus;
	struct bus_socket *router;     /* peers and operators come to it */
	struct bus_socket *controller; /* the one that leads; NULL: none is configured */
	char control_endpoint[256];    /* where others reach us, for all that we know */
	char data_endpoint[128];
	uint64_t epoch;
	struct refusals refused; /* orders to move */
	LIST_HEAD(, vm) vms;
	LIST_HEAD(, outgoing) outgoing;
	LIST_HEAD(, incoming) incoming;
	LIST_HEAD(, farewell) farewells; /* luggage.c */
	LIST_HEAD(, waiting) waiting; /* foreign.c */
	LIST_HEAD(, base_adding) base_addings; /* base_image.c */
	LIST_HEAD(, relay) relays; /* relay.c */
	LIST_HEAD(, relay_target) relay_targets; /* relay_target.c */
	uint64_t relayed_bytes; /* of memory, for the copies of both */
	struct image_store *images;
	struct share *share; /* what the outgoing moves share; made by the first of them */
	struct disk_digests *digests; /* of the bases of disks */
	struct stop_cost stop_cost; /* of the moves that have left */
	struct exporter *exporter; /* NULL: no metrics are served */
};

/* Something that the controller should see at once has changed. */
void node_changed(struct node *n);

#endif

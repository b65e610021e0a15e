/* SPDX-License-Identifier: Apache-2.0
 *
 * A telemetry node and one of its controllers: the node says hello every few seconds,
 * tells which devices it sees, and is told whom to watch. ClientSeen is repeated
 * until it is answered. When the controller turns out to be a new one
 * (another boot_id, or it answers ESTALE), everything is told again.
 */
#ifndef TELEMETRY_UPLINK_H
#define TELEMETRY_UPLINK_H

#include "common/bus.h"
#include "common/cleanup.h"
#include "telemetry/prober.h"
#include "telemetry/registry.h"

#define UPLINK_HELLO_NS (2 * UINT64_C(1000000000))

struct uplink;

/* What a controller says of those to be watched, and of the threshold (0: none). */
struct uplink_watch {
	const struct prober_watch *list;
	size_t n;
	bool begins, ends; /* a whole list; see prober_watch() */
	uint64_t threshold_ns;
	uint64_t epoch; /* the controller's */
};

struct uplink_events {
	/* False: it is void, for a later controller has taken over. */
	bool (*on_watch_list)(const struct uplink_watch *watch, void *userdata);
	/* The controller knows nothing of our devices: tell it (uplink_client_seen). */
	void (*on_new_controller)(uint64_t epoch, void *userdata);
	void *userdata;
};

int uplink_new(sd_event *loop, struct bus *bus, const char *endpoint, const char *server_key,
	       const struct uplink_events *events, struct uplink **ret, struct mg_error *err);
void uplink_free(struct uplink *u);
DEFINE_CLEANUP(struct uplink, uplink_free)

/* A device is (attached) or is no more at its address. Said to a controller that has taken
 * our hello; another one is told when it does. */
void uplink_client_seen(struct uplink *u, const struct device *device, bool attached);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * A telemetry node at work: its UDP port (probes out; answers and registrations
 * in), and the controllers above it.
 */
#ifndef TELEMETRY_NODE_H
#define TELEMETRY_NODE_H

#include <systemd/sd-event.h>

#include "common/address.h"
#include "common/cleanup.h"
#include "common/error.h"
#include "common/keys.h"
#include "telemetry/controllers.h"
#include "telemetry/probe_tlvs.h"

#define NODE_TIMEOUT_MIN_NS (10 * UINT64_C(1000000))

struct node_config {
	const char *name;
	const struct keypair *keys; /* NULL with plain_text_bus */
	bool plain_text_bus;
	const struct telemetry_controller *controllers;
	size_t n_controllers; /* 1 to TELEMETRY_CONTROLLERS_MAX */
	struct address listen;      /* UDP */
	struct address also_listen; /* UDP, of the other family; none: it speaks one */
	const char *devices;        /* file of those that may register; see registry.h */
	bool authenticated;         /* the mode of STAMP, with the devices' keys */
	struct probe_tlvs_wishes tlvs; /* what probes ask for besides, */
	bool protect_tlvs;          /* with an HMAC in the unauthenticated mode, too */
	uint64_t interval_ns;       /* between probes, unless the controller says otherwise */
	uint64_t calm_interval_ns;  /* the same where nothing happens; 0: no longer one */
	uint64_t budget;            /* probes a second to all clients; 0: without limit */
	uint64_t timeout_ns;        /* after which a probe is lost */
	uint64_t window_ns;         /* of the minimum */
	uint64_t report_interval_ns;
	uint64_t session_interval_ns; /* between two looks at TCP sessions; 0: there are none */
	const char *const *session_interfaces; /* where sessions pass that are looked at, too */
	size_t n_session_interfaces; /* at most BRIDGE_WATCH_INTERFACES_MAX */
	struct address metrics; /* HTTP; none: not served */
};

struct node;

/* Gives up the process's capabilities when its sockets are open (telemetry/confine.h). */
int node_start(const struct node_config *config, sd_event *loop, struct node **ret,
	       struct mg_error *err);
void node_free(struct node *n);
DEFINE_CLEANUP(struct node, node_free)

/* Takes the file of devices, the times but for the window, and the budget from `config`. An error
 * changes nothing. */
int node_reload(struct node *n, const struct node_config *config, struct mg_error *err);

/* Where it listens. */
const struct address *node_local(const struct node *n);

/* Where it serves its metrics; NULL where it does not. */
const struct address *node_metrics_local(const struct node *n);

#endif

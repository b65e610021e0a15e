/* SPDX-License-Identifier: Apache-2.0
 *
 * The device's program: one UDP socket that reflects STAMP probes and keeps
 * the device registered with its node.
 *
 * Reflecting is open to whoever asks, as STAMP is, but never gives back more
 * than it was given, and no source address gets more than REFLECTOR_RATE answers
 * a second: so much is what a forged request that sets two reflectors on each
 * other can cost, and who floods us spoils nobody else's measurements: not our
 * node's, and no others' but the few that share its slot (telemetry/source_slot.h).
 */
#ifndef TELEMETRY_REFLECTOR_H
#define TELEMETRY_REFLECTOR_H

#include <systemd/sd-event.h>

#include "common/address.h"
#include "common/cleanup.h"
#include "common/error.h"
#include "telemetry/registration.h"
#include "telemetry/session_reflector.h"

#define REFLECTOR_RATE 200
#define REFLECTOR_BURST 50
#define REFLECTOR_INTERVAL_MIN_NS (50 * UINT64_C(1000000))
#define REFLECTOR_INTERVAL_MAX_NS (1200 * UINT64_C(1000000000))

struct reflector_config {
	struct uuid device;
	uint8_t key[DEVICE_KEY_SIZE];
	struct address listen;
	/* With node_is_gateway the node's address is that of the default gateway,
	 * looked up at each refresh; only family and port are taken from here. */
	struct address node;
	bool node_is_gateway;
	uint64_t interval_ns;                  /* between refreshes, within the limits above */
	uint64_t sleep_interval_ns;            /* the same while the device sleeps */
	struct session_reflector_config stamp; /* its key is the device's */
};

struct reflector;

struct reflector_counters {
	uint64_t reflected, malformed, limited, forged; /* probes */
	uint64_t refreshes, accepted;                   /* registrations */
};

int reflector_start(const struct reflector_config *config, sd_event *loop, struct reflector **ret,
		    struct mg_error *err);
void reflector_free(struct reflector *r);
DEFINE_CLEANUP(struct reflector, reflector_free)

/* The device falls asleep, or wakes: its node is told at once, and again every interval until
 * it has answered; while it sleeps nothing else is sent but a refresh every sleep interval. */
void reflector_set_asleep(struct reflector *r, bool asleep);

/* Where it listens. */
const struct address *reflector_local(const struct reflector *r);

/* The node that it is registered with; none when it is not. */
const struct address *reflector_registered_with(const struct reflector *r);

const struct reflector_counters *reflector_counters(const struct reflector *r);

#endif

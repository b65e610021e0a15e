/* SPDX-License-Identifier: Apache-2.0
 *
 * Round-trip times that cost no packet, of clients' TCP sessions that do not end on this host, but
 * pass an interface of it on their way to a guest: a bridge that guests are on, a tap, or the way
 * to the devices. They are told to a prober as they come, and taken with the next sweep over
 * sessions (telemetry/tcp_watch.h).
 */
#ifndef TELEMETRY_BRIDGE_WATCH_H
#define TELEMETRY_BRIDGE_WATCH_H

#include <systemd/sd-event.h>

#include "telemetry/prober.h"

#define BRIDGE_WATCH_INTERFACES_MAX 16

struct bridge_watch;

struct bridge_watch_counters {
	uint64_t taken;     /* segments from or to clients */
	uint64_t stranger;  /* from and to others; the filter lets few of them pass */
	uint64_t malformed;
	uint64_t dropped;   /* there was no room for them */
	uint64_t samples;
	uint64_t crowded;   /* segments of sessions that there was no place for */
};

/* Takes CAP_NET_RAW at the start only. Interfaces are looked for again and again; what they are
 * called is copied. `prober` is borrowed. */
int bridge_watch_new(sd_event *loop, struct prober *prober, const char *const *interfaces, size_t n,
		     struct bridge_watch **ret);
void bridge_watch_free(struct bridge_watch *w);
DEFINE_CLEANUP(struct bridge_watch, bridge_watch_free)

const struct bridge_watch_counters *bridge_watch_counters(const struct bridge_watch *w);

#endif

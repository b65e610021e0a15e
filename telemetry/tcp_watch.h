/* SPDX-License-Identifier: Apache-2.0
 *
 * Round-trip times that cost no packet: those of the clients' TCP sessions that end on this host, as
 * the kernel measures them anyway. One dump of all sessions a sweep, whatever their number; a
 * session tells something of its path if data went out and was acknowledged since the last one.
 */
#ifndef TELEMETRY_TCP_WATCH_H
#define TELEMETRY_TCP_WATCH_H

#include <systemd/sd-event.h>

#include "telemetry/prober.h"

struct tcp_watch;

/* Sweeps every `interval_ns`, not 0, and tells `prober`, which is borrowed. */
int tcp_watch_new(sd_event *loop, struct prober *prober, uint64_t interval_ns,
		  struct tcp_watch **ret);
void tcp_watch_free(struct tcp_watch *w);
DEFINE_CLEANUP(struct tcp_watch, tcp_watch_free)

/* Sweeps now. Returns how many sessions the kernel told of, or an error; of those that it told
 * before that, use is made. */
int tcp_watch_sweep(struct tcp_watch *w);

#endif

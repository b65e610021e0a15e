/* SPDX-License-Identifier: Apache-2.0
 *
 * The prober at work on its sockets: probes leave when they are due, the kernel's
 * times of sending and the answers go to the prober.
 */
#ifndef TELEMETRY_PROBE_LOOP_H
#define TELEMETRY_PROBE_LOOP_H

#include <systemd/sd-event.h>

#include "telemetry/datagram.h"
#include "telemetry/prober.h"

struct probe_loop;

/* Returns true when it has taken a UDP datagram that came on `fd`; all others go to the prober. */
typedef bool (*probe_loop_filter_fn)(int fd, const struct datagram *d, void *userdata);

/* As in prober_config. */
typedef const uint8_t *(*probe_loop_key_fn)(const struct uuid *device, void *userdata);

/* Without it clients that need that channel cannot be reached. */
struct probe_loop_socket {
	int fd; /* of datagram_open() or datagram_open_echo(); -1: none. Borrowed */
	bool raw;
};

struct probe_loop_config {
	struct probe_loop_socket sockets[PROBER_CHANNELS];
	/* Without its functions, userdata and echo_identifier. */
	struct prober_config prober;
	probe_loop_filter_fn filter; /* may be NULL */
	probe_loop_key_fn key_of;    /* NULL: nothing has an HMAC */
	void *userdata;              /* of both */
};

int probe_loop_new(sd_event *loop, const struct probe_loop_config *config, struct probe_loop **ret);
void probe_loop_free(struct probe_loop *l);
DEFINE_CLEANUP(struct probe_loop, probe_loop_free)

struct prober *probe_loop_prober(struct probe_loop *l);

/* To be called when somebody may be due sooner than before: there is a new watch
 * list. */
void probe_loop_wake(struct probe_loop *l);

#endif

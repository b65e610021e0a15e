/* SPDX-License-Identifier: Apache-2.0
 *
 * Probes whose time of sending the kernel still owes us. One socket's times come in the
 * order of sending, and some never do.
 */
#ifndef TELEMETRY_SEND_TIMES_H
#define TELEMETRY_SEND_TIMES_H

#include "telemetry/stamp.h"

#define SEND_TIMES_MAX 256 /* beyond that the oldest is forgotten */

struct client;

struct send_times {
	struct {
		struct client *client; /* NULL: gone */
		struct stamp_request packet;
	} owed[SEND_TIMES_MAX]; /* a ring */
	unsigned head, length;
};

void send_times_expect(struct send_times *t, struct client *c, const struct stamp_request *packet);

/* The time of this packet has come: tells whose it is, NULL if nobody waits for it. Those before
 * it never will come. */
struct client *send_times_take(struct send_times *t, const struct stamp_request *packet);

/* The client is no more. */
void send_times_forget(struct send_times *t, const struct client *c);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * The test guest's network side, on one thread: UDP echo and TCP echo (port 7)
 * and the control port. It never waits for anything but its sockets.
 */
#ifndef SIM_GUEST_NETWORK_H
#define SIM_GUEST_NETWORK_H

#include <stddef.h>
#include <stdint.h>

#define GUEST_ECHO_PORT 7
#define GUEST_CONTROL_PORT 7007

struct network_counts {
	_Atomic uint64_t udp;         /* datagrams echoed */
	_Atomic uint64_t tcp_bytes;   /* bytes echoed */
	_Atomic uint64_t connections; /* open ones */
};

struct network {
	struct network_counts counts;
	/* Answers a command of the control port; returns the answer's length. */
	size_t (*on_command)(const char *command, char *answer, size_t size, void *userdata);
	void *userdata;
};

/* Serves for ever; returns -errno when the sockets cannot be had. */
int network_serve(struct network *n, uint16_t echo_port, uint16_t control_port);

#endif

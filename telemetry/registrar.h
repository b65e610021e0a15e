/* SPDX-License-Identifier: Apache-2.0
 *
 * The device's side of registration (telemetry/registration.h): what to say,
 * and which answers to believe. No I/O and no clock of its own.
 */
#ifndef TELEMETRY_REGISTRAR_H
#define TELEMETRY_REGISTRAR_H

#include "telemetry/registration.h"

/* How often a device that is told to repeat does so before the next refresh:
 * twice is enough for a new realm and a counter that is behind. */
#define REGISTRAR_REPEATS_MAX 3

struct registrar {
	struct uuid device;
	uint8_t key[DEVICE_KEY_SIZE];
	uint32_t period_ms; /* of the refreshes */
	bool asleep;        /* what the next REGISTER says */
	uint64_t realm;
	uint64_t counter; /* of the last REGISTER */
	bool waiting;     /* for the answer to it */
	unsigned repeats;
};

enum registrar_verdict {
	REGISTRAR_IGNORED,  /* not authentic, or no answer to the last REGISTER */
	REGISTRAR_ACCEPTED,
	REGISTRAR_REPEAT,   /* send a new REGISTER at once */
};

/* What is said from now on. No answer to what was said before counts: it is about the other state. */
void registrar_set_asleep(struct registrar *r, bool asleep, uint32_t period_ms);

/* Writes a REGISTER for a refresh; `now_utc_ns` makes counters rise over our own
 * restarts as well. */
void registrar_refresh(struct registrar *r, uint64_t now_utc_ns,
		       uint8_t ret_packet[REGISTRATION_SIZE]);

/* The same when we were told to repeat. */
void registrar_repeat(struct registrar *r, uint64_t now_utc_ns,
		      uint8_t ret_packet[REGISTRATION_SIZE]);

/* Judges a datagram from the node. */
enum registrar_verdict registrar_receive(struct registrar *r, const void *data, size_t len);

#endif

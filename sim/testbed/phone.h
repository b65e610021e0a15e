/* SPDX-License-Identifier: Apache-2.0
 *
 * The phone's side of its work: a process in the phone's namespace that talks
 * to the guest all the time and tells what it sees.
 *
 * - One TCP connection to the guest's echo port carries numbered, checksummed
 *   records and compares every byte that comes back. It is never reopened.
 * - A UDP echo at a fixed interval, with the kernel's receive time stamps,
 *   measures the round-trip time and every silence: what a person would notice
 *   of a blackout.
 *
 * Its standard input is a SEQPACKET socket: phone_message goes out, and a byte
 * that comes in means: send no more, await the rest, say PHONE_FINAL and end.
 */
#ifndef SIM_TESTBED_PHONE_H
#define SIM_TESTBED_PHONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

#define PHONE_ECHO_PORT 7
#define PHONE_SAMPLE_NS (UINT64_C(100) * 1000 * 1000)

enum phone_message_kind {
	PHONE_SAMPLE,  /* every PHONE_SAMPLE_NS */
	PHONE_SILENCE, /* no echo came for several intervals */
	PHONE_FINAL,
};

struct phone_message {
	enum phone_message_kind kind;

	/* SAMPLE and FINAL: totals, and the round-trip times since the last one. */
	uint64_t tcp_sent, tcp_verified; /* bytes */
	uint64_t udp_sent, udp_received;
	uint64_t rtt_median_ns, rtt_max_ns; /* 0: none came */
	bool connected;
	char failure[128]; /* of the TCP connection; "" while all is well */

	/* SILENCE: instants of the echoes around it. */
	uint64_t from_utc_ns, to_utc_ns;
};

struct phone_config {
	const char *guest; /* IPv4 address */
	uint64_t probe_interval_ns;
	uint64_t data_bps; /* bytes a second */
};

/* The process: returns its exit status. */
int phone_main(const struct phone_config *config, int control);

/* ---- The connection's content; here for its test -------------------------- */

#define PHONE_RECORD_SIZE 1024

/* Record `number`: its number, a checksum of its filling, the filling. */
void phone_record(uint64_t number, uint8_t record[PHONE_RECORD_SIZE]);

/* What comes back, byte by byte. */
struct phone_verifier {
	uint64_t verified; /* bytes */
	uint8_t expected[PHONE_RECORD_SIZE];
};

/* Compares the next bytes. 0, or -EBADMSG when one differs; `verified` then
 * counts the bytes before it. */
int phone_verify(struct phone_verifier *v, const uint8_t *data, size_t len);

#endif

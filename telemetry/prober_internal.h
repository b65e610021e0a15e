/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by the prober*.c files only.
 */
#ifndef TELEMETRY_PROBER_INTERNAL_H
#define TELEMETRY_PROBER_INTERNAL_H

#include "telemetry/client_table.h"
#include "telemetry/echo.h"
#include "telemetry/prober.h"
#include "telemetry/send_times.h"

struct prober {
	struct prober_config config;
	struct client_table *clients;
	uint32_t list_generation;
	bool list_is_open; /* parts of it are still to come */
	uint32_t phase; /* of the next client, in 2^-32 of its interval */
	uint64_t threshold_ns;
	uint64_t wanted;  /* rate of all clients that are not quiet, by their pace */
	unsigned squeeze; /* doublings that keep it within the budget */
	struct send_times send_times[PROBER_CHANNELS];
	uint8_t echo_key[ECHO_KEY_SIZE];
	struct probe_tlvs tlvs;
	uint8_t packets[PROBER_BATCH * (STAMP_AUTH_SIZE + PROBE_TLVS_MAX)]; /* on their way */
	bool reporting;                /* a round of reports is under way */
	struct client *next_reported;  /* in it */
	struct prober_summary counted; /* by it until now */
	struct prober_summary summary; /* by the last whole one */
	struct client **told; /* those whose sessions were told of */
	size_t n_told, room_told;
	struct prober_counters counters;
};

#endif

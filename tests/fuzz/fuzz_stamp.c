/* SPDX-License-Identifier: Apache-2.0
 *
 * STAMP on both sides: the input is a request to a reflector, and an answer to
 * a prober with two open probes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "telemetry/prober.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define UTC UINT64_C(1795235400000000000)

static void check_reflector(const uint8_t *data, size_t size)
{
	uint8_t *packet = malloc(size + 1);
	struct stamp_reply reply;
	struct stamp_request request;
	int r;

	if (!packet)
		abort();
	memcpy(packet, data, size);
	packet[size] = 0x5a;
	r = stamp_reflect(packet, size, UTC, UTC + 1, 64, 1);
	if ((r == 0) != (size >= STAMP_SIZE) || packet[size] != 0x5a)
		abort();
	if (r < 0 && memcmp(packet, data, size) != 0)
		abort();
	if (r == 0) {
		if (stamp_request_unpack(data, size, &request) < 0 ||
		    stamp_reply_unpack(packet, size, &reply) < 0 ||
		    reply.sender.sequence != request.sequence || reply.sender.t1 != request.t1 ||
		    memcmp(packet + STAMP_SIZE, data + STAMP_SIZE, size - STAMP_SIZE) != 0)
			abort();
	}
	free(packet);
}

static void discard(struct prober_packet *packets, size_t n, void *userdata)
{
	(void)userdata;
	for (size_t i = 0; i < n; i++)
		packets[i].result = 0;
}

static uint64_t fixed_utc(void *userdata)
{
	(void)userdata;
	return UTC;
}

static void count_report(const struct prober_report *report, void *userdata)
{
	if (report->rtt.last_ns > 2 * NS_PER_MS || report->rtt.confidence > 100)
		abort();
	++*(unsigned *)userdata;
}

static void check_prober(const uint8_t *data, size_t size)
{
	struct prober_watch watch = { .device = { { 1 } } };
	const struct prober_counters *n;
	struct prober *p;
	unsigned reports = 0;

	if (address_parse("192.0.2.1:862", 0, &watch.address) < 0 ||
	    prober_new(&(struct prober_config){ .interval_ns = 20 * NS_PER_MS,
						.timeout_ns = NS_PER_S,
						.window_ns = NS_PER_S,
						.error_estimate = 1,
						.send = discard,
						.now_utc = fixed_utc },
		       &p) < 0 ||
	    prober_set_watch_list(p, 0, &watch, 1) < 0)
		abort();
	prober_run(p, 0);
	prober_run(p, 20 * NS_PER_MS);
	if (size >= STAMP_SIZE)
		prober_sent_at(p, data, UTC);
	prober_receive(p, 21 * NS_PER_MS, &watch.address, UTC + NS_PER_MS, data, size);
	prober_receive(p, 21 * NS_PER_MS, &watch.address, UTC + NS_PER_MS, data, size);
	prober_report_changes(p, 21 * NS_PER_MS, count_report, &reports);
	n = prober_counters(p);
	if (n->accepted + n->wrong_length + n->duplicate + n->late + n->forged + n->implausible !=
		    2 ||
	    n->accepted != reports || n->accepted != n->duplicate)
		abort();
	prober_free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 2000)
		return 0;
	check_reflector(data, size);
	check_prober(data, size);
	return 0;
}

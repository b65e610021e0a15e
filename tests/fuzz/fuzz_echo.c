/* SPDX-License-Identifier: Apache-2.0
 *
 * ICMP: the input is what a raw socket received, or a reply to a prober with two open probes;
 * and a seed whose first byte is 0xff stands for the true reply to the second of them, changed by
 * the bytes that follow (position, value).
 */
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "telemetry/echo.h"
#include "telemetry/prober.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define UTC UINT64_C(1795235400000000000)

static void check_header(const uint8_t *data, size_t size)
{
	const uint8_t *message = NULL;
	size_t len = 0;

	if (echo_skip_header(data, size, &message, &len) < 0)
		return;
	if (message < data + 20 || message + len != data + size)
		abort();
}

static void check_reply(const uint8_t *data, size_t size, bool v6)
{
	uint8_t packet[ECHO_SIZE];
	struct echo e;

	if (echo_reply_unpack(data, size, v6, &e) < 0)
		return;
	if (size != ECHO_SIZE || !echo_has_identifier(data, size, e.identifier))
		abort();
	echo_request_pack(&e, v6, packet);
	if (memcmp(packet + 4, data + 4, ECHO_SIZE - 4) != 0)
		abort();
}

static void keep(enum prober_channel channel, struct prober_packet *packets, size_t n,
		 void *userdata)
{
	(void)channel;
	memcpy(userdata, packets[0].data, ECHO_SIZE);
	for (size_t i = 0; i < n; i++)
		packets[i].result = 0;
}

static uint64_t fixed_utc(void *userdata)
{
	(void)userdata;
	return UTC;
}

/* Whether the input is an answer, changed only where nobody looks. */
static bool make_answer(const uint8_t *data, size_t size, uint8_t packet[ECHO_SIZE])
{
	bool is_true = true;

	packet[0] = 0;
	for (size_t i = 1; i + 1 < size; i += 2) {
		unsigned at = data[i] % ECHO_SIZE;

		is_true &= packet[at] == data[i + 1] || (at >= 2 && at < 6);
		if (packet[at] != data[i + 1] && at >= 2 && at < 6)
			continue;
		packet[at] = data[i + 1];
	}
	return is_true;
}

static void check_prober(const uint8_t *data, size_t size)
{
	struct prober_watch watch = { .device = { { 1 } } };
	const struct prober_counters *n;
	uint8_t packet[ECHO_SIZE], sent[ECHO_SIZE];
	bool is_made = size > 0 && data[0] == 0xff, is_true = false;
	struct prober *p;

	if (address_parse("192.0.2.1:0", 0, &watch.address) < 0 ||
	    prober_new(&(struct prober_config){ .interval_ns = 20 * NS_PER_MS,
						.timeout_ns = NS_PER_S,
						.window_ns = NS_PER_S,
						.send = keep,
						.now_utc = fixed_utc,
						.userdata = sent },
		       &p) < 0 ||
	    prober_set_watch_list(p, 0, &watch, 1) < 0)
		abort();
	prober_run(p, 0);
	prober_run(p, 20 * NS_PER_MS);
	if (is_made) {
		memcpy(packet, sent, ECHO_SIZE);
		is_true = make_answer(data, size, packet);
		data = packet;
		size = ECHO_SIZE;
	}
	prober_receive(p, 21 * NS_PER_MS, &watch.address, UTC + NS_PER_MS, 0, data, size);
	n = prober_counters(p);
	if (n->accepted != is_true || n->accepted + n->wrong_length + n->forged + n->late != 1)
		abort();
	prober_free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_header(data, size);
	check_reply(data, size, false);
	check_reply(data, size, true);
	check_prober(data, size);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * What a sock_diag socket receives, for a dump with the sequence number 7. */
#include <stdlib.h>

#include "telemetry/tcp_diag.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The least that a session with a round-trip time takes: two headers, an attribute and half a
 * tcp_info. */
#define SESSION_MIN 160

static void count(const struct tcp_session *s, void *userdata)
{
	if (s->rtt_ns == 0 || address_is_none(&s->peer) || address_port(&s->peer) != 0)
		abort();
	++*(size_t *)userdata;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t sessions = 0;
	int r = tcp_diag_read(data, size, 7, count, &sessions);

	if (r > 1 || sessions > size / SESSION_MIN || (size == 0 && r != 0))
		abort();
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/send_times.h"

void send_times_expect(struct send_times *t, struct client *c, const struct stamp_request *packet)
{
	unsigned at = (t->head + t->length) % SEND_TIMES_MAX;

	t->owed[at].client = c;
	t->owed[at].packet = *packet;
	if (t->length < SEND_TIMES_MAX)
		t->length++;
	else
		t->head = (t->head + 1) % SEND_TIMES_MAX;
}

static bool same_packet(const struct stamp_request *a, const struct stamp_request *b)
{
	return a->sequence == b->sequence && a->t1 == b->t1 &&
	       a->error_estimate == b->error_estimate;
}

struct client *send_times_take(struct send_times *t, const struct stamp_request *packet)
{
	for (unsigned i = 0; i < t->length; i++) {
		unsigned at = (t->head + i) % SEND_TIMES_MAX;

		if (!same_packet(&t->owed[at].packet, packet))
			continue;
		t->head = (at + 1) % SEND_TIMES_MAX;
		t->length -= i + 1;
		return t->owed[at].client;
	}
	return NULL;
}

void send_times_forget(struct send_times *t, const struct client *c)
{
	for (unsigned i = 0; i < SEND_TIMES_MAX; i++)
		if (t->owed[i].client == c)
			t->owed[i].client = NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "placement/controller_private.h"

/* By which part it has to be another one than was told last. */
#define NOTICEABLE 8

/* Its level has changed, or it has crept away from what was told. */
static bool is_news(const struct rtt_entry *e)
{
	uint64_t apart = e->srtt_ns > e->told_srtt_ns ? e->srtt_ns - e->told_srtt_ns
						      : e->told_srtt_ns - e->srtt_ns;

	return e->level_utc_ns != e->told_level_utc_ns || apart > e->told_srtt_ns / NOTICEABLE;
}

void tell_rtt(struct controller *c, struct device *device, const struct node *node)
{
	Tagalong__Placement__DeviceRtt rtt = TAGALONG__PLACEMENT__DEVICE_RTT__INIT;
	PlacementEvent event = TAGALONG__PLACEMENT__EVENT__INIT;
	struct rtt_entry *e = device->rtts;
	struct arena arena = { 0 };

	if (!c->fx.listened || device->n_vms == 0)
		return;
	while (e < device->rtts + device->n_rtts && e->node != node)
		e++;
	if (e == device->rtts + device->n_rtts || !is_news(e))
		return;
	rtt.device_name = device->name;
	rtt.rtt = view_rtt(device, e, &arena);
	event.what_case = TAGALONG__PLACEMENT__EVENT__WHAT_RTT;
	event.rtt = &rtt;
	if (rtt.rtt) {
		effects_event(&c->fx, &event);
		e->told_srtt_ns = e->srtt_ns;
		e->told_level_utc_ns = e->level_utc_ns;
	}
	arena_free(&arena);
}

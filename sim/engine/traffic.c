/* SPDX-License-Identifier: Apache-2.0
 *
 * What devices and their VMs say to each other fills the backhaul: each sends so much on its
 * way, both ways. Packets wait in a link's queue as in M/M/1 (Kleinrock, Queueing Systems I,
 * 3.2), a burst being what is served: burst / rate × ρ / (1 - ρ). Moves get what is left.
 */
#include "common/clock.h"
#include "sim/engine/run.h"

/* A link that is used up to the last, or beyond, is one that is used to this part. */
#define LOAD_MAX 0.95

static double load_of(const struct run *run, uint32_t edge)
{
	double load = run->loads[edge] * (double)run->set->traffic.device_bps /
		      (double)run->world->backhaul.rate_bps;

	return load < LOAD_MAX ? load : LOAD_MAX;
}

/* Adds `change` to the devices on each link of the way. */
static void use(struct run *run, struct way way, uint32_t change)
{
	for (uint32_t at = way.tower; at != way.host;)
		run->loads[backhaul_step(&run->world->backhaul, &at, way.host) / 2] += change;
}

void traffic_settle(struct run *run, uint32_t i)
{
	const struct phone *p = &run->phones[i];
	bool talks = p->present && p->attachment.serving != ATTACHMENT_NONE;
	struct way *way = run->ways ? &run->ways[i] : NULL, now = { 0, 0 };

	if (!way)
		return;
	if (talks)
		now = (struct way){ (host_number)p->attachment.serving,
				    (host_number)phone_host(p) };
	if (now.tower == way->tower && now.host == way->host)
		return;
	use(run, *way, UINT32_MAX);
	*way = now;
	use(run, now, 1);
	moves_settle(run);
}

uint64_t traffic_wait_ns(const struct run *run, uint32_t from, uint32_t to)
{
	double service_ns = (double)run->set->traffic.burst * NS_PER_S /
			    (double)run->world->backhaul.rate_bps;
	double sum = 0;

	for (uint32_t at = from; at != to;) {
		uint32_t link = backhaul_step(&run->world->backhaul, &at, to);
		double load = load_of(run, link / 2);

		sum += service_ns * load / (1 - load);
	}
	return (uint64_t)sum;
}

double traffic_left_bps(const struct run *run, uint32_t edge)
{
	double rate = (double)run->world->backhaul.rate_bps;

	return run->ways ? rate * (1 - load_of(run, edge)) : rate;
}

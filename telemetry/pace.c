/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/pace.h"

#include <stdbool.h>

#define DELIVERED 90 /* the confidence below which probes are being lost */
#define DOUBTFUL 0.5

static bool is_far_from_threshold(const struct pace_view *v)
{
	uint64_t distance = v->srtt_ns > v->threshold_ns ? v->srtt_ns - v->threshold_ns
							 : v->threshold_ns - v->srtt_ns;

	if (v->threshold_ns == 0)
		return true;
	return distance > 4 * v->rttvar_ns && distance > v->threshold_ns / 4;
}

void pace_sample(struct pace *p, const struct pace_view *v, unsigned most)
{
	if (v->doubt >= DOUBTFUL || v->confidence < DELIVERED || !is_far_from_threshold(v)) {
		pace_alarm(p);
		return;
	}
	if (p->stretch > most)
		p->stretch = (uint8_t)most;
	if (p->stretch == most || ++p->calm < PACE_CALM)
		return;
	p->calm = 0;
	p->stretch++;
}

void pace_alarm(struct pace *p)
{
	*p = (struct pace){ 0 };
}

unsigned pace_most(uint64_t interval_ns, uint64_t most_ns)
{
	unsigned most = 0;

	while (most < PACE_STRETCH_MAX && interval_ns << (most + 1) <= most_ns)
		most++;
	return most;
}

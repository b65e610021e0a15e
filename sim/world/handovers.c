/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/world/handovers.h"

#include <math.h>

#include "common/clock.h"

static void follow(const struct trace_device *d, const struct towers *towers,
		   const struct attachment_parameters *p, uint64_t delay_ns, handover_fn fn,
		   void *userdata)
{
	struct attachment_ratio ratio = attachment_ratio(p);
	struct attachment a;

	attachment_init(&a);
	for (size_t i = 0; i < d->n; i++) {
		const struct trace_point *point = &d->points[i];
		uint64_t t = (uint64_t)llround(point->t * 1e9);
		uint32_t from = a.serving;

		if (isnan(point->at.x))
			attachment_init(&a);
		else if (attachment_look(p, &ratio, towers, &a, t, point->at) &&
			 from != ATTACHMENT_NONE && a.serving != ATTACHMENT_NONE)
			fn(&(struct handover){ d->name, t + delay_ns, point->at, from, a.serving },
			   userdata);
	}
}

void handovers_find(const struct trace *trace, const struct towers *towers,
		    const struct attachment_parameters *p, uint64_t delay_ns, handover_fn fn,
		    void *userdata)
{
	for (size_t i = 0; i < trace->n; i++)
		follow(&trace->devices[i], towers, p, delay_ns, fn, userdata);
}

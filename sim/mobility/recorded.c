/* SPDX-License-Identifier: Apache-2.0
 *
 * Movement as a trace has it: absent before its first point, then from point to
 * point. At the last point of a moving device it is gone; where devices step, the
 * last place lasts as long as the one before did.
 */
#include "sim/mobility/mobility.h"

static uint64_t ns(double seconds)
{
	return (uint64_t)llround(seconds * 1e9);
}

static void be_absent(struct walker *w, uint64_t until_ns)
{
	w->leg = (struct leg){ w->leg.t1_ns, until_ns, { NAN, NAN }, { NAN, NAN } };
}

/* How long the last step of all lasts. */
static double last_step(const struct trace_device *d)
{
	return d->n > 1 ? d->points[d->n - 1].t - d->points[d->n - 2].t : 1;
}

/* walker: step is the point at which the next leg begins. */
void next_recorded(const struct mobility *m, struct walker *w, uint32_t device, struct draws d)
{
	const struct trace_device *way = &m->trace->devices[device];
	const struct trace_point *p = &way->points[w->step];
	bool last = w->step + 1 == way->n;
	uint64_t end;

	(void)d;
	if (w->step == way->n || (last && !m->trace->steps)) {
		be_absent(w, UINT64_MAX);
		return;
	}
	if (w->step == 0 && w->leg.t1_ns < ns(p->t)) {
		be_absent(w, ns(p->t));
		return;
	}
	end = ns(last ? p->t + last_step(way) : p[1].t);
	if (end <= w->leg.t1_ns)
		end = w->leg.t1_ns + 1; /* two points within a nanosecond */
	w->step++;
	if (isnan(p->at.x))
		be_absent(w, end);
	else
		w->leg = (struct leg){ w->leg.t1_ns, end, p->at,
				       m->trace->steps || isnan(p[1].at.x) ? p->at : p[1].at };
}

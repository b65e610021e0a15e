/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/engine/run.h"

static uint32_t target_of(const struct run *run, uint32_t phone)
{
	for (uint32_t slot = 0; slot < run->set->moves; slot++)
		if (run->moves[slot].open && run->moves[slot].phone == phone &&
		    !run->moves[slot].background)
			return run->moves[slot].to;
	return phone_host(&run->phones[phone]);
}

static struct sighting see(struct run *run, uint32_t i)
{
	struct phone *p = &run->phones[i];
	struct sighting s = { 0 };
	uint64_t until;
	struct point at;

	/* One that has come since its last probe is not attached yet. */
	s.present = p->attachment.serving != ATTACHMENT_NONE &&
		    mobility_at(&run->world->mobility, &p->walker, i, run->in->seed, run->now_ns,
				&at, &until);
	if (!s.present)
		return s;
	s.x = (int32_t)lround(at.x);
	s.y = (int32_t)lround(at.y);
	s.tower = (uint16_t)p->attachment.serving;
	s.host = (uint16_t)phone_host(p);
	s.target = (uint16_t)target_of(run, i);
	return s;
}

static int expect(struct run *run, unsigned i)
{
	uint64_t at = snapshot_time_ns(i, run->set->duration_ns);

	return queue_push(&run->queue, event_make(at, EVENT_SNAPSHOT, i));
}

int snapshots_begin(struct run *run)
{
	struct snapshots *all = run->in->snapshots;
	uint32_t devices = run->world->devices;

	if (all)
		*all = (struct snapshots){
			.n = devices < SNAPSHOT_DEVICES ? devices : SNAPSHOT_DEVICES,
		};
	return all || run->in->passed ? expect(run, 0) : 0;
}

void snapshot_take(struct run *run, unsigned i)
{
	struct snapshots *all = run->in->snapshots;

	for (uint32_t k = 0; all && k < all->n; k++)
		all->at[i][k] = see(run, snapshot_device(k, all->n, run->world->devices));
	if (run->in->passed)
		run->in->passed(run->in->userdata);
	if (i + 1 < SNAPSHOT_TIMES && expect(run, i + 1) < 0)
		run->error = -ENOMEM;
}

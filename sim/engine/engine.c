/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/engine/engine.h"

#include <stddef.h>
#include <string.h>

#include "common/clock.h"
#include "sim/engine/run.h"

/* So many probes ahead a phone is fetched into the caches. */
#define AHEAD 8

#define ALIGNED(size) (((size) + _Alignof(max_align_t) - 1) & ~(_Alignof(max_align_t) - 1))

void world_clear(struct world *w)
{
	towers_clear(&w->towers);
	backhaul_clear(&w->backhaul);
	trace_clear(&w->trace);
	*w = (struct world){ 0 };
}

static void run_clear(struct run *run)
{
	ring_clear(&run->probes);
	queue_clear(&run->queue);
	free(run->phones);
	free(run->path_hosts);
	free(run->estimates);
	free(run->background);
	free(run->policy_states);
	free(run->learnt);
	free(run->attached);
	free(run->stretch);
	free(run->nodes);
	free(run->by_number);
	free(run->wishes);
	free(run->moves);
	free(run->links);
	free(run->ways);
	free(run->loads);
	images_clear(&run->images);
	stays_clear(&run->stays);
}

static int allocate(struct run *run)
{
	uint32_t towers = run->world->towers.n;
	size_t devices = run->world->devices;

	size_t paths = devices * run->set->probing.candidates;

	run->phones = aligned_alloc(_Alignof(struct phone), devices * sizeof(*run->phones));
	run->path_hosts = calloc(paths, sizeof(*run->path_hosts));
	run->estimates = calloc(paths, sizeof(*run->estimates));
	if (run->set->background.memory > 0) {
		run->background = calloc(devices, sizeof(*run->background));
		if (!run->background)
			return -ENOMEM;
	}
	if (run->in->policy) {
		run->policy_room = ALIGNED(run->in->policy->state_size);
		run->policy_states = calloc(devices, run->policy_room);
		run->learnt = calloc(1, run->in->policy->shared_size + 1);
		if (!run->policy_states || !run->learnt)
			return -ENOMEM;
	}
	run->attached = calloc(towers, sizeof(*run->attached));
	run->stretch = calloc(towers, sizeof(*run->stretch));
	run->nodes = calloc(towers, sizeof(*run->nodes));
	run->by_number = calloc(towers, sizeof(struct node *));
	run->moves = calloc(run->set->moves, sizeof(*run->moves));
	run->links = calloc((size_t)run->world->backhaul.n_edges * 2 + 1, sizeof(*run->links));
	if (run->set->traffic.device_bps > 0) {
		run->ways = calloc(devices, sizeof(*run->ways));
		run->loads = calloc((size_t)run->world->backhaul.n_edges + 1, sizeof(*run->loads));
		if (!run->ways || !run->loads)
			return -ENOMEM;
	}
	if (ring_init(&run->probes, devices) < 0 ||
	    images_init(&run->images, towers, run->set->image_memory, run->set->image_age_ns) < 0)
		return -ENOMEM;
	return run->phones && run->path_hosts && run->estimates && run->attached &&
			       run->stretch && run->nodes && run->by_number && run->moves &&
			       run->links
		       ? 0
		       : -ENOMEM;
}

static int start(struct run *run)
{
	int r = allocate(run);

	if (r < 0)
		return r;
	run->drawn.passed = PHILOX_LANES;
	tagalong__node_hello__init(&run->hello);
	run->hello.has_memory_bytes = run->set->host_memory > 0;
	run->hello.memory_bytes = run->set->host_memory;
	for (uint32_t i = 0; i < run->world->towers.n; i++) {
		run->stretch[i] = 1;
		run->nodes[i].number = i;
		run->nodes[i].hello = &run->hello;
		run->nodes[i].programs[PROGRAM_MIGRATOR].up = true;
		run->by_number[i] = &run->nodes[i];
	}
	for (uint32_t i = 0; i < run->world->devices; i++) {
		struct phone *p = &run->phones[i];
		struct draws d = draws_of(run->in->seed, PURPOSE_RADIO, i, &p->draws);
		double phase;

		*p = (struct phone){ .visited = { NOWHERE } };
		attachment_init(&p->attachment);
		if (run->background)
			run->background[i].host = NOWHERE;
		phase = draw_uniform(d) * (double)run->set->probing.interval_ns;
		ring_push(&run->probes, event_make((uint64_t)phase, EVENT_PROBE, i));
	}
	ring_sort(&run->probes);
	return snapshots_begin(run);
}

static void probe(struct run *run, uint32_t i)
{
	uint64_t next = phone_probe(run, i);
	struct event e = event_make(next, EVENT_PROBE, i);

	if (next == run->now_ns + run->set->probing.interval_ns)
		ring_push(&run->probes, e);
	else if (next != UINT64_MAX && queue_push(&run->queue, e) < 0)
		run->error = -ENOMEM;
}

/* Takes the next event; false: there is none before the end. */
static bool take_event(struct run *run, struct event *ret)
{
	const struct event *probe = run->probes.n > 0 ? ring_at(&run->probes, 0) : NULL;
	const struct event *other = run->queue.n > 0 ? &run->queue.events[0] : NULL;
	bool is_probe = probe && (!other || event_is_before(probe, other));
	const struct event *e = is_probe ? probe : other;

	if (!e || e->t_ns > run->set->duration_ns)
		return false;
	*ret = *e;
	if (is_probe) {
		if (run->drawn.passed >= PHILOX_LANES && run->probes.n >= PHILOX_LANES)
			phones_draw(run);
		run->drawn.passed++;
		ring_pop(&run->probes);
	} else {
		queue_pop(&run->queue);
	}
	return true;
}

static void run_events(struct run *run)
{
	struct event e;

	while (run->error == 0 && take_event(run, &e)) {
		uint32_t entity = (uint32_t)e.what;

		run->now_ns = e.t_ns;
		run->f.events++;
		switch ((enum event_kind)(e.what >> 32)) {
		case EVENT_PROBE:
			if (run->probes.n > AHEAD)
				phone_expect(run, (uint32_t)ring_at(&run->probes, AHEAD)->what);
			probe(run, entity);
			break;
		case EVENT_ROUND:
			round_hold(run);
			break;
		case EVENT_MOVE:
			if (run->moves[entity].open && run->moves[entity].ends_ns == e.t_ns)
				move_end(run, entity);
			break;
		case EVENT_SNAPSHOT:
			run->f.events--; /* nothing happens */
			snapshot_take(run, entity);
			break;
		}
	}
}

/* VMs that a host holds, were there no second ones; 0: all. */
static uint32_t capacity_of(const struct setting *set)
{
	uint64_t n = set->host_memory / set->vm.memory;

	return n < UINT32_MAX ? (uint32_t)n : 0;
}

/* Those who are there stay until their next probe, which does not come any more. */
static int find_costs(struct run *run)
{
	run->f.cost = (double)run->detours_ns * (double)run->set->probing.interval_ns / NS_PER_S +
		      (double)run->f.moves * run->set->move_price;
	if (!run->set->optimum)
		return 0;
	for (size_t k = 0; k < run->probes.n; k++) {
		const struct event *e = ring_at(&run->probes, k);
		struct stay end = { (uint32_t)e->what, STAY_ABSENT, e->t_ns };

		if (run->phones[end.phone].attachment.serving != ATTACHMENT_NONE &&
		    stays_add(&run->stays, end) < 0)
			return -ENOMEM;
	}
	run->f.optimum_unlimited = run->crowded;
	return optimum_find(&run->world->backhaul, &run->stays, run->set->move_price,
			    run->crowded ? 0 : capacity_of(run->set), &run->f.optimum);
}

int engine_run(const struct run_input *in, struct run_figures *ret, struct mg_error *err)
{
	_cleanup_(run_clear) struct run run = {
		.in = in,
		.world = in->world,
		.set = in->setting,
		.ratio = attachment_ratio(&in->setting->attachment),
	};
	int r = start(&run);

	if (r == 0) {
		run_events(&run);
		r = run.error == 0 ? find_costs(&run) : run.error;
	}
	if (r < 0)
		return mg_error_set(err, r, "out of memory");
	run.f.open = run.n_open;
	*ret = run.f;
	return 0;
}

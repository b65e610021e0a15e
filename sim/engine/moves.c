/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "sim/engine/run.h"

#define PAGE_BYTES 4096
/* On the wire, for a page that the target has in its image: half a byte in a long run (migrator/page.h);
 * so much was measured after minutes of use, which break runs up. */
#define HELD_PAGE_BYTES 2

/* Adds `change` to the moves on each link of the way. */
static void use_links(struct run *run, const struct sim_move *m, uint32_t change)
{
	for (uint32_t at = m->from; at != m->to;)
		run->links[backhaul_step(&run->world->backhaul, &at, m->to)] += change;
}

/* The least of its equal shares of the links on its way. */
static uint64_t rate_of(const struct run *run, const struct sim_move *m)
{
	double least = (double)run->world->backhaul.rate_bps;

	for (uint32_t at = m->from; at != m->to;) {
		uint32_t link = backhaul_step(&run->world->backhaul, &at, m->to);

		least = fmin(least, traffic_left_bps(run, link / 2) / run->links[link]);
	}
	return (uint64_t)least;
}

/* What the first pass sends of a guest whose image the target has: what was written since, and the
 * names of the pages that were not. */
static uint64_t since_image(const struct run *run, const struct machine *vm, uint64_t left_ns)
{
	const struct cost_facts facts = {
		.working_set_bytes = vm->working_set,
		.dirty_bps = vm->dirty_bps,
	};
	uint64_t bytes = cost_dirtied_bytes(&facts, run->now_ns - left_ns) +
			 vm->memory / PAGE_BYTES * HELD_PAGE_BYTES * 1000 / vm->wire_permille;

	return bytes < vm->memory ? bytes : vm->memory;
}

/* Takes the image. */
static void begin_pass(struct run *run, struct sim_move *m)
{
	const struct machine *vm = move_machine(run, m->background);
	uint64_t left_ns;

	m->image = images_take(&run->images, m->to, vm_number(m->phone, m->background),
			       run->now_ns, &left_ns);
	m->first_bytes = m->image ? since_image(run, vm, left_ns) : vm->memory;
}

static struct cost predict(const struct run *run, const struct sim_move *m)
{
	const struct machine *vm = move_machine(run, m->background);
	const struct cost_facts facts = {
		.remaining_bytes = m->first_bytes,
		.working_set_bytes = vm->working_set,
		.dirty_bps = vm->dirty_bps,
		.link_bps = m->rate_bps,
		.wire_permille = vm->wire_permille,
		.rtt_ns = 2 * backhaul_delay_ns(&run->world->backhaul, m->from, m->to),
		.promise_ns = vm->promise_ns,
		.start_ns = vm->start_ns,
		.qemu_ns = vm->stop_ns,
	};

	struct cost cost;

	cost_predict(&facts, &cost);
	return cost;
}

/* The part that has been done since the last time. */
static void progress(const struct run *run, struct sim_move *m)
{
	double done = (double)(run->now_ns - m->updated_ns) / (double)m->cost.total_ns;

	done = fmin(done, m->left);
	m->left -= done;
	m->bytes += done * (double)m->cost.bytes;
	m->updated_ns = run->now_ns;
}

void moves_settle(struct run *run)
{
	for (uint32_t slot = 0; run->n_open > 0 && slot < run->set->moves; slot++) {
		struct sim_move *m = &run->moves[slot];
		uint64_t rate;

		if (!m->open || (rate = rate_of(run, m)) == m->rate_bps)
			continue;
		if (m->rate_bps > 0)
			progress(run, m);
		m->rate_bps = rate;
		m->cost = predict(run, m);
		m->ends_ns = run->now_ns + (uint64_t)ceil(m->left * (double)m->cost.total_ns);
		if (queue_push(&run->queue, event_make(m->ends_ns, EVENT_MOVE, slot)) < 0)
			run->error = -ENOMEM;
	}
}

uint64_t move_expected_ns(const struct run *run, uint32_t i, uint32_t to)
{
	struct sim_move m = {
		.phone = i,
		.from = phone_host(&run->phones[i]),
		.to = to,
		.first_bytes = run->set->vm.memory,
		.rate_bps = run->world->backhaul.rate_bps,
	};
	uint64_t left_ns;

	if (images_has(&run->images, to, vm_number(i, false), run->now_ns, &left_ns))
		m.first_bytes = since_image(run, &run->set->vm, left_ns);
	return predict(run, &m).total_ns;
}

void move_begin(struct run *run, uint32_t i, uint32_t to, bool background)
{
	uint32_t slot = 0;

	while (run->moves[slot].open)
		slot++; /* the planner keeps to their number */
	run->moves[slot] = (struct sim_move){
		.phone = i,
		.from = background ? run->background[i].host : phone_host(&run->phones[i]),
		.to = to,
		.open = true,
		.background = background,
		.begun_ns = run->now_ns,
		.updated_ns = run->now_ns,
		.left = 1,
	};
	begin_pass(run, &run->moves[slot]);
	run->n_open++;
	if (background)
		run->background[i].moving = true;
	else
		run->phones[i].moving = true;
	run->nodes[to].load.memory += move_machine(run, background)->memory;
	use_links(run, &run->moves[slot], 1);
	moves_settle(run);
}

static void front_arrives(struct run *run, const struct sim_move *m)
{
	run->f.moves++;
	run->f.images += m->image;
	run->f.move_ns += run->now_ns - m->begun_ns;
	run->f.blackout_ns += m->cost.blackout_ns;
	run->f.move_bytes += m->bytes;
	phone_moved(run, m->phone, m->to);
}

static void background_arrives(struct run *run, const struct sim_move *m)
{
	run->f.background_moves++;
	run->f.background_bytes += m->bytes;
	run->background[m->phone] = (struct background){ .host = (host_number)m->to };
}

void move_end(struct run *run, uint32_t slot)
{
	struct sim_move *m = &run->moves[slot];
	const struct image left = { vm_number(m->phone, m->background),
				    move_machine(run, m->background)->memory, run->now_ns };

	progress(run, m);
	m->bytes += m->left * (double)m->cost.bytes;
	m->open = false;
	run->n_open--;
	run->nodes[m->from].load.memory -= move_machine(run, m->background)->memory;
	use_links(run, m, UINT32_MAX);
	if (images_keep(&run->images, m->from, left) < 0)
		run->error = -ENOMEM;
	if (m->background)
		background_arrives(run, m);
	else
		front_arrives(run, m);
	moves_settle(run);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/engine/engine.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "common/clock.h"
#include "common/cost.h"
#include "sim/engine/noise.h"

/* Two towers a kilometre apart with one link between them, and phones that stay
 * where a trace puts them: at the west, then from a moment on in the east. */
struct scene {
	struct world world;
	struct setting setting;
	struct run_input in;
};

static const struct setting plain = {
	.duration_ns = 60 * NS_PER_S,
	.attachment = { .rule = ATTACHMENT_A3 },
	.radio = { .rtt_ns = 10 * NS_PER_MS },
	.probing = { .interval_ns = 100 * NS_PER_MS, .report = 1, .candidates = 2 },
	.vm = { .memory = 100000000, .wire_permille = 1000, .promise_ns = NS_PER_S },
	.moves = 100,
	.moves_per_node = 100,
	.target_ns = 30 * NS_PER_MS,
	.move_price = 20e6,
	.optimum = 1,
};

static const struct policy_parameters quick = {
	.threshold_ns = 20 * NS_PER_MS,
	.margin_ns = 5 * NS_PER_MS,
	.max_age_ns = NS_PER_S,
};

static void set_up(struct scene *scene, uint32_t phones)
{
	const struct backhaul_parameters links = { 1, 10 * NS_PER_MS, 0, 12500000 };
	struct mg_error err = { 0 };
	struct source s = { .name = "file", .err = &err };
	struct world *w = &scene->world;

	noise_init();
	*scene = (struct scene){ .setting = plain };
	cr_assert_eq(towers_make("grid:2x1:1000", NULL, &w->towers, &err), 0);
	cr_assert_eq(backhaul_make(&links, &w->towers, &w->backhaul, &err), 0);
	w->trace.steps = true;
	for (uint32_t i = 0; i < phones; i++) {
		char name[16];

		snprintf(name, sizeof(name), "%u", i);
		trace_add(&w->trace, &s, name, 0, (struct point){ 100, 0 });
		trace_add(&w->trace, &s, name, 20, (struct point){ 900, 0 });
		trace_add(&w->trace, &s, name, 100, (struct point){ 900, 0 });
	}
	w->mobility = (struct mobility){ .model = &mobility_trace, .trace = &w->trace };
	w->devices = phones;
	scene->in = (struct run_input){ w, &scene->setting, &policy_threshold, quick, 1 };
}

static struct run_figures run(struct scene *scene)
{
	struct run_figures f;
	struct mg_error err = { 0 };

	cr_assert_eq(engine_run(&scene->in, &f, &err), 0, "%s", err.text);
	return f;
}

static struct cost predict(const struct scene *scene, uint64_t bps)
{
	const struct machine *vm = &scene->setting.vm;
	const struct cost_facts facts = {
		.remaining_bytes = vm->memory,
		.working_set_bytes = vm->working_set,
		.dirty_bps = vm->dirty_bps,
		.link_bps = bps,
		.wire_permille = vm->wire_permille,
		.rtt_ns = 20 * NS_PER_MS,
		.promise_ns = vm->promise_ns,
	};
	struct cost cost;

	cost_predict(&facts, &cost);
	return cost;
}

Test(engine, a_vm_follows_its_phone_at_the_predicted_cost)
{
	struct scene scene;
	struct run_figures f;
	struct cost cost;

	set_up(&scene, 1);
	f = run(&scene);
	cost = predict(&scene, 12500000);
	cr_assert_eq(f.handovers, 1);
	cr_assert_eq(f.moves, 1);
	cr_assert_eq(f.open, 0);
	cr_assert_eq(f.move_ns, cost.total_ns);
	cr_assert_eq(f.blackout_ns, cost.blackout_ns);
	cr_assert_float_eq(f.move_bytes, (double)cost.bytes, 1);
	cr_assert_float_eq((double)f.user_ns, 60e9, 0.2e9);
	/* 30 ms while it was over there, and 10 before and after. */
	cr_assert_gt(f.above, 50);
	cr_assert_lt(f.above, 150);
	/* A move at once would have been all: its price. It came late, and took its time. */
	cr_assert_float_eq(f.optimum, 20e6, 1);
	cr_assert_gt(f.cost, 20e6 + 20e6 * (double)cost.total_ns / NS_PER_S);
	cr_assert_lt(f.cost, 20e6 + 20e6 * ((double)cost.total_ns / NS_PER_S + 5));
	world_clear(&scene.world);
}

Test(engine, moves_take_a_start_and_a_stop_besides)
{
	struct scene scene;
	struct run_figures f, g;

	set_up(&scene, 1);
	f = run(&scene);
	scene.setting.vm.start_ns = 1500 * NS_PER_MS;
	scene.setting.vm.stop_ns = COST_QEMU_NS + 30 * NS_PER_MS;
	g = run(&scene);
	cr_assert_eq(g.moves, 1);
	cr_assert_eq(g.blackout_ns, f.blackout_ns + 30 * NS_PER_MS);
	cr_assert_eq(g.move_ns, f.move_ns + 1530 * NS_PER_MS);
	cr_assert_float_eq(g.move_bytes, f.move_bytes, 1);
	world_clear(&scene.world);
}

static void count_part(void *userdata)
{
	++*(unsigned *)userdata;
}

/* Of whom snapshots show the way, and what they show: 60 s, one a second. */
Test(engine, snapshots_see_devices_and_vms_and_change_nothing)
{
	struct snapshots *s = calloc(1, sizeof(*s));
	struct scene scene;
	struct run_figures plainly, seen;
	unsigned moving = 0, followed = 0, parts = 0;

	set_up(&scene, 100);
	scene.setting.vm.memory = 1000000;
	plainly = run(&scene);
	scene.in.snapshots = s;
	scene.in.passed = count_part;
	scene.in.userdata = &parts;
	seen = run(&scene);
	cr_assert_eq(parts, SNAPSHOT_TIMES);
	cr_assert_eq(memcmp(&plainly, &seen, sizeof(seen)), 0);
	cr_assert_eq(s->n, SNAPSHOT_DEVICES);
	cr_assert_eq(snapshot_device(63, 64, 100), 98);
	cr_assert_eq(snapshot_time_ns(SNAPSHOT_TIMES - 1, 60 * NS_PER_S + 7), 60 * NS_PER_S + 7);
	for (unsigned i = 0; i < SNAPSHOT_TIMES; i++)
		for (uint32_t k = 0; k < s->n; k++) {
			const struct sighting *at = &s->at[i][k];
			bool early = i + 1 < 20;

			cr_assert(at->present);
			cr_assert_eq(at->x, early || i + 1 == 20 ? at->x : 900);
			cr_assert(!early || (at->x == 100 && at->tower == 0 && at->target == 0));
			cr_assert(i < 21 || at->tower == 1);
			moving += at->target != at->host;
			followed += at->host == 1;
		}
	cr_assert_gt(moving, 0);
	cr_assert_gt(followed, 0);
	free(s);
	world_clear(&scene.world);
}

/* A second VM goes after the first, once that has settled, and alone is counted apart. */
Test(engine, a_background_vm_follows)
{
	struct scene scene;
	struct run_figures alone, pair, late;

	set_up(&scene, 1);
	scene.in.parameters.min_stay_ns = 5 * NS_PER_S;
	alone = run(&scene);
	scene.setting.background = scene.setting.vm;
	scene.setting.background.memory = 50000000;
	pair = run(&scene);
	cr_assert_eq(pair.moves, 1);
	cr_assert_eq(pair.move_ns, alone.move_ns);
	cr_assert_eq(pair.move_bytes, alone.move_bytes);
	cr_assert_eq(pair.cost, alone.cost);
	cr_assert_eq(alone.background_moves, 0);
	cr_assert_eq(alone.apart_ns, 0);
	cr_assert_eq(pair.background_moves, 1);
	cr_assert_float_eq(pair.background_bytes, pair.move_bytes / 2, 1e5);
	/* What the first stays for, and 4 s for the bytes. */
	cr_assert_float_eq((double)pair.apart_ns / 1e9, 9, 0.7);
	cr_assert_eq(pair.open, 0);
	scene.in.parameters.min_stay_ns = 15 * NS_PER_S;
	late = run(&scene);
	cr_assert_float_eq((double)late.apart_ns / 1e9, 19, 0.7);
	world_clear(&scene.world);
}

/* Both take room, and hosts have it for three. */
Test(engine, a_background_vm_needs_room)
{
	struct scene scene;
	struct run_figures f;

	set_up(&scene, 2);
	scene.setting.background = scene.setting.vm;
	scene.setting.host_memory = 3 * scene.setting.vm.memory;
	f = run(&scene);
	/* One pair starts in the west, the other has to start in the east, and its first VM goes west.
	 * Then both first ones go east, and the place of the other's second is taken. */
	cr_assert_eq(f.moves, 3);
	cr_assert_eq(f.background_moves, 0);
	cr_assert_gt(f.apart_ns, 0);
	world_clear(&scene.world);
}

Test(engine, without_a_policy_vms_stay)
{
	struct scene scene;
	struct run_figures f;

	set_up(&scene, 3);
	scene.in.policy = NULL;
	f = run(&scene);
	cr_assert_eq(f.handovers, 3);
	cr_assert_eq(f.moves, 0);
	cr_assert_eq(f.samples, 1800);
	/* 20 of 60 seconds near, 40 over the backhaul: there the median is the target. */
	cr_assert_float_eq((double)f.above, 600, 100);
	cr_assert_lt(histogram_quantile(&f.rtt, 0.2), 12 * NS_PER_MS);
	cr_assert_gt(histogram_quantile(&f.rtt, 0.6), 28 * NS_PER_MS);
	world_clear(&scene.world);
}

/* Moves that share the link take as long together as one after the other. */
Test(engine, moves_share_a_link)
{
	struct scene scene;
	struct run_figures f;
	double alone, together;

	set_up(&scene, 1);
	alone = (double)run(&scene).move_ns;
	world_clear(&scene.world);
	set_up(&scene, 4);
	f = run(&scene);
	together = (double)f.move_ns / 4;
	cr_assert_eq(f.moves, 4);
	/* Not quite four times: they do not begin at the same moment. */
	cr_assert_gt(together, 3 * alone);
	cr_assert_leq(together, 4 * alone);
	/* Blackouts do not take part in the sharing but for their bytes. */
	cr_assert_float_eq(f.move_bytes, 4 * (double)predict(&scene, 12500000).bytes, 1000);
	world_clear(&scene.world);
}

Test(engine, the_planner_keeps_to_limits_and_room)
{
	struct scene scene;
	struct run_figures f;

	set_up(&scene, 6);
	scene.setting.moves = 2;
	f = run(&scene);
	cr_assert_gt(f.refused, 0);
	/* Two at a time: never a share below a half. */
	cr_assert_leq((double)f.move_ns / (double)f.moves,
		      (double)predict(&scene, 12500000 / 2).total_ns + 1);
	world_clear(&scene.world);

	set_up(&scene, 6);
	scene.setting.host_memory = 4 * scene.setting.vm.memory;
	scene.setting.duration_ns = 120 * NS_PER_S;
	f = run(&scene);
	/* Two find no room at the west and start in the east, which then takes two. */
	cr_assert_eq(f.moves, 2);
	cr_assert_gt(f.refused, 0);
	world_clear(&scene.world);
}

Test(engine, the_optimum_knows_full_hosts)
{
	struct scene scene;
	struct run_figures f;
	double loose;

	set_up(&scene, 6);
	scene.setting.duration_ns = 120 * NS_PER_S;
	loose = run(&scene).optimum;
	/* Two of the six are always 20 ms away, whatever one does. */
	scene.setting.host_memory = 4 * scene.setting.vm.memory;
	f = run(&scene);
	cr_assert_geq(f.optimum, 0.9 * 2 * 20e6 * 120);
	cr_assert_gt(f.optimum, loose);
	cr_assert_leq(f.optimum, f.cost);
	cr_assert(!f.optimum_unlimited);
	/* Hosts that are too small for all are overfull at once. */
	scene.setting.host_memory = 2 * scene.setting.vm.memory;
	f = run(&scene);
	cr_assert_eq(f.optimum, loose);
	cr_assert(f.optimum_unlimited);
	world_clear(&scene.world);
}

Test(engine, load_and_loss_show)
{
	struct scene scene;
	struct run_figures idle, busy;

	set_up(&scene, 10);
	scene.in.policy = NULL;
	idle = run(&scene);
	scene.setting.radio.capacity = 20; /* half of it is used: twice the time */
	scene.setting.radio.loss = 0.25;
	busy = run(&scene);
	cr_assert_eq(idle.lost, 0);
	cr_assert_float_eq((double)busy.lost / 6000, 0.25, 4 * sqrt(0.25 * 0.75 / 6000));
	/* The backhaul's 20 ms for two thirds of the time is not the radio's. */
	cr_assert_float_eq((busy.rtt_sum_ns / (double)busy.samples - 13.3e6) /
				   (idle.rtt_sum_ns / (double)idle.samples - 13.3e6),
			   2, 0.1);
	world_clear(&scene.world);
}

Test(engine, the_same_again)
{
	struct scene scene;
	struct run_figures a, b, c;

	set_up(&scene, 5);
	scene.setting.radio.loss = 0.1;
	a = run(&scene);
	b = run(&scene);
	scene.in.seed = 2;
	c = run(&scene);
	cr_assert_eq(memcmp(&a, &b, sizeof(a)), 0);
	cr_assert_neq(memcmp(&a, &c, sizeof(a)), 0);
	world_clear(&scene.world);
}

Test(engine, an_absence_ends_a_vm)
{
	struct mg_error err;
	struct source s = { .name = "file", .err = &err };
	struct scene scene;
	struct run_figures f;

	set_up(&scene, 1);
	trace_clear(&scene.world.trace);
	scene.world.trace.steps = true;
	trace_add(&scene.world.trace, &s, "a", 5, (struct point){ 100, 0 });
	trace_add_absence(&scene.world.trace, &s, "a", 25);
	trace_add(&scene.world.trace, &s, "a", 35, (struct point){ 900, 0 });
	trace_add(&scene.world.trace, &s, "a", 55, (struct point){ 900, 0 });
	trace_add_absence(&scene.world.trace, &s, "a", 60);
	f = run(&scene);
	cr_assert_float_eq((double)f.user_ns, 45e9, 0.4e9);
	cr_assert_eq(f.handovers, 0);
	cr_assert_eq(f.moves, 0); /* it starts where the phone comes back */
	cr_assert_lt(histogram_quantile(&f.rtt, 0.9), 20 * NS_PER_MS);
	world_clear(&scene.world);
}

/* Its phone is in the east for a minute, and then back in the west. */
static void go_east_and_back(struct scene *scene)
{
	struct mg_error err;
	struct source s = { .name = "file", .err = &err };
	struct trace *trace = &scene->world.trace;

	trace_clear(trace);
	trace->steps = true;
	trace_add(trace, &s, "0", 0, (struct point){ 100, 0 });
	trace_add(trace, &s, "0", 20, (struct point){ 900, 0 });
	trace_add(trace, &s, "0", 80, (struct point){ 100, 0 });
	trace_add(trace, &s, "0", 200, (struct point){ 100, 0 });
	scene->setting.duration_ns = 150 * NS_PER_S;
}

/* The way back sends what was written since, and a few bytes for each page that was not. */
Test(engine, an_image_shortens_the_way_back)
{
	struct scene scene;
	struct run_figures cold, warm, late, small;
	double way_back, written;

	set_up(&scene, 1);
	go_east_and_back(&scene);
	scene.setting.vm.dirty_bps = 100000;
	scene.setting.vm.working_set = 4000000;
	scene.setting.image_age_ns = 3600 * NS_PER_S;
	cold = run(&scene);
	cr_assert_eq(cold.moves, 2);
	cr_assert_eq(cold.images, 0);
	scene.setting.image_memory = scene.setting.vm.memory;
	warm = run(&scene);
	cr_assert_eq(warm.moves, 2);
	cr_assert_eq(warm.images, 1);
	way_back = warm.move_bytes - cold.move_bytes / 2;
	/* Some 50 s of writing, at random within the working set. */
	written = 4e6 * (1 - exp(-100000 * 50 / 4e6));
	cr_assert_gt(way_back, 0.9 * written);
	cr_assert_lt(way_back, 1.5 * written);
	cr_assert_lt(warm.move_ns, cold.move_ns * 6 / 10);
	/* Too old, or too large to be kept. */
	scene.setting.image_age_ns = 10 * NS_PER_S;
	late = run(&scene);
	scene.setting.image_age_ns = 3600 * NS_PER_S;
	scene.setting.image_memory = scene.setting.vm.memory - 1;
	small = run(&scene);
	cr_assert_eq(memcmp(&late, &cold, sizeof(cold)), 0);
	cr_assert_eq(memcmp(&small, &cold, sizeof(cold)), 0);
	world_clear(&scene.world);
}

/* A radio hole in the middle: no answers there, and no other VM afterwards. */
Test(engine, out_of_reach_a_vm_stays)
{
	struct mg_error err;
	struct source s = { .name = "file", .err = &err };
	struct scene scene;
	struct run_figures f;

	set_up(&scene, 1);
	scene.setting.attachment.coverage_m = 300;
	trace_clear(&scene.world.trace);
	scene.world.trace.steps = true;
	trace_add(&scene.world.trace, &s, "a", 0, (struct point){ 500, 0 }); /* not yet */
	trace_add(&scene.world.trace, &s, "a", 10, (struct point){ 100, 0 });
	trace_add(&scene.world.trace, &s, "a", 20, (struct point){ 500, 0 });
	trace_add(&scene.world.trace, &s, "a", 35, (struct point){ 900, 0 });
	trace_add(&scene.world.trace, &s, "a", 100, (struct point){ 900, 0 });
	f = run(&scene);
	cr_assert_float_eq((double)f.user_ns, 50e9, 0.3e9);
	cr_assert_float_eq((double)f.uncovered_ns, 15e9, 0.3e9);
	cr_assert_float_eq((double)f.lost, 150, 3);
	cr_assert_eq(f.handovers, 0);
	/* It was left in the west, and then follows. */
	cr_assert_eq(f.moves, 1);
	cr_assert_gt(f.above, 20);
	/* The optimum starts it where it is seen again. */
	cr_assert_lt(f.optimum, 1);
	world_clear(&scene.world);
}

/* The link is used to a half: a burst waits for as long as it takes, there and back, and moves
 * have the other half. */
Test(engine, traffic_fills_the_backhaul)
{
	const uint64_t rate = 12500000;
	struct scene scene;
	struct run_figures idle, busy, alone;

	set_up(&scene, 10);
	scene.in.policy = NULL;
	idle = run(&scene);
	scene.setting.traffic.device_bps = rate / 20;
	scene.setting.traffic.burst = rate / 100; /* 10 ms */
	busy = run(&scene);
	/* For two thirds of the time they all talk over the link. */
	cr_assert_float_eq((busy.rtt_sum_ns - idle.rtt_sum_ns) / (double)busy.samples,
			   2.0 / 3 * 20 * NS_PER_MS, 0.5 * NS_PER_MS);
	/* The yardstick knows no queues. */
	cr_assert_eq(busy.cost, idle.cost);
	world_clear(&scene.world);

	set_up(&scene, 1);
	alone = run(&scene);
	scene.setting.traffic.device_bps = rate / 2;
	scene.setting.traffic.burst = 1;
	busy = run(&scene);
	cr_assert_eq(busy.moves, 1);
	cr_assert_float_eq((double)busy.move_ns, (double)predict(&scene, rate / 2).total_ns, 1e6);
	cr_assert_gt(busy.move_ns, alone.move_ns);
	world_clear(&scene.world);
}

/* Whatever is decided, the decision comes so much later. */
Test(engine, what_policies_hear_is_late)
{
	struct scene scene;
	struct run_figures soon, late;

	/* Who is heard of later does not join the round of those who are heard of now. */
	set_up(&scene, 5);
	scene.setting.vm.memory = 1000000;
	soon = run(&scene);
	scene.setting.probing.delay_ns = 2 * NS_PER_S;
	scene.in.parameters.max_age_ns = 3 * NS_PER_S;
	late = run(&scene);
	cr_assert_eq(late.moves, 5);
	cr_assert_float_eq((double)late.move_ns, (double)soon.move_ns, 1e6);
	/* 20 ms of detour for two seconds more. */
	cr_assert_float_eq(late.cost - soon.cost, 5 * 2 * 20e6, 0.1 * 5 * 2 * 20e6);
	world_clear(&scene.world);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/mobility/mobility.h"

#include <criterion/criterion.h>
#include <string.h>

#include "common/clock.h"

static struct mobility make(const char *model)
{
	return (struct mobility){
		.model = mobility_find(model),
		.p = { .speed_min = 1,
		       .speed_max = 15,
		       .pause_s = 30,
		       .step_s = 1,
		       .memory = 0.9,
		       .block_m = 100,
		       .flight_exponent = 1.6,
		       .flight_max_m = 1000,
		       .work_from_s = 8 * 3600,
		       .work_s = 8 * 3600,
		       .work_spread_s = 1800 },
		.min = { -500, 100 },
		.max = { 2500, 1900 },
	};
}

/* Legs join in time and place, stay inside, and no one runs. */
static void check_legs(const struct mobility *m, uint32_t device)
{
	struct walker w = { 0 };

	for (int i = 0; i < 400; i++) {
		struct leg before = w.leg;
		double way, seconds;

		m->model->next(m, &w, device, draws_of(9, PURPOSE_MOVEMENT, device, &w.draws));
		cr_assert_eq(w.leg.t0_ns, before.t1_ns, "%s, leg %d", m->model->name, i);
		cr_assert_gt(w.leg.t1_ns, w.leg.t0_ns);
		if (i > 0) {
			cr_assert_float_eq(w.leg.from.x, before.to.x, 1e-9);
			cr_assert_float_eq(w.leg.from.y, before.to.y, 1e-9);
		}
		cr_assert(w.leg.to.x >= m->min.x - 1e-9 && w.leg.to.x <= m->max.x + 1e-9);
		cr_assert(w.leg.to.y >= m->min.y - 1e-9 && w.leg.to.y <= m->max.y + 1e-9);
		way = hypot(w.leg.to.x - w.leg.from.x, w.leg.to.y - w.leg.from.y);
		seconds = (double)(w.leg.t1_ns - w.leg.t0_ns) / 1e9;
		cr_assert_leq(way, m->p.speed_max * seconds + 1e-6, "%s: %g m in %g s",
			      m->model->name, way, seconds);
	}
}

Test(mobility, legs_join_and_stay_inside)
{
	for (size_t i = 0; i < n_mobility_models; i++) {
		struct mobility m = make(mobility_models[i].name);

		for (uint32_t device = 0; device < 20; device++)
			check_legs(&m, device);
	}
}

/* Where one is does not depend on when one is asked, nor on who else is. */
Test(mobility, looking_changes_nothing)
{
	for (size_t i = 0; i < n_mobility_models; i++) {
		struct mobility m = make(mobility_models[i].name);
		struct walker often = { 0 }, rarely = { 0 };
		struct point a, b;
		uint64_t until;

		for (uint64_t s = 0; s <= 3600; s++) {
			cr_assert(mobility_at(&m, &often, 5, 3, s * NS_PER_S, &a, &until));
			if (s % 600)
				continue;
			cr_assert(mobility_at(&m, &rarely, 5, 3, s * NS_PER_S, &b, &until));
			cr_assert(a.x == b.x && a.y == b.y);
		}
	}
}

Test(mobility, seeds_and_devices_differ)
{
	struct mobility m = make("random_waypoint");
	struct walker w[3] = { 0 };
	struct point at[3];
	uint64_t until;

	mobility_at(&m, &w[0], 5, 3, 0, &at[0], &until);
	mobility_at(&m, &w[1], 6, 3, 0, &at[1], &until);
	mobility_at(&m, &w[2], 5, 4, 0, &at[2], &until);
	cr_assert(at[0].x != at[1].x && at[0].x != at[2].x);
}

Test(mobility, commuters_are_at_work_at_noon)
{
	struct mobility m = make("commuter");

	for (uint32_t device = 0; device < 50; device++) {
		struct walker w = { 0 };
		struct point midnight = { 0 }, noon = { 0 }, next = { 0 }, home = { 0 },
			     work = { 0 };
		uint64_t until;

		for (uint64_t day = 0; day < 3; day++) {
			mobility_at(&m, &w, device, 1, (day * 86400 + 60) * NS_PER_S, &midnight,
				    &until);
			mobility_at(&m, &w, device, 1, (day * 86400 + 43200) * NS_PER_S, &noon,
				    &until);
			mobility_at(&m, &w, device, 1, (day * 86400 + 82800) * NS_PER_S, &next,
				    &until);
			if (day == 0) {
				home = midnight;
				work = noon;
			}
			cr_assert(midnight.x == home.x && next.x == home.x && next.y == home.y);
			cr_assert(noon.x == work.x && noon.y == work.y && work.x != home.x);
		}
	}
}

Test(mobility, streets_are_kept_to)
{
	struct mobility m = make("manhattan");
	struct walker w = { 0 };

	for (int i = 0; i < 500; i++) {
		double x, y;

		m.model->next(&m, &w, 1, draws_of(2, PURPOSE_MOVEMENT, 1, &w.draws));
		x = (w.leg.to.x - m.min.x) / m.p.block_m;
		y = (w.leg.to.y - m.min.y) / m.p.block_m;
		cr_assert_float_eq(x, round(x), 1e-9);
		cr_assert_float_eq(y, round(y), 1e-9);
		cr_assert((w.leg.to.x == w.leg.from.x) != (w.leg.to.y == w.leg.from.y));
	}
}

/* The mean of a truncated Pareto law, a min^a (min^(1-a) - max^(1-a)) / ((a - 1)
 * (1 - (min/max)^a)): 25.5 m here; flights that meet a border end nearer. */
Test(mobility, levy_flights_have_their_mean)
{
	struct mobility m = make("levy_walk");
	double sum = 0, a = m.p.flight_exponent, min = 10, max = m.p.flight_max_m, mean;
	int n = 0;

	m.min = (struct point){ -1e6, -1e6 };
	m.max = (struct point){ 1e6, 1e6 };
	mean = a * pow(min, a) * (pow(min, 1 - a) - pow(max, 1 - a)) /
	       ((a - 1) * (1 - pow(min / max, a)));
	for (uint32_t device = 0; device < 200; device++) {
		struct walker w = { 0 };

		for (int i = 0; i < 200; i++) {
			double way;

			m.model->next(&m, &w, device,
				      draws_of(4, PURPOSE_MOVEMENT, device, &w.draws));
			way = hypot(w.leg.to.x - w.leg.from.x, w.leg.to.y - w.leg.from.y);
			if (way > 0) {
				sum += way;
				n++;
			}
		}
	}
	/* The standard deviation is about 45 m. */
	cr_assert_float_eq(sum / n, mean, 4 * 45 / sqrt(n));
}

Test(mobility, a_trace_is_walked_as_recorded)
{
	struct mg_error err;
	struct source s = { .name = "file", .err = &err };
	_cleanup_(trace_clear) struct trace trace = { 0 };
	const struct mobility m = { .model = &mobility_trace, .trace = &trace };
	struct walker w = { 0 };
	struct point at;
	uint64_t until = 0;

	trace_add(&trace, &s, "a", 2, (struct point){ 10, 0 });
	trace_add(&trace, &s, "a", 4, (struct point){ 30, 8 });
	trace_add_absence(&trace, &s, "a", 5);
	trace_add(&trace, &s, "a", 7, (struct point){ 50, 0 });
	trace_add(&trace, &s, "a", 8, (struct point){ 60, 0 });
	cr_assert_not(mobility_at(&m, &w, 0, 1, 1 * NS_PER_S, &at, &until));
	cr_assert_eq(until, 2 * NS_PER_S);
	cr_assert(mobility_at(&m, &w, 0, 1, 2 * NS_PER_S, &at, &until));
	cr_assert(at.x == 10 && at.y == 0);
	cr_assert(mobility_at(&m, &w, 0, 1, 3 * NS_PER_S, &at, &until));
	cr_assert(at.x == 20 && at.y == 4);
	cr_assert(mobility_at(&m, &w, 0, 1, 4500 * NS_PER_MS, &at, &until));
	cr_assert(at.x == 30 && at.y == 8);
	cr_assert_not(mobility_at(&m, &w, 0, 1, 6 * NS_PER_S, &at, &until));
	cr_assert_eq(until, 7 * NS_PER_S);
	cr_assert(mobility_at(&m, &w, 0, 1, 7500 * NS_PER_MS, &at, &until));
	cr_assert_eq(at.x, 55);
	cr_assert_not(mobility_at(&m, &w, 0, 1, 8 * NS_PER_S, &at, &until));
	cr_assert_eq(until, UINT64_MAX);
}

Test(mobility, steps_are_not_walked)
{
	struct mg_error err;
	struct source s = { .name = "file", .err = &err };
	_cleanup_(trace_clear) struct trace trace = { .steps = true };
	const struct mobility m = { .model = &mobility_trace, .trace = &trace };
	struct walker w = { 0 };
	struct point at;
	uint64_t until;

	trace_add(&trace, &s, "a", 0, (struct point){ 1, 0 });
	trace_add(&trace, &s, "a", 60, (struct point){ 2, 0 });
	cr_assert(mobility_at(&m, &w, 0, 1, 59 * NS_PER_S, &at, &until));
	cr_assert_eq(at.x, 1);
	cr_assert(mobility_at(&m, &w, 0, 1, 119 * NS_PER_S, &at, &until));
	cr_assert_eq(at.x, 2);
	cr_assert_not(mobility_at(&m, &w, 0, 1, 120 * NS_PER_S, &at, &until));
}

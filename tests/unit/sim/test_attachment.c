/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/world/attachment.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "common/clock.h"
#include "sim/world/handovers.h"

static struct towers two_towers(void)
{
	struct towers t = { 0 };
	struct mg_error err;

	cr_assert_eq(towers_make("grid:2x1:1000", NULL, &t, &err), 0);
	return t;
}

/* Walks from one tower to the other at 10 m/s, looking each 100 ms; where it hands
 * over, in metres. */
static double walk(const struct attachment_parameters *p, const struct towers *towers, bool back)
{
	struct attachment_ratio ratio = attachment_ratio(p);
	struct attachment a;

	attachment_init(&a);
	for (uint64_t i = 0; i <= 1000; i++) {
		double x = back ? 1000 - (double)i : (double)i;
		bool other = attachment_look(p, &ratio, towers, &a, i * 100 * NS_PER_MS,
					     (struct point){ x, 0 });

		cr_assert_eq(a.serving, other && i ? !back : i == 0 ? back : a.serving);
		if (other && i)
			return x;
	}
	return -1;
}

Test(attachment, a3_waits_for_hysteresis_and_time_to_trigger)
{
	_cleanup_(towers_clear) struct towers towers = two_towers();
	struct attachment_parameters p = { .rule = ATTACHMENT_A3 };
	/* 3 dB: x / (1000 - x) = 10^(3 / 37.6), so x = 545.76. */
	double at = 1000 / (1 + pow(10, -3 / 37.6));

	cr_assert_float_eq(walk(&p, &towers, false), 501, 1e-9);
	p.hysteresis_db = 3;
	cr_assert_float_eq(walk(&p, &towers, false), ceil(at), 1e-9);
	cr_assert_float_eq(walk(&p, &towers, true), floor(1000 - at), 1e-9);
	p.time_to_trigger_ns = 500 * NS_PER_MS;
	cr_assert_float_eq(walk(&p, &towers, false), ceil(at) + 5, 1e-9);
}

Test(attachment, a3_begins_anew_when_the_signal_returns)
{
	_cleanup_(towers_clear) struct towers towers = two_towers();
	struct attachment_parameters p = { .hysteresis_db = 1, .time_to_trigger_ns = 2 * NS_PER_S };
	struct attachment_ratio ratio = attachment_ratio(&p);
	struct attachment a;

	attachment_init(&a);
	for (uint64_t s = 0; s < 60; s++) {
		double x = s % 2 ? 900 : 100; /* never two seconds over there */

		attachment_look(&p, &ratio, &towers, &a, s * NS_PER_S, (struct point){ x, 0 });
		cr_assert_eq(a.serving, 0);
	}
}

Test(attachment, range_is_exact_and_in_whole_metres)
{
	_cleanup_(towers_clear) struct towers towers = two_towers();
	const struct attachment_parameters p = { .rule = ATTACHMENT_RANGE, .range_m = 960 };
	struct attachment a;

	attachment_init(&a);
	cr_assert(attachment_look(&p, NULL, &towers, &a, 0, (struct point){ 400, 0 }));
	cr_assert_not(attachment_look(&p, NULL, &towers, &a, 1, (struct point){ 959.99, 0 }));
	cr_assert(attachment_look(&p, NULL, &towers, &a, 2, (struct point){ 960.5, 0 }));
	cr_assert_eq(a.serving, 1);
}

static void count(const struct handover *h, void *userdata)
{
	cr_assert_eq(h->from, 0);
	cr_assert_eq(h->to, 1);
	cr_assert_eq(h->t_ns, 7 * NS_PER_S);
	(*(int *)userdata)++;
}

Test(handovers, an_absence_is_none)
{
	_cleanup_(towers_clear) struct towers towers = two_towers();
	_cleanup_(trace_clear) struct trace trace = { 0 };
	const struct attachment_parameters p = { 0 };
	struct mg_error err;
	struct source s = { .name = "file", .err = &err };
	int n = 0;

	trace_add(&trace, &s, "a", 0, (struct point){ 0, 0 });
	trace_add_absence(&trace, &s, "a", 1);
	trace_add(&trace, &s, "a", 2, (struct point){ 1000, 0 });
	trace_add(&trace, &s, "b", 0, (struct point){ 0, 0 });
	trace_add(&trace, &s, "b", 5, (struct point){ 1000, 0 });
	handovers_find(&trace, &towers, &p, 2 * NS_PER_S, count, &n);
	cr_assert_eq(n, 1);
}

Test(attachment, towers_reach_as_far_as_they_cover)
{
	_cleanup_(towers_clear) struct towers towers = two_towers();
	const struct attachment_parameters rules[] = {
		{ .rule = ATTACHMENT_A3, .hysteresis_db = 3, .coverage_m = 400 },
		{ .rule = ATTACHMENT_RANGE, .range_m = 1000, .coverage_m = 400 },
	};
	/* Where it is, and which tower serves. */
	static const struct {
		double x;
		uint32_t tower;
	} steps[] = { { -401, ATTACHMENT_NONE }, { -400, 0 }, { 400, 0 },
		      { 401, ATTACHMENT_NONE },  { 599, ATTACHMENT_NONE }, { 600, 1 }, { 1400, 1 },
		      { 1500, ATTACHMENT_NONE }, { 0, 0 }, { 1000, 1 } };

	for (size_t r = 0; r < ARRAY_SIZE(rules); r++) {
		struct attachment_ratio ratio = attachment_ratio(&rules[r]);
		struct attachment a;

		attachment_init(&a);
		for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
			uint32_t before = a.serving;
			bool other = attachment_look(&rules[r], &ratio, &towers, &a, i * NS_PER_S,
						     (struct point){ steps[i].x, 0 });

			cr_assert_eq(a.serving, steps[i].tower, "step %zu of rule %zu", i, r);
			cr_assert_eq(other, a.serving != before);
		}
	}
}

/* A wide cell over a small one: the small one's edge hands over to it. */
Test(attachment, a_tower_has_its_own_radius)
{
	static const char text[] = "x,y,radius\n0,0,2000\n1000,0,100\n5000,0,\n";
	_cleanup_(towers_clear) struct towers towers = { 0 };
	const struct attachment_parameters p = { .rule = ATTACHMENT_A3, .coverage_m = 500 };
	struct attachment_ratio ratio = attachment_ratio(&p);
	static const struct {
		double x;
		uint32_t tower;
	} steps[] = { { 950, 1 }, { 1050, 1 }, { 1101, 0 }, { 1050, 1 }, { 1999, 0 },
		      { 2001, ATTACHMENT_NONE }, { 4400, ATTACHMENT_NONE }, { 4600, 2 } };
	struct mg_error err = { 0 };
	struct attachment a;

	cr_assert_eq(towers_parse_csv("file", text, strlen(text), &towers, &err), 0, "%s", err.text);
	attachment_init(&a);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		attachment_look(&p, &ratio, &towers, &a, i * NS_PER_S,
				(struct point){ steps[i].x, 0 });
		cr_assert_eq(a.serving, steps[i].tower, "step %zu: %u", i, a.serving);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/engine/optimum.h"

#include <criterion/criterion.h>
#include <math.h>

#include "common/clock.h"
#include "common/philox.h"

#define ABSENT UINT32_MAX
#define TOWERS 4
#define STAYS 5

static void set_up(struct towers *towers, struct backhaul *b)
{
	const struct backhaul_parameters links = { 1, 10 * NS_PER_MS, 0, 12500000 };
	struct mg_error err = { 0 };

	cr_assert_eq(towers_make("grid:4x1:1000", NULL, towers, &err), 0, "%s", err.text);
	cr_assert_eq(backhaul_make(&links, towers, b, &err), 0, "%s", err.text);
}

static void add(struct stays *s, uint32_t phone, uint32_t tower, double seconds)
{
	cr_assert_eq(stays_add(s, (struct stay){ phone, tower, (uint64_t)(seconds * 1e9) }), 0);
}

static double find(const struct backhaul *b, struct stays *s, double price)
{
	double cost;

	cr_assert_eq(optimum_find(b, s, price, &cost), 0);
	return cost;
}

Test(optimum, a_phone_that_changes_towers_once)
{
	struct towers towers = { 0 };
	struct backhaul b = { 0 };
	struct stays s = { 0 };
	double detour;

	set_up(&towers, &b);
	detour = 2 * (double)backhaul_delay_ns(&b, 0, 1);
	cr_assert_eq(find(&b, &s, 1), 0);
	/* Two phones, mixed up: 10 s here and 30 s there. */
	add(&s, 1, 0, 100);
	add(&s, 0, 0, 0);
	add(&s, 0, 1, 10);
	add(&s, 1, 1, 110);
	add(&s, 1, ABSENT, 140);
	add(&s, 0, ABSENT, 40);
	cr_assert_float_eq(find(&b, &s, detour), 2 * detour, 1);
	/* When a move is dear the VM starts where the phone will be for longer. */
	cr_assert_float_eq(find(&b, &s, 100 * detour), 20 * detour, 1);
	/* After an absence it starts anew, for nothing. */
	add(&s, 0, 3, 50);
	add(&s, 0, ABSENT, 90);
	cr_assert_float_eq(find(&b, &s, 100 * detour), 20 * detour, 1);
	stays_clear(&s);
	backhaul_clear(&b);
	towers_clear(&towers);
}

/* The least cost over all hosts that a VM can be at in each of the stays. */
static double try_all(const struct backhaul *b, const uint32_t *tower, const double *seconds,
		      double price)
{
	double best = INFINITY;

	for (unsigned way = 0; way < 1U << (2 * STAYS); way++) {
		uint32_t before = way & 3;
		double cost = 0;

		for (unsigned i = 0; i < STAYS; i++) {
			uint32_t host = way >> (2 * i) & 3;

			cost += host != before ? price : 0;
			cost += 2 * (double)backhaul_delay_ns(b, tower[i], host) * seconds[i];
			before = host;
		}
		best = fmin(best, cost);
	}
	return best;
}

Test(optimum, is_the_best_of_all_schedules)
{
	struct towers towers = { 0 };
	struct backhaul b = { 0 };
	uint64_t drawn = 0;

	set_up(&towers, &b);
	for (int round = 0; round < 200; round++) {
		double seconds[STAYS], at = 0, price, wanted, found;
		struct stays s = { 0 };
		uint32_t tower[STAYS];

		for (unsigned i = 0; i < STAYS; i++) {
			uint64_t v = philox_u64(1, 1, drawn++);

			tower[i] = (uint32_t)(v % TOWERS);
			seconds[i] = 1 + (double)(v >> 32 & 31);
			add(&s, 7, tower[i], at);
			at += seconds[i];
		}
		add(&s, 7, ABSENT, at);
		price = (double)(philox_u64(1, 1, drawn++) % 1000) * 1e6;
		wanted = try_all(&b, tower, seconds, price);
		found = find(&b, &s, price);
		cr_assert_float_eq(found, wanted, 1e-6 * wanted + 1, "%d: %g, %g", round, found,
				   wanted);
		stays_clear(&s);
	}
	backhaul_clear(&b);
	towers_clear(&towers);
}

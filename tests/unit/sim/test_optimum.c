/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/engine/optimum.h"

#include <criterion/criterion.h>
#include <math.h>

#include "common/clock.h"
#include "common/philox.h"

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

static double find_within(const struct backhaul *b, struct stays *s, double price,
			  uint32_t capacity)
{
	double cost;

	cr_assert_eq(optimum_find(b, s, price, capacity, &cost), 0);
	return cost;
}

static double find(const struct backhaul *b, struct stays *s, double price)
{
	return find_within(b, s, price, 0);
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
	add(&s, 1, STAY_ABSENT, 140);
	add(&s, 0, STAY_ABSENT, 40);
	cr_assert_float_eq(find(&b, &s, detour), 2 * detour, 1);
	/* When a move is dear the VM starts where the phone will be for longer. */
	cr_assert_float_eq(find(&b, &s, 100 * detour), 20 * detour, 1);
	/* After an absence it starts anew, for nothing. */
	add(&s, 0, 3, 50);
	add(&s, 0, STAY_ABSENT, 90);
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
		add(&s, 7, STAY_ABSENT, at);
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

/* ---- Hosts that hold only so many ----------------------------------------------------- */

#define PHONES 3
#define SLOTS 3 /* of 10 s: all phones may change towers between them */

struct crowd {
	uint32_t tower[PHONES][SLOTS], capacity;
	double price;
};

/* How many phones are at one host at most, and what it costs. `way` has two bits for each. */
static bool is_allowed(const struct crowd *c, uint32_t way)
{
	for (unsigned t = 0; t < SLOTS; t++) {
		uint32_t there[TOWERS] = { 0 };

		for (unsigned i = 0; i < PHONES; i++)
			if (++there[way >> (2 * (i * SLOTS + t)) & 3] > c->capacity)
				return false;
	}
	return true;
}

static double cost_of(const struct backhaul *b, const struct crowd *c, uint32_t way)
{
	double cost = 0;

	for (unsigned i = 0; i < PHONES; i++) {
		for (unsigned t = 0; t < SLOTS; t++) {
			uint32_t at = way >> (2 * (i * SLOTS + t)) & 3;

			cost += 2 * (double)backhaul_delay_ns(b, c->tower[i][t], at) * 10;
			if (t > 0 && at != (way >> (2 * (i * SLOTS + t - 1)) & 3))
				cost += c->price;
		}
	}
	return cost;
}

static double try_crowd(const struct backhaul *b, const struct crowd *c)
{
	double best = INFINITY;

	for (uint32_t way = 0; way < 1U << (2 * PHONES * SLOTS); way++)
		if (is_allowed(c, way))
			best = fmin(best, cost_of(b, c, way));
	return best;
}

static void draw_crowd(struct crowd *c, uint64_t *drawn, struct stays *s)
{
	c->capacity = 1 + (uint32_t)(philox_u64(2, 1, (*drawn)++) % 2);
	c->price = (double)(philox_u64(2, 1, (*drawn)++) % 1000) * 1e6;
	for (unsigned i = 0; i < PHONES; i++) {
		for (unsigned t = 0; t < SLOTS; t++) {
			c->tower[i][t] = (uint32_t)(philox_u64(2, 1, (*drawn)++) % 2);
			add(s, i, c->tower[i][t], 10 * t);
		}
		add(s, i, STAY_ABSENT, 10 * SLOTS);
	}
}

Test(optimum, with_full_hosts_is_below_the_best_and_near_it)
{
	struct towers towers = { 0 };
	struct backhaul b = { 0 };
	double sum_best = 0, sum_found = 0, sum_loose = 0;
	uint64_t drawn = 0;
	int reached = 0;

	set_up(&towers, &b);
	for (int round = 0; round < 60; round++) {
		struct stays s = { 0 };
		double best, found;
		struct crowd c;

		draw_crowd(&c, &drawn, &s);
		best = try_crowd(&b, &c);
		found = find_within(&b, &s, c.price, c.capacity);
		cr_assert_leq(found, best * (1 + 1e-9) + 1, "%d: %g, %g", round, found, best);
		sum_loose += find(&b, &s, c.price);
		sum_best += best;
		sum_found += found;
		reached += found >= 0.99 * best - 1;
		stays_clear(&s);
	}
	cr_log_info("bound %.4f of the best, without capacity %.4f; reached %d of 60",
		    sum_found / sum_best, sum_loose / sum_best, reached);
	cr_assert_geq(sum_found, 0.995 * sum_best);
	cr_assert_leq(sum_loose, 0.8 * sum_best);
	cr_assert_geq(reached, 55);
	backhaul_clear(&b);
	towers_clear(&towers);
}

Test(optimum, with_room_for_all_is_the_same)
{
	struct towers towers = { 0 };
	struct backhaul b = { 0 };
	uint64_t drawn = 0;

	set_up(&towers, &b);
	for (int round = 0; round < 60; round++) {
		struct stays s = { 0 };
		struct crowd c;

		draw_crowd(&c, &drawn, &s);
		cr_assert_float_eq(find_within(&b, &s, c.price, PHONES), find(&b, &s, c.price), 1);
		stays_clear(&s);
	}
	backhaul_clear(&b);
	towers_clear(&towers);
}

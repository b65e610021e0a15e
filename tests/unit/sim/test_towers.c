/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/world/towers.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "common/philox.h"

static double uniform(uint64_t stream, uint64_t counter)
{
	return (double)(philox_u64(1, stream, counter) >> 11) * 0x1p-53;
}

/* Against the plain way: look at all. */
static void compare_with_all(const struct towers *t, struct point at, size_t k)
{
	uint32_t found[8], used[8];
	size_t n = towers_nearest(t, at, k, found);

	cr_assert_eq(n, k < t->n ? k : t->n);
	for (size_t i = 0; i < n; i++) {
		uint32_t best = UINT32_MAX;

		for (uint32_t tower = 0; tower < t->n; tower++) {
			bool taken = false;

			for (size_t j = 0; j < i; j++)
				taken |= used[j] == tower;
			if (!taken &&
			    (best == UINT32_MAX || distance_squared(at, t->at[tower]) <
							   distance_squared(at, t->at[best])))
				best = tower;
		}
		used[i] = best;
		cr_assert_eq(found[i], best, "number %zu at %g, %g: %u, not %u", i, at.x, at.y,
			     found[i], best);
		/* From wherever one begins. */
		cr_assert_eq(towers_nearest_by(t, at, found[i]), found[0]);
	}
}

static void check_search(const char *text)
{
	_cleanup_(towers_clear) struct towers t = { 0 };
	struct mg_error err = { 0 };

	cr_assert_eq(towers_make(text, NULL, &t, &err), 0, "%s", err.text);
	for (uint64_t i = 0; i < 500; i++) {
		struct point at = { 20000 * uniform(1, i) - 6000, 20000 * uniform(2, i) - 6000 };

		compare_with_all(&t, at, 1);
		compare_with_all(&t, at, 5);
	}
	for (uint32_t i = 0; i < t.n; i++)
		compare_with_all(&t, t.at[i], 8);
}

Test(towers, the_nearest_are_the_nearest)
{
	check_search("grid:12x12:1334");
	check_search("hex:6:700");
	check_search("hex:0:500");
	check_search("grid:1x40:300");
}

Test(towers, scattered_ones_are_found_too)
{
	_cleanup_(towers_clear) struct towers t = { 0 };
	struct mg_error err = { 0 };
	char text[20000];
	size_t len = (size_t)snprintf(text, sizeof(text), "x,y\n");

	for (uint64_t i = 0; i < 300; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%.3f,%.3f\n",
					9000 * pow(uniform(3, i), 4), 8000 * uniform(4, i));
	cr_assert_eq(towers_parse_csv("file", text, len, &t, &err), 0, "%s", err.text);
	cr_assert_eq(t.n, 300);
	for (uint64_t i = 0; i < 500; i++)
		compare_with_all(&t,
				 (struct point){ 12000 * uniform(5, i) - 2000,
						 12000 * uniform(6, i) - 2000 },
				 6);
}

Test(towers, shapes)
{
	_cleanup_(towers_clear) struct towers grid = { 0 }, hex = { 0 };
	struct mg_error err = { 0 };

	cr_assert_eq(towers_make("grid:12x12:1334", NULL, &grid, &err), 0);
	cr_assert_eq(grid.n, 144);
	cr_assert_float_eq(grid.at[98].x, 8 * 1334, 1e-9);
	cr_assert_float_eq(grid.at[98].y, 2 * 1334, 1e-9);
	cr_assert_eq(towers_make("hex:10:100", NULL, &hex, &err), 0);
	cr_assert_eq(hex.n, 331);
	/* Each has its neighbours at the spacing and none nearer. */
	for (uint32_t i = 0; i < hex.n; i++) {
		uint32_t two[2];

		towers_nearest(&hex, hex.at[i], 2, two);
		cr_assert_eq(two[0], i);
		cr_assert_float_eq(sqrt(distance_squared(hex.at[i], hex.at[two[1]])), 100, 1e-6);
	}
}

Test(towers, files)
{
	_cleanup_(towers_clear) struct towers csv = { 0 }, cells = { 0 };
	static const char sites[] =
		"SITE_ID,LATITUDE,LONGITUDE,NAME\n1,-37.81517,144.97476,\"a, b\"\n"
		"2,-37.81524,144.95256,c\n";
	static const char rows[] = "LTE,505,1,1,10,0,144.97476,-37.81517,1000,5,1,0,0,0\n"
				   "LTE,505,1,1,11,0,144.97476,-37.81517,1000,5,1,0,0,0\n"
				   "GSM,505,1,1,12,0,144.95256,-37.81524,1000,5,1,0,0,0\n";
	struct mg_error err = { 0 };

	cr_assert_eq(towers_parse_csv("file", sites, strlen(sites), &csv, &err), 0, "%s", err.text);
	cr_assert_eq(towers_parse_opencellid("file", rows, strlen(rows), &cells, &err), 0, "%s",
		     err.text);
	cr_assert_eq(csv.n, 2);
	cr_assert_eq(cells.n, 2);
	/* 1.9548 km on the ellipsoid. */
	cr_assert_float_eq(sqrt(distance_squared(csv.at[0], csv.at[1])), 1954.78, 0.05);
	cr_assert_float_eq(csv.at[1].x, cells.at[1].x, 1e-9);
}

Test(towers, cells_are_numbered)
{
	static const char rows[] =
		"1.000000,37.598611,-122.405861\n2.000000,37.601528,-122.419167\n";
	static const char odd[] = "1,37.6,-122.4\n3,37.6,-122.4\n";
	_cleanup_(towers_clear) struct towers t = { 0 }, none = { 0 };
	struct mg_error err = { 0 };

	cr_assert_eq(towers_parse_cells("file", rows, strlen(rows), &t, &err), 0, "%s", err.text);
	cr_assert_eq(t.n, 2);
	cr_assert_float_eq(t.at[1].y, 323.75, 0.01);
	cr_assert_lt(towers_parse_cells("file", odd, strlen(odd), &none, &err), 0);
	cr_assert_not_null(strstr(err.text, "file:2: is number 3, not 2"), "%s", err.text);
}

/* Within a tower's clear space it is the nearest, be towers scattered or at one place. */
Test(towers, clear_space_is_clear)
{
	static const char *const of[] = { "hex:3:100", "grid:4x5:70" };
	static const char scattered[] = "x,y\n0,0\n1,0\n1,0\n5,7\n-20,3\n40,40\n41,40.5\n";
	size_t within = 0;

	for (size_t k = 0; k < 3; k++) {
		_cleanup_(towers_clear) struct towers t = { 0 };
		struct mg_error err = { 0 };
		int r = k < 2 ? towers_make(of[k], NULL, &t, &err)
			      : towers_parse_csv("file", scattered, strlen(scattered), &t, &err);

		cr_assert_eq(r, 0, "%s", err.text);
		for (uint64_t i = 0; i < 20000; i++) {
			uint32_t tower = (uint32_t)(philox_u64(1, 1, i) % t.n), nearest;
			struct point at = t.at[tower];

			at.x += (double)(philox_u64(1, 2, i) % 2000) / 20 - 50;
			at.y += (double)(philox_u64(1, 3, i) % 2000) / 20 - 50;
			if (distance_squared(at, t.at[tower]) >= t.clear_squared[tower])
				continue;
			towers_nearest(&t, at, 1, &nearest);
			cr_assert_eq(nearest, tower);
			within++;
		}
	}
	cr_assert_gt(within, 1000);
}

static void refuses(const char *text, const char *what)
{
	struct towers t = { 0 };
	struct mg_error err = { 0 };

	cr_assert_lt(towers_make(text, "/nowhere", &t, &err), 0, "%s was taken", text);
	cr_assert_not_null(strstr(err.text, what), "'%s' for %s", err.text, text);
}

static void refuses_csv(const char *text, const char *what)
{
	struct towers t = { 0 };
	struct mg_error err = { 0 };

	cr_assert_lt(towers_parse_csv("file", text, strlen(text), &t, &err), 0);
	cr_assert_not_null(strstr(err.text, what), "'%s' for %s", err.text, text);
}

Test(towers, refusals_say_why)
{
	refuses("", "is none of");
	refuses("grid:3x3", "is none of");
	refuses("grid:3x3:100x", "is none of");
	refuses("grid:0x3:100", "1 to 65536");
	refuses("grid:9999x9999:100", "1 to 65536");
	refuses("hex:500:100", "at most 120 rings");
	refuses("hex:3:nan", "a spacing of 1 to 100000 m");
	refuses("hex:3:0", "a spacing of 1 to 100000 m");
	refuses("csv:none.csv", "/nowhere/none.csv: No such file");
	refuses_csv("", "file: holds not a single tower");
	refuses_csv("a,b\n1,2\n", "file:1: the first line must name");
	refuses_csv("x,y\n1\n", "file:2: ends before the coordinates");
	refuses_csv("x,y\n1,nan\n", "file:2: y: 'nan' is not finite");
	refuses_csv("lat,lon\n91,0\n", "file:2: latitude 91");
	refuses_csv("x,y,radius\n1,2,0\n", "file:2: the radius 0 is not above 0");
	refuses_csv("x,y,radius\n1,2,far\n", "file:2: radius: 'far'");
	refuses_csv("x,y\n1,1e12\n", "file:2: the position 1, 1e+12 is out of range");
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * A scenario: towers, the network between them, a phone's walk, its guest and
 * what the controller is told. docs/man/tagalong-scenario.5.scd describes the
 * file.
 */
#ifndef SIM_TESTBED_SCENARIO_H
#define SIM_TESTBED_SCENARIO_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "sim/testbed/shaper.h"

#define TOWERS_MAX 8
#define WAYPOINTS_MAX 64
#define EXPECTED_MAX 32
#define SCENARIO_NAME_SIZE 32

struct position {
	double x, y; /* metres */
};

struct tower {
	char name[SCENARIO_NAME_SIZE];
	struct position at;
};

struct waypoint {
	uint64_t at_ns; /* since the walk began */
	struct position to;
};

struct expected_move {
	int from, to; /* towers */
	char reason[SCENARIO_NAME_SIZE];
};

struct scenario {
	char name[SCENARIO_NAME_SIZE];
	uint64_t duration_ns; /* of the walk */

	struct tower towers[TOWERS_MAX];
	int n_towers;

	/* Between two towers; half of the delay lies in each one's uplink. */
	struct link_params backhaul;

	struct {
		struct link_params link; /* delay at the tower's foot */
		double delay_per_km_ns;
		double handover_m; /* attach to a tower that is nearer by this */
	} radio;

	struct {
		char name[SCENARIO_NAME_SIZE];
		uint64_t probe_interval_ns; /* UDP echo to the guest */
		uint64_t data_bps;          /* bytes a second of the TCP connection */
		struct waypoint path[WAYPOINTS_MAX];
		int n_path;
	} phone;

	struct {
		char name[SCENARIO_NAME_SIZE];
		int tower; /* where it starts */
		uint64_t memory, pattern, working_set, dirty_rate, verify_rate;
		double compressibility;
		unsigned vcpus;
	} guest;

	struct {
		uint64_t threshold_ns, hold_ns, margin_ns, min_stay_ns, interval_ns;
	} policy;

	struct {
		uint64_t probe_ns, report_ns, window_ns;
	} telemetry;

	struct {
		uint64_t blackout_ns, blackout_max_ns, bandwidth_bps, timeout_ns;
		unsigned warmings;
	} limits;

	struct expected_move expected[EXPECTED_MAX]; /* in this order, and no others */
	int n_expected;
};

/* Errors name file, line and field. The result is freed with free(). */
int scenario_load(const char *path, struct scenario **ret, struct mg_error *err);
int scenario_parse(const char *name, const char *text, size_t len, struct scenario **ret,
		   struct mg_error *err);

/* Where the phone is; before and after its path at that path's ends. */
struct position scenario_phone_at(const struct scenario *s, uint64_t t_ns);

double position_distance(struct position a, struct position b);

/* The tower that the phone is attached to at `at` when it was attached to
 * `current` (-1: to none, then the nearest). */
int scenario_attachment(const struct scenario *s, struct position at, int current);

/* The radio link between the phone and a tower at that distance. */
struct link_params scenario_radio(const struct scenario *s, double distance_m);

/* One tower's uplink. */
struct link_params scenario_uplink(const struct scenario *s);

/* The tower of that name, or -1. */
int scenario_tower(const struct scenario *s, const char *name);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * Within studies: the file as it is written. Each key is a line here: section,
 * key, kind, where its value goes, what it is when it is left out (in the file's own
 * words) and what it may be. All values are text to the schema, so that their units
 * are ours.
 */
#ifndef SIM_STUDY_STUDY_FILE_H
#define SIM_STUDY_STUDY_FILE_H

#include "sim/study/parameters.h"
#include "sim/study/study.h"

#define SECTION_MOBILITY(K)                                                                       \
	K(mobility, speed_min, number, world.mobility.p.speed_min, "1", 0.01, 1000)               \
	K(mobility, speed_max, number, world.mobility.p.speed_max, "15", 0.01, 1000)              \
	K(mobility, pause, seconds, world.mobility.p.pause_s, "30s", 0, 86400)                    \
	K(mobility, step, seconds, world.mobility.p.step_s, "1s", 0.1, 3600)                      \
	K(mobility, memory, number, world.mobility.p.memory, "0.9", 0, 1)                         \
	K(mobility, block, number, world.mobility.p.block_m, "100", 1, 1e5)                       \
	K(mobility, flight_exponent, number, world.mobility.p.flight_exponent, "1.6", 0.1, 10)    \
	K(mobility, flight_max, number, world.mobility.p.flight_max_m, "1000", 10, 1e6)           \
	K(mobility, work_from, seconds, world.mobility.p.work_from_s, "480m", 0, 86400)           \
	K(mobility, work, seconds, world.mobility.p.work_s, "480m", 0, 86400)                     \
	K(mobility, work_spread, seconds, world.mobility.p.work_spread_s, "30m", 0, 86400)

#define SECTION_ATTACHMENT(K)                                                                     \
	K(attachment, hysteresis, number, setting.attachment.hysteresis_db, "3", 0, 60)           \
	K(attachment, time_to_trigger, duration, setting.attachment.time_to_trigger_ns, "320ms",  \
	  0, 1e12)                                                                                \
	K(attachment, range, number, setting.attachment.range_m, "0", 0, 1e6)                     \
	K(attachment, coverage, number, setting.attachment.coverage_m, "0", 0, 1e6)

#define SECTION_RADIO(K)                                                                          \
	K(radio, rtt, duration, setting.radio.rtt_ns, "10ms", 0, 1e10)                            \
	K(radio, per_km, nanoseconds, setting.radio.ns_per_km, "7us", 0, 1e9)                     \
	K(radio, loss, number, setting.radio.loss, "0.001", 0, 1)                                 \
	K(radio, capacity, count, setting.radio.capacity, "0", 0, 1e9)

#define SECTION_BACKHAUL(K)                                                                       \
	K(backhaul, links, count, backhaul.links, "3", 1, BACKHAUL_LINKS_MAX)                     \
	K(backhaul, hop, duration, backhaul.hop_ns, "1ms", 0, 1e8)                                \
	K(backhaul, per_km, nanoseconds, backhaul.ns_per_km, "5us", 0, 1e5)                       \
	K(backhaul, rate, rate, backhaul.rate_bps, "1Gbit", 125000, 1e12)

#define SECTION_TRAFFIC(K)                                                                        \
	K(traffic, rate, rate, setting.traffic.device_bps, "0bit", 0, 1e12)                          \
	K(traffic, burst, size, setting.traffic.burst, "16K", 1, 1e9)

#define SECTION_TELEMETRY(K)                                                                      \
	K(telemetry, interval, duration, setting.probing.interval_ns, "200ms", 1e6, 1e12)         \
	K(telemetry, report, count, setting.probing.report, "5", 1, 1e6)                          \
	K(telemetry, delay, duration, setting.probing.delay_ns, "20ms", 0, 1e11)                  \
	K(telemetry, candidates, count, setting.probing.candidates, "3", 1, CANDIDATES_MAX)

#define SECTION_VM(K)                                                                             \
	K(vm, memory, size, setting.vm.memory, "512M", 1, 1e12)                                   \
	K(vm, working_set, size, setting.vm.working_set, "32M", 0, 1e12)                          \
	K(vm, dirty_rate, size, setting.vm.dirty_bps, "8M", 0, 1e12)                              \
	K(vm, wire, permille, setting.vm.wire_permille, "0.6", 0.001, 2)                          \
	K(vm, promise, duration, setting.vm.promise_ns, "100ms", 0, 1e11)                         \
	K(vm, start, duration, setting.vm.start_ns, "1.2s", 0, 1e11)                              \
	K(vm, stop, duration, setting.vm.stop_ns, "25ms", 1, 1e11)

#define SECTION_BACKGROUND(K)                                                                     \
	K(background, memory, size, setting.background.memory, "0", 0, 1e12)                      \
	K(background, working_set, size, setting.background.working_set, "32M", 0, 1e12)          \
	K(background, dirty_rate, size, setting.background.dirty_bps, "8M", 0, 1e12)              \
	K(background, wire, permille, setting.background.wire_permille, "0.6", 0.001, 2)

#define SECTION_HOSTS(K)                                                                          \
	K(hosts, memory, size, setting.host_memory, "0", 0, 1e15)                                 \
	K(hosts, images, size, setting.image_memory, "0", 0, 1e15)                                \
	K(hosts, image_age, duration, setting.image_age_ns, "1440m", 0, 1e17)

#define SECTION_LIMITS(K)                                                                         \
	K(limits, moves, count, setting.moves, "8", 1, MOVES_MAX)                                 \
	K(limits, moves_per_node, count, setting.moves_per_node, "2", 1, MOVES_MAX)               \
	K(limits, interval, duration, setting.round_ns, "100ms", 0, 1e12)

#define SECTION_TOP(K)                                                                          \
	K(top, duration, duration, setting.duration_ns, "10m", 1e6, 1e17)                       \
	K(top, target, duration, setting.target_ns, "50ms", 0, 1e11)                            \
	K(top, move_price, product, setting.move_price, "20", 1e-3, 1e9)                        \
	K(top, optimum, count, setting.optimum, "1", 0, 1)                                      \
	K(top, replications, count, replications, "1", 1, STUDY_REPLICATIONS_MAX)

#define STUDY_MEMBER(section, key, ...) char *key;

/* Besides the numbers. */
struct raw_movement {
	char *model, *devices, *margin;
	char *trace, *file, *slot;
	bool reversed;
	struct raw_mobility {
		SECTION_MOBILITY(STUDY_MEMBER)
	} with;
};

struct raw_policy {
	char *name, *label;
	struct raw_values {
		char **values;
		unsigned n;
	} swept[PARAMETERS_MAX]; /* by the parameter's number */
};

struct raw_study {
	char *name, *towers, *seed;
	struct raw_movement mobility;
	struct raw_top {
		SECTION_TOP(STUDY_MEMBER)
	} top;
	struct raw_attachment {
		SECTION_ATTACHMENT(STUDY_MEMBER)
	} attachment;
	struct raw_radio {
		SECTION_RADIO(STUDY_MEMBER)
	} radio;
	struct raw_backhaul {
		SECTION_BACKHAUL(STUDY_MEMBER)
	} backhaul;
	struct raw_traffic {
		SECTION_TRAFFIC(STUDY_MEMBER)
	} traffic;
	struct raw_telemetry {
		SECTION_TELEMETRY(STUDY_MEMBER)
	} telemetry;
	struct raw_vm {
		SECTION_VM(STUDY_MEMBER)
	} vm;
	struct raw_background {
		SECTION_BACKGROUND(STUDY_MEMBER)
	} background;
	struct raw_hosts {
		SECTION_HOSTS(STUDY_MEMBER)
	} hosts;
	struct raw_limits {
		SECTION_LIMITS(STUDY_MEMBER)
	} limits;
	struct raw_policy *policies;
	unsigned n_policies;
	char **metrics;
	unsigned n_metrics;
};

/* Frees it with study_file_free(). */
int study_file_parse(const char *name, const char *text, size_t len, struct raw_study **ret,
		     struct mg_error *err);
void study_file_free(struct raw_study *raw);
DEFINE_CLEANUP(struct raw_study, study_file_free)

#endif

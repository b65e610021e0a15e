/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/study/metrics.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

static double ratio(double a, double b)
{
	return b > 0 ? a / b : 0;
}

static double quantile_ms(const struct run_figures *f, double q)
{
	return (double)histogram_quantile(&f->rtt, q) / 1e6;
}

#define METRIC(name, expression)                                                                   \
	static double of_##name(const struct run_figures *f)                                       \
	{                                                                                          \
		return expression;                                                                 \
	}

METRIC(rtt_mean, ratio(f->rtt_sum_ns, (double)f->samples) / 1e6)
METRIC(rtt_p50, quantile_ms(f, 0.5))
METRIC(rtt_p95, quantile_ms(f, 0.95))
METRIC(rtt_p99, quantile_ms(f, 0.99))
METRIC(above, 100 * ratio((double)f->above, (double)f->samples))
METRIC(lost, 100 * ratio((double)f->lost, (double)(f->samples + f->lost)))
METRIC(user_hours, (double)f->user_ns / 3600e9)
METRIC(handovers, ratio((double)f->handovers, (double)f->user_ns / 3600e9))
METRIC(moves, ratio((double)f->moves, (double)f->user_ns / 3600e9))
METRIC(gigabytes, ratio(f->move_bytes / 1e9, (double)f->user_ns / 3600e9))
METRIC(move_time, ratio((double)f->move_ns, (double)f->moves) / 1e9)
METRIC(blackout, ratio((double)f->blackout_ns, (double)f->moves) / 1e6)
METRIC(open, (double)f->open)
METRIC(refused, (double)f->refused)
METRIC(background_moves, ratio((double)f->background_moves, (double)f->user_ns / 3600e9))
METRIC(background_gigabytes, ratio(f->background_bytes / 1e9, (double)f->user_ns / 3600e9))
METRIC(apart, 100 * ratio((double)f->apart_ns, (double)f->user_ns))
METRIC(images, 100 * ratio((double)f->images, (double)f->moves))
METRIC(uncovered, 100 * ratio((double)f->uncovered_ns, (double)f->user_ns))
METRIC(events, (double)f->events)
METRIC(cost, ratio(f->cost / 1e6, (double)f->user_ns / 1e9))
METRIC(optimum, ratio(f->optimum / 1e6, (double)f->user_ns / 1e9))
METRIC(cost_ratio, ratio(f->cost, f->optimum))
METRIC(unlimited, f->optimum_unlimited)

const struct metric metrics[] = {
	{ "rtt_mean_ms", "mean round-trip time to the VM, ms", of_rtt_mean },
	{ "rtt_p50_ms", "median of the round-trip time, ms", of_rtt_p50 },
	{ "rtt_p95_ms", "95 % quantile of the round-trip time, ms", of_rtt_p95 },
	{ "rtt_p99_ms", "99 % quantile of the round-trip time, ms", of_rtt_p99 },
	{ "above_percent", "answers above the target, %", of_above },
	{ "lost_percent", "probes without an answer, %", of_lost },
	{ "handovers_per_hour", "handovers a user-hour", of_handovers },
	{ "moves_per_hour", "moves a user-hour", of_moves },
	{ "moved_gb_per_hour", "moved over the backhaul, GB a user-hour", of_gigabytes },
	{ "move_s", "mean length of a move, s", of_move_time },
	{ "blackout_ms", "mean blackout of a move, ms", of_blackout },
	{ "image_percent", "moves to a host that had the VM's image, %", of_images },
	{ "uncovered_percent", "time without a tower, %", of_uncovered },
	{ "open_moves", "moves under way at the end", of_open },
	{ "refusals", "wishes not granted, a round each", of_refused },
	{ "background_moves_per_hour", "moves of background VMs a user-hour", of_background_moves },
	{ "background_gb_per_hour", "moved of background VMs, GB a user-hour",
	  of_background_gigabytes },
	{ "apart_percent", "time that background VMs are elsewhere, %", of_apart },
	{ "user_hours", "hours that users were there", of_user_hours },
	{ "events", "events simulated", of_events },
	{ "cost_ms", "detour to the VM and moves, ms", of_cost },
	{ "optimum_ms", "offline optimum of detour and moves, ms", of_optimum },
	{ "optimum_unlimited", "part of the runs whose optimum knows no full hosts", of_unlimited },
	{ "cost_over_optimum", "cost over the offline optimum", of_cost_ratio },
};
const size_t n_metrics = ARRAY_SIZE(metrics);

static_assert(ARRAY_SIZE(metrics) <= METRICS_MAX, "fits");

int metric_find(const char *name)
{
	for (size_t m = 0; m < n_metrics; m++)
		if (strcmp(metrics[m].name, name) == 0)
			return (int)m;
	return -ENOENT;
}

uint32_t metrics_usual(void)
{
	static const char *const names[] = { "above_percent", "moves_per_hour", "moved_gb_per_hour",
					     "blackout_ms", "cost_over_optimum" };
	uint32_t set = 0;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		set |= metric_bit((size_t)metric_find(names[i]));
	return set;
}

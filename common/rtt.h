/* SPDX-License-Identifier: Apache-2.0
 *
 * What is known of one path's round-trip time: the smoothed time and its
 * variation (RFC 6298), the minimum over a window, losses, and how much all
 * that is worth now. Pure: time is an argument, on any clock that never steps
 * back.
 *
 * RFC 6298, section 2: the first sample R gives SRTT = R, RTTVAR = R/2; then
 * RTTVAR = 3/4 RTTVAR + 1/4 |SRTT - R| and after it SRTT = 7/8 SRTT + 1/8 R.
 * Its clock granularity and minimum RTO concern retransmission and have no
 * place here.
 *
 * The confidence is 100 × freshness × delivery, rounded:
 *   freshness  1 while the newest sample is at most 2 probe intervals old, then
 *              falling linearly to 0 at 10;
 *   delivery   1 - l, where l follows the fate of each probe (lost 1, answered
 *              0) with gain 1/8: l += (fate - l) / 8, from 0.
 * Three probes lost in a row leave 67 by delivery alone.
 */
#ifndef COMMON_RTT_H
#define COMMON_RTT_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#define RTT_FRESH_INTERVALS 2
#define RTT_STALE_INTERVALS 10

/* A minimum leaves the window when it is between 1 and 1 + 1/RTT_MIN_BUCKETS
 * windows old; that slack is what bounds the memory. */
#define RTT_MIN_BUCKETS 8

/* All but the minimum and the counts, for those who keep very many. Zeroed: no sample yet. */
struct rtt_estimate {
	double srtt, rttvar; /* ns */
	uint64_t last_at_ns; /* the newest sample */
	float recent_loss;   /* 0 to 1 */
	bool any;            /* sample */
};

static inline void rtt_estimate_lose(struct rtt_estimate *e)
{
	e->recent_loss += (1 - e->recent_loss) / 8;
}

/* `now_ns` must not be before that of the last sample. */
static inline void rtt_estimate_add(struct rtt_estimate *e, uint64_t now_ns, uint64_t rtt_ns)
{
	double sample = (double)rtt_ns;

	if (e->any) {
		e->rttvar = e->rttvar * 0.75 + fabs(e->srtt - sample) * 0.25;
		e->srtt = e->srtt * 0.875 + sample * 0.125;
	} else {
		e->srtt = sample;
		e->rttvar = sample / 2;
		e->any = true;
	}
	e->last_at_ns = now_ns;
	/* What no confidence shows is forgotten, before it becomes too small to compute with at
	 * full speed (subnormal). */
	e->recent_loss = e->recent_loss > 1e-6f ? e->recent_loss * 0.875f : 0;
}

/* 0 to 100; `interval_ns` is that of the probes. There has been a sample. */
static inline unsigned rtt_estimate_confidence(const struct rtt_estimate *e, uint64_t now_ns,
					       uint64_t interval_ns)
{
	uint64_t age = now_ns > e->last_at_ns ? now_ns - e->last_at_ns : 0;
	double fresh = 1;

	if (age <= RTT_FRESH_INTERVALS * interval_ns && e->recent_loss == 0)
		return 100; /* as most of the time */
	if (age >= RTT_STALE_INTERVALS * interval_ns)
		return 0;
	if (age > RTT_FRESH_INTERVALS * interval_ns)
		fresh = (RTT_STALE_INTERVALS - (double)age / (double)interval_ns) /
			(RTT_STALE_INTERVALS - RTT_FRESH_INTERVALS);
	return (unsigned)(100 * fresh * (1 - (double)e->recent_loss) + 0.5);
}

/* As whole ns. */
static inline uint64_t rtt_estimate_srtt_ns(const struct rtt_estimate *e)
{
	return (uint64_t)(int64_t)(e->srtt + 0.5);
}

static inline uint64_t rtt_estimate_rttvar_ns(const struct rtt_estimate *e)
{
	return (uint64_t)(int64_t)(e->rttvar + 0.5);
}

/* Eight bytes: there are eighteen for each of a hundred thousand clients. */
struct rtt_min_entry {
	uint64_t bucket : 16; /* time of the newest sample that it stands for, in buckets, as far as
			       * that fits: none outlives the window by much */
	uint64_t rtt_ns : 48;
};

/* Opaque but for its size. */
struct rtt {
	struct rtt_estimate estimate;
	uint64_t interval_ns; /* between probes: the measure of freshness */
	uint64_t bucket_ns;
	uint64_t last_ns;
	uint64_t sent, lost;
	/* The windowed minimum: a queue of times and values that both rise, at
	 * most one entry a bucket, in a ring. */
	struct rtt_min_entry queue[RTT_MIN_BUCKETS + 2];
	uint8_t head, length;
};

struct rtt_figures {
	uint64_t srtt_ns;
	uint64_t rttvar_ns;
	uint64_t min_ns;
	uint64_t last_ns;    /* the newest sample */
	uint64_t last_at_ns; /* when it came, on the caller's clock */
	uint64_t sent, lost;
	unsigned confidence; /* 0 (worthless) to 100 */
};

/* Both greater than 0. */
void rtt_init(struct rtt *r, uint64_t window_ns, uint64_t interval_ns);

/* A new probe interval; what was learnt stays. */
void rtt_set_interval(struct rtt *r, uint64_t interval_ns);

/* A probe left; later it is answered (a sample) or lost. */
void rtt_count_sent(struct rtt *r);
void rtt_count_lost(struct rtt *r);

/* `now_ns` must not be before that of the last sample. */
void rtt_add_sample(struct rtt *r, uint64_t now_ns, uint64_t rtt_ns);

/* False before the first sample: then only sent and lost are set, and the
 * confidence is 0. */
bool rtt_read(const struct rtt *r, uint64_t now_ns, struct rtt_figures *ret);

#endif

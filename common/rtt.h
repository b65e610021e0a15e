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

#include <stdbool.h>
#include <stdint.h>

#define RTT_FRESH_INTERVALS 2
#define RTT_STALE_INTERVALS 10

/* A minimum leaves the window when it is between 1 and 1 + 1/RTT_MIN_BUCKETS
 * windows old; that slack is what bounds the memory. */
#define RTT_MIN_BUCKETS 16

struct rtt_min_entry {
	uint64_t bucket; /* time of the newest sample that it stands for, in buckets */
	uint64_t rtt_ns;
};

/* Opaque but for its size. */
struct rtt {
	uint64_t interval_ns; /* between probes: the measure of freshness */
	uint64_t bucket_ns;
	double srtt, rttvar; /* ns */
	double recent_loss;  /* 0 to 1 */
	uint64_t last_ns, last_at_ns;
	uint64_t samples, sent, lost;
	/* The windowed minimum: a queue of times and values that both rise, at
	 * most one entry a bucket, in a ring. */
	struct rtt_min_entry queue[RTT_MIN_BUCKETS + 2];
	unsigned head, length;
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

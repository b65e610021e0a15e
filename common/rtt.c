/* SPDX-License-Identifier: Apache-2.0 */
#include "common/rtt.h"

#include <math.h>

#include "common/cleanup.h"

void rtt_init(struct rtt *r, uint64_t window_ns, uint64_t interval_ns)
{
	*r = (struct rtt){
		.interval_ns = interval_ns,
		.bucket_ns = window_ns / RTT_MIN_BUCKETS ? window_ns / RTT_MIN_BUCKETS : 1,
	};
}

void rtt_set_interval(struct rtt *r, uint64_t interval_ns)
{
	r->interval_ns = interval_ns;
}

/* Where in the ring the i-th entry is. */
static unsigned index_of(const struct rtt *r, unsigned i)
{
	unsigned at = r->head + i;

	return at < ARRAY_SIZE(r->queue) ? at : at - (unsigned)ARRAY_SIZE(r->queue);
}

static struct rtt_min_entry *queue_at(struct rtt *r, unsigned i)
{
	return &r->queue[index_of(r, i)];
}

static bool has_left_window(uint64_t bucket, uint64_t now_bucket)
{
	return bucket + RTT_MIN_BUCKETS < now_bucket;
}

/* A sample makes all older ones that are not smaller irrelevant for good. What
 * is left rises; a smaller entry of the same bucket stands for both. */
static void min_add(struct rtt *r, uint64_t now_ns, uint64_t rtt_ns)
{
	uint64_t bucket = now_ns / r->bucket_ns;

	while (r->length && has_left_window(queue_at(r, 0)->bucket, bucket)) {
		r->head = index_of(r, 1);
		r->length--;
	}
	while (r->length && queue_at(r, r->length - 1)->rtt_ns >= rtt_ns)
		r->length--;
	if (r->length && queue_at(r, r->length - 1)->bucket == bucket)
		return;
	*queue_at(r, r->length++) = (struct rtt_min_entry){ bucket, rtt_ns };
}

/* The newest sample stays in sight when all have left the window. */
static uint64_t min_read(const struct rtt *r, uint64_t now_ns)
{
	uint64_t bucket = now_ns / r->bucket_ns;

	for (unsigned i = 0; i < r->length; i++) {
		const struct rtt_min_entry *e = &r->queue[index_of(r, i)];

		if (!has_left_window(e->bucket, bucket))
			return e->rtt_ns;
	}
	return r->last_ns;
}

static void fate(struct rtt *r, double lost)
{
	r->recent_loss += (lost - r->recent_loss) / 8;
}

void rtt_count_sent(struct rtt *r)
{
	r->sent++;
}

void rtt_count_lost(struct rtt *r)
{
	r->lost++;
	fate(r, 1);
}

void rtt_add_sample(struct rtt *r, uint64_t now_ns, uint64_t rtt_ns)
{
	double sample = (double)rtt_ns;

	if (r->samples++ == 0) {
		r->srtt = sample;
		r->rttvar = sample / 2;
	} else {
		r->rttvar = r->rttvar * 3 / 4 + fabs(r->srtt - sample) / 4;
		r->srtt = r->srtt * 7 / 8 + sample / 8;
	}
	r->last_ns = rtt_ns;
	r->last_at_ns = now_ns;
	min_add(r, now_ns, rtt_ns);
	fate(r, 0);
}

static double freshness(const struct rtt *r, uint64_t now_ns)
{
	double age = now_ns > r->last_at_ns ? (double)(now_ns - r->last_at_ns) : 0;
	double intervals = age / (double)r->interval_ns;

	if (intervals <= RTT_FRESH_INTERVALS)
		return 1;
	if (intervals >= RTT_STALE_INTERVALS)
		return 0;
	return (RTT_STALE_INTERVALS - intervals) / (RTT_STALE_INTERVALS - RTT_FRESH_INTERVALS);
}

bool rtt_read(const struct rtt *r, uint64_t now_ns, struct rtt_figures *ret)
{
	*ret = (struct rtt_figures){ .sent = r->sent, .lost = r->lost };
	if (r->samples == 0)
		return false;
	ret->srtt_ns = (uint64_t)(r->srtt + 0.5);
	ret->rttvar_ns = (uint64_t)(r->rttvar + 0.5);
	ret->min_ns = min_read(r, now_ns);
	ret->last_ns = r->last_ns;
	ret->last_at_ns = r->last_at_ns;
	ret->confidence = (unsigned)(100 * freshness(r, now_ns) * (1 - r->recent_loss) + 0.5);
	return true;
}

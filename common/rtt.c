/* SPDX-License-Identifier: Apache-2.0 */
#include "common/rtt.h"

#include "common/cleanup.h"

#define RTT_MIN_MOST_NS ((UINT64_C(1) << 48) - 1) /* three days */

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

/* Not more than 32,767 buckets ago. */
static bool has_left_window(uint16_t bucket, uint64_t now_bucket)
{
	return (int16_t)(uint16_t)(now_bucket - bucket) > RTT_MIN_BUCKETS;
}

/* Since the newest sample: then all have left. */
static bool window_has_passed(const struct rtt *r, uint64_t now_ns)
{
	return now_ns > r->estimate.last_at_ns &&
	       now_ns - r->estimate.last_at_ns > (RTT_MIN_BUCKETS + 1) * r->bucket_ns;
}

/* A sample makes all older ones that are not smaller irrelevant for good. What
 * is left rises; a smaller entry of the same bucket stands for both. */
static void min_add(struct rtt *r, uint64_t now_ns, uint64_t rtt_ns)
{
	uint64_t bucket = now_ns / r->bucket_ns;

	rtt_ns = rtt_ns < RTT_MIN_MOST_NS ? rtt_ns : RTT_MIN_MOST_NS;
	if (window_has_passed(r, now_ns))
		r->length = 0;
	while (r->length && has_left_window(queue_at(r, 0)->bucket, bucket)) {
		r->head = (uint8_t)index_of(r, 1);
		r->length--;
	}
	while (r->length && queue_at(r, r->length - 1)->rtt_ns >= rtt_ns)
		r->length--;
	if (r->length && queue_at(r, r->length - 1)->bucket == (uint16_t)bucket)
		return;
	*queue_at(r, r->length++) = (struct rtt_min_entry){ (uint16_t)bucket, rtt_ns };
}

/* The newest sample stays in sight when all have left the window. */
static uint64_t min_read(const struct rtt *r, uint64_t now_ns)
{
	uint64_t bucket = now_ns / r->bucket_ns;

	for (unsigned i = 0; i < r->length && !window_has_passed(r, now_ns); i++) {
		const struct rtt_min_entry *e = &r->queue[index_of(r, i)];

		if (!has_left_window(e->bucket, bucket))
			return e->rtt_ns;
	}
	return r->last_ns;
}

void rtt_count_sent(struct rtt *r)
{
	r->sent++;
}

void rtt_count_lost(struct rtt *r)
{
	r->lost++;
	rtt_estimate_lose(&r->estimate);
}

void rtt_add_sample(struct rtt *r, uint64_t now_ns, uint64_t rtt_ns)
{
	min_add(r, now_ns, rtt_ns);
	rtt_estimate_add(&r->estimate, now_ns, rtt_ns);
	r->last_ns = rtt_ns;
}

bool rtt_read(const struct rtt *r, uint64_t now_ns, struct rtt_figures *ret)
{
	const struct rtt_estimate *e = &r->estimate;

	*ret = (struct rtt_figures){ .sent = r->sent, .lost = r->lost };
	if (!e->any)
		return false;
	ret->srtt_ns = rtt_estimate_srtt_ns(e);
	ret->rttvar_ns = rtt_estimate_rttvar_ns(e);
	ret->min_ns = min_read(r, now_ns);
	ret->last_ns = r->last_ns;
	ret->last_at_ns = e->last_at_ns;
	ret->confidence = rtt_estimate_confidence(e, now_ns, r->interval_ns);
	return true;
}

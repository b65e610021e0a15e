/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/testbed/shaper.h"

#include <math.h>

#include "common/clock.h"

#define BURST_DEFAULT 1514
#define QUEUE_DEFAULT ((uint64_t)1 << 20)
#define JITTER_CUT 4.0

/* SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number
 * generators", 2014). */
static uint64_t random_next(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* In [0, 1). */
static double random_unit(uint64_t *state)
{
	return (double)(random_next(state) >> 11) * 0x1p-53;
}

/* A standard normal (Box and Muller, 1958). */
static double random_normal(uint64_t *state)
{
	double u = 1.0 - random_unit(state);
	double v = random_unit(state);

	return sqrt(-2.0 * log(u)) * cos(2.0 * M_PI * v);
}

void shaper_init(struct shaper *s, const struct link_params *params, uint64_t seed)
{
	*s = (struct shaper){ .random = seed };
	TAILQ_INIT(&s->waiting);
	shaper_set(s, params);
}

void shaper_set(struct shaper *s, const struct link_params *params)
{
	s->params = *params;
	if (!s->params.burst)
		s->params.burst = BURST_DEFAULT;
	if (!s->params.queue)
		s->params.queue = QUEUE_DEFAULT;
}

static uint64_t transmit_ns(uint64_t rate_bps, uint64_t bytes)
{
	return (uint64_t)((double)bytes * 8e9 / (double)rate_bps);
}

/* The token bucket as virtual scheduling (ITU-T I.371): bucket_ns runs ahead of
 * the clock while a queue stands and lags behind it by at most one burst. */
static uint64_t bucket_take(struct shaper *s, size_t len, uint64_t now_ns)
{
	uint64_t burst_ns, earliest;

	if (!s->params.rate_bps)
		return now_ns;
	burst_ns = transmit_ns(s->params.rate_bps, s->params.burst);
	earliest = now_ns > burst_ns ? now_ns - burst_ns : 0;
	if (s->bucket_ns < earliest)
		s->bucket_ns = earliest;
	s->bucket_ns += transmit_ns(s->params.rate_bps, len);
	return s->bucket_ns > now_ns ? s->bucket_ns : now_ns;
}

static bool queue_has_room(const struct shaper *s, size_t len, uint64_t now_ns)
{
	double backlog;

	if (!s->params.rate_bps)
		return s->waiting_bytes + len <= s->params.queue;
	if (s->bucket_ns <= now_ns)
		return true;
	backlog = (double)(s->bucket_ns - now_ns) * (double)s->params.rate_bps / 8e9;
	return backlog + (double)len <= (double)s->params.queue;
}

static uint64_t propagation_ns(struct shaper *s)
{
	double delay = (double)s->params.delay_ns, draw;

	if (!s->params.jitter_ns)
		return s->params.delay_ns;
	if (s->params.jitter_kind == JITTER_UNIFORM)
		draw = 2.0 * random_unit(&s->random) - 1.0;
	else
		draw = fmax(-JITTER_CUT, fmin(JITTER_CUT, random_normal(&s->random)));
	delay += draw * (double)s->params.jitter_ns;
	return delay > 0 ? (uint64_t)delay : 0;
}

static void insert_by_due(struct shaper *s, struct shaped_frame *f)
{
	struct shaped_frame *before = TAILQ_LAST(&s->waiting, shaped_frames);

	while (before && before->due_ns > f->due_ns)
		before = TAILQ_PREV(before, shaped_frames, link);
	if (before)
		TAILQ_INSERT_AFTER(&s->waiting, before, f, link);
	else
		TAILQ_INSERT_HEAD(&s->waiting, f, link);
	s->waiting_bytes += f->len;
}

bool shaper_push(struct shaper *s, struct shaped_frame *f, uint64_t now_ns)
{
	const struct shaped_frame *last;

	if (s->params.loss > 0 && random_unit(&s->random) < s->params.loss) {
		s->counts.lost++;
		return false;
	}
	if (!queue_has_room(s, f->len, now_ns)) {
		s->counts.dropped++;
		return false;
	}
	f->due_ns = bucket_take(s, f->len, now_ns) + propagation_ns(s);
	last = TAILQ_LAST(&s->waiting, shaped_frames);
	if (!s->params.reorder && last && last->due_ns > f->due_ns)
		f->due_ns = last->due_ns;
	insert_by_due(s, f);
	return true;
}

uint64_t shaper_next_ns(const struct shaper *s)
{
	const struct shaped_frame *f = TAILQ_FIRST(&s->waiting);

	return f ? f->due_ns : UINT64_MAX;
}

struct shaped_frame *shaper_pop(struct shaper *s, uint64_t now_ns)
{
	struct shaped_frame *f = TAILQ_FIRST(&s->waiting);

	if (!f || f->due_ns > now_ns)
		return NULL;
	TAILQ_REMOVE(&s->waiting, f, link);
	s->waiting_bytes -= f->len;
	s->counts.frames++;
	s->counts.bytes += f->len;
	return f;
}

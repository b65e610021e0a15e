/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/pace.h"

#include <string.h>

#include "common/clock.h"

#define WINDOW_START ((uint64_t)512 << 10)
#define WINDOW_MIN ((uint64_t)64 << 10)
#define WINDOW_MAX ((uint64_t)64 << 20)
#define SLACK_NS (4 * NS_PER_MS)  /* beyond the round trip; the window grows by this */
#define SLACK_SHARE 4             /* or by this part of the round trip */
#define EPOCH_MIN_NS (5 * NS_PER_MS) /* shorter ones measure the bursts of shapers */
#define RATE_PERIOD_NS NS_PER_S
#define RTT_PERIOD_NS (5 * NS_PER_S)
#define MADE_BYTES 16 /* a page: with fewer in its frame the target is what takes the time */
#define CAP_BURST_NS (2 * NS_PER_MS)
#define SMOOTH_SHIFT 2

static void filter_put(struct pace_filter *f, uint64_t value, bool largest, uint64_t period,
		       uint64_t now)
{
	if (now - f->since_ns > period) {
		f->older = f->value;
		f->value = 0;
		f->since_ns = now;
	}
	if (f->value == 0 || (largest ? value > f->value : value < f->value))
		f->value = value;
}

static uint64_t filter_get(const struct pace_filter *f, bool largest)
{
	if (f->value == 0 || f->older == 0)
		return f->value | f->older;
	return (f->value > f->older) == largest ? f->value : f->older;
}

void pace_init(struct pace *p, uint64_t cap_bits_per_s, uint64_t now)
{
	memset(p, 0, sizeof(*p));
	p->cap = cap_bits_per_s / 8;
	p->epoch.since_ns = p->rate.since_ns = p->rtt.since_ns = now;
}

void pace_line_init(struct pace_line *line, struct pace *p, uint64_t now)
{
	memset(line, 0, sizeof(*line));
	line->pace = p;
	line->progress_ns = now;
}

uint64_t pace_rtt_ns(const struct pace *p)
{
	return filter_get(&p->rtt, false);
}

uint64_t pace_rate(const struct pace *p)
{
	return p->rate_smooth ? p->rate_smooth : p->rate_floor;
}

uint64_t pace_window(const struct pace *p)
{
	uint64_t rate = filter_get(&p->rate, true), rtt = pace_rtt_ns(p), slack, window;

	if (rate == 0)
		return WINDOW_START;
	slack = rtt / SLACK_SHARE > SLACK_NS ? rtt / SLACK_SHARE : SLACK_NS;
	window = (uint64_t)((double)rate * (double)(rtt + slack) / NS_PER_S);
	if (window < WINDOW_MIN)
		return WINDOW_MIN;
	return window < WINDOW_MAX ? window : WINDOW_MAX;
}

uint64_t pace_unacked(const struct pace *p)
{
	return p->unacked;
}

uint64_t pace_line_unacked(const struct pace_line *line)
{
	return line->sent_bytes - line->acked_bytes;
}

uint64_t pace_delay(const struct pace_line *line, uint64_t now)
{
	const struct pace *p = line->pace;

	/* may exceed the window by a frame: one that just misses it would leave the
	 * link idle, and the rate would be taken for less. And a line has always one: what another
	 * one has on its way may wait at the peer for just that */
	if (line->sent_frames - line->acked_frames == PACE_FLIGHTS ||
	    ((p->unacked >= pace_window(p) || p->unacked_made >= PACE_MADE_MAX) &&
	     pace_line_unacked(line)))
		return UINT64_MAX;
	return p->cap && p->cap_ns > now ? p->cap_ns - now : 0;
}

void pace_sent(struct pace_line *line, uint64_t bytes, uint32_t made, bool starved, uint64_t now)
{
	struct pace_flight *f = &line->flights[line->sent_frames % PACE_FLIGHTS];
	struct pace *p = line->pace;

	if (line->acked_frames == line->sent_frames)
		line->progress_ns = now; /* silence counts from here, not from before the pause */
	p->epoch.starved |= starved;
	p->unacked += bytes;
	p->unacked_made += made;
	line->sent_frames++;
	line->sent_bytes += bytes;
	line->sent_made += made;
	*f = (struct pace_flight){ .bytes_end = line->sent_bytes,
				   .made_end = line->sent_made,
				   .sent_ns = now };
	if (p->cap) {
		uint64_t from = p->cap_ns + CAP_BURST_NS > now ? p->cap_ns : now - CAP_BURST_NS;

		p->cap_ns = from + bytes * NS_PER_S / p->cap;
	}
}

static void measure_rtt(struct pace *p, const struct pace_flight *f, uint64_t now)
{
	uint64_t rtt = now > f->sent_ns ? now - f->sent_ns : 1;

	filter_put(&p->rtt, rtt, false, RTT_PERIOD_NS, now);
}

static void measure_rate(struct pace *p, uint64_t bytes, uint64_t now)
{
	uint64_t elapsed = now - p->epoch.since_ns, least = pace_rtt_ns(p), rate;
	bool starved = p->epoch.starved;

	p->epoch.bytes += bytes;
	if (elapsed < (least > EPOCH_MIN_NS ? least : EPOCH_MIN_NS))
		return;
	rate = (uint64_t)((double)p->epoch.bytes * NS_PER_S / (double)elapsed);
	p->epoch = (struct pace_epoch){ .since_ns = now };
	/* What we did not send says nothing about the link, unless it is more; least of
	 * all may a few bytes at the beginning set the window. */
	if (starved && (p->rate_smooth == 0 || rate <= p->rate_smooth)) {
		p->rate_floor = rate > p->rate_floor ? rate : p->rate_floor;
		return;
	}
	filter_put(&p->rate, rate, true, RATE_PERIOD_NS, now);
	if (p->rate_smooth == 0)
		p->rate_smooth = rate;
	else
		p->rate_smooth += (rate >> SMOOTH_SHIFT) - (p->rate_smooth >> SMOOTH_SHIFT);
}

/* How many bytes of the line these are that it had not acknowledged yet. */
static uint64_t take_acked(struct pace_line *line, uint64_t frames)
{
	const struct pace_flight *f = &line->flights[(frames - 1) % PACE_FLIGHTS];
	uint64_t bytes = f->bytes_end - line->acked_bytes, made = f->made_end - line->acked_made;

	line->pace->unacked -= bytes;
	line->pace->unacked_made -= made;
	line->pace->epoch.starved |= bytes < made * MADE_BYTES; /* so that says nothing about the link */
	line->acked_frames = frames;
	line->acked_bytes = f->bytes_end;
	line->acked_made = f->made_end;
	return bytes;
}

bool pace_acked(struct pace_line *line, uint64_t frames, uint64_t now)
{
	uint64_t bytes;

	if (frames > line->sent_frames || frames < line->acked_frames)
		return false;
	if (frames == line->acked_frames)
		return true;
	bytes = take_acked(line, frames);
	measure_rtt(line->pace, &line->flights[(frames - 1) % PACE_FLIGHTS], now);
	measure_rate(line->pace, bytes, now);
	line->progress_ns = now;
	return true;
}

bool pace_resume(struct pace_line *line, uint64_t frames, uint64_t now)
{
	if (frames > line->sent_frames || frames < line->acked_frames)
		return false;
	if (frames > line->acked_frames)
		(void)take_acked(line, frames);
	line->pace->unacked -= pace_line_unacked(line);
	line->pace->unacked_made -= line->sent_made - line->acked_made;
	line->sent_frames = frames;
	line->sent_bytes = line->acked_bytes;
	line->sent_made = line->acked_made;
	line->pace->epoch = (struct pace_epoch){ .since_ns = now, .starved = true };
	line->progress_ns = now;
	return true;
}

uint64_t pace_silence(const struct pace_line *line, uint64_t now)
{
	return line->sent_frames == line->acked_frames ? 0 : now - line->progress_ns;
}

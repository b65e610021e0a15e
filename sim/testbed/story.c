/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/testbed/story.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"

#define GROWTH 256
#define STOP_TOLERANCE_NS (200 * NS_PER_MS)

void story_clear(struct story *s)
{
	free(s->samples);
	free(s->silences);
	s->samples = NULL;
	s->silences = NULL;
	s->n_samples = s->n_silences = 0;
}

/* Room for one more of n items of that size; NULL when there is none. */
static void *grow(void *items, size_t n, size_t size)
{
	return n % GROWTH ? items : reallocarray(items, n + GROWTH, size);
}

int story_add_sample(struct story *s, const struct story_sample *sample)
{
	struct story_sample *bigger = grow(s->samples, s->n_samples, sizeof(*bigger));

	if (!bigger)
		return -ENOMEM;
	s->samples = bigger;
	s->samples[s->n_samples++] = *sample;
	return 0;
}

int story_add_silence(struct story *s, uint64_t from_ns, uint64_t to_ns)
{
	struct story_silence *bigger = grow(s->silences, s->n_silences, sizeof(*bigger));

	if (!bigger)
		return -ENOMEM;
	s->silences = bigger;
	s->silences[s->n_silences++] = (struct story_silence){ from_ns, to_ns };
	return 0;
}

struct story_move *story_move(struct story *s, const struct uuid *id)
{
	struct story_move *m;

	for (int i = 0; i < s->n_moves; i++)
		if (uuid_equal(&s->moves[i].id, id))
			return &s->moves[i];
	if (s->n_moves == STORY_MOVES_MAX) {
		s->too_many_moves = true;
		return NULL;
	}
	m = &s->moves[s->n_moves++];
	*m = (struct story_move){ .id = *id, .from = -1, .to = -1 };
	return m;
}

/* The longest silence that overlaps the time between the two. */
static uint64_t longest_silence(const struct story *s, uint64_t from_ns, uint64_t to_ns)
{
	const uint64_t interval = s->scenario->phone.probe_interval_ns;
	uint64_t longest = 0;

	for (size_t i = 0; i < s->n_silences; i++) {
		const struct story_silence *q = &s->silences[i];

		if (q->to_ns >= from_ns && q->from_ns <= to_ns && q->to_ns - q->from_ns > longest)
			longest = q->to_ns - q->from_ns;
	}
	return longest > interval ? longest - interval : 0;
}

void story_judge_silences(const struct story *s, struct story_move *m)
{
	uint64_t stop = m->ended_ns - m->begun_ns;

	/* The stop lay one blackout before the end, if less precisely than this. */
	if (stop > m->blackout_ns + STOP_TOLERANCE_NS)
		stop = m->blackout_ns + STOP_TOLERANCE_NS;
	stop = m->ended_ns - stop;
	m->silence_ns = longest_silence(s, stop, m->ended_ns + NS_PER_S);
	m->stall_ns = stop > m->begun_ns ? longest_silence(s, m->begun_ns, stop - 1) : 0;
}

static int compare_u64(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

uint64_t story_guest_rtt(const struct story *s, uint64_t from_ns, uint64_t to_ns)
{
	_cleanup_free_ uint64_t *rtts = calloc(s->n_samples + 1, sizeof(*rtts));
	size_t n = 0;

	for (size_t i = 0; rtts && i < s->n_samples; i++) {
		const struct story_sample *p = &s->samples[i];

		if (p->t_ns >= from_ns && p->t_ns <= to_ns && p->guest_rtt_ns)
			rtts[n++] = p->guest_rtt_ns;
	}
	if (n == 0)
		return 0;
	qsort(rtts, n, sizeof(*rtts), compare_u64);
	return rtts[n / 2];
}

uint64_t story_guest_rtt_least(const struct story *s, uint64_t from_ns, uint64_t to_ns)
{
	uint64_t least = 0;

	for (size_t i = 0; i < s->n_samples; i++) {
		const struct story_sample *p = &s->samples[i];

		if (p->t_ns >= from_ns && p->t_ns <= to_ns && p->guest_rtt_ns &&
		    (least == 0 || p->guest_rtt_ns < least))
			least = p->guest_rtt_ns;
	}
	return least;
}

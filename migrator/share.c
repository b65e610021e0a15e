/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/share.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/clock.h"

/* One with nine of the next step beside it has 64 / (64 + 9) of the link, and so takes 1.14 times
 * as long as alone. */
#define STEP 64u
#define WEIGHT_URGENT (STEP * STEP * STEP) /* and what a byte counts for one of weight 1 */
#define LAG_BYTES ((uint64_t)256 << 10) /* how far one may be behind before others wait for it */
#define AGAIN_NS NS_PER_MS
#define PRESENT_NS (250 * NS_PER_MS)    /* one that is silent for longer waits for nothing */
#define HUNGRY_FRAMES 8
#define NICE_LOW 10

struct share_member {
	LIST_ENTRY(share_member) link;
	struct share *share;
	char peer[256];
	enum share_priority priority;
	bool urgent;
	uint64_t time;     /* bytes that it has sent, by its weight */
	uint64_t heard_ns; /* when it last sent, or wanted to; 0: never */
	unsigned hungry;   /* > 0: the link keeps it waiting */
};

struct share {
	pthread_mutex_t lock;
	LIST_HEAD(, share_member) members;
};

int share_new(struct share **ret)
{
	struct share *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	pthread_mutex_init(&s->lock, NULL);
	*ret = s;
	return 0;
}

void share_free(struct share *s)
{
	if (!s)
		return;
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static uint64_t weight(const struct share_member *m)
{
	static const uint64_t weights[] = {
		[SHARE_LOW] = 1, [SHARE_NORMAL] = STEP, [SHARE_HIGH] = STEP * STEP,
	};

	return m->urgent ? WEIGHT_URGENT : weights[m->priority];
}

static uint64_t time_of(const struct share_member *m, uint64_t bytes)
{
	return bytes * (WEIGHT_URGENT / weight(m));
}

int share_join(struct share *s, const char *peer, enum share_priority priority,
	       struct share_member **ret)
{
	struct share_member *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	m->share = s;
	m->priority = priority;
	snprintf(m->peer, sizeof(m->peer), "%s", peer);
	pthread_mutex_lock(&s->lock);
	LIST_INSERT_HEAD(&s->members, m, link);
	pthread_mutex_unlock(&s->lock);
	*ret = m;
	return 0;
}

void share_leave(struct share_member *m)
{
	if (!m)
		return;
	pthread_mutex_lock(&m->share->lock);
	LIST_REMOVE(m, link);
	pthread_mutex_unlock(&m->share->lock);
	free(m);
}

/* What it sent under another weight does not count: it begins with those that are there. */
static void change(struct share_member *m, enum share_priority priority, bool urgent)
{
	pthread_mutex_lock(&m->share->lock);
	if (m->priority != priority || m->urgent != urgent)
		m->time = m->heard_ns = 0;
	m->priority = priority;
	m->urgent = urgent;
	pthread_mutex_unlock(&m->share->lock);
}

void share_set_priority(struct share_member *m, enum share_priority priority)
{
	change(m, priority, m->urgent);
}

void share_set_urgent(struct share_member *m)
{
	change(m, m->priority, true);
}

int share_nice(struct share_member *m)
{
	int nice;

	pthread_mutex_lock(&m->share->lock);
	nice = m->priority == SHARE_LOW && !m->urgent ? NICE_LOW : 0;
	pthread_mutex_unlock(&m->share->lock);
	return nice;
}

static bool is_present(const struct share_member *m, uint64_t now)
{
	return m->heard_ns && now - m->heard_ns < PRESENT_NS;
}

static bool is_beside(const struct share_member *m, const struct share_member *other, uint64_t now)
{
	return other != m && is_present(other, now) && strcmp(other->peer, m->peer) == 0;
}

/* One that comes, or comes back, has no claim to what others sent meanwhile. */
static void enter(struct share_member *m, uint64_t now)
{
	const struct share_member *other;
	uint64_t least = UINT64_MAX;

	if (!is_present(m, now)) {
		LIST_FOREACH(other, &m->share->members, link)
			if (is_beside(m, other, now) && other->time < least)
				least = other->time;
		if (least != UINT64_MAX && m->time < least)
			m->time = least;
	}
	m->heard_ns = now;
}

uint64_t share_delay(struct share_member *m, uint64_t now)
{
	const struct share_member *other;
	uint64_t delay = 0;

	pthread_mutex_lock(&m->share->lock);
	enter(m, now);
	LIST_FOREACH(other, &m->share->members, link)
		if (!m->urgent && other->hungry && is_beside(m, other, now) &&
		    m->time > other->time + time_of(other, LAG_BYTES))
			delay = AGAIN_NS;
	pthread_mutex_unlock(&m->share->lock);
	return delay;
}

void share_sent(struct share_member *m, uint64_t bytes, bool starved, uint64_t now)
{
	pthread_mutex_lock(&m->share->lock);
	enter(m, now);
	m->time += time_of(m, bytes);
	if (!starved)
		m->hungry = HUNGRY_FRAMES;
	else if (m->hungry)
		m->hungry--;
	pthread_mutex_unlock(&m->share->lock);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/tcp_match.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* More than that is acknowledged at once: no segment on an Ethernet has more data. */
#define FULL_SEGMENT 1460

struct open {
	uint64_t at_ns;
	uint32_t tsval, sequence;
};

struct flow {
	struct address client, other;
	bool used;
	uint64_t seen_ns;
	uint32_t newest; /* TSval towards the client */
	uint32_t acknowledged;
	bool has_acknowledged;
	uint8_t opens;
	unsigned unsure; /* how many there were */
	struct open open[TCP_MATCH_OPEN_MAX];
	uint64_t unsure_ns[TCP_MATCH_UNSURE];
};

struct tcp_match {
	uint8_t key[crypto_shorthash_KEYBYTES];
	struct flow flows[TCP_MATCH_SETS][TCP_MATCH_WAYS];
};

int tcp_match_new(struct tcp_match **ret)
{
	struct tcp_match *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	crypto_shorthash_keygen(m->key);
	*ret = m;
	return 0;
}

void tcp_match_free(struct tcp_match *m)
{
	free(m);
}

/* All of these count round: whether a is after b. */
static bool is_after(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

/* A clock that was set back must not keep places taken. */
static bool is_stale(uint64_t since_ns, uint64_t now_ns)
{
	return now_ns - since_ns > TCP_MATCH_AGE_NS && since_ns - now_ns > TCP_MATCH_AGE_NS;
}

/* ---- Sessions and their places ------------------------------------------------------ */

static bool same_host(const struct address *a, const struct address *b)
{
	struct address x = *a;

	address_set_port(&x, address_port(b));
	return address_equal(&x, b);
}

static struct flow *set_of(struct tcp_match *m, const struct address *client)
{
	uint8_t out[crypto_shorthash_BYTES];
	uint32_t set;

	if (client->any.sa_family == AF_INET)
		crypto_shorthash(out, (const uint8_t *)&client->v4.sin_addr,
				 sizeof(client->v4.sin_addr), m->key);
	else
		crypto_shorthash(out, (const uint8_t *)&client->v6.sin6_addr,
				 sizeof(client->v6.sin6_addr), m->key);
	memcpy(&set, out, sizeof(set));
	return m->flows[set % TCP_MATCH_SETS];
}

static struct flow *find(struct flow *set, const struct address *client,
			 const struct address *other)
{
	for (int i = 0; i < TCP_MATCH_WAYS; i++)
		if (set[i].used && address_equal(&set[i].client, client) &&
		    address_equal(&set[i].other, other))
			return &set[i];
	return NULL;
}

static struct flow *admit(struct flow *set, const struct tcp_segment *s, uint64_t now_ns)
{
	struct flow *place = NULL;
	unsigned own = 0;

	for (int i = 0; i < TCP_MATCH_WAYS; i++) {
		if (!set[i].used || is_stale(set[i].seen_ns, now_ns))
			place = &set[i];
		else
			own += same_host(&set[i].client, &s->to);
	}
	if (!place || own >= TCP_MATCH_CLIENT_FLOWS)
		return NULL;
	*place = (struct flow){ .used = true, .client = s->to, .other = s->from };
	return place;
}

/* ---- What goes to the client -------------------------------------------------------- */

static void forget_stale(struct flow *f, uint64_t now_ns)
{
	uint8_t kept = 0;

	for (uint8_t i = 0; i < f->opens; i++)
		if (!is_stale(f->open[i].at_ns, now_ns))
			f->open[kept++] = f->open[i];
	f->opens = kept;
}

static void note(struct flow *f, const struct tcp_segment *s, uint64_t now_ns)
{
	if (f->opens == TCP_MATCH_OPEN_MAX)
		forget_stale(f, now_ns);
	/* There is enough to be answered; the oldest will be first. */
	if (f->opens < TCP_MATCH_OPEN_MAX)
		f->open[f->opens++] = (struct open){ now_ns, s->tsval, s->sequence };
}

bool tcp_match_towards(struct tcp_match *m, const struct tcp_segment *s, uint64_t now_ns)
{
	struct flow *set = set_of(m, &s->to), *f = find(set, &s->to, &s->from);
	bool is_first = !f || s->syn || is_stale(f->seen_ns, now_ns);

	if (!f && !s->advances)
		return true;
	if (!f)
		f = admit(set, s, now_ns);
	if (!f)
		return false;
	if (is_first)
		*f = (struct flow){ .used = true, .client = s->to, .other = s->from };
	f->seen_ns = now_ns;
	if (!is_first && !is_after(s->tsval, f->newest))
		return true;
	f->newest = s->tsval;
	/* In the middle of a session another segment may have had this time stamp before. */
	if (s->advances && (!is_first || s->syn))
		note(f, s, now_ns);
	return true;
}

/* ---- What comes from it ------------------------------------------------------------- */

/* What is acknowledged will have no echo any more. Returns when it was that the echoed time stamp
 * went by, or 0. */
static uint64_t settle(struct flow *f, const struct tcp_segment *s)
{
	uint64_t at_ns = 0;
	uint8_t kept = 0;

	for (uint8_t i = 0; i < f->opens; i++) {
		if (!is_after(s->acknowledged, f->open[i].sequence))
			f->open[kept++] = f->open[i];
		else if (f->open[i].tsval == s->tsecr)
			at_ns = f->open[i].at_ns;
	}
	f->opens = kept;
	return at_ns;
}

static uint64_t least_unsure(struct flow *f, uint64_t rtt_ns)
{
	uint64_t least = rtt_ns;

	f->unsure_ns[f->unsure++ % TCP_MATCH_UNSURE] = rtt_ns;
	for (unsigned i = 0; i < TCP_MATCH_UNSURE && i < f->unsure; i++)
		if (f->unsure_ns[i] < least)
			least = f->unsure_ns[i];
	return least;
}

bool tcp_match_from(struct tcp_match *m, const struct tcp_segment *s, uint64_t now_ns,
		    uint64_t *ret_rtt_ns)
{
	struct flow *f = find(set_of(m, &s->from), &s->from, &s->to);
	bool is_prompt;
	uint64_t at_ns;

	if (!f || !s->ack)
		return false;
	f->seen_ns = now_ns;
	if (f->has_acknowledged && is_after(f->acknowledged, s->acknowledged))
		return false; /* it was overtaken */
	is_prompt = f->has_acknowledged && s->acknowledged - f->acknowledged > FULL_SEGMENT;
	f->acknowledged = s->acknowledged;
	f->has_acknowledged = true;
	at_ns = settle(f, s);
	if (at_ns == 0 || at_ns >= now_ns || is_stale(at_ns, now_ns))
		return false;
	if (is_prompt)
		f->unsure = 0;
	*ret_rtt_ns = is_prompt ? now_ns - at_ns : least_unsure(f, now_ns - at_ns);
	return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/client_table.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS_MIN 64
#define SLOTS 8192 /* some two seconds */

struct client_table {
	LIST_HEAD(clients, client) all;
	size_t n;
	struct clients wheel[SLOTS];
	uint64_t used[SLOTS / 64]; /* a bit for each slot that anyone is in */
	uint64_t tick;             /* the first that is not done with */
	/* All indexes have `buckets` chains, a power of two; a keyed hash, for
	 * who registers chooses its address. */
	struct client **chains[CLIENT_INDEXES];
	size_t buckets;
	uint8_t key[crypto_shorthash_KEYBYTES];
};

/* ---- Chains ------------------------------------------------------------------ */

static size_t hash(const struct client_table *t, const void *data, size_t len)
{
	uint8_t out[crypto_shorthash_BYTES];
	uint64_t h;

	crypto_shorthash(out, data, len, t->key);
	memcpy(&h, out, sizeof(h));
	return (size_t)h & (t->buckets - 1);
}

static size_t hash_device(const struct client_table *t, const struct uuid *device)
{
	return hash(t, device->bytes, UUID_SIZE);
}

static size_t hash_address(const struct client_table *t, const struct address *a, uint16_t port)
{
	struct address same = { 0 };

	/* Only what address_equal() looks at. */
	same.any.sa_family = a->any.sa_family;
	address_set_port(&same, port);
	if (a->any.sa_family == AF_INET)
		same.v4.sin_addr = a->v4.sin_addr;
	if (a->any.sa_family == AF_INET6)
		same.v6.sin6_addr = a->v6.sin6_addr;
	return hash(t, &same, sizeof(same));
}

static struct client **chain_of(const struct client_table *t, enum client_index index,
				const struct client *c)
{
	const struct address *a = &c->address;
	size_t h = index == CLIENT_BY_DEVICE	? hash_device(t, &c->device)
		   : index == CLIENT_BY_ADDRESS ? hash_address(t, a, address_port(a))
						: hash_address(t, a, 0);

	return &t->chains[index][h];
}

static void link_client(struct client_table *t, enum client_index index, struct client *c)
{
	struct client **chain = chain_of(t, index, c);

	c->next[index] = *chain;
	*chain = c;
}

static void unlink_client(struct client_table *t, enum client_index index, struct client *c)
{
	struct client **p = chain_of(t, index, c);

	while (*p != c)
		p = &(*p)->next[index];
	*p = c->next[index];
}

static int set_buckets(struct client_table *t, size_t buckets)
{
	struct client **chains[CLIENT_INDEXES];

	bool is_whole = true;

	for (int i = 0; i < CLIENT_INDEXES; i++) {
		chains[i] = calloc(buckets, sizeof(struct client *));
		is_whole &= chains[i] != NULL;
	}
	for (int i = 0; i < CLIENT_INDEXES && !is_whole; i++)
		free(chains[i]);
	if (!is_whole)
		return -ENOMEM;
	t->buckets = buckets;
	for (int i = 0; i < CLIENT_INDEXES; i++) {
		struct client *c;

		free(t->chains[i]);
		t->chains[i] = chains[i];
		LIST_FOREACH(c, &t->all, link)
		link_client(t, (enum client_index)i, c);
	}
	return 0;
}

/* ---- The wheel ----------------------------------------------------------------- */

/* Due times count as the next tick that is not before them. */
static uint64_t tick_of(uint64_t ns)
{
	return ns / CLIENT_TICK_NS + (ns % CLIENT_TICK_NS != 0);
}

static void wheel_put(struct client_table *t, struct client *c)
{
	uint64_t tick = tick_of(c->next_ns);

	if (c->next_ns == CLIENT_NEVER)
		return;
	/* What is overdue is due at once. */
	if (tick < t->tick)
		tick = t->tick;
	c->slot = (uint16_t)(tick % SLOTS);
	LIST_INSERT_HEAD(&t->wheel[c->slot], c, due);
	t->used[c->slot / 64] |= UINT64_C(1) << c->slot % 64;
}

static void wheel_take(struct client_table *t, struct client *c)
{
	if (c->next_ns == CLIENT_NEVER)
		return;
	LIST_REMOVE(c, due);
	if (LIST_EMPTY(&t->wheel[c->slot]))
		t->used[c->slot / 64] &= ~(UINT64_C(1) << c->slot % 64);
}

/* The distance from `slot` to the next one that anyone is in; SLOTS for none. */
static size_t to_used(const struct client_table *t, size_t slot)
{
	for (size_t i = 0; i < SLOTS;) {
		size_t at = (slot + i) % SLOTS;
		uint64_t word = t->used[at / 64] >> at % 64;

		if (word)
			return i + (size_t)__builtin_ctzll(word) < SLOTS
				       ? i + (size_t)__builtin_ctzll(word)
				       : SLOTS;
		i += 64 - at % 64;
	}
	return SLOTS;
}

/* Returns false when there was no room for all of them. */
static bool take_slot(struct client_table *t, size_t slot, uint64_t now_ns, struct client **ret,
		      size_t room, size_t *n)
{
	struct client *c;

	LIST_FOREACH(c, &t->wheel[slot], due)
	{
		if (tick_of(c->next_ns) > now_ns / CLIENT_TICK_NS)
			continue;
		if (*n == room)
			return false;
		ret[(*n)++] = c;
	}
	return true;
}

size_t client_table_due(struct client_table *t, uint64_t now_ns, struct client **ret, size_t room)
{
	uint64_t last = now_ns / CLIENT_TICK_NS;
	size_t n = 0;

	/* After a long pause every slot is looked at once. */
	if (last >= t->tick + SLOTS)
		t->tick = last - SLOTS + 1;
	while (t->tick <= last) {
		size_t skip = to_used(t, t->tick % SLOTS);

		if (skip > last - t->tick)
			break;
		t->tick += skip;
		if (!take_slot(t, t->tick % SLOTS, now_ns, ret, room, &n))
			return n;
		if (t->tick == last)
			return n;
		t->tick++;
	}
	t->tick = last;
	return n;
}

uint64_t client_table_next_due(const struct client_table *t, uint64_t now_ns)
{
	uint64_t next = now_ns / CLIENT_TICK_NS + 1;
	size_t skip = to_used(t, next % SLOTS);

	return skip == SLOTS ? UINT64_MAX : (next + skip) * CLIENT_TICK_NS;
}

/* ---- The table ------------------------------------------------------------------- */

int client_table_new(struct client_table **ret)
{
	struct client_table *t = calloc(1, sizeof(*t));

	if (!t || set_buckets(t, BUCKETS_MIN) < 0) {
		free(t);
		return -ENOMEM;
	}
	LIST_INIT(&t->all);
	crypto_shorthash_keygen(t->key);
	*ret = t;
	return 0;
}

void client_table_free(struct client_table *t)
{
	if (!t)
		return;
	while (!LIST_EMPTY(&t->all))
		client_table_remove(t, LIST_FIRST(&t->all));
	for (int i = 0; i < CLIENT_INDEXES; i++)
		free(t->chains[i]);
	free(t);
}

int client_table_add(struct client_table *t, struct client *c)
{
	if (t->n == t->buckets && set_buckets(t, t->buckets * 2) < 0)
		return -ENOMEM;
	LIST_INSERT_HEAD(&t->all, c, link);
	for (int i = 0; i < CLIENT_INDEXES; i++)
		link_client(t, (enum client_index)i, c);
	wheel_put(t, c);
	t->n++;
	return 0;
}

void client_table_remove(struct client_table *t, struct client *c)
{
	LIST_REMOVE(c, link);
	wheel_take(t, c);
	for (int i = 0; i < CLIENT_INDEXES; i++)
		unlink_client(t, (enum client_index)i, c);
	t->n--;
	histogram_clear(&c->histogram);
	if (c->open != c->first)
		free(c->open);
	free(c->tlvs);
	free(c);
}

void client_prefetch(const struct client *c)
{
	enum { LINE = 64 };

	for (size_t at = 0; at < sizeof(*c); at += LINE)
		__builtin_prefetch((const char *)c + at, 1);
}

size_t client_table_count(const struct client_table *t)
{
	return t->n;
}

struct client *client_table_next(const struct client_table *t, const struct client *after)
{
	return after ? LIST_NEXT(after, link) : LIST_FIRST(&t->all);
}

struct client *client_table_by_device(const struct client_table *t, const struct uuid *device)
{
	struct client *c = t->chains[CLIENT_BY_DEVICE][hash_device(t, device)];

	while (c && !uuid_equal(&c->device, device))
		c = c->next[CLIENT_BY_DEVICE];
	return c;
}

struct client *client_table_by_address(const struct client_table *t, const struct address *a,
				       const struct client *after)
{
	struct client *c = after ? after->next[CLIENT_BY_ADDRESS]
				 : t->chains[CLIENT_BY_ADDRESS][hash_address(t, a, address_port(a))];

	while (c && !address_equal(&c->address, a))
		c = c->next[CLIENT_BY_ADDRESS];
	return c;
}

static bool is_at(const struct client *c, const struct address *host)
{
	struct address a = c->address;

	address_set_port(&a, 0);
	return address_equal(&a, host);
}

struct client *client_table_by_host(const struct client_table *t, const struct address *host)
{
	struct client *c = t->chains[CLIENT_BY_HOST][hash_address(t, host, 0)], *found = NULL;

	for (; c; c = c->next[CLIENT_BY_HOST]) {
		if (!is_at(c, host))
			continue;
		if (found)
			return NULL;
		found = c;
	}
	return found;
}

void client_table_set_address(struct client_table *t, struct client *c, const struct address *a)
{
	unlink_client(t, CLIENT_BY_ADDRESS, c);
	unlink_client(t, CLIENT_BY_HOST, c);
	c->address = *a;
	link_client(t, CLIENT_BY_ADDRESS, c);
	link_client(t, CLIENT_BY_HOST, c);
}

void client_table_set_next(struct client_table *t, struct client *c, uint64_t next_ns)
{
	wheel_take(t, c);
	c->next_ns = next_ns;
	wheel_put(t, c);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/client_table.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS_MIN 64

struct client_table {
	LIST_HEAD(, client) all;
	struct client **heap; /* by next_ns */
	size_t n, room;
	/* Both indexes have `buckets` chains, a power of two; a keyed hash, for
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

static size_t hash_address(const struct client_table *t, const struct address *a)
{
	struct address same = { 0 };

	/* Only what address_equal() looks at. */
	same.any.sa_family = a->any.sa_family;
	address_set_port(&same, address_port(a));
	if (a->any.sa_family == AF_INET)
		same.v4.sin_addr = a->v4.sin_addr;
	if (a->any.sa_family == AF_INET6)
		same.v6.sin6_addr = a->v6.sin6_addr;
	return hash(t, &same, sizeof(same));
}

static struct client **chain_of(const struct client_table *t, enum client_index index,
				const struct client *c)
{
	size_t h = index == CLIENT_BY_DEVICE ? hash_device(t, &c->device)
					     : hash_address(t, &c->address);

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

	for (int i = 0; i < CLIENT_INDEXES; i++)
		chains[i] = calloc(buckets, sizeof(struct client *));
	if (!chains[CLIENT_BY_DEVICE] || !chains[CLIENT_BY_ADDRESS]) {
		free(chains[CLIENT_BY_DEVICE]);
		free(chains[CLIENT_BY_ADDRESS]);
		return -ENOMEM;
	}
	t->buckets = buckets;
	for (int i = 0; i < CLIENT_INDEXES; i++) {
		free(t->chains[i]);
		t->chains[i] = chains[i];
		for (size_t k = 0; k < t->n; k++)
			link_client(t, (enum client_index)i, t->heap[k]);
	}
	return 0;
}

/* ---- The heap ------------------------------------------------------------------ */

static void heap_put(struct client_table *t, size_t i, struct client *c)
{
	t->heap[i] = c;
	c->heap_at = i;
}

static void heap_settle(struct client_table *t, struct client *c)
{
	size_t i = c->heap_at;

	while (i > 0 && t->heap[(i - 1) / 2]->next_ns > c->next_ns) {
		heap_put(t, i, t->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	for (;;) {
		size_t child = 2 * i + 1;

		if (child + 1 < t->n && t->heap[child + 1]->next_ns < t->heap[child]->next_ns)
			child++;
		if (child >= t->n || t->heap[child]->next_ns >= c->next_ns)
			break;
		heap_put(t, i, t->heap[child]);
		i = child;
	}
	heap_put(t, i, c);
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
	while (t->n)
		client_table_remove(t, t->heap[t->n - 1]);
	for (int i = 0; i < CLIENT_INDEXES; i++)
		free(t->chains[i]);
	free(t->heap);
	free(t);
}

int client_table_add(struct client_table *t, struct client *c)
{
	if (t->n == t->room) {
		size_t room = t->room ? t->room * 2 : 16;
		struct client **heap = reallocarray(t->heap, room, sizeof(struct client *));

		if (!heap)
			return -ENOMEM;
		t->heap = heap;
		t->room = room;
	}
	if (t->n == t->buckets && set_buckets(t, t->buckets * 2) < 0)
		return -ENOMEM;
	LIST_INSERT_HEAD(&t->all, c, link);
	link_client(t, CLIENT_BY_DEVICE, c);
	link_client(t, CLIENT_BY_ADDRESS, c);
	heap_put(t, t->n++, c);
	heap_settle(t, c);
	return 0;
}

void client_table_remove(struct client_table *t, struct client *c)
{
	struct client *last = t->heap[--t->n];

	LIST_REMOVE(c, link);
	unlink_client(t, CLIENT_BY_DEVICE, c);
	unlink_client(t, CLIENT_BY_ADDRESS, c);
	if (last != c) {
		heap_put(t, c->heap_at, last);
		heap_settle(t, last);
	}
	free(c);
}

size_t client_table_count(const struct client_table *t)
{
	return t->n;
}

struct client *client_table_next(const struct client_table *t, const struct client *after)
{
	return after ? LIST_NEXT(after, link) : LIST_FIRST(&t->all);
}

struct client *client_table_first_due(const struct client_table *t)
{
	return t->n ? t->heap[0] : NULL;
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
				 : t->chains[CLIENT_BY_ADDRESS][hash_address(t, a)];

	while (c && !address_equal(&c->address, a))
		c = c->next[CLIENT_BY_ADDRESS];
	return c;
}

void client_table_set_address(struct client_table *t, struct client *c, const struct address *a)
{
	unlink_client(t, CLIENT_BY_ADDRESS, c);
	c->address = *a;
	link_client(t, CLIENT_BY_ADDRESS, c);
}

void client_table_set_next(struct client_table *t, struct client *c, uint64_t next_ns)
{
	c->next_ns = next_ns;
	heap_settle(t, c);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * The prober's clients: found by device, by address, and by who is due first.
 */
#ifndef TELEMETRY_CLIENT_TABLE_H
#define TELEMETRY_CLIENT_TABLE_H

#include <sys/queue.h>

#include "telemetry/prober.h"

/* One probe that left and may still be answered. */
struct probe {
	uint32_t sequence;
	bool answered;
	uint64_t sent_ns;   /* monotonic */
	uint64_t t1_utc_ns; /* ours at first, then the kernel's */
	struct stamp_request packet;
};

enum client_index { CLIENT_BY_DEVICE, CLIENT_BY_ADDRESS, CLIENT_INDEXES };

struct client {
	struct uuid device;
	struct address told;       /* by the watch list */
	struct address registered; /* here; goes before that */
	struct address address;    /* the one in use; changed by client_table_set_address() */
	uint64_t interval_ns;
	uint64_t next_ns; /* due; changed by client_table_set_next() */
	uint32_t sequence;
	uint32_t list_generation; /* of the last watch list that had it */
	struct probe open[PROBER_OPEN_MAX]; /* a ring; sequence numbers rise by one */
	unsigned head, length;
	struct rtt rtt;
	uint64_t last_sample_utc_ns;
	bool changed;
	unsigned reported_confidence;
	/* the table's own */
	LIST_ENTRY(client) link;
	size_t heap_at;
	struct client *next[CLIENT_INDEXES];
};

struct client_table;

int client_table_new(struct client_table **ret);

/* Frees its clients too. */
void client_table_free(struct client_table *t);

/* Takes ownership. -ENOMEM leaves the client to the caller. */
int client_table_add(struct client_table *t, struct client *c);

/* Removes and frees. */
void client_table_remove(struct client_table *t, struct client *c);

size_t client_table_count(const struct client_table *t);

/* Every client, in no particular order: `after` is NULL, or the one before. */
struct client *client_table_next(const struct client_table *t, const struct client *after);

/* The one that is due first; NULL when there is none. */
struct client *client_table_first_due(const struct client_table *t);

struct client *client_table_by_device(const struct client_table *t, const struct uuid *device);

/* Several devices may claim one address: `after` is NULL, or the one before. */
struct client *client_table_by_address(const struct client_table *t, const struct address *a,
				       const struct client *after);

void client_table_set_address(struct client_table *t, struct client *c, const struct address *a);
void client_table_set_next(struct client_table *t, struct client *c, uint64_t next_ns);

#endif

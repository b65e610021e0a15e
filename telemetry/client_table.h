/* SPDX-License-Identifier: Apache-2.0
 *
 * The prober's clients: found by device, by address, by address without the port, and by who is due.
 *
 * Who is due stands on a timing wheel (Varghese, Lauck 1987): a ring of slots of
 * CLIENT_TICK_NS each, which holds everyone at the slot of the time that is next;
 * those that are due in another turn of the wheel are passed over. So clients are due
 * in steps of a tick, and neither adding nor finding one depends on their number.
 */
#ifndef TELEMETRY_CLIENT_TABLE_H
#define TELEMETRY_CLIENT_TABLE_H

#include <sys/queue.h>

#include "common/cusum.h"
#include "telemetry/client_tlvs.h"
#include "telemetry/pace.h"
#include "telemetry/prober.h"

#define CLIENT_TICK_NS UINT64_C(250000)
#define CLIENT_NEVER UINT64_MAX /* not on the wheel */

/* One probe that left and may still be answered. */
struct probe {
	uint64_t sent_ns;   /* monotonic */
	uint64_t t1_utc_ns; /* ours at first, then the kernel's */
	uint64_t t1;        /* as the packet has it */
	uint32_t sequence;
	uint16_t error_estimate;
	bool answered;
};

enum client_index { CLIENT_BY_DEVICE, CLIENT_BY_ADDRESS, CLIENT_BY_HOST, CLIENT_INDEXES };

struct client {
	/* What a sweep over sessions looks at first; together, for it is seldom in the cache. */
	struct client *next[CLIENT_INDEXES]; /* the table's own */
	struct address address; /* the one in use; changed by client_table_set_address() */
	bool quiet;             /* what follows from being asleep or idle: not due until that changes */
	bool is_registered;     /* here, which goes before what the watch list tells */
	bool told_asleep, registered_asleep;
	uint64_t session_ns; /* the least time that its sessions had this time; 0: none */

	struct uuid device;
	struct address told;      /* by the watch list */
	enum prober_method method; /* of the last sample */
	uint64_t interval_ns; /* at the fastest; as it is now: interval_of() */
	uint64_t next_ns; /* due, or CLIENT_NEVER; changed by client_table_set_next() */
	uint32_t sequence;
	uint32_t list_generation; /* of the last watch list that had it */
	struct probe *open;       /* a ring with room for `room`; sequence numbers rise by one */
	struct probe first[2];    /* which it is as long as it is enough: for most, for ever */
	uint8_t room, head, length;
	bool own_interval; /* told by the watch list, rather than the default */
	bool idle;
	bool changed;
	uint8_t reported_confidence;
	struct pace pace;
	uint16_t ssid; /* of its STAMP session (RFC 8972, section 3); never 0 */
	uint16_t slot; /* of the wheel; the table's own */
	struct rtt rtt;
	struct histogram histogram;
	struct level level;
	struct client_tlvs *tlvs; /* NULL: probes have none */
	uint64_t last_sample_utc_ns;
	uint64_t level_utc_ns; /* since when the level is what it is; 0: always */
	uint64_t probed_ns; /* when the last probe left; 0: none did */
	/* the table's own */
	LIST_ENTRY(client) link, due;
};

struct client_table;

/* Has the processor fetch what a sample changes of a client, while others are dealt with. */
void client_prefetch(const struct client *c);

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

/* Writes those that are due at `now_ns`, at most `room`, and returns how many. Each of
 * them must get another time, or be removed, before it is asked again. */
size_t client_table_due(struct client_table *t, uint64_t now_ns, struct client **ret, size_t room);

/* When somebody may be due next, not before `now_ns`; UINT64_MAX for never. */
uint64_t client_table_next_due(const struct client_table *t, uint64_t now_ns);

struct client *client_table_by_device(const struct client_table *t, const struct uuid *device);

/* Several devices may claim one address: `after` is NULL, or the one before. */
struct client *client_table_by_address(const struct client_table *t, const struct address *a,
				       const struct client *after);

/* The only client at that host, whatever the ports; NULL: nobody, or one of several. */
struct client *client_table_by_host(const struct client_table *t, const struct address *host);

void client_table_set_address(struct client_table *t, struct client *c, const struct address *a);
void client_table_set_next(struct client_table *t, struct client *c, uint64_t next_ns);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * Which of several controllers with one store leads: whoever has put its name
 * under a key that nobody had, with a lease. Who dies loses the lease, and
 * with it the key; another one then takes it.
 *
 * The lease says who may begin. What keeps two from ruling at once is the
 * epoch (takeover.h), which is raised only by who still leads: with it every
 * transaction of an earlier leader fails, and nodes refuse its orders.
 */
#ifndef PLACEMENT_LEADERSHIP_H
#define PLACEMENT_LEADERSHIP_H

#include <stdbool.h>

#include "common/cleanup.h"
#include "common/keys.h"
#include "placement/store.h"

/* From the last sign of life of a leader. With the time between two attempts
 * and half a second that etcd takes to notice, another leads within 5 s. */
#define LEADERSHIP_LEASE_NS UINT64_C(3000000000)
#define LEADERSHIP_TICK_NS UINT64_C(500000000) /* between two attempts, or prolongations */

#define LEADER_ENDPOINT_SIZE 256

struct leadership;

struct leader {
	char name[PEER_NAME_SIZE]; /* "": nobody */
	char endpoint[LEADER_ENDPOINT_SIZE];
	char url[LEADER_ENDPOINT_SIZE]; /* of its HTTP; "": it has none */
	uint64_t since_utc_ns;
};

/* Name, endpoint and URL (may be NULL) are ours, told to whoever asks; copied. The store is borrowed. */
int leadership_new(struct store *store, const char *name, const char *endpoint, const char *url,
		   struct leadership **ret, struct mg_error *err);

/* Resigns. */
void leadership_free(struct leadership *l);
DEFINE_CLEANUP(struct leadership, leadership_free)

/* Tries to become the leader: 1: we are; 0: another one is, see leadership_leader();
 * else an error of the store. Times are of the monotonic clock and of UTC. */
int leadership_campaign(struct leadership *l, uint64_t now_ns, uint64_t now_utc_ns,
			struct mg_error *err);

/* Prolongs it. What goes wrong is an error only if we can no longer be sure to
 * lead. Must not be called by who does not. */
int leadership_keep(struct leadership *l, uint64_t now_ns, struct mg_error *err);

/* Whether nobody else can lead at this instant. */
bool leadership_is_certain(const struct leadership *l, uint64_t now_ns);

/* Gives it up, so that another need not wait for the lease's end. */
void leadership_resign(struct leadership *l);

/* Forgets that we led, without asking the store. */
void leadership_lose(struct leadership *l);

/* As of the last campaign; holds in the store as long as we lead. */
struct store_compare leadership_compare(const struct leadership *l);
const struct leader *leadership_leader(const struct leadership *l);

#endif

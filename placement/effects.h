/* SPDX-License-Identifier: Apache-2.0
 *
 * What one input leads to: values for the store, lines for the decision log,
 * messages. They are gathered while the input is dealt with; then the values
 * are stored in one transaction, and only when that has succeeded do the lines
 * and messages leave. So nothing is ever told that a restart could forget.
 *
 * An error (-ENOMEM) is kept and makes effects_commit() fail.
 */
#ifndef PLACEMENT_EFFECTS_H
#define PLACEMENT_EFFECTS_H

#include "placement/environment.h"
#include "placement/store.h"

struct effect;

struct effects {
	/* Of the input that is being dealt with. */
	uint64_t now_ns, now_utc_ns;
	uint64_t epoch;        /* goes on every message */
	uint64_t last_request; /* see effects_request() */
	bool listened;         /* events are wanted */
	struct effect *first, **end;
	size_t n_ops;
	int error;
};

void effects_init(struct effects *fx);

/* Forgets what has been gathered. */
void effects_clear(struct effects *fx);

/* A fresh number for a request of ours. */
uint64_t effects_request(struct effects *fx);

/* Everything is copied. */
void effects_put(struct effects *fx, const char *key, const ProtobufCMessage *value);
void effects_delete(struct effects *fx, const char *key);

/* The decision log's only writer: "2026-11-21T04:25:00.123456789Z kind text".
 * These lines are what a replay must print again, byte for byte. */
void effects_decide(struct effects *fx, const char *kind, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Told when all is stored, if anybody listens. */
void effects_event(struct effects *fx, const PlacementEvent *event);

/* `request` 0: no answer is awaited. A peer without a route gets nothing. */
void effects_send(struct effects *fx, const struct bus_peer *to, uint64_t request, Envelope *e);

/* Answers to the request with this seq. */
void effects_reply(struct effects *fx, const struct bus_peer *to, uint64_t seq, Envelope *e);
void effects_reply_done(struct effects *fx, const struct bus_peer *to, uint64_t seq);
void effects_reply_failure(struct effects *fx, const struct bus_peer *to, uint64_t seq, int code,
			   const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* Stores what is to be stored, if `fence` (may be NULL) still holds. Without a
 * store (NULL) everything counts as stored. */
int effects_commit(struct effects *fx, struct store *store, const struct store_compare *fence,
		   struct mg_error *err);

/* Lets lines, messages and events go, each in their order, and forgets all. */
void effects_release(struct effects *fx, const struct environment *env);

#endif

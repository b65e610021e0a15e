/* SPDX-License-Identifier: Apache-2.0
 *
 * Tells other programs what happened, by an HTTP request each, signed as
 * https://www.standardwebhooks.com says. Each receiver gets the events in their
 * order and one at a time; one that does not answer 2xx gets it again, later and
 * later, and meanwhile others queue up to a limit, behind which they are lost.
 */
#ifndef PLACEMENT_WEBHOOK_H
#define PLACEMENT_WEBHOOK_H

#include <systemd/sd-event.h>

#include "common/cleanup.h"
#include "common/error.h"

#define WEBHOOKS_MAX 16
#define WEBHOOK_QUEUE 256    /* events for one receiver */
#define WEBHOOK_ATTEMPTS 8   /* then the event is lost, and the next one's turn comes */
#define WEBHOOK_TIMEOUT_S 10 /* for one attempt */
#define WEBHOOK_WAIT_S 1     /* after a failure, doubling */
#define WEBHOOK_WAIT_MAX_S 60

struct webhook_config {
	const char *url;
	const char *secret_file; /* its first line; "whsec_…" is in base64 */
	const char *cacert;      /* what its certificate is checked with; NULL: as this host does */
};

struct webhooks;

/* `configs` are borrowed. Fails when a secret cannot be read. */
int webhooks_new(sd_event *loop, const struct webhook_config *configs, size_t n,
		 struct webhooks **ret, struct mg_error *err);

/* What was not delivered is lost. */
void webhooks_free(struct webhooks *w);
DEFINE_CLEANUP(struct webhooks, webhooks_free)

/* Tells all receivers {"type", "timestamp", "data"}; `data` is JSON, copied. */
void webhooks_tell(struct webhooks *w, const char *type, const char *data);

struct webhook_counters {
	uint64_t delivered, failed_attempts, lost;
	size_t queued;
};

/* Of all receivers together. */
void webhooks_count(const struct webhooks *w, struct webhook_counters *ret);

#endif

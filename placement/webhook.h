/* SPDX-License-Identifier: Apache-2.0
 *
 * Tells other programs what happened, by an HTTP request each, signed as
 * https://www.standardwebhooks.com says. Each receiver gets the events in their
 * order and one at a time; one that does not answer 2xx gets it again, later and
 * later, and meanwhile others queue up to a limit, behind which they are lost.
 *
 * Besides the receivers of the configuration there are those that somebody else named,
 * which live as long as there is something for them, and are sent bodies as they are, unsigned.
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

/* A number of webhooks_post() was delivered, or given up. Not called from within anything here
 * but the event loop. */
typedef void (*webhook_told_fn)(void *userdata, uint64_t number);

/* `configs` are borrowed. Fails when a secret cannot be read. */
int webhooks_new(sd_event *loop, const struct webhook_config *configs, size_t n,
		 struct webhooks **ret, struct mg_error *err);

/* For webhooks_post(): what certificates are checked with (NULL: as this host does; borrowed), and
 * who is told of the end. */
void webhooks_set_posts(struct webhooks *w, const char *cacert, webhook_told_fn told,
			void *userdata);

/* What was not delivered is lost. */
void webhooks_free(struct webhooks *w);
DEFINE_CLEANUP(struct webhooks, webhooks_free)

/* Tells all receivers {"type", "timestamp", "data"}; `data` is JSON, copied. */
void webhooks_tell(struct webhooks *w, const char *type, const char *data);

/* Sends a body (taken over; NULL counts as lost) to the receiver of this name, at this URL;
 * those of one receiver in their order. */
void webhooks_post(struct webhooks *w, const char *receiver, const char *url, uint64_t number,
		   char *body);

/* Forgets what posts still wait: it is another controller's business. */
void webhooks_forget_posts(struct webhooks *w);

struct webhook_counters {
	uint64_t delivered, failed_attempts, lost;
	size_t queued;
};

/* Of all receivers together. */
void webhooks_count(const struct webhooks *w, struct webhook_counters *ret);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * A client of a controller's application mobility, in a test's hands: what it asks by HTTP goes
 * the way that it goes in rest.c, and what subscribers are told is gathered.
 */
#ifndef TESTS_PLACEMENT_MEC_CLIENT_H
#define TESTS_PLACEMENT_MEC_CLIENT_H

#include "placement/rest_operations.h"
#include "tests/unit/placement/harness.h"

#define SERVICES "/amsi/v1/app_mobility_services"
#define SUBSCRIPTIONS "/amsi/v1/subscriptions"
#define WEB "{\"serviceConsumerId\": {\"appInstanceId\": \"web\"}, "
#define PHONE "{\"type\": \"UE_IPv4_ADDRESS\", \"value\": \"10.0.0.7\"}"
#define PROCEDURE "{\"subscriptionType\": \"MobilityProcedureSubscription\", "
#define CALLBACK "\"callbackReference\": \"http://app:81/cb\", "

extern const struct uuid mec_phone;

/* What subscribers were told, a line each; how much of it; and the number of the last. */
extern char mec_told[16384];
extern unsigned mec_n_told;
extern uint64_t mec_last;

void mec_forget(void);
void mec_saw(const char *text);

/* "web" on tower-a goes with "phone"; tower-b is at the cell 001-01-B. */
void mec_setup(struct harness *h);
void mec_see_client(struct harness *h, const char *node, const char *address);

struct answer {
	unsigned status;
	char text[2048]; /* of the document, or what is wrong */
	struct rest_headers headers;
};

/* Returns the status. `body` and `if_match` may be NULL. */
unsigned mec_http(struct harness *h, struct answer *a, const char *method, const char *target,
		  const char *body, const char *if_match);
void mec_refused(struct harness *h, const char *method, const char *target, const char *body,
		 unsigned status, const char *why);

/* POSTs to a collection; returns the path of what was made, until the next call. */
const char *mec_add(struct harness *h, const char *to, const char *body);

/* To moves, with these members of filterCriteria. */
void mec_subscribe(struct harness *h, const char *filter);

/* An operator's order of "web", which its source takes. */
const struct sent *mec_order(struct harness *h, const char *target);

/* A notice was delivered. */
void mec_deliver(struct harness *h, uint64_t notice);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * ETSI GS MEC 021's JSON made of our messages; the other way goes by the tables of
 * rest_operations.c. Links begin with the URL that this controller is known by, if the
 * configuration says one (http: advertise).
 */
#ifndef PLACEMENT_MEC021_JSON_H
#define PLACEMENT_MEC021_JSON_H

#include "placement/proto/placement.pb-c.h"
#include "placement/rest_operations.h"

#define MEC021_PATH "/amsi/v1"

/* The standard's words for our enumerations' values, in their order; NULL ends them. */
extern const char *const mec021_identities[],
	*const mec021_levels[], *const mec021_contexts[],
					*const mec021_statuses[],
						*const mec021_subscription_types[];

/* Documents, see rest_operations.h. */
json_t *mec021_show_service(const struct rest_match *match, const Envelope *request,
			    const Envelope *answer);
json_t *mec021_show_services(const struct rest_match *match, const Envelope *request,
			     const Envelope *answer);
json_t *mec021_show_subscription(const struct rest_match *match, const Envelope *request,
				 const Envelope *answer);
json_t *mec021_show_subscriptions(const struct rest_match *match, const Envelope *request,
				  const Envelope *answer);
json_t *mec021_show_instances(const struct rest_match *match, const Envelope *request,
			      const Envelope *answer);

/* Of one resource: its version as ETag, and where it is. */
void mec021_headers(const struct rest_match *match, const Envelope *answer,
		    struct rest_headers *ret);

/* What a subscriber is sent; NULL: no memory. `base` "": links are paths. */
char *mec021_notification(const Tagalong__Placement__Notice *notice, const char *base);

#endif

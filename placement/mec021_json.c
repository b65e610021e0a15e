/* SPDX-License-Identifier: Apache-2.0 */
#include "placement/mec021_json.h"

#include <inttypes.h>
#include <string.h>

#include "common/clock.h"

typedef Tagalong__MobilityService Service;
typedef Tagalong__MobilitySubscription Subscription;
typedef Tagalong__Placement__Notice Notice;

const char *const mec021_identities[] = { "UE_IPv4_ADDRESS", "UE_IPV6_ADDRESS", "NATED_IP_ADDRESS",
					  "GTP_TEID", NULL };
const char *const mec021_levels[] = { "APP_MOBILITY_NOT_ALLOWED", "APP_MOBILITY_WITH_CONFIRMATION",
				      "APP_MOBILITY_WITHOUT_CONFIRMATION", NULL };
const char *const mec021_contexts[] = { "NOT_TRANSFERRED", "USER_CONTEXT_TRANSFER_COMPLETED",
					NULL };
const char *const mec021_statuses[] = { "INTERHOST_MOVEOUT_TRIGGERED",
					"INTERHOST_MOVEOUT_COMPLETED", "INTERHOST_MOVEOUT_FAILED",
					NULL };
const char *const mec021_subscription_types[] = { "MobilityProcedureSubscription",
						  "AdjacentAppInfoSubscription", NULL };

/* What a later release may have stored has no word here. */
static json_t *word(bool has, int value, const char *const *words)
{
	for (int i = 1; has && *words; i++, words++)
		if (i == value)
			return json_string(*words);
	return NULL;
}

/* ---- Parts ----------------------------------------------------------------------------- */

static json_t *link_to(const char *base, const char *resource, const char *id)
{
	return json_pack("{s:o}", "href",
			 json_sprintf("%s" MEC021_PATH "/%s%s%s", base ? base : "", resource,
				      id ? "/" : "", id ? id : ""));
}

static json_t *time_stamp(uint64_t utc_ns)
{
	return json_pack("{s:I, s:I}", "seconds", (json_int_t)(utc_ns / NS_PER_S), "nanoSeconds",
			 (json_int_t)(utc_ns % NS_PER_S));
}

static json_t *given_stamp(const Tagalong__TimeStamp *t)
{
	return t ? json_pack("{s:I, s:I}", "seconds", (json_int_t)t->seconds, "nanoSeconds",
			     (json_int_t)t->nano_seconds)
		 : NULL;
}

static json_t *identity(const Tagalong__AssociateId *id)
{
	return json_pack("{s:o*, s:s}", "type", word(id->has_type, id->type, mec021_identities),
			 "value", id->value);
}

static json_t *identities(Tagalong__AssociateId *const *ids, size_t n)
{
	json_t *list = n ? json_array() : NULL;

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, identity(ids[i]));
	return list;
}

/* ---- Services ---------------------------------------------------------------------------- */

static json_t *device(const Tagalong__ServedDevice *d)
{
	return json_pack("{s:o, s:o*, s:o*}", "associateId", identity(d->associate_id),
			 "appMobilityServiceLevel", word(d->has_level, d->level, mec021_levels),
			 "contextTransferState", word(d->has_context, d->context, mec021_contexts));
}

static json_t *service(const Service *s)
{
	json_t *o = json_pack("{s:s*, s:{s:s*, s:s*}}", "appMobilityServiceId", s->id,
			      "serviceConsumerId", "appInstanceId", s->consumer->app_instance,
			      "mepId", s->consumer->platform);
	json_t *devices = s->n_devices ? json_array() : NULL;

	for (size_t i = 0; i < s->n_devices; i++)
		json_array_append_new(devices, device(s->devices[i]));
	if (devices)
		json_object_set_new(o, "deviceInformation", devices);
	if (s->has_expiry_s)
		json_object_set_new(o, "expiryTime", json_integer(s->expiry_s));
	return o;
}

json_t *mec021_show_service(const struct rest_match *match, const Envelope *request,
			    const Envelope *answer)
{
	(void)match, (void)request;
	return service(answer->mobility_service);
}

json_t *mec021_show_services(const struct rest_match *match, const Envelope *request,
			     const Envelope *answer)
{
	const Tagalong__MobilityServiceList *list = answer->mobility_service_list;
	json_t *all = json_array();

	(void)match, (void)request;
	for (size_t i = 0; i < list->n_services; i++)
		json_array_append_new(all, service(list->services[i]));
	return all;
}

/* ---- Subscriptions ------------------------------------------------------------------------- */

static json_t *filter(const Tagalong__MobilitySubscription__Filter *f)
{
	json_t *statuses = f->n_statuses ? json_array() : NULL;

	for (size_t i = 0; i < f->n_statuses; i++)
		json_array_append_new(statuses, word(true, (int)f->statuses[i], mec021_statuses));
	return json_pack("{s:s*, s:o*, s:o*}", "appInstanceId", f->app_instance, "associateId",
			 identities(f->associate_ids, f->n_associate_ids), "mobilityStatus",
			 statuses);
}

json_t *mec021_show_subscription(const struct rest_match *match, const Envelope *request,
				 const Envelope *answer)
{
	const Subscription *s = answer->mobility_subscription;
	json_t *o = json_pack("{s:{s:o}, s:o*, s:s*, s:o, s:o*}", "_links", "self",
			      link_to(match->base, "subscriptions", s->id), "subscriptionType",
			      word(true, (int)s->type, mec021_subscription_types),
			      "callbackReference", s->callback, "filterCriteria", filter(s->filter),
			      "expiryDeadline", given_stamp(s->deadline));

	(void)request;
	if (s->has_test)
		json_object_set_new(o, "requestTestNotification", json_boolean(s->test));
	if (s->websocket)
		json_object_set_new(
			o, "websockNotifConfig",
			s->websocket->has_wanted
				? json_pack("{s:b}", "requestWebsocketUri", s->websocket->wanted)
				: json_object());
	return o;
}

json_t *mec021_show_subscriptions(const struct rest_match *match, const Envelope *request,
				  const Envelope *answer)
{
	const Tagalong__MobilitySubscriptionList *list = answer->mobility_subscription_list;
	json_t *all = json_array();

	(void)request;
	for (size_t i = 0; i < list->n_subscriptions; i++) {
		const Subscription *s = list->subscriptions[i];
		json_t *item = link_to(match->base, "subscriptions", s->id);

		json_object_set_new(item, "subscriptionType",
				    word(true, (int)s->type, mec021_subscription_types));
		json_array_append_new(all, item);
	}
	return json_pack("{s:{s:o, s:o}}", "_links", "self",
			 link_to(match->base, "subscriptions", NULL), "subscription", all);
}

/* ---- Instances ----------------------------------------------------------------------------- */

/* How a VM is reached we do not know, and not by its host's addresses: no interface. */
json_t *mec021_show_instances(const struct rest_match *match, const Envelope *request,
			      const Envelope *answer)
{
	const Tagalong__AppInstanceList *list = answer->app_instance_list;
	json_t *all = json_array();

	(void)match, (void)request;
	for (size_t i = 0; i < list->n_instances; i++) {
		const Tagalong__AppInstance *a = list->instances[i];

		json_array_append_new(
			all, json_pack("{s:s, s:s, s:[], s:{s:s, s:{s:{s:s}}}, s:s}", "appDId",
				       a->app, "appInstanceId", a->instance, "appInstanceCommLink",
				       "mecHostInformation", "hostName", a->node, "hostId", "node",
				       "name", a->node, "registeredInstanceId", a->registered));
	}
	return all;
}

/* ---- Headers ------------------------------------------------------------------------------- */

void mec021_headers(const struct rest_match *match, const Envelope *answer,
		    struct rest_headers *ret)
{
	bool is_service = answer->body_case == TAGALONG__ENVELOPE__BODY_MOBILITY_SERVICE;
	const char *id =
		is_service ? answer->mobility_service->id : answer->mobility_subscription->id;
	uint64_t version = is_service ? answer->mobility_service->version
				      : answer->mobility_subscription->version;

	snprintf(ret->etag, sizeof(ret->etag), "\"%" PRIu64 "\"", version);
	snprintf(ret->location, sizeof(ret->location), "%s" MEC021_PATH "/%s/%s",
		 match->base ? match->base : "",
		 is_service ? "app_mobility_services" : "subscriptions", id);
}

/* ---- Notifications ------------------------------------------------------------------------- */

static json_t *mobility(const Tagalong__Placement__Notice__Mobility *m)
{
	return json_pack("{s:s, s:o*, s:o*, s:{s:s}}", "notificationType",
			 "MobilityProcedureNotification", "associateId",
			 identities(m->associate_ids, m->n_associate_ids), "mobilityStatus",
			 word(true, (int)m->status, mec021_statuses), "targetAppInfo",
			 "appInstanceId", m->instance);
}

static json_t *adjacent(const Tagalong__Placement__Notice__Adjacent *a)
{
	json_t *list = json_array();

	for (size_t i = 0; i < a->n_instances; i++)
		json_array_append_new(list, json_pack("{s:s, s:[]}", "appInstanceId",
						      a->instances[i], "commInterface"));
	return json_pack("{s:s, s:o*, s:o}", "notificationType", "AdjacentAppInfoNotification",
			 "associateId", identities(a->associate_ids, a->n_associate_ids),
			 "adjacentAppInfo", list);
}

static json_t *what(const Notice *n)
{
	switch (n->what_case) {
	case TAGALONG__PLACEMENT__NOTICE__WHAT_MOBILITY:
		return mobility(n->mobility);
	case TAGALONG__PLACEMENT__NOTICE__WHAT_ADJACENT:
		return adjacent(n->adjacent);
	case TAGALONG__PLACEMENT__NOTICE__WHAT_EXPIRY:
		return json_pack("{s:s, s:o}", "notificationType", "ExpiryNotification",
				 "expiryDeadline", given_stamp(n->expiry));
	case TAGALONG__PLACEMENT__NOTICE__WHAT_TEST:
		return json_pack("{s:s}", "notificationType", "TestNotification");
	default:
		return NULL;
	}
}

char *mec021_notification(const Notice *n, const char *base)
{
	json_t *o = what(n);
	char *text;

	if (!o)
		return NULL;
	/* The standard's TestNotification has no instant. */
	if (n->what_case != TAGALONG__PLACEMENT__NOTICE__WHAT_TEST)
		json_object_set_new(o, "timeStamp", time_stamp(n->utc_ns));
	json_object_set_new(o, "_links",
			    json_pack("{s:o}", "subscription",
				      link_to(base, "subscriptions", n->subscription)));
	text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	return text;
}

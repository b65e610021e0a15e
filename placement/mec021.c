/* SPDX-License-Identifier: Apache-2.0
 *
 * Registrations and subscriptions: what is asked, checked, kept, and when it expires.
 */
#include "placement/mec021.h"

#include <inttypes.h>
#include <string.h>

#include "common/address.h"
#include "common/clock.h"
#include "placement/controller_private.h"

#define URL_MAX 1024
#define STREAM_IDS 2 /* of random numbers */
#define ANY_PORT 1

#define BODY(name) TAGALONG__ENVELOPE__BODY_##name

typedef Tagalong__MobilityService Service;
typedef Tagalong__MobilitySubscription Subscription;
typedef Tagalong__Placement__Notice Notice;

static int compare_service(const void *id, const void *item)
{
	return strcmp(id, ((const Service *)item)->id);
}

static int compare_subscription(const void *id, const void *item)
{
	return strcmp(id, ((const Subscription *)item)->id);
}

static int compare_notice(const void *number, const void *item)
{
	uint64_t a = *(const uint64_t *)number, b = ((const Notice *)item)->number;

	return a < b ? -1 : a > b;
}

void mec021_init(struct mec021 *m, struct effects *fx, const struct fleet *fleet)
{
	*m = (struct mec021){ .fx = fx, .fleet = fleet };
	m->services.compare = compare_service;
	m->subscriptions.compare = compare_subscription;
	m->notices.compare = compare_notice;
}

static void clear(struct index *index)
{
	ProtobufCMessage *item;

	INDEX_FOREACH(item, index)
	protobuf_c_message_free_unpacked(item, NULL);
	index_clear(index);
}

void mec021_clear(struct mec021 *m)
{
	clear(&m->services);
	clear(&m->subscriptions);
	clear(&m->notices);
}

ProtobufCMessage *mec021_copy(const ProtobufCMessage *message)
{
	size_t len = protobuf_c_message_get_packed_size(message);
	_cleanup_free_ uint8_t *data = malloc(len ? len : 1);

	if (!data)
		return NULL;
	protobuf_c_message_pack(message, data);
	return protobuf_c_message_unpack(message->descriptor, NULL, len, data);
}

/* ---- The store ------------------------------------------------------------------------- */

static int load_item(struct index *index, ProtobufCMessage *item, const void *key)
{
	int r = key ? index_insert(index, key, item) : -EINVAL;

	if (r < 0)
		protobuf_c_message_free_unpacked(item, NULL);
	return r;
}

static ProtobufCMessage *unpack(const ProtobufCMessageDescriptor *d,
				const ProtobufCBinaryData *value)
{
	return protobuf_c_message_unpack(d, NULL, value->len, value->data);
}

int mec021_load(struct mec021 *m, const char *key, const ProtobufCBinaryData *value)
{
	ProtobufCMessage *item;

	if (strncmp(key, "services/", strlen("services/")) == 0) {
		item = unpack(&tagalong__mobility_service__descriptor, value);
		return item ? load_item(&m->services, item, ((Service *)item)->id) : -EINVAL;
	}
	if (strncmp(key, "subscriptions/", strlen("subscriptions/")) == 0) {
		item = unpack(&tagalong__mobility_subscription__descriptor, value);
		return item ? load_item(&m->subscriptions, item, ((Subscription *)item)->id)
			    : -EINVAL;
	}
	if (strncmp(key, "notices/", strlen("notices/")) == 0) {
		item = unpack(&tagalong__placement__notice__descriptor, value);
		if (item && ((Notice *)item)->number > m->last_notice)
			m->last_notice = ((Notice *)item)->number;
		return item ? load_item(&m->notices, item, &((Notice *)item)->number) : -EINVAL;
	}
	return 1;
}

/* Keeps it under this id, in the place of what was there. `copy` is taken over. */
static int keep(struct mec021 *m, struct index *index, const char *prefix, const char *id,
		ProtobufCMessage *copy, struct mg_error *err)
{
	ProtobufCMessage *old = index_remove(index, id);
	char key[STORE_KEY_SIZE];

	if (old)
		protobuf_c_message_free_unpacked(old, NULL);
	if (!copy || load_item(index, copy, id) < 0)
		return m->fx->error = mg_error_set(err, -ENOMEM, "out of memory");
	snprintf(key, sizeof(key), "%s/%s", prefix, id);
	effects_put(m->fx, key, copy);
	return 0;
}

/* Its id is not good any more. */
static void forget(struct mec021 *m, struct index *index, const char *prefix, const char *id)
{
	char key[STORE_KEY_SIZE];

	snprintf(key, sizeof(key), "%s/%s", prefix, id);
	effects_delete(m->fx, key);
	protobuf_c_message_free_unpacked(index_remove(index, id), NULL);
}

/* ---- Who is meant ------------------------------------------------------------------------ */

bool mec021_host(const Tagalong__AssociateId *id, struct address *ret)
{
	char bracketed[INET6_ADDRSTRLEN + 2];
	const char *value = id->value;

	if (id->has_type && id->type == TAGALONG__ASSOCIATE_ID__TYPE__GTP_TEID)
		return false;
	if (strchr(value, ':') && value[0] != '[') {
		snprintf(bracketed, sizeof(bracketed), "[%s]", value);
		value = bracketed;
	}
	if (address_parse(value, ANY_PORT, ret) < 0)
		return false;
	address_set_port(ret, ANY_PORT);
	return true;
}

bool mec021_means(const Tagalong__AssociateId *id, const struct device *device)
{
	struct address host;

	if (strcmp(id->value, device->name) == 0)
		return true;
	return !address_is_none(&device->host) && mec021_host(id, &host) &&
	       address_equal(&host, &device->host);
}

const Tagalong__ServedDevice *mec021_served(const struct mec021 *m, const char *app_instance,
					    const struct device *device)
{
	const Service *s;

	INDEX_FOREACH(s, &m->services)
	{
		const char *consumer = s->consumer->app_instance;

		if (app_instance && (!consumer || strcmp(app_instance, consumer) != 0))
			continue;
		for (size_t i = 0; i < s->n_devices; i++)
			if (mec021_means(s->devices[i]->associate_id, device))
				return s->devices[i];
	}
	return NULL;
}

bool mec021_asks_first(const struct mec021 *m, const struct vm *vm)
{
	const Tagalong__ServedDevice *d =
		vm->device ? mec021_served(m, vm->name, vm->device) : NULL;

	return d && d->has_level &&
	       d->level != TAGALONG__SERVED_DEVICE__LEVEL__WITHOUT_CONFIRMATION;
}

const char *mec021_application(const struct vm *vm)
{
	const Tagalong__VmInfo *info = fleet_vm_info(vm, vm->node);

	return info && info->spec->base_image ? info->spec->base_image : vm->name;
}

/* Those are near a device that measure the way to it. */
static bool is_near(const struct device *device, const struct node *node)
{
	if (!device || device->n_rtts == 0)
		return true;
	for (size_t i = 0; i < device->n_rtts; i++)
		if (device->rtts[i].node == node)
			return true;
	return false;
}

size_t mec021_adjacent(const struct mec021 *m, const struct vm *vm, const struct vm **ret,
		       size_t max)
{
	const char *application = mec021_application(vm);
	const struct vm *other;
	size_t n = 0;

	INDEX_FOREACH(other, &m->fleet->vms)
	if (n < max && vm->node && other->node && other->node != vm->node &&
	    node_is_up(other->node) && is_near(vm->device, other->node) &&
	    strcmp(mec021_application(other), application) == 0)
		ret[n++] = other;
	return n;
}

/* ---- Checks ------------------------------------------------------------------------------ */

/* Of a header If-Match (RFC 9110); of strong tags, as ours are. */
static int check_version(const char *if_match, uint64_t version, struct mg_error *err)
{
	char tag[32];
	const char *at;

	snprintf(tag, sizeof(tag), "\"%" PRIu64 "\"", version);
	if (!if_match || strcmp(if_match, "*") == 0)
		return 0;
	for (at = if_match; (at = strstr(at, tag)); at++)
		if (at < if_match + 2 || strncmp(at - 2, "W/", 2) != 0)
			return 0;
	return mg_error_set(err, -EREMCHG, "it is of version %s by now", tag);
}

static int check_size(const ProtobufCMessage *message, struct mg_error *err)
{
	if (protobuf_c_message_get_packed_size(message) > MEC021_RESOURCE_MAX)
		return mg_error_set(err, -EINVAL, "it is longer than %d bytes",
				    MEC021_RESOURCE_MAX);
	return 0;
}

static int check_room(const struct index *index, size_t max, struct mg_error *err)
{
	if (index->n >= max)
		return mg_error_set(err, -EUSERS, "there are %zu already, and no more are kept",
				    index->n);
	return 0;
}

static int find(const struct index *index, const char *id, void *ret, struct mg_error *err)
{
	void *item = index_find(index, id);

	if (!item)
		return mg_error_set(err, -ENOENT, "there is no '%.64s'", id);
	*(void **)ret = item;
	return 0;
}

static void make_id(struct controller *c, char id[UUID_TEXT_SIZE])
{
	struct uuid uuid;

	decide_make_id(c, STREAM_IDS, uuid.bytes);
	uuid_format(&uuid, id);
}

/* "http://host/path", without credentials. */
static int check_url(const char *url, struct mg_error *err)
{
	const char *host = strncmp(url, "http://", 7) == 0    ? url + 7
			   : strncmp(url, "https://", 8) == 0 ? url + 8
							      : "";
	size_t n = strcspn(host, "/?#");

	for (const char *c = url; *c; c++)
		if (*c <= ' ' || *c > '~')
			return mg_error_set(err, -EINVAL, "'callbackReference' is to be a URI");
	if (n == 0 || host[0] == ':' || memchr(host, '@', n) || strlen(url) > URL_MAX)
		return mg_error_set(err, -EINVAL,
				    "'callbackReference' is to be an http or https URI of at most "
				    "%d letters, without credentials",
				    URL_MAX);
	return 0;
}

/* ---- Services ---------------------------------------------------------------------------- */

static int check_service(const struct mec021 *m, const Service *s, const Service **old,
			 struct mg_error *err)
{
	int r = check_size(&s->base, err);

	if (r < 0)
		return r;
	if (!s->consumer->app_instance == !s->consumer->platform)
		return mg_error_set(err, -EINVAL,
				    "'serviceConsumerId' is to have one of "
				    "'appInstanceId' and 'mepId'");
	if (!s->id)
		return s->stated_id ? mg_error_set(err, -EINVAL, "a new one has no id yet")
				    : check_room(&m->services, MEC021_SERVICES_MAX, err);
	r = find(&m->services, s->id, old, err);
	if (r == 0 && (!s->stated_id || strcmp(s->stated_id, s->id) != 0))
		return mg_error_set(err, -EINVAL, "'appMobilityServiceId' is another one's");
	return r < 0 ? r : check_version(s->if_match, (*old)->version, err);
}

static void reply_with(struct controller *c, const struct bus_peer *from, const Envelope *e,
		       Tagalong__Envelope__BodyCase kind, const void *message)
{
	Envelope reply = TAGALONG__ENVELOPE__INIT;

	reply.body_case = kind;
	reply.done = (Tagalong__Done *)message; /* all members of the union are pointers */
	effects_reply(&c->fx, from, e->seq, &reply);
}

void mec021_on_service(struct controller *c, const struct bus_peer *from, const Envelope *e)
{
	Service s = *e->mobility_service;
	const Service *old = NULL;
	struct mg_error err = { 0 };
	char id[UUID_TEXT_SIZE];
	int r = check_service(&c->mec021, &s, &old, &err);

	if (r < 0) {
		request_reply(c, from, e, r, &err);
		return;
	}
	if (old)
		snprintf(id, sizeof(id), "%s", old->id);
	else
		make_id(c, id);
	s.id = id;
	s.stated_id = s.if_match = NULL;
	s.has_version = true;
	s.version = old ? old->version + 1 : 1;
	s.has_expires_utc_ns = s.expiry_s > 0;
	s.expires_utc_ns = c->fx.now_utc_ns + s.expiry_s * NS_PER_S;
	if (keep(&c->mec021, &c->mec021.services, "services", id, mec021_copy(&s.base), &err) < 0)
		return;
	effects_decide(&c->fx, "register", "service=%s version=%" PRIu64 " by=%s", id, s.version,
		       from->name);
	reply_with(c, from, e, BODY(MOBILITY_SERVICE), &s);
}

void mec021_on_service_remove(struct controller *c, const struct bus_peer *from, const Envelope *e)
{
	const char *id = e->mobility_service_remove->id;
	struct mg_error err = { 0 };
	Service *s = NULL;
	int r = find(&c->mec021.services, id, &s, &err);

	if (r == 0) {
		effects_decide(&c->fx, "deregister", "service=%s by=%s", id, from->name);
		forget(&c->mec021, &c->mec021.services, "services", id);
	}
	request_reply(c, from, e, r, &err);
}

void mec021_on_service_query(struct controller *c, const struct bus_peer *from, const Envelope *e)
{
	Tagalong__MobilityServiceList list = TAGALONG__MOBILITY_SERVICE_LIST__INIT;
	const char *id = e->mobility_service_query->id;
	struct mg_error err = { 0 };
	Service *s = NULL;

	list.services = (Service **)c->mec021.services.items;
	list.n_services = c->mec021.services.n;
	if (!id)
		reply_with(c, from, e, BODY(MOBILITY_SERVICE_LIST), &list);
	else if (find(&c->mec021.services, id, &s, &err) == 0)
		reply_with(c, from, e, BODY(MOBILITY_SERVICE), s);
	else
		request_reply(c, from, e, err.code, &err);
}

/* ---- Subscriptions ------------------------------------------------------------------------ */

static uint64_t deadline_ns(const Subscription *s)
{
	return s->deadline ? s->deadline->seconds * NS_PER_S + s->deadline->nano_seconds
			   : UINT64_MAX;
}

/* That everything in it is of its type, and something that we do. */
static int check_meaning(const struct mec021 *m, const Subscription *s, struct mg_error *err)
{
	bool adjacent = s->type == TAGALONG__MOBILITY_SUBSCRIPTION__TYPE__ADJACENT;

	if (adjacent && (s->filter->n_associate_ids || s->filter->n_statuses))
		return mg_error_set(err, -EINVAL,
				    "in 'filterCriteria': an "
				    "AdjacentAppInfoSubscription has 'appInstanceId' alone");
	if (s->websocket && s->websocket->wanted)
		return mg_error_set(err, -EDOM,
				    "websockets are not supported: give a "
				    "'callbackReference'");
	if (!s->callback)
		return mg_error_set(err, -EINVAL, "'callbackReference' is missing");
	if (s->deadline && (s->deadline->seconds > UINT64_MAX / NS_PER_S - 1 ||
			    s->deadline->nano_seconds >= NS_PER_S))
		return mg_error_set(err, -EINVAL, "'expiryDeadline' is no instant");
	if (deadline_ns(s) <= m->fx->now_utc_ns)
		return mg_error_set(err, -EDOM, "'expiryDeadline' has passed");
	return check_url(s->callback, err);
}

static bool ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), k = strlen(end);

	return n >= k && strcmp(text + n - k, end) == 0;
}

static int check_subscription(const struct mec021 *m, const Subscription *s,
			      const Subscription **old, struct mg_error *err)
{
	char self[UUID_TEXT_SIZE + 1];
	int r = check_size(&s->base, err);

	if (r == 0)
		r = check_meaning(m, s, err);
	if (r < 0)
		return r;
	if (!s->id)
		return check_room(&m->subscriptions, MEC021_SUBSCRIPTIONS_MAX, err);
	r = find(&m->subscriptions, s->id, old, err);
	if (r < 0)
		return r;
	snprintf(self, sizeof(self), "/%s", (*old)->id);
	if (s->stated_links && !ends_with(s->stated_links->self->href, self))
		return mg_error_set(err, -EINVAL, "'_links' are another one's");
	if (s->type != (*old)->type)
		return mg_error_set(err, -EINVAL, "'subscriptionType' cannot change");
	return check_version(s->if_match, (*old)->version, err);
}

void mec021_on_subscription(struct controller *c, const struct bus_peer *from, const Envelope *e)
{
	Tagalong__MobilityStatus triggered = TAGALONG__MOBILITY_STATUS__MOBILITY_TRIGGERED;
	Subscription s = *e->mobility_subscription;
	Tagalong__MobilitySubscription__Filter filter = *s.filter;
	const Subscription *old = NULL;
	struct mg_error err = { 0 };
	char id[UUID_TEXT_SIZE];
	int r = check_subscription(&c->mec021, &s, &old, &err);

	if (r < 0) {
		request_reply(c, from, e, r, &err);
		return;
	}
	if (old)
		snprintf(id, sizeof(id), "%s", old->id);
	else
		make_id(c, id);
	s.id = id;
	s.stated_links = NULL;
	s.if_match = NULL;
	s.has_version = true;
	s.version = old ? old->version + 1 : 1;
	s.filter = &filter;
	if (filter.n_statuses == 0 && s.type == TAGALONG__MOBILITY_SUBSCRIPTION__TYPE__PROCEDURE) {
		filter.statuses = &triggered;
		filter.n_statuses = 1;
	}
	if (keep(&c->mec021, &c->mec021.subscriptions, "subscriptions", id, mec021_copy(&s.base),
		 &err) < 0)
		return;
	effects_decide(&c->fx, "subscribe", "subscription=%s version=%" PRIu64 " url=%.512s by=%s",
		       id, s.version, s.callback, from->name);
	if (s.test)
		mec021_note_test(&c->mec021, &s);
	reply_with(c, from, e, BODY(MOBILITY_SUBSCRIPTION), &s);
}

void mec021_on_subscription_remove(struct controller *c, const struct bus_peer *from,
				   const Envelope *e)
{
	const char *id = e->mobility_subscription_remove->id;
	struct mg_error err = { 0 };
	Subscription *s = NULL;
	int r = find(&c->mec021.subscriptions, id, &s, &err);

	if (r == 0) {
		effects_decide(&c->fx, "unsubscribe", "subscription=%s by=%s", id, from->name);
		forget(&c->mec021, &c->mec021.subscriptions, "subscriptions", id);
	}
	request_reply(c, from, e, r, &err);
}

void mec021_on_subscription_query(struct controller *c, const struct bus_peer *from,
				  const Envelope *e)
{
	const Tagalong__MobilitySubscriptionQuery *q = e->mobility_subscription_query;
	Tagalong__MobilitySubscriptionList list = TAGALONG__MOBILITY_SUBSCRIPTION_LIST__INIT;
	_cleanup_free_ Subscription **found =
		calloc(c->mec021.subscriptions.n + 1, sizeof(Subscription *));
	struct mg_error err = { 0 };
	Subscription *s = NULL;

	if (!found) {
		c->fx.error = -ENOMEM;
		return;
	}
	list.subscriptions = found;
	INDEX_FOREACH(s, &c->mec021.subscriptions)
	if (!q->has_type || s->type == q->type)
		found[list.n_subscriptions++] = s;
	if (!q->id)
		reply_with(c, from, e, BODY(MOBILITY_SUBSCRIPTION_LIST), &list);
	else if (find(&c->mec021.subscriptions, q->id, &s, &err) == 0)
		reply_with(c, from, e, BODY(MOBILITY_SUBSCRIPTION), s);
	else
		request_reply(c, from, e, err.code, &err);
}

/* ---- Instances that end ---------------------------------------------------------------------- */

/* The name behind "/applications/"; false: there is none. */
static bool instance_of(const char *href, char ret[STORE_KEY_SIZE])
{
	const char *at = strstr(href, "/applications/");
	size_t n;

	if (!at)
		return false;
	at += strlen("/applications/");
	n = strcspn(at, "/?#");
	snprintf(ret, STORE_KEY_SIZE, "%.*s", (int)n, at);
	return n > 0 && n < STORE_KEY_SIZE;
}

static bool is_of(const char *app_instance, const char *instance)
{
	return app_instance && strcmp(app_instance, instance) == 0;
}

static void remove_all_of(struct mec021 *m, const char *instance)
{
	for (size_t i = m->services.n; i-- > 0;) {
		const Service *s = m->services.items[i];

		if (!is_of(s->consumer->app_instance, instance))
			continue;
		effects_decide(m->fx, "deregister", "service=%s terminated", s->id);
		forget(m, &m->services, "services", s->id);
	}
	for (size_t i = m->subscriptions.n; i-- > 0;) {
		const Subscription *s = m->subscriptions.items[i];

		if (!is_of(s->filter->app_instance, instance))
			continue;
		effects_decide(m->fx, "unsubscribe", "subscription=%s terminated", s->id);
		forget(m, &m->subscriptions, "subscriptions", s->id);
	}
}

/* One that only stops may run again, and finds all as it was. */
void mec021_on_termination(struct controller *c, const struct bus_peer *from, const Envelope *e)
{
	const Tagalong__AppTermination *t = e->app_termination;
	char instance[STORE_KEY_SIZE];
	struct mg_error err = { 0 };
	int r = 0;

	if (!instance_of(t->links->subscription->href, instance))
		r = mg_error_set(&err, -EINVAL,
				 "the subscription's link names no application: "
				 "'.../applications/INSTANCE/subscriptions/...'");
	else if (t->action == TAGALONG__APP_TERMINATION__ACTION__TERMINATING)
		remove_all_of(&c->mec021, instance);
	request_reply(c, from, e, r, &err);
}

/* ---- Instances nearby ---------------------------------------------------------------------- */

#define ADJACENT_MAX 64 /* of one instance */

static void add_adjacent(const struct mec021 *m, const struct vm *vm, struct arena *arena,
			 Tagalong__AppInstance **items, Tagalong__AppInstanceList *list)
{
	const struct vm *others[ADJACENT_MAX];
	size_t n = mec021_adjacent(m, vm, others, ADJACENT_MAX);

	for (size_t i = 0; i < n; i++) {
		Tagalong__AppInstance *item = arena_alloc(arena, 1, sizeof(*item));

		if (!item)
			return;
		tagalong__app_instance__init(item);
		item->app = (char *)mec021_application(vm);
		item->instance = (char *)others[i]->name;
		item->node = others[i]->node->name;
		item->registered = (char *)vm->name;
		items[list->n_instances++] = item;
	}
}

void mec021_on_instance_query(struct controller *c, const struct bus_peer *from, const Envelope *e)
{
	struct mec021 *m = &c->mec021;
	Tagalong__AppInstanceList list = TAGALONG__APP_INSTANCE_LIST__INIT;
	Envelope reply = TAGALONG__ENVELOPE__INIT;
	struct arena arena = { 0 };
	const struct vm *last = NULL;
	const Service *s;

	list.instances =
		arena_alloc(&arena, m->services.n * ADJACENT_MAX + 1, sizeof(*list.instances));
	INDEX_FOREACH(s, &m->services)
	{
		const struct vm *vm = s->consumer->app_instance
					      ? fleet_vm(m->fleet, s->consumer->app_instance)
					      : NULL;

		if (vm && vm->node && vm != last && !arena.failed)
			add_adjacent(m, vm, &arena, list.instances, &list);
		last = vm;
	}
	reply.body_case = BODY(APP_INSTANCE_LIST);
	reply.app_instance_list = &list;
	request_answer_with(c, from, e, &arena, &reply);
}

/* ---- Time --------------------------------------------------------------------------------- */

void mec021_tick(struct mec021 *m)
{
	uint64_t now = m->fx->now_utc_ns;

	for (size_t i = m->services.n; i-- > 0;) {
		const Service *s = m->services.items[i];

		if (!s->has_expires_utc_ns || s->expires_utc_ns > now)
			continue;
		effects_decide(m->fx, "deregister", "service=%s expired", s->id);
		forget(m, &m->services, "services", s->id);
	}
	for (size_t i = m->subscriptions.n; i-- > 0;) {
		const Subscription *s = m->subscriptions.items[i];

		if (deadline_ns(s) > now)
			continue;
		mec021_note_expiry(m, s);
		effects_decide(m->fx, "unsubscribe", "subscription=%s expired", s->id);
		forget(m, &m->subscriptions, "subscriptions", s->id);
	}
}

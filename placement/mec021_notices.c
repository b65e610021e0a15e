/* SPDX-License-Identifier: Apache-2.0
 *
 * Who is told what of moves. A notice is made, and stored, with what it tells of; it leaves as
 * an event, and goes when the receiver had it.
 */
#include <inttypes.h>
#include <string.h>

#include "common/address.h"
#include "common/move_state.h"
#include "placement/controller_private.h"

#define IDS_MAX 16      /* of one device in a notice */
#define ADJACENT_MAX 64 /* instances in a notice */

#define STATUS(name) TAGALONG__MOBILITY_STATUS__MOBILITY_##name
#define WHAT(name) TAGALONG__PLACEMENT__NOTICE__WHAT_##name
#define TYPE(name) TAGALONG__MOBILITY_SUBSCRIPTION__TYPE__##name

typedef Tagalong__MobilitySubscription Subscription;
typedef Tagalong__Placement__Notice Notice;
typedef Tagalong__AssociateId AssociateId;

/* ---- Keeping -------------------------------------------------------------------------- */

static void notice_key(uint64_t number, char key[STORE_KEY_SIZE])
{
	snprintf(key, STORE_KEY_SIZE, "notices/%020" PRIu64, number);
}

static void release(struct mec021 *m, const Notice *n)
{
	PlacementEvent event = TAGALONG__PLACEMENT__EVENT__INIT;

	event.what_case = TAGALONG__PLACEMENT__EVENT__WHAT_NOTICE;
	event.notice = (Notice *)n;
	effects_event(m->fx, &event);
}

void mec021_resume(struct mec021 *m)
{
	const Notice *n;

	INDEX_FOREACH(n, &m->notices)
	release(m, n);
}

static size_t count_waiting(const struct mec021 *m, const char *subscription)
{
	const Notice *n;
	size_t waiting = 0;

	INDEX_FOREACH(n, &m->notices)
	waiting += strcmp(n->subscription, subscription) == 0;
	return waiting;
}

/* `n` has what is to be told. */
static void notify(struct mec021 *m, const Subscription *s, Notice *n)
{
	char key[STORE_KEY_SIZE];
	Notice *copy;

	if (count_waiting(m, s->id) >= MEC021_WAITING_MAX) {
		effects_decide(m->fx, "untold", "subscription=%s too many notices wait", s->id);
		return;
	}
	n->number = ++m->last_notice;
	n->subscription = s->id;
	n->url = s->callback;
	n->utc_ns = m->fx->now_utc_ns;
	copy = (Notice *)mec021_copy(&n->base);
	if (!copy || index_insert(&m->notices, &copy->number, copy) < 0) {
		if (copy)
			tagalong__placement__notice__free_unpacked(copy, NULL);
		m->fx->error = -ENOMEM;
		return;
	}
	notice_key(n->number, key);
	effects_put(m->fx, key, &n->base);
	release(m, n);
}

void mec021_told(struct mec021 *m, uint64_t notice)
{
	Notice *n = index_remove(&m->notices, &notice);
	char key[STORE_KEY_SIZE];

	if (!n)
		return;
	notice_key(notice, key);
	effects_delete(m->fx, key);
	tagalong__placement__notice__free_unpacked(n, NULL);
}

/* ---- Whom it is about -------------------------------------------------------------------- */

struct identities {
	AssociateId own, *ids[IDS_MAX];
	char host[ADDRESS_TEXT_SIZE];
	size_t n;
};

/* Its address by what is known, or its name, which is of no type. */
static void identify(const struct device *device, struct identities *ret)
{
	struct address a;
	char *colon;

	tagalong__associate_id__init(&ret->own);
	ret->own.value = (char *)device->name;
	ret->ids[ret->n++] = &ret->own;
	if (!device->address || address_parse(device->address, 1, &a) < 0)
		return;
	address_format(&a, ret->host);
	colon = strrchr(ret->host, ':');
	*colon = '\0';
	ret->own.has_type = true;
	ret->own.type = TAGALONG__ASSOCIATE_ID__TYPE__UE_IPV4_ADDRESS;
	ret->own.value = ret->host;
	if (ret->host[0] != '[')
		return;
	ret->own.type = TAGALONG__ASSOCIATE_ID__TYPE__UE_IPV6_ADDRESS;
	ret->own.value = ret->host + 1;
	colon[-1] = '\0';
}

/* As the subscriber calls it, else as who has registered for it does, else as we know it. */
static void name_device(const struct mec021 *m, const Subscription *s, const struct device *device,
			struct identities *ret)
{
	const Tagalong__ServedDevice *served;

	ret->n = 0;
	for (size_t i = 0; i < s->filter->n_associate_ids && ret->n < IDS_MAX; i++)
		if (mec021_means(s->filter->associate_ids[i], device))
			ret->ids[ret->n++] = s->filter->associate_ids[i];
	if (ret->n > 0)
		return;
	served = mec021_served(m, s->filter->app_instance, device);
	if (served)
		ret->ids[ret->n++] = served->associate_id;
	else
		identify(device, ret);
}

/* ---- Moves ------------------------------------------------------------------------------- */

/* Whether it is about this instance, or the one for whose device the other has registered. */
static bool is_instance(const struct mec021 *m, const Subscription *s, const struct vm *vm)
{
	const char *wanted = s->filter->app_instance;

	return !wanted || strcmp(wanted, vm->name) == 0 || mec021_served(m, wanted, vm->device);
}

static bool is_device(const Subscription *s, const struct device *device)
{
	for (size_t i = 0; i < s->filter->n_associate_ids; i++)
		if (mec021_means(s->filter->associate_ids[i], device))
			return true;
	return s->filter->n_associate_ids == 0;
}

static bool is_status(const Subscription *s, Tagalong__MobilityStatus status)
{
	for (size_t i = 0; i < s->filter->n_statuses; i++)
		if (s->filter->statuses[i] == status)
			return true;
	return false;
}

static void tell_status(struct mec021 *m, const Subscription *s, const struct vm *vm,
			Tagalong__MobilityStatus status)
{
	Tagalong__Placement__Notice__Mobility what = TAGALONG__PLACEMENT__NOTICE__MOBILITY__INIT;
	Notice n = TAGALONG__PLACEMENT__NOTICE__INIT;
	struct identities ids;

	name_device(m, s, vm->device, &ids);
	what.status = status;
	what.associate_ids = ids.ids;
	what.n_associate_ids = ids.n;
	what.instance = (char *)vm->name;
	n.what_case = WHAT(MOBILITY);
	n.mobility = &what;
	notify(m, s, &n);
}

static void tell_adjacent(struct mec021 *m, const Subscription *s, const struct vm *vm)
{
	Tagalong__Placement__Notice__Adjacent what = TAGALONG__PLACEMENT__NOTICE__ADJACENT__INIT;
	Notice n = TAGALONG__PLACEMENT__NOTICE__INIT;
	const struct vm *others[ADJACENT_MAX];
	char *names[ADJACENT_MAX];
	struct identities ids;

	name_device(m, s, vm->device, &ids);
	what.associate_ids = ids.ids;
	what.n_associate_ids = ids.n;
	what.n_instances = mec021_adjacent(m, vm, others, ADJACENT_MAX);
	for (size_t i = 0; i < what.n_instances; i++)
		names[i] = (char *)others[i]->name;
	what.instances = names;
	n.what_case = WHAT(ADJACENT);
	n.adjacent = &what;
	notify(m, s, &n);
}

/* A VM that no device goes with is nobody's mobility. */
static void tell_all(struct mec021 *m, const struct move *move, Tagalong__MobilityStatus status)
{
	const struct vm *vm = move->vm;
	const Subscription *s;

	if (!vm->device)
		return;
	INDEX_FOREACH(s, &m->subscriptions)
	{
		if (!is_instance(m, s, vm))
			continue;
		if (s->type == TYPE(ADJACENT) && status == STATUS(COMPLETED))
			tell_adjacent(m, s, vm);
		else if (s->type == TYPE(PROCEDURE) && is_device(s, vm->device) &&
			 is_status(s, status))
			tell_status(m, s, vm, status);
	}
}

void mec021_note_order(struct mec021 *m, const struct move *move)
{
	tell_all(m, move, STATUS(TRIGGERED));
}

void mec021_note_end(struct mec021 *m, const struct move *move)
{
	const Tagalong__MoveInfo *info = move->entry->info;
	bool arrived = info->state == TAGALONG__MOVE_STATE__MOVE_DONE && !info->lost;

	tell_all(m, move, arrived ? STATUS(COMPLETED) : STATUS(FAILED));
}

/* ---- Subscriptions themselves --------------------------------------------------------------- */

void mec021_note_expiry(struct mec021 *m, const Subscription *s)
{
	Notice n = TAGALONG__PLACEMENT__NOTICE__INIT;

	n.what_case = WHAT(EXPIRY);
	n.expiry = s->deadline;
	notify(m, s, &n);
}

void mec021_note_test(struct mec021 *m, const Subscription *s)
{
	Tagalong__Placement__Notice__Test test = TAGALONG__PLACEMENT__NOTICE__TEST__INIT;
	Notice n = TAGALONG__PLACEMENT__NOTICE__INIT;

	n.what_case = WHAT(TEST);
	n.test = &test;
	notify(m, s, &n);
}

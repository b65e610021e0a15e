/* SPDX-License-Identifier: Apache-2.0 */
#include <sodium.h>
#include <string.h>

#include "placement/controller_private.h"

#define REPEAT_NS (2 * TICK_NS)
#define PART 4096 /* entries of a message: less than ENVELOPE_MAX, whatever the names */

/* ---- What each device's entry says -------------------------------------------------------- */

/* The rule who watches whom: a node watches the clients that it serves or might soon serve. Those
 * are the ones that have their VM there, that are attached to it or to a neighbour, or of whom
 * nobody knows where they are. */
static bool is_watched(const struct device *device)
{
	return device->n_vms > 0;
}

static bool is_near(const struct controller *c, struct node *node, const struct watch_place *place)
{
	return !place->attached || node == place->vm || neighbours_are(c, node, place->attached);
}

/* Without lists of neighbours all is near, and it is no matter where. */
static struct watch_place place_of(const struct controller *c, const struct device *device)
{
	const struct vm *vm = device_foreground(device);

	if (c->start->n_neighbourhoods == 0)
		return (struct watch_place){ NULL, NULL };
	return (struct watch_place){ device->attached, vm ? vm->node : NULL };
}

static bool has_moved(const struct controller *c, const struct device *device)
{
	struct watch_place place = place_of(c, device);

	return place.attached != device->watch_place.attached || place.vm != device->watch_place.vm;
}

static void fill(Tagalong__WatchEntry *entry, struct device *device, bool near)
{
	tagalong__watch_entry__init(entry);
	entry->device = (ProtobufCBinaryData){ UUID_SIZE, device->id.bytes };
	entry->name = device->name;
	if (!is_watched(device) || !near) {
		entry->has_gone = entry->gone = true;
		return;
	}
	entry->address = device->address;
	entry->has_asleep = entry->asleep = device->asleep;
	entry->has_idle = entry->idle = device->idle;
}

/* A number that is another one when the entry is; 0: it has none. */
static uint64_t mark_of(struct device *device)
{
	static const uint8_t key[crypto_shorthash_KEYBYTES];
	uint8_t packed[512], hash[crypto_shorthash_BYTES];
	Tagalong__WatchEntry entry;
	uint64_t mark;

	_Static_assert(sizeof(hash) == sizeof(mark), "SipHash-2-4 has 64 bits");
	if (!is_watched(device))
		return 0;
	fill(&entry, device, true);
	if (tagalong__watch_entry__get_packed_size(&entry) > sizeof(packed))
		entry.address = NULL; /* longer than any that a node can parse */
	crypto_shorthash(hash, packed, tagalong__watch_entry__pack(&entry, packed), key);
	memcpy(&mark, hash, sizeof(mark));
	return mark | 1;
}

/* Whether it has changed: then it is of the next edition. */
static bool note(struct controller *c, struct device *device)
{
	uint64_t mark;

	device->idle = device_is_idle(device);
	mark = mark_of(device);
	if (mark == device->watch_mark && (mark == 0 || !has_moved(c, device)))
		return false;
	if (device->watch_edition > 0)
		TAILQ_REMOVE(&c->watch.changed, device, watch_link);
	device->watch_place_before = device->watch_place;
	device->watch_edition_before = device->watch_edition;
	device->watch_place = place_of(c, device);
	device->watch_mark = mark;
	device->watch_edition = c->watch.edition + 1;
	TAILQ_INSERT_TAIL(&c->watch.changed, device, watch_link);
	return true;
}

/* ---- What a node is told --------------------------------------------------------------------- */

/* Whether a change is one of what the node was told, as it knows of all changes before it. */
static bool concerns(const struct controller *c, struct node *node, const struct device *device)
{
	return is_near(c, node, &device->watch_place) ||
	       is_near(c, node, &device->watch_place_before) ||
	       node->watch.edition_sent < device->watch_edition_before;
}

/* What the node has to be told: all that it watches, or what has changed since it was told the last
 * time. There is room for all devices. Returns how many. */
static size_t gather(struct controller *c, struct node *node, bool whole,
		     Tagalong__WatchEntry *entries)
{
	struct device *device;
	size_t n = 0;

	if (whole) {
		INDEX_FOREACH(device, &c->fleet.devices)
			if (device->watch_mark != 0 && is_near(c, node, &device->watch_place))
				fill(&entries[n++], device, true);
		return n;
	}
	for (device = TAILQ_LAST(&c->watch.changed, watch_devices);
	     device && device->watch_edition > node->watch.edition_sent;
	     device = TAILQ_PREV(device, watch_devices, watch_link))
		if (concerns(c, node, device))
			fill(&entries[n++], device, is_near(c, node, &device->watch_place));
	return n;
}

static size_t count_changes(const struct controller *c, const struct node *node)
{
	const struct device *device = TAILQ_LAST(&c->watch.changed, watch_devices);
	size_t n = 0;

	for (; device && device->watch_edition > node->watch.edition_sent;
	     device = TAILQ_PREV(device, watch_devices, watch_link))
		n++;
	return n;
}

static void send_part(struct controller *c, struct node *node, Tagalong__WatchList *list)
{
	Envelope e = TAGALONG__ENVELOPE__INIT;
	struct watch_sent *s = &node->watch.unanswered[node->watch.n_unanswered];

	list->has_threshold_ns = true;
	list->threshold_ns = parameters_of(c, NULL)->threshold_ns;
	list->has_number = true;
	list->number = ++node->watch.number;
	e.body_case = TAGALONG__ENVELOPE__BODY_WATCH_LIST;
	e.watch_list = list;
	*s = (struct watch_sent){ effects_request(&c->fx), c->fx.now_ns };
	effects_send(&c->fx, &node->programs[PROGRAM_TELEMETRY].peer, s->request, &e);
}

/* In parts, each of which goes on from the one before; only the last is answered. */
static void send_entries(struct controller *c, struct node *node, Tagalong__WatchEntry **entries,
			 size_t n, bool whole)
{
	size_t part = node->watch.takes_changes ? PART : n, at = 0;

	do {
		Tagalong__WatchList list = TAGALONG__WATCH_LIST__INIT;

		list.clients = entries + at;
		list.n_clients = n - at < part ? n - at : part;
		list.has_after = !whole || at > 0;
		list.after = node->watch.number;
		at += list.n_clients;
		list.has_more = list.more = at < n;
		send_part(c, node, &list);
	} while (at < n);
	node->watch.n_unanswered++;
	node->watch.edition_sent = c->watch.edition;
}

static void send_list(struct controller *c, struct node *node)
{
	bool whole = !node->watch.edition_sent || !node->watch.takes_changes;
	size_t room = (whole ? c->fleet.devices.n : count_changes(c, node)) + 1, n;
	_cleanup_free_ Tagalong__WatchEntry *entries = calloc(room, sizeof(*entries));
	_cleanup_free_ Tagalong__WatchEntry **pointers = calloc(room, sizeof(*pointers));

	if (!entries || !pointers) {
		c->fx.error = -ENOMEM;
		return;
	}
	n = gather(c, node, whole, entries);
	if (n == 0 && !whole && node->watch.edition_sent >= c->watch.threshold_edition) {
		node->watch.edition_sent = c->watch.edition;
		return;
	}
	for (size_t i = 0; i < n; i++)
		pointers[i] = &entries[i];
	effects_decide(&c->fx, "watch", "node=%s %s=%zu", node->name, whole ? "clients" : "changes", n);
	send_entries(c, node, pointers, n, whole);
}

/* What it has not been told, unless too much of what it has been is not answered. */
static void tell(struct controller *c, struct node *node)
{
	if (node->programs[PROGRAM_TELEMETRY].known &&
	    node->watch.edition_sent != c->watch.edition &&
	    node->watch.n_unanswered < ARRAY_SIZE(node->watch.unanswered))
		send_list(c, node);
}

static void tell_all(struct controller *c)
{
	struct node *node;

	INDEX_FOREACH(node, &c->fleet.nodes)
		tell(c, node);
}

/* ---- What is told to us ------------------------------------------------------------------------ */

void watch_device(struct controller *c, struct device *device)
{
	if (!note(c, device))
		return;
	c->watch.edition++;
	tell_all(c);
}

void watch_update(struct controller *c)
{
	uint64_t threshold_ns = parameters_of(c, NULL)->threshold_ns;
	bool other = c->watch.edition == 0 || threshold_ns != c->watch.threshold_ns, changed = other;
	struct device *device;

	c->watch.threshold_ns = threshold_ns;
	INDEX_FOREACH(device, &c->fleet.devices)
		changed |= note(c, device);
	c->watch.edition += changed;
	if (other)
		c->watch.threshold_edition = c->watch.edition;
	tell_all(c);
}

void watch_restart(struct node *node)
{
	node->watch.n_unanswered = 0;
	node->watch.edition_sent = 0;
}

void watch_hello(struct controller *c, struct node *node)
{
	tell(c, node);
}

void watch_repeat(struct controller *c)
{
	struct device *device;
	bool changed = false;
	struct node *node;

	/* Moves begin and end without a word to us. */
	INDEX_FOREACH(device, &c->fleet.devices)
		if (device->n_vms &&
		    (device_is_idle(device) != device->idle || has_moved(c, device)))
			changed |= note(c, device);
	c->watch.edition += changed;
	tell_all(c);
	INDEX_FOREACH(node, &c->fleet.nodes) {
		if (!node->watch.n_unanswered || !node->programs[PROGRAM_TELEMETRY].up ||
		    c->fx.now_ns - node->watch.unanswered[0].sent_ns < REPEAT_NS)
			continue;
		watch_restart(node);
		tell(c, node);
	}
}

bool watch_answer(struct controller *c, uint64_t request, const Envelope *e)
{
	struct node *node;

	INDEX_FOREACH(node, &c->fleet.nodes) {
		struct watch_sent *sent = node->watch.unanswered;
		size_t n = node->watch.n_unanswered, i = 0;

		while (i < n && sent[i].request != request)
			i++;
		if (i == n)
			continue;
		/* One that it has not taken is told anew, with all else, when it is due. */
		if (e->body_case != TAGALONG__ENVELOPE__BODY_DONE)
			return true;
		node->watch.n_unanswered = n - i - 1;
		memmove(sent, sent + i + 1, (n - i - 1) * sizeof(*sent));
		tell(c, node);
		return true;
	}
	return false;
}

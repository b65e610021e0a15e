/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "placement/controller_private.h"

#define REPEAT_NS (2 * TICK_NS)

/* The rule who watches whom: a node watches the clients that it serves or
 * might soon serve. For now every node might serve every paired device. */
static bool is_watched_by(const struct device *device, const struct node *node)
{
	(void)node;
	return device->n_vms > 0;
}

static size_t build(const struct controller *c, const struct node *node,
		    Tagalong__WatchEntry *entries, Tagalong__WatchEntry **pointers)
{
	struct device *device;
	size_t n = 0;

	INDEX_FOREACH(device, &c->fleet.devices) {
		if (!is_watched_by(device, node))
			continue;
		pointers[n] = &entries[n];
		tagalong__watch_entry__init(&entries[n]);
		entries[n].device = (ProtobufCBinaryData){ UUID_SIZE, device->id.bytes };
		entries[n].name = device->name;
		entries[n].address = device->address;
		entries[n].has_asleep = entries[n].asleep = device->asleep;
		entries[n].has_idle = entries[n].idle = device->idle;
		n++;
	}
	return n;
}

static void send_list(struct controller *c, struct node *node)
{
	const struct program *p = &node->programs[PROGRAM_TELEMETRY];
	Tagalong__WatchList *list;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	list = tagalong__watch_list__unpack(NULL, node->watch.len, node->watch.list);
	if (!list) {
		c->fx.error = -ENOMEM;
		return;
	}
	node->watch.request = effects_request(&c->fx);
	node->watch.sent_ns = c->fx.now_ns;
	e.body_case = TAGALONG__ENVELOPE__BODY_WATCH_LIST;
	e.watch_list = list;
	effects_send(&c->fx, &p->peer, node->watch.request, &e);
	tagalong__watch_list__free_unpacked(list, NULL);
}

static void set_list(struct controller *c, struct node *node, const Tagalong__WatchList *list)
{
	size_t len = tagalong__watch_list__get_packed_size(list);
	uint8_t *packed = malloc(len ? len : 1);

	if (!packed) {
		c->fx.error = -ENOMEM;
		return;
	}
	tagalong__watch_list__pack(list, packed);
	if (node->watch.list && node->watch.len == len &&
	    memcmp(node->watch.list, packed, len) == 0) {
		free(packed);
		return;
	}
	free(node->watch.list);
	node->watch.list = packed;
	node->watch.len = len;
	node->watch.answered = false;
	effects_decide(&c->fx, "watch", "node=%s clients=%zu", node->name, list->n_clients);
	send_list(c, node);
}

/* Whether any has become idle, or is so no longer. */
static bool note_idle(struct controller *c)
{
	struct device *device;
	bool changed = false;

	INDEX_FOREACH(device, &c->fleet.devices) {
		bool idle = device_is_idle(device);

		changed |= device->n_vms && idle != device->idle;
		device->idle = idle;
	}
	return changed;
}

void watch_update(struct controller *c)
{
	size_t room = c->fleet.devices.n + 1;
	_cleanup_free_ Tagalong__WatchEntry *entries = calloc(room, sizeof(*entries));
	_cleanup_free_ Tagalong__WatchEntry **pointers = calloc(room, sizeof(*pointers));
	struct node *node;

	if (!entries || !pointers) {
		c->fx.error = -ENOMEM;
		return;
	}
	note_idle(c);
	INDEX_FOREACH(node, &c->fleet.nodes) {
		Tagalong__WatchList list = TAGALONG__WATCH_LIST__INIT;

		if (!node->programs[PROGRAM_TELEMETRY].known)
			continue;
		list.n_clients = build(c, node, entries, pointers);
		list.clients = pointers;
		list.has_threshold_ns = true;
		list.threshold_ns = parameters_of(c, NULL)->threshold_ns;
		set_list(c, node, &list);
	}
}

void watch_restart(struct node *node)
{
	free(node->watch.list);
	node->watch.list = NULL;
}

void watch_repeat(struct controller *c)
{
	struct node *node;

	/* Moves begin and end without a word to us. */
	if (note_idle(c))
		watch_update(c);
	INDEX_FOREACH(node, &c->fleet.nodes)
		if (node->watch.list && !node->watch.answered &&
		    node->programs[PROGRAM_TELEMETRY].up &&
		    c->fx.now_ns - node->watch.sent_ns >= REPEAT_NS)
			send_list(c, node);
}

bool watch_answer(struct controller *c, uint64_t request, const Envelope *e)
{
	struct node *node;

	INDEX_FOREACH(node, &c->fleet.nodes) {
		if (!node->watch.list || node->watch.request != request)
			continue;
		node->watch.answered = e->body_case == TAGALONG__ENVELOPE__BODY_DONE;
		return true;
	}
	return false;
}

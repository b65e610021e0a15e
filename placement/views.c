/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "placement/controller_private.h"

/* ---- Nodes ------------------------------------------------------------------------ */

/* Of all nodes together, that all fit into a message. */
#define IMAGES_SHOWN 2048

/* The node's own with its share of images. */
static Tagalong__NodeHello *view_hello(const struct node *node, size_t n_nodes, struct arena *arena)
{
	Tagalong__NodeHello *hello = arena_alloc(arena, 1, sizeof(*hello));

	if (!hello)
		return NULL;
	*hello = *node->hello;
	if (hello->n_images > IMAGES_SHOWN / n_nodes)
		hello->n_images = IMAGES_SHOWN / n_nodes;
	return hello;
}

static void view_windows(const struct node *node, Tagalong__NodeInfo *info, struct arena *arena)
{
	Tagalong__MaintenanceWindow *windows =
		arena_alloc(arena, node->n_windows + 1, sizeof(*windows));

	info->windows = arena_alloc(arena, node->n_windows + 1, sizeof(*info->windows));
	for (size_t i = 0; !arena->failed && i < node->n_windows; i++) {
		tagalong__maintenance_window__init(&windows[i]);
		windows[i].start_utc_ns = node->windows[i].start_utc_ns;
		windows[i].end_utc_ns = node->windows[i].end_utc_ns;
		info->windows[info->n_windows++] = &windows[i];
	}
}

static Tagalong__NodeInfo *view_node(const struct node *node, size_t n_nodes, struct arena *arena)
{
	Tagalong__NodeInfo *info = arena_alloc(arena, 1, sizeof(*info));

	if (!info)
		return NULL;
	tagalong__node_info__init(info);
	info->name = (char *)node->name;
	info->migrator_up = node->programs[PROGRAM_MIGRATOR].up;
	info->telemetry_up = node->programs[PROGRAM_TELEMETRY].up;
	info->hello = node->hello ? view_hello(node, n_nodes, arena) : NULL;
	info->has_memory_used_bytes = true;
	info->memory_used_bytes = node->load.memory;
	info->has_last_seen_utc_ns = node->heard_utc_ns > 0;
	info->last_seen_utc_ns = node->heard_utc_ns;
	info->has_vms = true;
	info->vms = (uint32_t)node->n_vms;
	info->has_drained = info->drained = node->drained;
	info->has_evacuated = info->evacuated = node->evacuated;
	info->has_quarantined = info->quarantined = node->quarantine.on;
	info->has_quarantined_until_utc_ns =
		node->quarantine.on && node->quarantine.until_utc_ns != UINT64_MAX;
	info->quarantined_until_utc_ns = node->quarantine.until_utc_ns;
	info->has_maintained = info->maintained = node->maintained;
	view_windows(node, info, arena);
	info->has_failures = node->quarantine.failures > 0;
	info->failures = node->quarantine.failures;
	return info;
}

/* Fills an array of pointers with `view` of each item; the count that fits. */
#define VIEW_ALL(array, count, index, item, view)                                \
	do {                                                                     \
		(array) = arena_alloc(arena, (index)->n + 1, sizeof(*(array)));  \
		INDEX_FOREACH(item, index)                                       \
			if ((array) && ((array)[count] = (view)))                \
				(count)++;                                       \
	} while (0)

Tagalong__NodeList *view_nodes(const struct controller *c, struct arena *arena)
{
	Tagalong__NodeList *list = arena_alloc(arena, 1, sizeof(*list));
	struct node *node;

	if (!list)
		return NULL;
	tagalong__node_list__init(list);
	VIEW_ALL(list->nodes, list->n_nodes, &c->fleet.nodes, node,
		 view_node(node, c->fleet.nodes.n, arena));
	return list;
}

/* ---- Pairs ------------------------------------------------------------------------ */

Tagalong__NodeRtt *view_rtt(const struct device *device, const struct rtt_entry *e,
			    struct arena *arena)
{
	Tagalong__NodeRtt *rtt = arena_alloc(arena, 1, sizeof(*rtt));
	Tagalong__RttSample *s = arena_alloc(arena, 1, sizeof(*s));

	if (!rtt || !s)
		return NULL;
	tagalong__node_rtt__init(rtt);
	tagalong__rtt_sample__init(s);
	rtt->node = e->node->name;
	rtt->sample = s;
	s->device = (ProtobufCBinaryData){ UUID_SIZE, (uint8_t *)device->id.bytes };
	s->method = e->method;
	s->last_sample_utc_ns = e->last_sample_utc_ns;
	s->srtt_ns = e->srtt_ns;
	s->rttvar_ns = e->rttvar_ns;
	s->min_ns = e->min_ns;
	s->has_p50_ns = s->has_p95_ns = s->has_p99_ns = e->p99_ns > 0;
	s->p50_ns = e->p50_ns;
	s->p95_ns = e->p95_ns;
	s->p99_ns = e->p99_ns;
	s->has_p999_ns = e->p999_ns > 0;
	s->p999_ns = e->p999_ns;
	s->has_level_utc_ns = e->level_utc_ns > 0;
	s->level_utc_ns = e->level_utc_ns;
	s->has_last_ns = e->last_ns > 0;
	s->last_ns = e->last_ns;
	s->sent = e->sent;
	s->lost = e->lost;
	s->confidence = e->confidence;
	s->tlvs = e->tlvs;
	return rtt;
}

static Tagalong__Pair *view_pair(const struct controller *c, struct device *device,
				 const struct vm *vm, struct arena *arena)
{
	const struct device_group *group = parameters_group(c, device);
	Tagalong__Pair *pair = arena_alloc(arena, 1, sizeof(*pair));

	if (!pair)
		return NULL;
	tagalong__pair__init(pair);
	pair->device = (ProtobufCBinaryData){ UUID_SIZE, (uint8_t *)device->id.bytes };
	pair->device_name = (char *)device->name;
	pair->vm = (char *)vm->name;
	pair->foreground = vm->foreground;
	pair->has_follows = pair->follows = vm->follows;
	pair->vm_node = vm->node ? vm->node->name : NULL;
	pair->device_node = device->attached ? device->attached->name : NULL;
	pair->has_asleep = pair->asleep = device->asleep;
	pair->group = group->of ? group->of->name : NULL;
	if (vm->foreground && device->recommended)
		pair->recommended = device->recommended->name;
	pair->rtts = arena_alloc(arena, device->n_rtts + 1, sizeof(*pair->rtts));
	for (size_t i = 0; pair->rtts && i < device->n_rtts; i++)
		if ((pair->rtts[pair->n_rtts] = view_rtt(device, &device->rtts[i], arena)))
			pair->n_rtts++;
	return pair;
}

static void add_pairs(const struct controller *c, struct device *device, Tagalong__PairList *list,
		      struct arena *arena)
{
	for (size_t i = 0; list->pairs && i < device->n_vms; i++)
		if ((list->pairs[list->n_pairs] = view_pair(c, device, device->vms[i], arena)))
			list->n_pairs++;
}

Tagalong__PairList *view_pairs(const struct controller *c, const char *device_name,
			       struct arena *arena)
{
	Tagalong__PairList *list = arena_alloc(arena, 1, sizeof(*list));
	struct device *device = device_name ? fleet_device_named(&c->fleet, device_name) : NULL;
	size_t n = device ? device->n_vms : 0;

	if (!list)
		return NULL;
	tagalong__pair_list__init(list);
	if (!device_name)
		INDEX_FOREACH(device, &c->fleet.devices)
			n += device->n_vms;
	list->pairs = arena_alloc(arena, n + 1, sizeof(*list->pairs));
	if (device_name && device)
		add_pairs(c, device, list, arena);
	if (!device_name)
		INDEX_FOREACH(device, &c->fleet.devices)
			add_pairs(c, device, list, arena);
	return list;
}

/* ---- VMs ---------------------------------------------------------------------------- */

static Tagalong__VmInfo *view_vm(const struct controller *c, const struct node *node,
				 const Tagalong__VmInfo *told, struct arena *arena)
{
	const struct vm *vm = fleet_vm(&c->fleet, told->spec->name);
	Tagalong__VmInfo *info = arena_alloc(arena, 1, sizeof(*info));

	if (!info)
		return NULL;
	*info = *told;
	info->node = (char *)node->name;
	info->has_frozen = info->frozen = vm && vm->frozen;
	return info;
}

Tagalong__VmList *view_vms(const struct controller *c, const char *name, struct arena *arena)
{
	Tagalong__VmList *list = arena_alloc(arena, 1, sizeof(*list));
	struct node *node;
	size_t n = 0;

	if (!list)
		return NULL;
	tagalong__vm_list__init(list);
	INDEX_FOREACH(node, &c->fleet.nodes)
		n += node->n_vms;
	list->vms = arena_alloc(arena, n + 1, sizeof(*list->vms));
	INDEX_FOREACH(node, &c->fleet.nodes)
		for (size_t i = 0; list->vms && i < node->n_vms; i++) {
			if (name && strcmp(node->vms[i]->spec->name, name) != 0)
				continue;
			if ((list->vms[list->n_vms] = view_vm(c, node, node->vms[i], arena)))
				list->n_vms++;
		}
	return list;
}

/* ---- Moves and all ------------------------------------------------------------------- */

Tagalong__MoveList *view_open_moves(const struct controller *c, struct arena *arena)
{
	Tagalong__MoveList *list = arena_alloc(arena, 1, sizeof(*list));
	struct move *move;

	if (!list)
		return NULL;
	tagalong__move_list__init(list);
	VIEW_ALL(list->moves, list->n_moves, &c->executor.moves, move, move->entry->info);
	return list;
}

Tagalong__Status *view_status(const struct controller *c, struct arena *arena)
{
	Tagalong__Status *status = arena_alloc(arena, 1, sizeof(*status));
	Tagalong__NodeList *nodes = view_nodes(c, arena);
	Tagalong__PairList *pairs = view_pairs(c, NULL, arena);
	Tagalong__VmList *vms = view_vms(c, NULL, arena);
	Tagalong__MoveList *moves = view_open_moves(c, arena);

	if (arena->failed)
		return NULL;
	tagalong__status__init(status);
	status->nodes = nodes->nodes;
	status->n_nodes = nodes->n_nodes;
	status->pairs = pairs->pairs;
	status->n_pairs = pairs->n_pairs;
	status->vms = vms->vms;
	status->n_vms = vms->n_vms;
	status->moves = moves->moves;
	status->n_moves = moves->n_moves;
	status->epoch = c->fx.epoch;
	return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "placement/fleet.h"

#include <string.h>

#include "placement/affinity.h"

static int compare_node(const void *name, const void *node)
{
	return strcmp(name, ((const struct node *)node)->name);
}

static int compare_vm(const void *name, const void *vm)
{
	return strcmp(name, ((const struct vm *)vm)->name);
}

static int compare_affinity(const void *name, const void *affinity)
{
	return strcmp(name, ((const struct affinity *)affinity)->name);
}

static int compare_device(const void *id, const void *device)
{
	return memcmp(id, ((const struct device *)device)->id.bytes, UUID_SIZE);
}

static int compare_device_name(const void *name, const void *device)
{
	return strcmp(name, ((const struct device *)device)->name);
}

void fleet_init(struct fleet *fleet)
{
	*fleet = (struct fleet){ .nodes.compare = compare_node,
				 .devices.compare = compare_device,
				 .devices_named.compare = compare_device_name,
				 .vms.compare = compare_vm,
				 .affinities.compare = compare_affinity };
}

static void free_vm_infos(Tagalong__VmInfo **vms, size_t n)
{
	for (size_t i = 0; i < n; i++)
		tagalong__vm_info__free_unpacked(vms[i], NULL);
	free(vms);
}

void fleet_clear(struct fleet *fleet)
{
	struct device *device;
	struct node *node;
	struct vm *vm;

	INDEX_FOREACH(node, &fleet->nodes) {
		if (node->hello)
			tagalong__node_hello__free_unpacked(node->hello, NULL);
		free_vm_infos(node->vms, node->n_vms);
		index_clear(&node->claimed);
		free(node);
	}
	INDEX_FOREACH(vm, &fleet->vms) {
		free(vm->claims);
		free(vm->affinities);
		free(vm);
	}
	INDEX_FOREACH(device, &fleet->devices) {
		free(device->vms);
		free(device->address);
		for (size_t i = 0; i < device->n_rtts; i++)
			free(device->rtts[i].tlvs);
		free(device->rtts);
		free(device);
	}
	affinity_clear(fleet);
	index_clear(&fleet->nodes);
	index_clear(&fleet->vms);
	index_clear(&fleet->devices_named);
	index_clear(&fleet->devices);
	free(fleet->by_number);
}

/* ---- Nodes ------------------------------------------------------------------- */

struct node *fleet_node(const struct fleet *fleet, const char *name)
{
	return index_find(&fleet->nodes, name);
}

int fleet_add_node(struct fleet *fleet, const char *name, struct node **ret)
{
	_cleanup_free_ struct node *node = NULL;
	struct node **by_number;

	*ret = fleet_node(fleet, name);
	if (*ret)
		return 0;
	node = calloc(1, sizeof(*node));
	by_number = reallocarray(fleet->by_number, fleet->nodes.n + 1, sizeof(*by_number));
	if (by_number)
		fleet->by_number = by_number;
	if (!node || !by_number)
		return -ENOMEM;
	snprintf(node->name, sizeof(node->name), "%s", name);
	node->number = (uint32_t)fleet->nodes.n;
	node->claimed.compare = compare_vm;
	if (index_insert(&fleet->nodes, node->name, node) < 0)
		return -ENOMEM;
	by_number[node->number] = node;
	*ret = TAKE_PTR(node);
	return 0;
}

void fleet_heard(struct node *node, int program, uint64_t now_ns, uint64_t now_utc_ns)
{
	node->programs[program].heard_ns = now_ns;
	node->programs[program].up = true;
	node->heard_utc_ns = now_utc_ns;
}

bool fleet_expire(struct node *node, int program, uint64_t now_ns, uint64_t timeout_ns)
{
	struct program *p = &node->programs[program];

	if (!p->up || now_ns - p->heard_ns <= timeout_ns)
		return false;
	p->up = false;
	return true;
}

const char *node_refusal(const struct node *node)
{
	if (!node_is_up(node))
		return "the target is down";
	if (node->drained)
		return "the target is drained";
	if (node->maintained)
		return "the target is to be maintained";
	return node->quarantine.on ? "the target is in quarantine" : NULL;
}

void fleet_touch_node(struct fleet *fleet, struct node *node)
{
	if (node->changed)
		return;
	node->changed = true;
	node->next_changed = fleet->changed_nodes;
	fleet->changed_nodes = node;
}

struct node *fleet_take_changed_node(struct fleet *fleet)
{
	struct node *node = fleet->changed_nodes;

	if (node) {
		fleet->changed_nodes = node->next_changed;
		node->changed = false;
	}
	return node;
}

/* ---- VMs --------------------------------------------------------------------- */

struct vm *fleet_vm(const struct fleet *fleet, const char *name)
{
	return index_find(&fleet->vms, name);
}

int fleet_add_vm(struct fleet *fleet, const char *name, struct vm **ret)
{
	_cleanup_free_ struct vm *vm = NULL;

	*ret = fleet_vm(fleet, name);
	if (*ret)
		return 0;
	vm = calloc(1, sizeof(*vm));
	if (!vm)
		return -ENOMEM;
	snprintf(vm->name, sizeof(vm->name), "%s", name);
	if (index_insert(&fleet->vms, vm->name, vm) < 0)
		return -ENOMEM;
	*ret = TAKE_PTR(vm);
	return 0;
}

void fleet_touch(struct fleet *fleet, struct vm *vm)
{
	if (vm->changed)
		return;
	vm->changed = true;
	vm->next_changed = fleet->changed;
	fleet->changed = vm;
}

struct vm *fleet_take_changed(struct fleet *fleet)
{
	struct vm *vm = fleet->changed;

	if (vm) {
		fleet->changed = vm->next_changed;
		vm->changed = false;
	}
	return vm;
}

static struct claim *claim_find(const struct vm *vm, const struct node *node)
{
	for (size_t i = 0; i < vm->n_claims; i++)
		if (vm->claims[i].node == node)
			return &vm->claims[i];
	return NULL;
}

/* A VM whose QEMU died takes nothing. */
static void claim_count(const struct claim *c, int sign)
{
	struct load *load = &c->node->load;

	if (c->state == TAGALONG__VM_STATE__VM_GONE)
		return;
	load->memory += (uint64_t)sign * c->memory;
	load->vcpus += (uint32_t)sign * c->vcpus;
}

static void claim_remove(struct vm *vm, struct node *node)
{
	struct claim *c = claim_find(vm, node);

	if (!c)
		return;
	claim_count(c, -1);
	index_remove(&node->claimed, vm->name);
	vm->n_claims--;
	memmove(c, c + 1, (size_t)(&vm->claims[vm->n_claims] - c) * sizeof(*c));
}

static int claim_set(struct vm *vm, struct node *node, Tagalong__VmState state)
{
	struct claim *claims;
	size_t at = 0;

	claim_remove(vm, node);
	claims = reallocarray(vm->claims, vm->n_claims + 1, sizeof(*claims));
	if (!claims)
		return -ENOMEM;
	vm->claims = claims;
	if (index_insert(&node->claimed, vm->name, vm) < 0)
		return -ENOMEM;
	while (at < vm->n_claims && strcmp(claims[at].node->name, node->name) < 0)
		at++;
	memmove(&claims[at + 1], &claims[at], (vm->n_claims - at) * sizeof(*claims));
	claims[at] = (struct claim){ node, state, vm->memory, vm->vcpus };
	claim_count(&claims[at], 1);
	vm->n_claims++;
	return 0;
}

/* How much alive a VM is in a state; 0: it is not there. */
static int liveness(Tagalong__VmState state)
{
	switch (state) {
	case TAGALONG__VM_STATE__VM_RUNNING:
		return 4;
	case TAGALONG__VM_STATE__VM_PAUSED:
		return 3;
	case TAGALONG__VM_STATE__VM_MOVING:
		return 2;
	case TAGALONG__VM_STATE__VM_STOPPED:
		return 1;
	default:
		return 0;
	}
}

static void visit(struct fleet *fleet, struct vm *vm, struct node *node, uint64_t since_utc_ns)
{
	if (vm->n_visits > 0 && vm->visits[0].node == node)
		return;
	memmove(&vm->visits[1], &vm->visits[0], sizeof(vm->visits) - sizeof(vm->visits[0]));
	/* When the first visit began, nobody knows. */
	vm->visits[0] = (struct visit){ node, vm->n_visits ? since_utc_ns : 0 };
	if (vm->n_visits < POLICY_VISITS)
		vm->n_visits++;
	fleet_touch(fleet, vm);
}

static void locate(struct fleet *fleet, struct vm *vm, uint64_t now_utc_ns)
{
	const struct claim *best = NULL;
	bool was_somewhere = vm->node;

	for (size_t i = 0; i < vm->n_claims; i++) {
		const struct claim *c = &vm->claims[i];
		int more = liveness(c->state) - (best ? liveness(best->state) : 0);

		if (more > 0 || (more == 0 && best && c->node == vm->node))
			best = c;
	}
	vm->node = best ? best->node : NULL;
	if (!best) {
		if (was_somewhere || vm->n_claims == 0)
			fleet_touch(fleet, vm);
		return;
	}
	vm->state = best->state;
	visit(fleet, vm, vm->node, now_utc_ns);
}

bool fleet_vm_runs_at(const struct vm *vm, const struct node *node)
{
	const struct claim *c = claim_find(vm, node);

	return c && c->state == TAGALONG__VM_STATE__VM_RUNNING;
}

int fleet_vm_arrived(struct fleet *fleet, struct vm *vm, struct node *from, struct node *to,
		     uint64_t now_utc_ns)
{
	int r;

	/* Someone has moved it on in the meantime, or reported it already. */
	if (vm->node && vm->node != from)
		return 0;
	claim_remove(vm, from);
	r = claim_set(vm, to, TAGALONG__VM_STATE__VM_RUNNING);
	locate(fleet, vm, now_utc_ns);
	return r;
}

int fleet_vm_started(struct fleet *fleet, const char *name, struct node *node, uint64_t now_utc_ns)
{
	struct vm *vm;
	int r = fleet_add_vm(fleet, name, &vm);

	if (r == 0)
		r = claim_set(vm, node, TAGALONG__VM_STATE__VM_RUNNING);
	if (r == 0)
		locate(fleet, vm, now_utc_ns);
	return r;
}

void fleet_vm_give_up(struct fleet *fleet, struct vm *vm, uint64_t now_utc_ns)
{
	for (size_t i = vm->n_claims; i-- > 0;)
		if (!node_is_up(vm->claims[i].node))
			claim_remove(vm, vm->claims[i].node);
	locate(fleet, vm, now_utc_ns);
}

void fleet_vm_lost(struct fleet *fleet, struct vm *vm, struct node *from, struct node *to,
		   uint64_t now_utc_ns)
{
	claim_remove(vm, from);
	claim_remove(vm, to);
	locate(fleet, vm, now_utc_ns);
}

/* ---- What nodes report --------------------------------------------------------- */

static void *message_copy(const ProtobufCMessage *m)
{
	size_t len = protobuf_c_message_get_packed_size(m);
	_cleanup_free_ uint8_t *data = malloc(len ? len : 1);

	if (!data)
		return NULL;
	protobuf_c_message_pack(m, data);
	return protobuf_c_message_unpack(m->descriptor, NULL, len, data);
}

static int compare_info(const void *a, const void *b)
{
	return strcmp((*(Tagalong__VmInfo *const *)a)->spec->name,
		      (*(Tagalong__VmInfo *const *)b)->spec->name);
}

/* Copies, sorts, and drops names that are none and all but one of equals. */
static int copy_infos(Tagalong__VmInfo *const *vms, size_t n, Tagalong__VmInfo ***ret,
		      size_t *ret_n)
{
	Tagalong__VmInfo **copies = calloc(n ? n : 1, sizeof(*copies));
	size_t kept = 0, unique = 0;

	if (!copies)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		if (!peer_name_is_valid(vms[i]->spec->name))
			continue;
		copies[kept] = message_copy(&vms[i]->base);
		if (!copies[kept++]) {
			free_vm_infos(copies, kept - 1);
			return -ENOMEM;
		}
	}
	qsort(copies, kept, sizeof(*copies), compare_info);
	for (size_t i = 0; i < kept; i++) {
		if (unique > 0 && compare_info(&copies[unique - 1], &copies[i]) == 0)
			tagalong__vm_info__free_unpacked(copies[i], NULL);
		else
			copies[unique++] = copies[i];
	}
	*ret = copies;
	*ret_n = unique;
	return 0;
}

static int claim_info(struct fleet *fleet, struct node *node, const Tagalong__VmInfo *info,
		      struct vm **ret)
{
	struct vm *vm;
	int r;

	r = fleet_add_vm(fleet, info->spec->name, &vm);
	if (r < 0)
		return r;
	vm->memory = info->spec->memory_bytes;
	vm->vcpus = info->spec->vcpus;
	*ret = vm;
	return claim_set(vm, node, info->state);
}

static int report(struct fleet *fleet, struct node *node, Tagalong__VmInfo *const *vms, size_t n,
		  uint64_t now_utc_ns)
{
	_cleanup_free_ struct vm **affected = NULL;
	Tagalong__VmInfo **infos;
	size_t n_infos, n_affected = 0;
	int r;

	r = copy_infos(vms, n, &infos, &n_infos);
	if (r < 0)
		return r;
	free_vm_infos(node->vms, node->n_vms);
	node->vms = infos;
	node->n_vms = n_infos;
	affected = calloc(node->claimed.n + n_infos + 1, sizeof(struct vm *));
	if (!affected)
		return -ENOMEM;
	while (node->claimed.n > 0) {
		affected[n_affected] = node->claimed.items[node->claimed.n - 1];
		claim_remove(affected[n_affected++], node);
	}
	for (size_t i = 0; i < n_infos && r == 0; i++)
		r = claim_info(fleet, node, infos[i], &affected[n_affected++]);
	for (size_t i = 0; i < n_affected && r == 0; i++)
		locate(fleet, affected[i], now_utc_ns);
	return r;
}

int fleet_hello(struct fleet *fleet, struct node *node, const Tagalong__NodeHello *hello,
		const struct bus_peer *peer, uint64_t now_ns, uint64_t now_utc_ns)
{
	bool telemetry = hello->role == TAGALONG__NODE_ROLE__NODE_TELEMETRY;
	int program = telemetry ? PROGRAM_TELEMETRY : PROGRAM_MIGRATOR;
	Tagalong__NodeHello bare = *hello, *copy;

	node->programs[program].known = true;
	node->programs[program].peer = *peer;
	fleet_heard(node, program, now_ns, now_utc_ns);
	if (telemetry)
		return 0;
	bare.n_vms = bare.n_moves = 0;
	if (bare.n_images > FLEET_IMAGES_MAX)
		bare.n_images = FLEET_IMAGES_MAX;
	copy = message_copy(&bare.base);
	if (!copy)
		return -ENOMEM;
	if (node->hello)
		tagalong__node_hello__free_unpacked(node->hello, NULL);
	node->hello = copy;
	return report(fleet, node, hello->vms, hello->n_vms, now_utc_ns);
}

int fleet_status(struct fleet *fleet, struct node *node, const Tagalong__NodeStatus *status,
		 uint64_t now_utc_ns)
{
	node->memory_used = status->memory_used_bytes;
	return report(fleet, node, status->vms, status->n_vms, now_utc_ns);
}

static int compare_info_name(const void *name, const void *info)
{
	return strcmp(name, (*(Tagalong__VmInfo *const *)info)->spec->name);
}

const Tagalong__VmInfo *fleet_vm_info(const struct vm *vm, const struct node *node)
{
	Tagalong__VmInfo **info = NULL;

	if (node && node->n_vms > 0)
		info = bsearch(vm->name, node->vms, node->n_vms, sizeof(*info), compare_info_name);
	return info ? *info : NULL;
}

/* ---- Devices and pairs ----------------------------------------------------------- */

struct device *fleet_device(const struct fleet *fleet, const struct uuid *id)
{
	return index_find(&fleet->devices, id->bytes);
}

struct device *fleet_device_named(const struct fleet *fleet, const char *name)
{
	return index_find(&fleet->devices_named, name);
}

/* The empty name is none, and many have it. */
static int rename_device(struct fleet *fleet, struct device *device, const char *name)
{
	if (strcmp(device->name, name) == 0)
		return 0;
	if (fleet_device_named(fleet, device->name) == device)
		index_remove(&fleet->devices_named, device->name);
	snprintf(device->name, sizeof(device->name), "%s", name);
	return *name ? index_insert(&fleet->devices_named, device->name, device) : 0;
}

int fleet_add_device(struct fleet *fleet, const struct uuid *id, const char *name,
		     struct device **ret)
{
	struct device *device = fleet_device(fleet, id);

	if (!device) {
		device = calloc(1, sizeof(*device));
		if (!device)
			return -ENOMEM;
		device->id = *id;
		if (index_insert(&fleet->devices, device->id.bytes, device) < 0) {
			free(device);
			return -ENOMEM;
		}
	}
	if (rename_device(fleet, device, name) == -ENOMEM)
		return -ENOMEM;
	device->group = 0;
	*ret = device;
	return 0;
}

struct vm *device_foreground(const struct device *device)
{
	for (size_t i = 0; i < device->n_vms; i++)
		if (device->vms[i]->foreground)
			return device->vms[i];
	return NULL;
}

int fleet_pair(struct device *device, struct vm *vm, bool foreground)
{
	size_t at = 0;

	if (vm->device && vm->device != device)
		return -EEXIST;
	if (!vm->device) {
		struct vm **vms =
			reallocarray(device->vms, device->n_vms + 1, sizeof(*vms));

		if (!vms)
			return -ENOMEM;
		device->vms = vms;
		while (at < device->n_vms && strcmp(vms[at]->name, vm->name) < 0)
			at++;
		memmove(&vms[at + 1], &vms[at], (device->n_vms - at) * sizeof(*vms));
		vms[at] = vm;
		device->n_vms++;
		vm->device = device;
	}
	for (size_t i = 0; foreground && i < device->n_vms; i++)
		if (device->vms[i] != vm)
			device->vms[i]->foreground = device->vms[i]->summoned = false;
	vm->foreground = foreground;
	vm->summoned &= foreground;
	return 0;
}

void fleet_unpair(struct device *device, struct vm *vm)
{
	for (size_t i = 0; i < device->n_vms; i++) {
		if (device->vms[i] != vm)
			continue;
		device->n_vms--;
		memmove(&device->vms[i], &device->vms[i + 1],
			(device->n_vms - i) * sizeof(struct vm *));
		vm->device = NULL;
		vm->foreground = vm->follows = vm->summoned = false;
		return;
	}
}

int fleet_replace(struct fleet *fleet, struct device *lost, struct device *device)
{
	char name[NAME_SIZE];

	for (size_t i = 0; i < lost->n_vms; i++)
		lost->vms[i]->device = device;
	free(device->vms);
	device->vms = TAKE_PTR(lost->vms);
	device->n_vms = lost->n_vms;
	lost->n_vms = 0;
	lost->group = device->group = 0;
	memcpy(name, lost->name, sizeof(name));
	rename_device(fleet, lost, "");
	return rename_device(fleet, device, name) == -ENOMEM ? -ENOMEM : 0;
}

bool device_is_idle(const struct device *device)
{
	for (size_t i = 0; i < device->n_vms; i++)
		if (device->vms[i]->foreground || device->vms[i]->move)
			return false;
	return true;
}

int fleet_client_seen(struct device *device, struct node *node, const Tagalong__ClientSeen *seen)
{
	char *copy;

	if (!seen->attached) {
		if (device->attached != node)
			return 0;
		device->attached = NULL;
		device->asleep = false;
		return 0;
	}
	copy = strdup(seen->address);
	if (!copy)
		return -ENOMEM;
	free(device->address);
	device->address = copy;
	if (address_parse(copy, 1, &device->host) < 0)
		device->host = (struct address){ 0 };
	else
		address_set_port(&device->host, 1);
	device->attached = node;
	device->asleep = seen->has_asleep && seen->asleep;
	return 0;
}

/* ---- Round-trip times --------------------------------------------------------------- */

static struct rtt_entry *rtt_of(struct device *device, struct node *node)
{
	struct rtt_entry *rtts;
	size_t at = 0;

	while (at < device->n_rtts && strcmp(device->rtts[at].node->name, node->name) < 0)
		at++;
	if (at < device->n_rtts && device->rtts[at].node == node)
		return &device->rtts[at];
	rtts = reallocarray(device->rtts, device->n_rtts + 1, sizeof(*rtts));
	if (!rtts)
		return NULL;
	device->rtts = rtts;
	memmove(&rtts[at + 1], &rtts[at], (device->n_rtts - at) * sizeof(*rtts));
	rtts[at] = (struct rtt_entry){ .node = node };
	device->n_rtts++;
	return &rtts[at];
}

/* Numbers and flags alone, so that what is copied points to nothing, but for what a later version adds. */
static int keep_tlvs(struct rtt_entry *e, const Tagalong__ToldTlvs *told)
{
	if (!told) {
		free(e->tlvs);
		e->tlvs = NULL;
		return 0;
	}
	if (!e->tlvs)
		e->tlvs = malloc(sizeof(*e->tlvs));
	if (!e->tlvs)
		return -ENOMEM;
	*e->tlvs = *told;
	e->tlvs->base.n_unknown_fields = 0;
	e->tlvs->base.unknown_fields = NULL;
	return 0;
}

int fleet_sample(struct device *device, struct node *node, const Tagalong__RttSample *sample,
		 uint64_t now_ns)
{
	struct rtt_entry *e = rtt_of(device, node);

	if (!e)
		return -ENOMEM;
	/* Clocks of two machines are never compared: news is what differs. */
	if (e->last_sample_utc_ns != sample->last_sample_utc_ns || !e->fresh_ns)
		e->fresh_ns = now_ns ? now_ns : 1;
	e->method = sample->method;
	e->last_sample_utc_ns = sample->last_sample_utc_ns;
	e->srtt_ns = sample->srtt_ns;
	e->rttvar_ns = sample->rttvar_ns;
	e->min_ns = sample->min_ns;
	e->p50_ns = sample->p50_ns;
	e->p95_ns = sample->p95_ns;
	e->p99_ns = sample->p99_ns;
	e->p999_ns = sample->p999_ns;
	e->level_utc_ns = sample->level_utc_ns;
	e->last_ns = sample->last_ns;
	e->sent = sample->sent;
	e->lost = sample->lost;
	e->confidence = sample->confidence;
	return keep_tlvs(e, sample->tlvs);
}

static uint64_t ago(uint64_t now_utc_ns, uint64_t then_utc_ns)
{
	if (!then_utc_ns)
		return UINT64_MAX;
	/* The wall clock may have been set back. */
	return now_utc_ns > then_utc_ns ? now_utc_ns - then_utc_ns : 0;
}

void fleet_view(const struct device *device, const struct vm *vm, uint64_t now_ns,
		uint64_t now_utc_ns, fleet_can_take_fn can_take, void *userdata,
		struct policy_candidate *candidates, struct policy_view *ret)
{
	struct policy_view view = { .now_ns = now_ns, .candidates = candidates };

	for (size_t i = 0; i < device->n_rtts; i++) {
		const struct rtt_entry *e = &device->rtts[i];

		candidates[view.n_candidates++] = (struct policy_candidate){
			.node = e->node->number,
			.available = can_take(e->node, vm, userdata),
			.measured = e->srtt_ns > 0,
			.srtt_ns = e->srtt_ns,
			.rttvar_ns = e->rttvar_ns,
			.confidence = e->confidence,
			.age_ns = now_ns - e->fresh_ns,
		};
	}
	for (size_t i = 0; vm->node && i < vm->n_visits; i++)
		view.visits[view.n_visits++] = (struct policy_visit){
			vm->visits[i].node->number, ago(now_utc_ns, vm->visits[i].since_utc_ns)
		};
	*ret = view;
}

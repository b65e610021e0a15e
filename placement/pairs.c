/* SPDX-License-Identifier: Apache-2.0
 *
 * Which VM goes with which device. A VM that is brought to the front is summoned: it goes to
 * where its device is served best, before any other of the device's and without the policy's
 * hold, once. In the background a VM stays where it is, or follows: when the one in the
 * foreground has settled, and the device can be reached, it goes there too, with what is left of
 * the limits.
 */
#include <string.h>

#include "common/clock.h"
#include "placement/affinity.h"
#include "placement/controller_private.h"
#include "placement/policy_evidence.h"

/* ---- Wishes ---------------------------------------------------------------------------- */

size_t pairs_summon(struct controller *c, struct vm *vm, const struct policy_view *view,
		    struct plan_item *item)
{
	const struct policy_parameters *p = parameters_of(c, vm->device);
	const struct policy_candidate *here = policy_here(p, view);

	item->urgent = true;
	for (size_t i = 0; i < view->n_candidates; i++) {
		const struct policy_candidate *there = &view->candidates[i];

		if (there->node == vm->node->number || !there->available ||
		    !policy_is_evidence(p, there) ||
		    (here && !policy_betters(p, there, here, p->margin_ns)))
			continue;
		item->n_wishes = policy_insert_wish(
			item->wishes, item->n_wishes,
			&(struct policy_wish){
				.target = there->node,
				/* From where nothing is known of the device, anything is better. */
				.benefit_ns = (here ? here->srtt_ns : NS_PER_S + there->srtt_ns) -
					      there->srtt_ns,
				.code = "front",
				.here_ns = here ? here->srtt_ns : 0,
				.target_ns = there->srtt_ns,
			});
	}
	/* It is well where it is. Without any evidence it is not known, and stays summoned. */
	if (item->n_wishes == 0 && here) {
		vm->summoned = false;
		fleet_touch(&c->fleet, vm);
	}
	return item->n_wishes;
}

/* It has been there for long enough, and the device is served well from there. */
static bool has_settled(const struct controller *c, const struct vm *vm,
			const struct policy_view *view)
{
	const struct policy_parameters *p = parameters_of(c, vm->device);
	const struct policy_candidate *here = policy_here(p, view);
	uint64_t since = vm->n_visits > 0 ? vm->visits[0].since_utc_ns : 0;

	if (!here || here->srtt_ns > p->threshold_ns)
		return false;
	/* A clock that was set back must not make it wait for long. */
	return c->fx.now_utc_ns < since || c->fx.now_utc_ns - since >= p->min_stay_ns;
}

size_t pairs_gather_followers(struct controller *c, const struct device *device,
			      const struct policy_view *view, struct plan_item *items)
{
	const struct vm *front = device_foreground(device);
	size_t n = 0;

	if (!front->node->admitted || !has_settled(c, front, view))
		return 0;
	for (size_t i = 0; i < device->n_vms; i++) {
		struct vm *vm = device->vms[i];

		/* From a drained node it leaves anyhow; see drain.c. */
		if (vm == front || !vm->follows || vm->move || !vm->node ||
		    vm->node == front->node || node_is_emptied(vm->node) || affinity_leader(vm))
			continue;
		items[n++] = (struct plan_item){
			.vm = vm,
			.wishes = { { .target = front->node->number, .code = "follow" } },
			.n_wishes = 1,
		};
	}
	return n;
}

/* ---- The store ------------------------------------------------------------------------- */

static void pair_key(const struct device *device, const struct vm *vm, char key[STORE_KEY_SIZE])
{
	char id[UUID_TEXT_SIZE];

	snprintf(key, STORE_KEY_SIZE, "pairs/%s/%s", uuid_format(&device->id, id), vm->name);
}

/* All of a device's: at most one is in the foreground. */
static void keep_pairs(struct controller *c, const struct device *device)
{
	char key[STORE_KEY_SIZE];

	for (size_t i = 0; i < device->n_vms; i++) {
		Tagalong__Placement__PairEntry entry = TAGALONG__PLACEMENT__PAIR_ENTRY__INIT;

		entry.device = (ProtobufCBinaryData){ UUID_SIZE, (uint8_t *)device->id.bytes };
		entry.device_name = (char *)device->name;
		entry.vm = device->vms[i]->name;
		entry.foreground = device->vms[i]->foreground;
		entry.has_follows = entry.follows = device->vms[i]->follows;
		pair_key(device, device->vms[i], key);
		effects_put(&c->fx, key, &entry.base);
	}
}

/* ---- What operators ask ------------------------------------------------------------------ */

static int check_pair(const struct controller *c, const Tagalong__PairSet *set,
		      const struct uuid *id, struct mg_error *err)
{
	const struct device *named = fleet_device_named(&c->fleet, set->device_name);
	const struct vm *vm = fleet_vm(&c->fleet, set->vm);

	if (!peer_name_is_valid(set->device_name) || !peer_name_is_valid(set->vm))
		return mg_error_set(err, -EINVAL,
				    "names have 1 to %d letters, digits, '-', '_' or '.'",
				    NAME_SIZE - 1);
	if (named && !uuid_equal(&named->id, id))
		return mg_error_set(err, -EEXIST, "another device is named '%s'", named->name);
	if (vm && vm->device && !uuid_equal(&vm->device->id, id))
		return mg_error_set(err, -EEXIST,
				    "VM '%s' is paired with '%s'; 'migrator pair remove %s %s' "
				    "first",
				    vm->name, vm->device->name, vm->device->name, vm->name);
	return 0;
}

/* What the pair has become: to the store, the log and those who watch the device. */
static void changed(struct controller *c, struct device *device, const struct vm *vm)
{
	keep_pairs(c, device);
	for (size_t i = 0; i < device->n_vms; i++)
		fleet_touch(&c->fleet, device->vms[i]);
	effects_decide(&c->fx, "pair", "device=%s vm=%s %s%s", device->name, vm->name,
		       vm->foreground ? "foreground" : "background",
		       vm->summoned  ? " summoned"
		       : vm->follows ? " follows"
				     : "");
	watch_device(c, device);
	decide_sample(c, device);
	decide_soon(c);
}

static int set_pair(struct controller *c, const Tagalong__PairSet *set, struct mg_error *err)
{
	struct device *device;
	struct uuid id;
	struct vm *vm;
	bool is_new;
	int r;

	memcpy(id.bytes, set->device.data, UUID_SIZE);
	r = check_pair(c, set, &id, err);
	if (r < 0 || set->dry_run)
		return r;
	is_new = !fleet_device(&c->fleet, &id);
	if (fleet_add_device(&c->fleet, &id, set->device_name, &device) < 0 ||
	    fleet_add_vm(&c->fleet, set->vm, &vm) < 0)
		return c->fx.error = mg_error_set(err, -ENOMEM, "out of memory");
	if (is_new)
		c->policy->dev_init(device->policy_state);
	vm->follows = set->follows;
	vm->summoned |= vm->device && set->foreground && !vm->foreground;
	if (fleet_pair(device, vm, set->foreground) < 0)
		return c->fx.error = mg_error_set(err, -ENOMEM, "out of memory");
	changed(c, device, vm);
	return 0;
}

void pairs_on_set(struct controller *c, const struct bus_peer *from, const Envelope *e)
{
	struct mg_error err = { 0 };
	int r = set_pair(c, e->pair_set, &err);

	request_reply(c, from, e, r, &err);
}

static int find_pair(const struct controller *c, const char *device_name, const char *vm_name,
		     struct device **ret_device, struct vm **ret_vm, struct mg_error *err)
{
	struct device *device = fleet_device_named(&c->fleet, device_name);
	struct vm *vm = fleet_vm(&c->fleet, vm_name);

	if (!device || !vm || vm->device != device)
		return mg_error_set(err, -ENOENT,
				    "'%s' and '%s' are no pair; 'migrator pair list' shows those "
				    "that are",
				    device_name, vm_name);
	*ret_device = device;
	*ret_vm = vm;
	return 0;
}

static int remove_pair(struct controller *c, const Tagalong__PairRemove *remove,
		       struct mg_error *err)
{
	char key[STORE_KEY_SIZE];
	struct device *device;
	struct vm *vm;
	int r;

	r = find_pair(c, remove->device_name, remove->vm, &device, &vm, err);
	if (r < 0 || remove->dry_run)
		return r;
	pair_key(device, vm, key);
	fleet_unpair(device, vm);
	fleet_touch(&c->fleet, vm);
	effects_delete(&c->fx, key);
	effects_decide(&c->fx, "unpair", "device=%s vm=%s", device->name, vm->name);
	watch_device(c, device);
	return 0;
}

void pairs_on_remove(struct controller *c, const struct bus_peer *from, const Envelope *e)
{
	struct mg_error err = { 0 };
	int r = remove_pair(c, e->pair_remove, &err);

	request_reply(c, from, e, r, &err);
}

void pairs_on_front(struct controller *c, const struct bus_peer *from, const Envelope *e)
{
	struct mg_error err = { 0 };
	struct device *device;
	struct vm *vm;
	int r;

	r = find_pair(c, e->pair_front->device_name, e->pair_front->vm, &device, &vm, &err);
	if (r == 0 && !e->pair_front->dry_run) {
		vm->summoned = true;
		/* It is paired already: this cannot fail. */
		(void)fleet_pair(device, vm, true);
		changed(c, device, vm);
	}
	request_reply(c, from, e, r, &err);
}

static int check_replacement(const Tagalong__PairReplace *replace, const struct device *lost,
			     const struct device *device, struct mg_error *err)
{
	if (device && strcmp(device->name, replace->device_name) == 0)
		return -EALREADY;
	if (!lost || lost->n_vms == 0)
		return mg_error_set(
			err, -ENOENT,
			"no device named '%s' has VMs; 'migrator pair list' shows those "
			"that have",
			replace->device_name);
	if (device && device->n_vms > 0)
		return mg_error_set(err, -EEXIST,
				    "that device is '%s' and has VMs of its own; 'migrator pair "
				    "remove' them first",
				    device->name);
	return 0;
}

static int replace_device(struct controller *c, const Tagalong__PairReplace *replace,
			  struct mg_error *err)
{
	struct device *lost = fleet_device_named(&c->fleet, replace->device_name), *device;
	char old[UUID_TEXT_SIZE], new[UUID_TEXT_SIZE], key[STORE_KEY_SIZE];
	struct uuid id;
	int r;

	memcpy(id.bytes, replace->device.data, UUID_SIZE);
	device = fleet_device(&c->fleet, &id);
	r = check_replacement(replace, lost, device, err);
	if (r < 0 || replace->dry_run)
		return r == -EALREADY ? 0 : r;
	if (!device && fleet_add_device(&c->fleet, &id, "", &device) < 0)
		return c->fx.error = mg_error_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < lost->n_vms; i++) {
		pair_key(lost, lost->vms[i], key);
		effects_delete(&c->fx, key);
	}
	if (fleet_replace(&c->fleet, lost, device) < 0)
		return c->fx.error = mg_error_set(err, -ENOMEM, "out of memory");
	c->policy->dev_init(device->policy_state);
	keep_pairs(c, device);
	effects_decide(&c->fx, "replace", "device=%s lost=%s new=%s vms=%zu", device->name,
		       uuid_format(&lost->id, old), uuid_format(&id, new), device->n_vms);
	watch_device(c, lost);
	watch_device(c, device);
	return 0;
}

void pairs_on_replace(struct controller *c, const struct bus_peer *from, const Envelope *e)
{
	struct mg_error err = { 0 };
	int r = replace_device(c, e->pair_replace, &err);

	request_reply(c, from, e, r, &err);
}

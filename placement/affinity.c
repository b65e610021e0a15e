/* SPDX-License-Identifier: Apache-2.0 */
#include "placement/affinity.h"

#include <string.h>

#include "placement/controller_private.h"

/* ---- Groups -------------------------------------------------------------------------- */

static bool is_in(const struct affinity *group, const struct vm *vm)
{
	for (size_t i = 0; i < group->n_vms; i++)
		if (group->vms[i] == vm)
			return true;
	return false;
}

static int find_or_make(struct fleet *fleet, const char *name, bool apart, struct affinity **ret)
{
	struct affinity *group = index_find(&fleet->affinities, name);

	if (!group) {
		group = calloc(1, sizeof(*group));
		if (!group)
			return -ENOMEM;
		snprintf(group->name, sizeof(group->name), "%s", name);
		group->apart = apart;
		if (index_insert(&fleet->affinities, group->name, group) < 0) {
			free(group);
			return -ENOMEM;
		}
	}
	*ret = group;
	return group->apart == apart ? 0 : -EEXIST;
}

static void drop_if_empty(struct fleet *fleet, struct affinity *group)
{
	if (group->n_vms > 0)
		return;
	index_remove(&fleet->affinities, group->name);
	free(group->vms);
	free(group);
}

static void add(struct affinity *group, struct vm *vm)
{
	size_t at = 0;

	while (at < group->n_vms && strcmp(group->vms[at]->name, vm->name) < 0)
		at++;
	memmove(&group->vms[at + 1], &group->vms[at], (group->n_vms - at) * sizeof(struct vm *));
	group->vms[at] = vm;
	group->n_vms++;
	vm->affinities[vm->n_affinities++] = group;
}

int affinity_join(struct fleet *fleet, struct vm *vm, const char *name, bool apart)
{
	struct affinity *group, **of_vm;
	struct vm **of_group;
	int r = find_or_make(fleet, name, apart, &group);

	if (r < 0 || is_in(group, vm))
		return r;
	of_group = reallocarray(group->vms, group->n_vms + 1, sizeof(struct vm *));
	if (of_group)
		group->vms = of_group;
	of_vm = reallocarray(vm->affinities, vm->n_affinities + 1, sizeof(struct affinity *));
	if (of_vm)
		vm->affinities = of_vm;
	if (!of_group || !of_vm) {
		drop_if_empty(fleet, group);
		return -ENOMEM;
	}
	add(group, vm);
	fleet_touch(fleet, vm);
	return 0;
}

static void remove_from(void *array, size_t *n, const void *item)
{
	const void **items = array;

	for (size_t i = 0; i < *n; i++) {
		if (items[i] != item)
			continue;
		--*n;
		memmove(&items[i], &items[i + 1], (*n - i) * sizeof(*items));
		return;
	}
}

bool affinity_leave(struct fleet *fleet, struct vm *vm, const char *name)
{
	struct affinity *group = index_find(&fleet->affinities, name);

	if (!group || !is_in(group, vm))
		return false;
	remove_from(vm->affinities, &vm->n_affinities, group);
	remove_from(group->vms, &group->n_vms, vm);
	drop_if_empty(fleet, group);
	fleet_touch(fleet, vm);
	return true;
}

void affinity_clear(struct fleet *fleet)
{
	struct affinity *group;

	INDEX_FOREACH(group, &fleet->affinities) {
		free(group->vms);
		free(group);
	}
	index_clear(&fleet->affinities);
}

/* ---- What follows from them ------------------------------------------------------------- */

const char *affinity_refusal(const struct vm *vm, const struct node *target)
{
	for (size_t i = 0; i < vm->n_affinities; i++) {
		const struct affinity *group = vm->affinities[i];

		for (size_t k = 0; group->apart && k < group->n_vms; k++) {
			const struct vm *other = group->vms[k];

			if (other != vm && (other->node == target || other->bound == target))
				return "a VM that it is kept apart from is there";
		}
	}
	return NULL;
}

static struct vm *leader_of(const struct affinity *group)
{
	struct vm *leader = NULL;

	for (size_t i = 0; i < group->n_vms; i++) {
		struct vm *vm = group->vms[i];

		if (vm->node && (!leader || (vm->foreground && !leader->foreground)))
			leader = vm;
	}
	return leader;
}

/* The group of which it follows or leads the others; or NULL. */
static const struct affinity *together(const struct vm *vm)
{
	for (size_t i = 0; i < vm->n_affinities; i++)
		if (!vm->affinities[i]->apart)
			return vm->affinities[i];
	return NULL;
}

struct vm *affinity_leader(const struct vm *vm)
{
	const struct affinity *group = together(vm);
	struct vm *leader = group ? leader_of(group) : NULL;

	return leader != vm ? leader : NULL;
}

/* ---- Wishes ----------------------------------------------------------------------------- */

/* It is to go where its leader is; what leaves a drained node is drain.c's business. */
static bool is_astray(const struct vm *vm)
{
	const struct vm *leader = affinity_leader(vm);

	return leader && vm->node && !node_is_emptied(vm->node) && !vm->move && !leader->move &&
	       leader->node != vm->node && leader->node->admitted && !node_refusal(leader->node);
}

size_t affinity_count(const struct controller *c)
{
	struct affinity *group;
	size_t n = 0;

	INDEX_FOREACH(group, &c->fleet.affinities)
		n += group->apart ? 0 : group->n_vms;
	return n;
}

size_t affinity_gather(const struct controller *c, struct plan_item *items)
{
	struct affinity *group;
	size_t n = 0;

	INDEX_FOREACH(group, &c->fleet.affinities)
		for (size_t i = 0; !group->apart && i < group->n_vms; i++)
			if (is_astray(group->vms[i]))
				items[n++] = (struct plan_item){
					.vm = group->vms[i],
					.wishes = { {
						.target = leader_of(group)->node->number,
						.code = "together",
					} },
					.n_wishes = 1,
				};
	return n;
}

void affinity_tick(struct controller *c)
{
	struct affinity *group;

	INDEX_FOREACH(group, &c->fleet.affinities)
		for (size_t i = 0; !group->apart && i < group->n_vms; i++)
			if (is_astray(group->vms[i])) {
				decide_soon(c);
				return;
			}
}

/* ---- What operators ask -------------------------------------------------------------- */

static int check(const struct controller *c, const Tagalong__AffinitySet *set, struct vm **ret,
		 struct mg_error *err)
{
	const struct affinity *group = index_find(&c->fleet.affinities, set->group), *tied;

	*ret = fleet_vm(&c->fleet, set->vm);
	if (!peer_name_is_valid(set->group))
		return mg_error_set(err, -EINVAL,
				    "names have 1 to %d letters, digits, '-', '_' or '.'",
				    NAME_SIZE - 1);
	if (!*ret)
		return mg_error_set(err, -ENOENT,
				    "no VM named '%s'; 'migrator vm list' shows those that are",
				    set->vm);
	if (group && group->apart != set->apart)
		return mg_error_set(err, -EEXIST, "group '%s' keeps its VMs %s", group->name,
				    group->apart ? "apart" : "together");
	tied = set->apart ? NULL : together(*ret);
	if (tied && tied != group)
		return mg_error_set(err, -EBUSY, "VM '%s' is kept together with group '%s' already",
				    set->vm, tied->name);
	return 0;
}

void affinity_on_set(struct controller *c, const struct bus_peer *from, const Envelope *e)
{
	const Tagalong__AffinitySet *set = e->affinity_set;
	struct mg_error err = { 0 };
	struct vm *vm;
	int r = check(c, set, &vm, &err);

	if (r == 0 && !set->dry_run) {
		if (affinity_join(&c->fleet, vm, set->group, set->apart) < 0) {
			c->fx.error = -ENOMEM;
			return;
		}
		effects_decide(&c->fx, set->apart ? "apart" : "together", "group=%s vm=%s by=%s",
			       set->group, vm->name, from->name);
		decide_soon(c);
	}
	request_reply(c, from, e, r, &err);
}

void affinity_on_remove(struct controller *c, const struct bus_peer *from, const Envelope *e)
{
	const Tagalong__AffinityRemove *remove = e->affinity_remove;
	struct affinity *group = index_find(&c->fleet.affinities, remove->group);
	struct vm *vm = fleet_vm(&c->fleet, remove->vm);
	struct mg_error err = { 0 };
	int r = 0;

	if (!group || !vm || !is_in(group, vm))
		r = mg_error_set(&err, -ENOENT,
				 "VM '%s' is not in a group '%s'; 'migrator affinity list' shows "
				 "those that are", remove->vm, remove->group);
	if (r == 0 && !remove->dry_run) {
		effects_decide(&c->fx, "untie", "group=%s vm=%s by=%s", remove->group, vm->name,
			       from->name);
		affinity_leave(&c->fleet, vm, remove->group);
	}
	request_reply(c, from, e, r, &err);
}

void affinity_on_query(struct controller *c, const struct bus_peer *from, const Envelope *e)
{
	Tagalong__AffinityList list = TAGALONG__AFFINITY_LIST__INIT;
	Envelope reply = TAGALONG__ENVELOPE__INIT;
	struct arena arena = { 0 };
	struct affinity *group;
	Tagalong__Affinity *views = arena_alloc(&arena, c->fleet.affinities.n + 1, sizeof(*views));

	list.groups = arena_alloc(&arena, c->fleet.affinities.n + 1, sizeof(*list.groups));
	INDEX_FOREACH(group, &c->fleet.affinities) {
		char **names = arena_alloc(&arena, group->n_vms + 1, sizeof(*names));

		if (arena.failed)
			break;
		for (size_t i = 0; i < group->n_vms; i++)
			names[i] = group->vms[i]->name;
		list.groups[list.n_groups] = &views[list.n_groups];
		tagalong__affinity__init(list.groups[list.n_groups]);
		list.groups[list.n_groups]->group = group->name;
		list.groups[list.n_groups]->apart = group->apart;
		list.groups[list.n_groups]->vms = names;
		list.groups[list.n_groups++]->n_vms = group->n_vms;
	}
	reply.body_case = TAGALONG__ENVELOPE__BODY_AFFINITY_LIST;
	reply.affinity_list = &list;
	request_answer_with(c, from, e, &arena, &reply);
}

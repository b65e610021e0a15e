/* SPDX-License-Identifier: Apache-2.0
 *
 * What the configuration says of policies: at the start, and again when it has changed. The
 * devices of a group have parameters of their own.
 *
 * Where the policy only recommends, its wishes are planned after all others, within what those
 * leave, and told where they would have been ordered. What operators have ordered is done all
 * the same: drained nodes are emptied, VMs brought to the front, groups kept together.
 */
#include <fnmatch.h>
#include <inttypes.h>
#include <string.h>

#include "placement/affinity.h"
#include "placement/controller_private.h"
#include "placement/policy_parameters.h"

/* ---- Taking them --------------------------------------------------------------------- */

typedef Tagalong__Placement__Start Start;

static int check(const struct policy_ops *policy, const Start *start, struct mg_error *err)
{
	struct policy_parameters parameters;
	int r;

	policy_parameters_take(start->parameters, &parameters);
	r = policy->init(&parameters, err);
	for (size_t i = 0; i < start->n_groups && r == 0; i++) {
		policy_parameters_take(start->groups[i]->parameters, &parameters);
		r = policy->init(&parameters, err);
		if (r < 0)
			mg_error_prefix(err, "group %s", start->groups[i]->name);
	}
	return r;
}

static Start *copy(const Start *start)
{
	Start bare = *start;
	_cleanup_free_ uint8_t *data = NULL;
	size_t len;

	bare.n_values = 0; /* read once, at the start */
	len = tagalong__placement__start__get_packed_size(&bare);
	data = malloc(len ? len : 1);
	if (!data)
		return NULL;
	tagalong__placement__start__pack(&bare, data);
	return tagalong__placement__start__unpack(NULL, len, data);
}

/* What was learnt by one policy, another one cannot read. */
static void change_policy(struct controller *c, const struct policy_ops *policy, void *learnt)
{
	struct device *device;

	free(c->learnt);
	c->learnt = learnt;
	c->policy = policy;
	INDEX_FOREACH(device, &c->fleet.devices)
		policy->dev_init(device->policy_state);
}

static void install(struct controller *c, Start *start, struct device_group *groups)
{
	free(c->groups);
	c->groups = groups;
	groups[0] = (struct device_group){ .recommend = start->recommend };
	policy_parameters_take(start->parameters, &groups[0].parameters);
	for (size_t i = 0; i < start->n_groups; i++) {
		groups[i + 1] = (struct device_group){ .of = start->groups[i],
						       .recommend = start->groups[i]->recommend };
		policy_parameters_take(start->groups[i]->parameters, &groups[i + 1].parameters);
	}
	if (c->start)
		tagalong__placement__start__free_unpacked(c->start, NULL);
	c->start = start;
	c->neighbourhoods_edition++;
	c->executor.limits = start->limits;
	c->executor.node_keys = (const Tagalong__Placement__NodeKey *const *)start->node_keys;
	c->executor.n_node_keys = start->n_node_keys;
	c->executor.plain_text = start->plain_text;
}

int parameters_take(struct controller *c, const Start *start, struct mg_error *err)
{
	const struct policy_ops *policy = policy_find(start->policy);
	struct device_group *groups;
	void *learnt = NULL;
	Start *kept;
	int r;

	if (!policy)
		return mg_error_set(err, -EINVAL, "no policy is named '%.64s'", start->policy);
	r = check(policy, start, err);
	if (r < 0)
		return r;
	kept = copy(start);
	groups = calloc(start->n_groups + 1, sizeof(*groups));
	if (policy != c->policy)
		learnt = calloc(1, policy->shared_size + 1);
	if (!kept || !groups || (policy != c->policy && !learnt)) {
		if (kept)
			tagalong__placement__start__free_unpacked(kept, NULL);
		free(groups);
		free(learnt);
		return mg_error_set(err, -ENOMEM, "out of memory");
	}
	install(c, kept, groups);
	if (policy != c->policy)
		change_policy(c, policy, learnt);
	return 0;
}

int parameters_reload(struct controller *c, const Start *start, struct mg_error *err)
{
	bool has_lists = c->start->n_neighbourhoods > 0 || start->n_neighbourhoods > 0;
	struct device *device;
	struct node *node;
	const char *key;
	int r = parameters_take(c, start, err);

	if (r < 0)
		return r;
	INDEX_FOREACH(device, &c->fleet.devices) {
		device->group = 0;
		device->recommended = NULL;
	}
	INDEX_FOREACH(node, &c->fleet.nodes) {
		node->admitted = executor_target_key(&c->executor, node, &key, NULL) == 0;
		if (has_lists) /* other neighbours watch other devices */
			watch_restart(node);
	}
	effects_decide(&c->fx, "reload", "policy=%s groups=%zu node_keys=%zu%s", start->policy,
		       start->n_groups, start->n_node_keys, start->recommend ? " recommend" : "");
	watch_update(c);
	return 0;
}

/* ---- Whose they are -------------------------------------------------------------------- */

static bool is_member(const Tagalong__Placement__DeviceGroup *group, const char *name)
{
	for (size_t i = 0; i < group->n_devices; i++)
		if (fnmatch(group->devices[i], name, 0) == 0)
			return true;
	return false;
}

/* The number in c->groups. */
static uint32_t find_group(const struct controller *c, const char *name)
{
	for (size_t i = 0; i < c->start->n_groups; i++)
		if (is_member(c->start->groups[i], name))
			return (uint32_t)i + 1;
	return 0;
}

const struct device_group *parameters_group(const struct controller *c, struct device *device)
{
	if (!device)
		return &c->groups[0];
	if (device->group == 0)
		device->group = find_group(c, device->name) + 1;
	return &c->groups[device->group - 1];
}

const struct policy_parameters *parameters_of(const struct controller *c, struct device *device)
{
	return &parameters_group(c, device)->parameters;
}

/* ---- Recommending --------------------------------------------------------------------- */

bool parameters_only_recommend(const struct controller *c, const struct plan_item *item)
{
	return !item->urgent && !affinity_leader(item->vm) &&
	       (parameters_group(c, item->vm->device)->recommend ||
		mec021_asks_first(&c->mec021, item->vm));
}

void parameters_recommend(struct controller *c, const struct plan_item *item, const char *why)
{
	struct device *device = item->vm->device;
	struct node *target = c->fleet.by_number[item->granted->target];

	/* Those in the background follow one that is where it is recommended to be. */
	if (!item->vm->foreground || device->recommended == target)
		return;
	device->recommended = target;
	effects_decide(&c->fx, "recommend", "vm=%s from=%s to=%s code=%s %s", item->vm->name,
		       item->vm->node->name, target->name, item->granted->code, why);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "placement/controller_private.h"

#include <inttypes.h>
#include <string.h>

#include "common/clock.h"
#include "placement/affinity.h"
#include "placement/move_cost.h"

#define PRUNE_EVERY 256 /* settled moves */

/* ---- What nodes say -------------------------------------------------------------------- */

static const char *const program_names[PROGRAMS] = { "migratord", "telemetryd" };

static void tell_program(struct controller *c, const struct node *node, int program)
{
	effects_decide(&c->fx, "node", "name=%s program=%s %s", node->name, program_names[program],
		       node->programs[program].up ? "up" : "down");
}

/* A sign of life of a program, and where it is reached by now. */
static void heard(struct controller *c, struct node *node, int program,
		  const struct bus_peer *from)
{
	bool was_up = node->programs[program].up;

	if (from->route_len > 0)
		node->programs[program].peer = *from;
	fleet_heard(node, program, c->fx.now_ns, c->fx.now_utc_ns);
	if (!was_up)
		tell_program(c, node, program);
}

static void on_hello(struct controller *c, const struct bus_peer *from, const Envelope *e)
{
	const Tagalong__NodeHello *hello = e->node_hello;
	bool telemetry = hello->role == TAGALONG__NODE_ROLE__NODE_TELEMETRY;
	int program = telemetry ? PROGRAM_TELEMETRY : PROGRAM_MIGRATOR;
	const char *key;
	bool was_up;
	struct node *node;

	if (fleet_add_node(&c->fleet, from->name, &node) < 0) {
		c->fx.error = -ENOMEM;
		return;
	}
	was_up = node->programs[program].up;
	if (fleet_hello(&c->fleet, node, hello, from, c->fx.now_ns, c->fx.now_utc_ns) < 0)
		c->fx.error = -ENOMEM;
	node->admitted = executor_target_key(&c->executor, node, &key, NULL) == 0;
	if (!was_up)
		tell_program(c, node, program);
	/* It will refuse our orders, and rightly: another controller came after us,
	 * or our store was lost. */
	if (hello->has_epoch_seen && hello->epoch_seen > c->fx.epoch)
		effects_decide(&c->fx, "deposed", "node=%s epoch=%" PRIu64 " ours=%" PRIu64,
			       node->name, hello->epoch_seen, c->fx.epoch);
	effects_reply_done(&c->fx, from, e->seq);
	if (!telemetry) {
		executor_hello(&c->executor, node, hello);
		warming_hello(c, node, hello);
		return;
	}
	/* It says hello again and again, but a new instance knows of no list. */
	if (memcmp(node->telemetry_boot.bytes, e->boot_id.data, UUID_SIZE) != 0)
		watch_restart(node);
	memcpy(node->telemetry_boot.bytes, e->boot_id.data, UUID_SIZE);
	node->watch.takes_changes = hello->has_takes_watch_changes && hello->takes_watch_changes;
	watch_hello(c, node);
}

/* The node, if that program of it has said hello; else it is told to. */
static struct node *known(struct controller *c, const struct bus_peer *from, const Envelope *e,
			  int program)
{
	struct node *node = fleet_node(&c->fleet, from->name);

	if (!node || !node->programs[program].known) {
		effects_reply_failure(&c->fx, from, e->seq, ESTALE,
				      "the controller has not heard of '%s': say hello first",
				      from->name);
		return NULL;
	}
	heard(c, node, program, from);
	return node;
}

static void on_status(struct controller *c, const struct bus_peer *from, const Envelope *e)
{
	struct node *node = known(c, from, e, PROGRAM_MIGRATOR);

	if (node && fleet_status(&c->fleet, node, e->node_status, c->fx.now_utc_ns) < 0)
		c->fx.error = -ENOMEM;
}

static struct device *device_of(struct controller *c, const ProtobufCBinaryData *id)
{
	struct uuid uuid;

	memcpy(uuid.bytes, id->data, UUID_SIZE);
	return fleet_device(&c->fleet, &uuid);
}

static void on_client_seen(struct controller *c, const struct bus_peer *from, const Envelope *e)
{
	const Tagalong__ClientSeen *seen = e->client_seen;
	struct node *node = known(c, from, e, PROGRAM_TELEMETRY);
	const struct node *before;
	struct device *device;
	char text[UUID_TEXT_SIZE];
	struct uuid id;
	bool slept;

	if (!node)
		return;
	effects_reply_done(&c->fx, from, e->seq);
	/* It may be paired later. */
	memcpy(id.bytes, seen->device.data, UUID_SIZE);
	device = fleet_device(&c->fleet, &id);
	if (!device && fleet_add_device(&c->fleet, &id, "", &device) < 0) {
		c->fx.error = -ENOMEM;
		return;
	}
	before = device->attached;
	slept = device->asleep;
	if (fleet_client_seen(device, node, seen) < 0)
		c->fx.error = -ENOMEM;
	if (device->attached != before)
		effects_decide(&c->fx, "attach", "device=%s node=%s", uuid_format(&id, text),
			       device->attached ? device->attached->name : "-");
	if (device->asleep != slept)
		effects_decide(&c->fx, device->asleep ? "sleep" : "wake", "device=%s",
			       uuid_format(&id, text));
	watch_device(c, device);
}

/* Reports come in their order, and what is lost is not sent again: the next samples make it good. */
static void note_report(struct controller *c, struct node *node, const Envelope *e)
{
	const Tagalong__RttReport *report = e->rtt_report;
	bool is_first = memcmp(node->reports.boot.bytes, e->boot_id.data, UUID_SIZE) != 0;
	uint64_t last = is_first ? 0 : node->reports.number, missed;

	if (!report->has_number || report->number <= last)
		return;
	missed = is_first ? 0 : report->number - last - 1;
	memcpy(node->reports.boot.bytes, e->boot_id.data, UUID_SIZE);
	node->reports.number = report->number;
	node->reports.missed += missed;
	if (missed > 0)
		effects_decide(&c->fx, "missed", "node=%s reports=%" PRIu64, node->name, missed);
}

static void on_report(struct controller *c, const struct bus_peer *from, const Envelope *e)
{
	struct node *node = known(c, from, e, PROGRAM_TELEMETRY);
	const Tagalong__RttReport *report = e->rtt_report;

	if (!node)
		return;
	note_report(c, node, e);
	for (size_t i = 0; i < report->n_samples; i++) {
		struct device *device = device_of(c, &report->samples[i]->device);

		if (!device)
			continue;
		if (fleet_sample(device, node, report->samples[i], c->fx.now_ns) < 0)
			c->fx.error = -ENOMEM;
		tell_rtt(c, device, node);
		decide_sample(c, device);
	}
	decide_soon(c);
}

static void on_progress(struct controller *c, const struct bus_peer *from, const Envelope *e)
{
	struct node *node = known(c, from, e, PROGRAM_MIGRATOR);

	if (node)
		executor_progress(&c->executor, node, e->move_progress->info);
}

/* Answered also when we know nothing of the move, or it would come for ever. */
static void on_result(struct controller *c, const struct bus_peer *from, const Envelope *e)
{
	struct node *node = known(c, from, e, PROGRAM_MIGRATOR);

	if (!node)
		return;
	if (!executor_result(&c->executor, node, e->move_result->info) &&
	    !warming_result(c, node, e->move_result->info))
		request_result(c, node, e->move_result->info);
	effects_reply_done(&c->fx, from, e->seq);
}

/* ---- Messages -------------------------------------------------------------------------- */

static request_fn node_message_find(Tagalong__Envelope__BodyCase body)
{
	switch (body) {
	case TAGALONG__ENVELOPE__BODY_NODE_HELLO:
		return on_hello;
	case TAGALONG__ENVELOPE__BODY_NODE_STATUS:
		return on_status;
	case TAGALONG__ENVELOPE__BODY_CLIENT_SEEN:
		return on_client_seen;
	case TAGALONG__ENVELOPE__BODY_RTT_REPORT:
		return on_report;
	case TAGALONG__ENVELOPE__BODY_MOVE_PROGRESS:
		return on_progress;
	case TAGALONG__ENVELOPE__BODY_MOVE_RESULT:
		return on_result;
	default:
		return NULL;
	}
}

static bool is_answer(const Envelope *e)
{
	switch (e->body_case) {
	case TAGALONG__ENVELOPE__BODY_DONE:
	case TAGALONG__ENVELOPE__BODY_FAILURE:
	case TAGALONG__ENVELOPE__BODY_MOVE_LIST:
	case TAGALONG__ENVELOPE__BODY_VM_LIST:
		return true;
	default:
		return e->has_reply_to;
	}
}

static void on_answer(struct controller *c, uint64_t request, const Envelope *e)
{
	/* To something that we no longer wait for, it is nothing. */
	if (request == 0)
		return;
	if (!executor_answer(&c->executor, request, e) && !watch_answer(c, request, e) &&
	    !warming_answer(c, request, e))
		request_answer(c, request, e);
}

static void dispatch(struct controller *c, const struct bus_peer *from, uint64_t request,
		     const Envelope *e)
{
	request_fn of_node = node_message_find(e->body_case);
	request_fn of_operator = request_find(e->body_case);
	enum peer_role role = of_node ? PEER_ROLE_NODE : PEER_ROLE_OPERATOR;

	if (is_answer(e)) {
		on_answer(c, request, e);
		return;
	}
	if (!of_node && !of_operator) {
		effects_reply_failure(&c->fx, from, e->seq, EPROTO,
				      "a controller takes no message of kind '%s'",
				      envelope_body_name(e));
		return;
	}
	if (from->role != role && !c->start->plain_text) {
		effects_reply_failure(&c->fx, from, e->seq, EACCES,
				      "'%s' is not allowed to %s: its role is %s", from->name,
				      envelope_body_name(e), peer_role_name(from->role));
		return;
	}
	(of_node ? of_node : of_operator)(c, from, e);
}

static int on_received(struct controller *c, const Tagalong__Placement__Received *r,
		       struct mg_error *err)
{
	static const enum peer_role roles[] = {
		[TAGALONG__PLACEMENT__PEER_ROLE__ROLE_NONE] = PEER_ROLE_NONE,
		[TAGALONG__PLACEMENT__PEER_ROLE__ROLE_CONTROLLER] = PEER_ROLE_CONTROLLER,
		[TAGALONG__PLACEMENT__PEER_ROLE__ROLE_NODE] = PEER_ROLE_NODE,
		[TAGALONG__PLACEMENT__PEER_ROLE__ROLE_OPERATOR] = PEER_ROLE_OPERATOR,
	};
	const char *name = c->start->plain_text ? r->envelope->sender : r->name;
	struct bus_peer from = { 0 };
	int e;

	e = envelope_check(r->envelope, err);
	if (e < 0)
		return e;
	if (!peer_name_is_valid(name))
		return mg_error_set(err, -EPROTO, "a message of nobody");
	if (r->route.len > sizeof(from.route))
		return mg_error_set(err, -EPROTO, "a route of %zu bytes", r->route.len);
	if ((size_t)r->role >= ARRAY_SIZE(roles))
		return mg_error_set(err, -EPROTO, "role %d is none", (int)r->role);
	from.role = roles[r->role];
	from.route_len = r->route.len;
	snprintf(from.name, sizeof(from.name), "%s", name);
	if (r->route.len)
		memcpy(from.route, r->route.data, r->route.len);
	dispatch(c, &from, r->has_request ? r->request : 0, r->envelope);
	return 0;
}

/* ---- Time ------------------------------------------------------------------------------- */

static void expire_nodes(struct controller *c)
{
	struct node *node;

	INDEX_FOREACH(node, &c->fleet.nodes)
		for (int program = 0; program < PROGRAMS; program++)
			if (fleet_expire(node, program, c->fx.now_ns,
					 c->start->limits->node_timeout_ns))
				tell_program(c, node, program);
}

static void on_timer(struct controller *c, uint64_t id)
{
	if (id == TIMER_PLAN)
		decide_now(c);
	if (id != TIMER_TICK)
		return;
	expire_nodes(c);
	executor_tick(&c->executor);
	quarantine_tick(c);
	maintenance_tick(c);
	drain_tick(c);
	affinity_tick(c);
	summary_tick(c);
	mec021_tick(&c->mec021);
	mec012_tick(c);
	warming_tick(c);
	watch_repeat(c);
	request_expire(c);
	c->env->timer_set(c->env->userdata, TIMER_TICK, c->fx.now_ns + TICK_NS);
}

/* ---- The beginning ------------------------------------------------------------------------ */

static int load_pair(struct controller *c, const Tagalong__Placement__PairEntry *entry)
{
	struct device *device;
	struct uuid id;
	struct vm *vm;
	int r;

	if (entry->device.len != UUID_SIZE || !peer_name_is_valid(entry->vm) ||
	    !peer_name_is_valid(entry->device_name))
		return -EINVAL;
	memcpy(id.bytes, entry->device.data, UUID_SIZE);
	r = fleet_add_device(&c->fleet, &id, entry->device_name, &device);
	if (r == 0)
		r = fleet_add_vm(&c->fleet, entry->vm, &vm);
	if (r < 0)
		return r;
	vm->follows = entry->follows;
	return fleet_pair(device, vm, entry->foreground);
}

static int load_vm(struct controller *c, const Tagalong__Placement__VmEntry *entry)
{
	struct vm *vm;
	int r;

	if (!peer_name_is_valid(entry->name))
		return -EINVAL;
	r = fleet_add_vm(&c->fleet, entry->name, &vm);
	if (r < 0)
		return r;
	vm->failures = entry->failures;
	vm->retry_utc_ns = entry->retry_utc_ns;
	vm->frozen = entry->frozen;
	vm->summoned = entry->summoned;
	vm->called_until_utc_ns = entry->called_until_utc_ns;
	if ((entry->failed_at && !peer_name_is_valid(entry->failed_at)) ||
	    (entry->called && !peer_name_is_valid(entry->called)))
		return -EINVAL;
	if (entry->failed_at)
		r = fleet_add_node(&c->fleet, entry->failed_at, &vm->failed_at);
	if (entry->called && r == 0)
		r = fleet_add_node(&c->fleet, entry->called, &vm->called);
	for (size_t i = 0; i < entry->n_together && r == 0; i++)
		r = affinity_join(&c->fleet, vm, entry->together[i], false);
	for (size_t i = 0; i < entry->n_apart && r == 0; i++)
		r = affinity_join(&c->fleet, vm, entry->apart[i], true);
	for (size_t i = 0; i < entry->n_visits && i < POLICY_VISITS && r == 0; i++) {
		if (!peer_name_is_valid(entry->visits[i]->node))
			return -EINVAL;
		vm->visits[i].since_utc_ns = entry->visits[i]->since_utc_ns;
		r = fleet_add_node(&c->fleet, entry->visits[i]->node, &vm->visits[i].node);
		vm->n_visits = i + 1;
	}
	return r;
}

static int load_node(struct controller *c, const Tagalong__Placement__NodeEntry *entry)
{
	struct node *node;
	int r;

	if (!peer_name_is_valid(entry->name))
		return -EINVAL;
	r = fleet_add_node(&c->fleet, entry->name, &node);
	if (r < 0)
		return r;
	node->drained = entry->drained;
	node->evacuated = entry->evacuated;
	node->quarantine = (struct quarantine){
		.on = entry->quarantined,
		.until_utc_ns = entry->has_quarantined_until_utc_ns ?
					entry->quarantined_until_utc_ns : UINT64_MAX,
		.failures = entry->failures,
		.since_utc_ns = entry->failing_since_utc_ns,
		.times = entry->quarantines,
	};
	node->maintained = entry->maintained;
	for (size_t i = 0; i < entry->n_windows && i < NODE_WINDOWS_MAX; i++)
		node->windows[node->n_windows++] = (struct window){
			entry->windows[i]->start_utc_ns, entry->windows[i]->end_utc_ns
		};
	return 0;
}

static bool has_prefix(const char *key, const char *prefix)
{
	return strncmp(key, prefix, strlen(prefix)) == 0;
}

static int load_move(struct controller *c, const ProtobufCBinaryData *value, bool open)
{
	Tagalong__Placement__MoveEntry *entry =
		tagalong__placement__move_entry__unpack(NULL, value->len, value->data);
	int r;

	if (!entry)
		return -EINVAL;
	r = open ? executor_load(&c->executor, entry) : executor_load_settled(&c->executor, entry);
	if (r < 0)
		tagalong__placement__move_entry__free_unpacked(entry, NULL);
	return r == -EEXIST && !open ? 0 : r; /* ids may come again after years: the older one counts */
}

static int load_value(struct controller *c, const Tagalong__Placement__StoreValue *v)
{
	Tagalong__Placement__PairEntry *pair;
	Tagalong__Placement__NodeEntry *node;
	Tagalong__Placement__VmEntry *vm;
	int r = -EINVAL;

	if (has_prefix(v->key, "moves/"))
		return load_move(c, &v->value, true);
	if (has_prefix(v->key, "history/"))
		return load_move(c, &v->value, false);
	if (has_prefix(v->key, "pairs/")) {
		pair = tagalong__placement__pair_entry__unpack(NULL, v->value.len, v->value.data);
		if (pair)
			r = load_pair(c, pair);
		if (pair)
			tagalong__placement__pair_entry__free_unpacked(pair, NULL);
		return r;
	}
	if (has_prefix(v->key, "vms/")) {
		vm = tagalong__placement__vm_entry__unpack(NULL, v->value.len, v->value.data);
		if (vm)
			r = load_vm(c, vm);
		if (vm)
			tagalong__placement__vm_entry__free_unpacked(vm, NULL);
		return r;
	}
	if (has_prefix(v->key, "nodes/")) {
		node = tagalong__placement__node_entry__unpack(NULL, v->value.len, v->value.data);
		if (node)
			r = load_node(c, node);
		if (node)
			tagalong__placement__node_entry__free_unpacked(node, NULL);
		return r;
	}
	r = mec021_load(&c->mec021, v->key, &v->value);
	/* Else it is something of a later release. */
	return r < 0 ? r : 0;
}

/* A clock that was ahead for a while, perhaps in an earlier run, must not hold VMs and nodes for as
 * long when it is right again. */
static void cut_deadlines(struct controller *c)
{
	uint64_t retry = c->fx.now_utc_ns + c->start->limits->backoff_max_ns;
	struct vm *vm;

	INDEX_FOREACH(vm, &c->fleet.vms) {
		if (vm->retry_utc_ns <= retry)
			continue;
		vm->retry_utc_ns = retry;
		fleet_touch(&c->fleet, vm);
	}
	quarantine_clock_back(c);
}

/* Of the moves that are remembered, the oldest first. */
static void learn_costs(struct controller *c)
{
	const struct executor *x = &c->executor;
	size_t first = x->n_recent > EXECUTOR_RECENT ? x->n_recent - EXECUTOR_RECENT : 0;

	for (size_t i = first; i < x->n_recent; i++) {
		const Tagalong__MoveInfo *info = x->recent[i % EXECUTOR_RECENT]->info;
		struct vm *vm = fleet_vm(&c->fleet, info->vm);

		if (vm && info->figures && info->state == TAGALONG__MOVE_STATE__MOVE_DONE)
			move_cost_learn(vm, fleet_node(&c->fleet, info->source),
					fleet_node(&c->fleet, info->target), info->figures);
	}
}

static int on_start(struct controller *c, const Tagalong__Placement__Start *start,
		    struct mg_error *err)
{
	struct device *device;
	int r;

	r = parameters_take(c, start, err);
	if (r < 0)
		return r;
	c->fx.epoch = start->epoch;
	c->executor.fx = &c->fx;
	c->executor.fleet = &c->fleet;
	for (size_t i = 0; i < start->n_values; i++) {
		r = load_value(c, start->values[i]);
		if (r < 0)
			return mg_error_set(err, r, "the store's '%.200s' makes no sense",
					    start->values[i]->key);
	}
	INDEX_FOREACH(device, &c->fleet.devices)
		c->policy->dev_init(device->policy_state);
	effects_decide(&c->fx, "start", "epoch=%" PRIu64 " policy=%s devices=%zu moves=%zu",
		       start->epoch, start->policy, c->fleet.devices.n, c->executor.moves.n);
	learn_costs(c);
	cut_deadlines(c);
	watch_update(c);
	mec021_resume(&c->mec021);
	c->env->timer_set(c->env->userdata, TIMER_TICK, c->fx.now_ns + TICK_NS);
	return 0;
}

/* ---- Inputs ------------------------------------------------------------------------------ */

int controller_new(const struct environment *env, struct store *store, uint64_t epoch_revision,
		   struct controller **ret, struct mg_error *err)
{
	struct controller *c = calloc(1, sizeof(*c));

	if (!c)
		return mg_error_set(err, -ENOMEM, "out of memory");
	c->env = env;
	c->store = store;
	c->fence = (struct store_compare){ CONTROLLER_EPOCH_KEY, epoch_revision };
	effects_init(&c->fx);
	c->fx.listened = env->event != NULL;
	fleet_init(&c->fleet);
	executor_init(&c->executor);
	mec021_init(&c->mec021, &c->fx, &c->fleet);
	c->executor.mec021 = &c->mec021;
	TAILQ_INIT(&c->watch.changed);
	c->awake_end = &c->awake;
	*ret = c;
	return 0;
}

void controller_free(struct controller *c)
{
	if (!c)
		return;
	request_clear(c);
	warming_clear(c);
	executor_clear(&c->executor);
	mec021_clear(&c->mec021);
	fleet_clear(&c->fleet);
	effects_clear(&c->fx);
	if (c->start)
		tagalong__placement__start__free_unpacked(c->start, NULL);
	free(c->candidates);
	free(c->groups);
	free(c->learnt);
	free(c);
}

/* There is nothing of it, and nobody has said anything about it that holds for the next of that name. */
static bool is_forgotten(const struct vm *vm)
{
	return vm->n_claims == 0 && !vm->device && !vm->move && vm->n_affinities == 0 &&
	       !vm->frozen && !vm->summoned && !vm->called;
}

static void keep_vm(struct controller *c, const struct vm *vm)
{
	Tagalong__Placement__VmEntry entry = TAGALONG__PLACEMENT__VM_ENTRY__INIT;
	Tagalong__Placement__Visit visits[POLICY_VISITS], *pointers[POLICY_VISITS];
	struct arena arena = { 0 };
	char key[STORE_KEY_SIZE];

	snprintf(key, sizeof(key), "vms/%s", vm->name);
	if (is_forgotten(vm)) {
		effects_delete(&c->fx, key);
		return;
	}
	entry.together = arena_alloc(&arena, vm->n_affinities + 1, sizeof(*entry.together));
	entry.apart = arena_alloc(&arena, vm->n_affinities + 1, sizeof(*entry.apart));
	for (size_t i = 0; !arena.failed && i < vm->n_affinities; i++) {
		if (vm->affinities[i]->apart)
			entry.apart[entry.n_apart++] = vm->affinities[i]->name;
		else
			entry.together[entry.n_together++] = vm->affinities[i]->name;
	}
	for (size_t i = 0; i < vm->n_visits; i++) {
		tagalong__placement__visit__init(&visits[i]);
		visits[i].node = vm->visits[i].node->name;
		visits[i].since_utc_ns = vm->visits[i].since_utc_ns;
		pointers[i] = &visits[i];
	}
	entry.name = (char *)vm->name;
	entry.visits = pointers;
	entry.n_visits = vm->n_visits;
	entry.has_failures = entry.has_retry_utc_ns = vm->failures > 0;
	entry.failures = vm->failures;
	entry.retry_utc_ns = vm->retry_utc_ns;
	entry.failed_at = vm->failed_at ? vm->failed_at->name : NULL;
	entry.called = vm->called ? vm->called->name : NULL;
	entry.has_called_until_utc_ns = vm->called != NULL;
	entry.called_until_utc_ns = vm->called_until_utc_ns;
	entry.has_frozen = entry.frozen = vm->frozen;
	entry.has_summoned = entry.summoned = vm->summoned;
	if (arena.failed)
		c->fx.error = -ENOMEM;
	else
		effects_put(&c->fx, key, &entry.base);
	arena_free(&arena);
}

static void keep_node(struct controller *c, const struct node *node)
{
	const struct quarantine *q = &node->quarantine;
	Tagalong__Placement__NodeEntry entry = TAGALONG__PLACEMENT__NODE_ENTRY__INIT;
	Tagalong__Placement__Window windows[NODE_WINDOWS_MAX], *pointers[NODE_WINDOWS_MAX];
	char key[STORE_KEY_SIZE];

	entry.name = (char *)node->name;
	entry.has_drained = true;
	entry.drained = node->drained;
	entry.has_evacuated = entry.evacuated = node->evacuated;
	entry.has_failures = entry.has_failing_since_utc_ns = q->failures > 0;
	entry.failures = q->failures;
	entry.failing_since_utc_ns = q->since_utc_ns;
	entry.has_quarantines = q->times > 0;
	entry.quarantines = q->times;
	entry.has_quarantined = entry.quarantined = q->on;
	entry.has_quarantined_until_utc_ns = q->on && q->until_utc_ns != UINT64_MAX;
	entry.quarantined_until_utc_ns = q->until_utc_ns;
	entry.has_maintained = entry.maintained = node->maintained;
	for (size_t i = 0; i < node->n_windows; i++) {
		tagalong__placement__window__init(&windows[i]);
		windows[i].start_utc_ns = node->windows[i].start_utc_ns;
		windows[i].end_utc_ns = node->windows[i].end_utc_ns;
		pointers[i] = &windows[i];
	}
	entry.windows = pointers;
	entry.n_windows = node->n_windows;
	snprintf(key, sizeof(key), "nodes/%s", node->name);
	effects_put(&c->fx, key, &entry.base);
}

static int deal_with(struct controller *c, const PlacementRecord *input, struct mg_error *err)
{
	bool is_start = input->input_case == TAGALONG__PLACEMENT__RECORD__INPUT_START;

	if (is_start == !!c->start)
		return mg_error_set(err, -EPROTO, is_start ? "a second start" :
							     "no start came before");
	switch (input->input_case) {
	case TAGALONG__PLACEMENT__RECORD__INPUT_START:
		return on_start(c, input->start, err);
	case TAGALONG__PLACEMENT__RECORD__INPUT_RELOAD:
		return parameters_reload(c, input->reload, err);
	case TAGALONG__PLACEMENT__RECORD__INPUT_RECEIVED:
		return on_received(c, input->received, err);
	case TAGALONG__PLACEMENT__RECORD__INPUT_TIMER:
		on_timer(c, input->timer->id);
		return 0;
	case TAGALONG__PLACEMENT__RECORD__INPUT_TOLD:
		mec021_told(&c->mec021, input->told->notice);
		return 0;
	default:
		return mg_error_set(err, -EPROTO, "an input of an unknown kind");
	}
}

static int cut_history(struct controller *c, struct mg_error *err)
{
	if (!c->store || c->executor.n_recent - c->pruned_at < PRUNE_EVERY)
		return 0;
	c->pruned_at = c->executor.n_recent;
	return history_prune(c->store, c->start->limits->history, err);
}

int controller_input(struct controller *c, PlacementRecord *input, struct mg_error *err)
{
	uint64_t before_utc_ns = c->fx.now_utc_ns;
	struct node *node;
	struct vm *vm;
	int r;

	input->mono_ns = c->fx.now_ns = c->env->now_mono(c->env->userdata);
	input->utc_ns = c->fx.now_utc_ns = c->env->now_utc(c->env->userdata);
	r = deal_with(c, input, err);
	if (r == 0 && c->fx.now_utc_ns + NS_PER_S < before_utc_ns)
		cut_deadlines(c);
	if (r < 0) {
		effects_clear(&c->fx);
		return r;
	}
	while ((vm = fleet_take_changed(&c->fleet)))
		keep_vm(c, vm);
	while ((node = fleet_take_changed_node(&c->fleet)))
		keep_node(c, node);
	r = effects_commit(&c->fx, c->store, &c->fence, err);
	/* Whatever the store has against it: it was no fault of the input, which cannot be ignored now. */
	if (r == -EINVAL || r == -EPROTO)
		r = err->code = -EIO;
	if (r < 0)
		return r;
	c->env->record(c->env->userdata, input);
	effects_release(&c->fx, c->env);
	return cut_history(c, err);
}

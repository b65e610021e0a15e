/* SPDX-License-Identifier: Apache-2.0
 *
 * What operators ask. What only a node can do is passed on to it, and its
 * answer comes back under the operator's seq.
 */
#include <inttypes.h>
#include <string.h>

#include "common/move_state.h"
#include "placement/affinity.h"
#include "placement/controller_private.h"

#define FORWARD_TIMEOUT_NS (30 * TICK_NS)
#define MOVES_LISTED 50
#define MOVES_LISTED_MAX 1000

#define BODY(name) TAGALONG__ENVELOPE__BODY_##name

/* ---- Questions ------------------------------------------------------------------------- */

void request_answer_with(struct controller *c, const struct bus_peer *from, const Envelope *request,
			 struct arena *arena, Envelope *e)
{
	if (arena->failed)
		effects_reply_failure(&c->fx, from, request->seq, ENOMEM, "out of memory");
	else
		effects_reply(&c->fx, from, request->seq, e);
	arena_free(arena);
}

static void on_node_query(struct controller *c, const struct bus_peer *from, const Envelope *e)
{
	struct arena arena = { 0 };
	Envelope reply = TAGALONG__ENVELOPE__INIT;

	reply.body_case = BODY(NODE_LIST);
	reply.node_list = view_nodes(c, &arena);
	request_answer_with(c, from, e, &arena, &reply);
}

static void on_pair_query(struct controller *c, const struct bus_peer *from, const Envelope *e)
{
	struct arena arena = { 0 };
	Envelope reply = TAGALONG__ENVELOPE__INIT;

	reply.body_case = BODY(PAIR_LIST);
	reply.pair_list = view_pairs(c, e->pair_query->device, &arena);
	request_answer_with(c, from, e, &arena, &reply);
}

static void on_status_query(struct controller *c, const struct bus_peer *from, const Envelope *e)
{
	struct arena arena = { 0 };
	Envelope reply = TAGALONG__ENVELOPE__INIT;

	reply.body_case = BODY(STATUS);
	reply.status = view_status(c, &arena);
	request_answer_with(c, from, e, &arena, &reply);
}

/* The fleet knows: nodes report each change. */
static void on_vm_query(struct controller *c, const struct bus_peer *from, const Envelope *e)
{
	struct arena arena = { 0 };
	Envelope reply = TAGALONG__ENVELOPE__INIT;

	reply.body_case = BODY(VM_LIST);
	reply.vm_list = view_vms(c, e->vm_query->name, &arena);
	request_answer_with(c, from, e, &arena, &reply);
}

static bool is_asked_for(const Tagalong__MoveQuery *q, const Tagalong__MoveInfo *info)
{
	if (q->vm && strcmp(q->vm, info->vm) != 0)
		return false;
	return !q->has_move || memcmp(q->move.data, info->move.data, UUID_SIZE) == 0;
}

/* The open moves that are asked for, those after `after` (NULL: all). */
static void list_open(struct controller *c, const Tagalong__MoveQuery *q,
		      const struct move *after, size_t limit, struct arena *arena,
		      Tagalong__MoveList *list)
{
	Tagalong__MoveList *open = view_open_moves(c, arena);
	bool skips = after;

	for (size_t i = 0; !arena->failed && i < open->n_moves && list->n_moves < limit; i++) {
		if (!skips && is_asked_for(q, open->moves[i]))
			list->moves[list->n_moves++] = open->moves[i];
		skips &= open->moves[i] != (after ? after->entry->info : NULL);
	}
}

/* The open moves, then the settled ones, the newest first. */
static void on_move_query(struct controller *c, const struct bus_peer *from, const Envelope *e)
{
	Tagalong__MoveQuery q = *e->move_query;
	size_t limit = q.has_limit ? q.limit : MOVES_LISTED, n_settled;
	const struct move *after = q.has_after ? executor_find(&c->executor, &q.after) : NULL;
	bool all_settled = !q.has_after || after;
	bool by_id = q.has_move && !q.has_after;
	const Tagalong__MoveInfo *recent =
		by_id ? executor_find_settled(&c->executor, &q.move) : NULL;
	bool at_hand = recent || (by_id && executor_find(&c->executor, &q.move));
	Tagalong__Placement__MoveEntry **settled;
	Tagalong__MoveList list = TAGALONG__MOVE_LIST__INIT;
	Envelope reply = TAGALONG__ENVELOPE__INIT;
	struct arena arena = { 0 };
	struct mg_error err;

	if (limit > MOVES_LISTED_MAX)
		limit = MOVES_LISTED_MAX;
	q.has_after &= !after;
	/* One that is asked for by its id, again and again while it goes on, takes no search. */
	if (history_list(c->store, &q, at_hand ? 0 : limit, &settled, &n_settled, &err) < 0) {
		effects_reply_failure(&c->fx, from, e->seq, err.code, "%s", err.text);
		return;
	}
	list.moves = arena_alloc(&arena, c->executor.moves.n + n_settled + 1, sizeof(*list.moves));
	if (all_settled)
		list_open(c, &q, after, limit, &arena, &list);
	if (recent && !arena.failed && limit > 0 && (!q.vm || strcmp(q.vm, recent->vm) == 0))
		list.moves[list.n_moves++] = (Tagalong__MoveInfo *)recent;
	for (size_t i = 0; !arena.failed && i < n_settled && list.n_moves < limit; i++)
		list.moves[list.n_moves++] = settled[i]->info;
	reply.body_case = BODY(MOVE_LIST);
	reply.move_list = &list;
	request_answer_with(c, from, e, &arena, &reply);
	history_free(settled, n_settled);
}

void request_reply(struct controller *c, const struct bus_peer *from, const Envelope *e, int r,
		   const struct mg_error *err)
{
	if (r < 0)
		effects_reply_failure(&c->fx, from, e->seq, err->code, "%s", err->text);
	else
		effects_reply_done(&c->fx, from, e->seq);
}

/* ---- What is passed on --------------------------------------------------------------- */

static int forward(struct controller *c, const struct bus_peer *from, const Envelope *e,
		   struct node *node, Envelope *message, struct mg_error *err)
{
	struct program *p = &node->programs[PROGRAM_MIGRATOR];
	struct forwarded *f;

	if (!p->known || !p->up)
		return mg_error_set(err, -EHOSTUNREACH,
				    "the migratord of node '%s' is not connected", node->name);
	f = calloc(1, sizeof(*f));
	if (!f)
		return c->fx.error = mg_error_set(err, -ENOMEM, "out of memory");
	*f = (struct forwarded){
		.request = effects_request(&c->fx),
		.seq = e->seq,
		.operator = *from,
		.node = node,
		.deadline_ns = c->fx.now_ns + FORWARD_TIMEOUT_NS,
		.next = c->forwarded,
	};
	c->forwarded = f;
	message->body_case = e->body_case;
	effects_send(&c->fx, &p->peer, f->request, message);
	return 0;
}

/* Forwards, or answers why not; `r` may be an error already. */
static void pass_on(struct controller *c, const struct bus_peer *from, const Envelope *e, int r,
		    struct node *node, Envelope *message, struct mg_error *err)
{
	if (r == 0)
		r = forward(c, from, e, node, message, err);
	if (r < 0)
		request_reply(c, from, e, r, err);
}

static bool is_dry_run(const struct forwarded *f)
{
	static const struct uuid none;

	return memcmp(&f->dry_run, &none, sizeof(none)) != 0;
}

bool request_answer(struct controller *c, uint64_t request, const Envelope *e)
{
	for (struct forwarded **at = &c->forwarded; *at; at = &(*at)->next) {
		struct forwarded *f = *at;
		Envelope passed = TAGALONG__ENVELOPE__INIT;

		if (f->request != request)
			continue;
		passed.body_case = e->body_case;
		passed.done = e->done; /* all members of the union are pointers */
		effects_reply(&c->fx, &f->operator, f->seq, &passed);
		if (is_dry_run(f) && e->body_case == BODY(DONE))
			return true; /* its result is yet to come */
		/* The node will tell of it, but somebody may ask before. */
		if (*f->starts && e->body_case == BODY(DONE) &&
		    fleet_vm_started(&c->fleet, f->starts, f->node, c->fx.now_utc_ns) < 0)
			c->fx.error = -ENOMEM;
		*at = f->next;
		free(f);
		return true;
	}
	return false;
}

void request_result(struct controller *c, const struct node *node, const Tagalong__MoveInfo *info)
{
	Tagalong__MoveResult result = TAGALONG__MOVE_RESULT__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	for (struct forwarded **at = &c->forwarded; *at; at = &(*at)->next) {
		struct forwarded *f = *at;

		if (f->node != node || !is_dry_run(f) ||
		    memcmp(f->dry_run.bytes, info->move.data, UUID_SIZE) != 0)
			continue;
		result.info = (Tagalong__MoveInfo *)info;
		e.body_case = BODY(MOVE_RESULT);
		e.move_result = &result;
		effects_send(&c->fx, &f->operator, 0, &e);
		*at = f->next;
		free(f);
		return;
	}
}

void request_expire(struct controller *c)
{
	struct forwarded **at = &c->forwarded;

	while (*at) {
		struct forwarded *f = *at;

		if (c->fx.now_ns < f->deadline_ns) {
			at = &f->next;
			continue;
		}
		effects_reply_failure(&c->fx, &f->operator, f->seq, ETIMEDOUT,
				      "node '%s' has not answered; ask again what became of it",
				      f->node->name);
		*at = f->next;
		free(f);
	}
}

void request_clear(struct controller *c)
{
	struct forwarded *next;

	for (struct forwarded *f = c->forwarded; f; f = next) {
		next = f->next;
		free(f);
	}
}

int request_find_node(const struct controller *c, const char *name, struct node **ret,
		      struct mg_error *err)
{
	*ret = fleet_node(&c->fleet, name);
	if (!*ret)
		return mg_error_set(err, -ENOENT,
				    "no node named '%s'; 'migrator node list' shows those that are",
				    name);
	return 0;
}

static int find_vm(const struct controller *c, const char *name, struct vm **ret,
		   struct mg_error *err)
{
	*ret = fleet_vm(&c->fleet, name);
	if (!*ret)
		return mg_error_set(err, -ENOENT,
				    "no VM named '%s'; 'migrator vm list' shows those that are",
				    name);
	if (!(*ret)->node)
		return mg_error_set(err, -ENOENT, "VM '%s' runs on no node that is connected",
				    name);
	return 0;
}

/* ---- VMs ---------------------------------------------------------------------------------- */

/* The node with the most memory left of those that have room; `known` is the VM if it has been
 * here before, or NULL. */
static int choose_node(const struct controller *c, const struct vm *vm, const struct vm *known,
		       struct node **ret, struct mg_error *err)
{
	static const struct load none = { 0 };
	uint64_t best = 0;
	struct node *node;

	*ret = NULL;
	INDEX_FOREACH(node, &c->fleet.nodes) {
		uint64_t left;

		if (node_refusal(node) || !planner_fits(node, &none, vm) ||
		    (known && affinity_refusal(known, node)))
			continue;
		left = node->hello->has_memory_bytes ?
			       node->hello->memory_bytes - node->load.memory :
			       UINT64_MAX;
		if (!*ret || left > best) {
			*ret = node;
			best = left;
		}
	}
	return *ret ? 0 : mg_error_set(err, -ENOSPC, "no node that is connected has room for it");
}

/* Whether a VM may be started of which this is known. */
static int check_start(const struct vm *vm, const Tagalong__VmStart *start, struct mg_error *err)
{
	const struct node *last = vm && vm->n_visits > 0 ? vm->visits[0].node : NULL;

	if (vm && vm->move)
		return mg_error_set(err, -EBUSY, "VM '%s' is moving to '%s'", vm->name,
				    vm->move->target->name);
	if (vm && vm->node && node_is_up(vm->node))
		return mg_error_set(err, -EEXIST, "VM '%s' is on '%s' already", vm->name,
				    vm->node->name);
	if (vm && vm->node && !start->force)
		return mg_error_set(err, -EBUSY,
				    "VM '%s' is on '%s', which is silent: once that is surely off, "
				    "--force starts the VM elsewhere", vm->name, vm->node->name);
	/* Where VMs are, nodes tell a controller that has just begun. */
	if (last && !vm->node && !last->programs[PROGRAM_MIGRATOR].known && !start->force)
		return mg_error_set(err, -EBUSY,
				    "VM '%s' was on '%s', which has not been heard of since this "
				    "controller began: once that is surely off, --force starts the "
				    "VM elsewhere", vm->name, last->name);
	return 0;
}

/* Asked twice, another node may be the better one by then. */
static int check_not_starting(const struct controller *c, const char *vm, struct mg_error *err)
{
	for (const struct forwarded *f = c->forwarded; f; f = f->next)
		if (strcmp(f->starts, vm) == 0)
			return mg_error_set(err, -EBUSY, "VM '%s' is being started on '%s'", vm,
					    f->node->name);
	return 0;
}

static void on_vm_start(struct controller *c, const struct bus_peer *from, const Envelope *e)
{
	const Tagalong__VmStart *start = e->vm_start;
	struct vm *there = fleet_vm(&c->fleet, start->spec->name);
	const struct vm wanted = { .memory = start->spec->memory_bytes,
				   .vcpus = start->spec->vcpus };
	Tagalong__VmStart passed = *start;
	Envelope message = TAGALONG__ENVELOPE__INIT;
	struct node *node = NULL;
	struct mg_error err = { 0 };
	int r;

	r = check_start(there, start, &err);
	if (r == 0 && start->node)
		r = request_find_node(c, start->node, &node, &err);
	else if (r == 0)
		r = choose_node(c, &wanted, there, &node, &err);
	passed.node = NULL;
	message.vm_start = &passed;
	if (r == 0)
		r = check_not_starting(c, start->spec->name, &err);
	if (r == 0)
		r = forward(c, from, e, node, &message, &err);
	if (r < 0)
		request_reply(c, from, e, r, &err);
	if (r < 0 || start->dry_run)
		return;
	snprintf(c->forwarded->starts, NAME_SIZE, "%s", start->spec->name);
	if (there && there->node) {
		effects_decide(&c->fx, "give-up", "vm=%s node=%s by=%s", there->name,
			       there->node->name, from->name);
		fleet_vm_give_up(&c->fleet, there, c->fx.now_utc_ns);
	}
}

static void on_vm_stop(struct controller *c, const struct bus_peer *from, const Envelope *e)
{
	Envelope message = TAGALONG__ENVELOPE__INIT;
	struct mg_error err = { 0 };
	struct node *node = NULL;
	struct vm *vm;
	int r;

	r = find_vm(c, e->vm_stop->name, &vm, &err);
	/* One whose QEMU died is nowhere, but its node still has what is left of it. */
	if (r < 0 && vm && vm->n_claims > 0)
		r = 0;
	if (r == 0)
		node = vm->node ? vm->node : vm->claims[0].node;
	message.vm_stop = e->vm_stop;
	pass_on(c, from, e, r, node, &message, &err);
}

static void on_vm_freeze(struct controller *c, const struct bus_peer *from, const Envelope *e)
{
	struct vm *vm = fleet_vm(&c->fleet, e->vm_freeze->vm);
	struct mg_error err = { 0 };
	int r = 0;

	if (!vm)
		r = mg_error_set(&err, -ENOENT,
				 "no VM named '%s'; 'migrator vm list' shows those that are",
				 e->vm_freeze->vm);
	if (vm && vm->frozen != e->vm_freeze->frozen && !e->vm_freeze->dry_run) {
		vm->frozen = e->vm_freeze->frozen;
		fleet_touch(&c->fleet, vm);
		effects_decide(&c->fx, vm->frozen ? "freeze" : "thaw", "vm=%s by=%s", vm->name,
			       from->name);
	}
	request_reply(c, from, e, r, &err);
}

/* ---- Moves -------------------------------------------------------------------------------- */

static int check_order(struct controller *c, const Tagalong__MoveOrder *order, struct vm **ret_vm,
		       struct node **ret_target, struct mg_error *err)
{
	_cleanup_free_ struct node_traffic *nodes = calloc(c->fleet.nodes.n + 1, sizeof(*nodes));
	struct traffic traffic = { .nodes = nodes };
	char id[UUID_TEXT_SIZE];
	struct node *target;
	struct vm *vm;
	int r;

	if (!nodes)
		return c->fx.error = mg_error_set(err, -ENOMEM, "out of memory");
	r = find_vm(c, order->vm, &vm, err);
	if (r == 0)
		r = request_find_node(c, order->target, &target, err);
	if (r < 0)
		return r;
	if (vm->node == target)
		return mg_error_set(err, -EALREADY, "VM '%s' is on '%s' already", vm->name,
				    target->name);
	if (vm->move)
		return mg_error_set(err, -EBUSY,
				    "VM '%s' is moving to '%s' (move %s); 'migrator cancel' calls "
				    "it off", vm->name, vm->move->target->name,
				    uuid_format(&vm->move->id, id));
	if (!node_is_up(vm->node) || !node_is_up(target))
		return mg_error_set(err, -EHOSTUNREACH,
				    "the migratord of node '%s' is not connected",
				    node_is_up(target) ? vm->node->name : target->name);
	if (!order->force && node_refusal(target))
		return mg_error_set(err, -EBUSY,
				    "node '%s' is %s; --force moves VM '%s' there anyway",
				    target->name,
				    node_is_emptied(target) ? drain_state(target) :
							      "in quarantine", vm->name);
	if (!order->force && affinity_refusal(vm, target))
		return mg_error_set(err, -EBUSY,
				    "a VM that '%s' is kept apart from is on '%s'; --force moves it "
				    "there anyway", vm->name, target->name);
	if (!order->force && vm->frozen)
		return mg_error_set(err, -EBUSY,
				    "VM '%s' is frozen; --force moves it anyway", vm->name);
	executor_traffic(&c->executor, &traffic);
	if (!order->force && !planner_fits(target, &nodes[target->number].reserved, vm))
		return mg_error_set(err, -ENOSPC,
				    "node '%s' has no room for VM '%s'; --force tries it anyway",
				    target->name, vm->name);
	*ret_vm = vm;
	*ret_target = target;
	return 0;
}

/* The source checks and predicts; nothing is begun. */
static int dry_run(struct controller *c, const struct bus_peer *from, const Envelope *e,
		   struct vm *vm, struct node *target, struct mg_error *err)
{
	Tagalong__MoveOrder passed = *e->move_order;
	Envelope message = TAGALONG__ENVELOPE__INIT;
	const char *key;
	int r;

	r = executor_target_key(&c->executor, target, &key, err);
	if (r < 0)
		return r;
	passed.target_endpoint = target->hello->control_endpoint;
	passed.target_public_key = (char *)key;
	message.move_order = &passed;
	r = forward(c, from, e, vm->node, &message, err);
	if (r == 0)
		memcpy(c->forwarded->dry_run.bytes, passed.move.data, UUID_SIZE);
	return r;
}

/* An order that is repeated gets the answer of the first. */
static bool repeat_answer(struct controller *c, const struct bus_peer *from, const Envelope *e)
{
	const Tagalong__MoveInfo *settled =
		executor_find_settled(&c->executor, &e->move_order->move);
	struct move *move = executor_find(&c->executor, &e->move_order->move);
	Tagalong__MoveResult result = TAGALONG__MOVE_RESULT__INIT;
	Envelope told = TAGALONG__ENVELOPE__INIT;

	if (!move && !settled)
		return false;
	effects_reply_done(&c->fx, from, e->seq);
	if (move) {
		move->watcher = *from;
		return true;
	}
	result.info = (Tagalong__MoveInfo *)settled;
	told.body_case = BODY(MOVE_RESULT);
	told.move_result = &result;
	effects_send(&c->fx, from, 0, &told);
	return true;
}

static void on_move_order(struct controller *c, const struct bus_peer *from, const Envelope *e)
{
	Tagalong__MoveOrder order = *e->move_order;
	Tagalong__MoveReason reason = TAGALONG__MOVE_REASON__INIT;
	struct mg_error err = { 0 };
	struct node *target = NULL;
	struct vm *vm = NULL;
	char text[96];
	int r;

	if (repeat_answer(c, from, e))
		return;
	r = check_order(c, &order, &vm, &target, &err);
	if (r == 0 && order.dry_run) {
		r = dry_run(c, from, e, vm, target, &err);
		if (r == 0)
			return;
	} else if (r == 0) {
		snprintf(text, sizeof(text), "ordered by %s", from->name);
		reason.code = (char *)"operator";
		reason.text = text;
		order.reason = &reason;
		order.has_device = vm->device != NULL;
		if (vm->device)
			order.device = (ProtobufCBinaryData){ UUID_SIZE, vm->device->id.bytes };
		r = executor_order(&c->executor, vm, target, &order, NULL, from, &err);
	}
	request_reply(c, from, e, r, &err);
}

static void on_move_cancel(struct controller *c, const struct bus_peer *from, const Envelope *e)
{
	struct move *move = executor_find(&c->executor, &e->move_cancel->move);
	struct mg_error err = { 0 };
	char why[96];
	int r = 0;

	if (!move)
		r = mg_error_set(&err, -ENOENT,
				 "no such move is open; 'migrator history' shows those that are "
				 "over");
	else if (!move_state_may_cancel(move->entry->info->state))
		r = mg_error_set(&err, -EBUSY, "too late: the move is %s",
				 move_state_name(move->entry->info->state));
	if (r < 0 || e->move_cancel->dry_run) {
		request_reply(c, from, e, r, &err);
		return;
	}
	snprintf(why, sizeof(why), "cancelled by %s", from->name);
	executor_cancel(&c->executor, move, why);
	executor_answer_cancel(&c->executor, move, from, e->seq);
}

static void on_move_adjust(struct controller *c, const struct bus_peer *from, const Envelope *e)
{
	struct move *move = executor_find(&c->executor, &e->move_adjust->move);
	Tagalong__MoveAdjust passed = *e->move_adjust;
	Envelope message = TAGALONG__ENVELOPE__INIT;
	struct mg_error err = { 0 };
	int r;

	message.move_adjust = &passed;
	if (move)
		r = forward(c, from, e, move->source, &message, &err);
	else
		r = mg_error_set(&err, -ENOENT,
				 "no such move is open; 'migrator history' shows those that are "
				 "over");
	if (r < 0)
		request_reply(c, from, e, r, &err);
}

static void on_move_resolve(struct controller *c, const struct bus_peer *from, const Envelope *e)
{
	const Tagalong__MoveResolve *resolve = e->move_resolve;
	struct move *move = executor_find(&c->executor, &resolve->move);
	Tagalong__MoveResolve passed = *resolve;
	Envelope message = TAGALONG__ENVELOPE__INIT;
	struct mg_error err = { 0 };
	struct node *node = NULL;
	int r = 0;

	if (resolve->node)
		r = request_find_node(c, resolve->node, &node, &err);
	else if (move)
		node = move->source;
	else
		r = mg_error_set(&err, -ENOENT, "no such move is open here; name the node that "
						"has it with --node");
	passed.node = NULL;
	message.move_resolve = &passed;
	pass_on(c, from, e, r, node, &message, &err);
}

/* ---- The table ------------------------------------------------------------------------------ */

request_fn request_find(Tagalong__Envelope__BodyCase body)
{
	static const struct {
		Tagalong__Envelope__BodyCase body;
		request_fn fn;
	} requests[] = {
		{ BODY(NODE_QUERY), on_node_query },
		{ BODY(PAIR_SET), pairs_on_set },
		{ BODY(PAIR_REMOVE), pairs_on_remove },
		{ BODY(PAIR_FRONT), pairs_on_front },
		{ BODY(PAIR_REPLACE), pairs_on_replace },
		{ BODY(PAIR_QUERY), on_pair_query },
		{ BODY(STATUS_QUERY), on_status_query },
		{ BODY(VM_QUERY), on_vm_query },
		{ BODY(VM_START), on_vm_start },
		{ BODY(VM_STOP), on_vm_stop },
		{ BODY(VM_FREEZE), on_vm_freeze },
		{ BODY(NODE_DRAIN), drain_on_request },
		{ BODY(NODE_QUARANTINE), quarantine_on_request },
		{ BODY(NODE_MAINTAIN), maintenance_on_request },
		{ BODY(WHY_QUERY), why_on_query },
		{ BODY(AFFINITY_SET), affinity_on_set },
		{ BODY(AFFINITY_REMOVE), affinity_on_remove },
		{ BODY(AFFINITY_QUERY), affinity_on_query },
		{ BODY(SUMMARY_QUERY), summary_on_query },
		{ BODY(MOBILITY_SERVICE), mec021_on_service },
		{ BODY(MOBILITY_SERVICE_REMOVE), mec021_on_service_remove },
		{ BODY(MOBILITY_SERVICE_QUERY), mec021_on_service_query },
		{ BODY(MOBILITY_SUBSCRIPTION), mec021_on_subscription },
		{ BODY(MOBILITY_SUBSCRIPTION_REMOVE), mec021_on_subscription_remove },
		{ BODY(MOBILITY_SUBSCRIPTION_QUERY), mec021_on_subscription_query },
		{ BODY(APP_INSTANCE_QUERY), mec021_on_instance_query },
		{ BODY(CELL_CHANGE), mec012_on_change },
		{ BODY(APP_TERMINATION), mec021_on_termination },
		{ BODY(MOVE_QUERY), on_move_query },
		{ BODY(MOVE_ORDER), on_move_order },
		{ BODY(MOVE_CANCEL), on_move_cancel },
		{ BODY(MOVE_ADJUST), on_move_adjust },
		{ BODY(MOVE_RESOLVE), on_move_resolve },
	};

	for (size_t i = 0; i < ARRAY_SIZE(requests); i++)
		if (requests[i].body == body)
			return requests[i].fn;
	return NULL;
}

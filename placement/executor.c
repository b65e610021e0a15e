/* SPDX-License-Identifier: Apache-2.0 */
#include "placement/executor.h"

#include <inttypes.h>
#include <string.h>

#include "common/clock.h"
#include "common/move_state.h"
#include "common/units.h"
#include "placement/mec021.h"
#include "placement/move_cost.h"
#include "placement/quarantine.h"

#define REPEAT_NS (1 * NS_PER_S)  /* of what is not answered */
#define QUERY_NS (5 * NS_PER_S)   /* of silence about a move */
#define GONE_NS (30 * NS_PER_S)   /* of silence of a source that is down */
#define CONFIRM_NS (3 * NS_PER_S) /* for a source to answer that it has called a move off */

typedef Tagalong__Placement__MoveEntry MoveEntry;

static int compare_move(const void *id, const void *move)
{
	return memcmp(id, ((const struct move *)move)->id.bytes, UUID_SIZE);
}

static int compare_settled(const void *id, const void *entry)
{
	return memcmp(id, ((const MoveEntry *)entry)->info->move.data, UUID_SIZE);
}

void executor_init(struct executor *x)
{
	x->moves.compare = compare_move;
	x->settled.compare = compare_settled;
}

static void move_free(struct move *move)
{
	struct canceller *next;

	for (struct canceller *c = move->cancellers; c; c = next) {
		next = c->next;
		free(c);
	}
	if (move->vm && move->vm->move == move) {
		move->vm->move = NULL;
		move->vm->bound = NULL;
	}
	if (move->entry)
		tagalong__placement__move_entry__free_unpacked(move->entry, NULL);
	free(move);
}

void executor_clear(struct executor *x)
{
	struct move *move;

	INDEX_FOREACH(move, &x->moves)
		move_free(move);
	index_clear(&x->moves);
	for (size_t i = 0; i < EXECUTOR_RECENT; i++)
		if (x->recent[i])
			tagalong__placement__move_entry__free_unpacked(x->recent[i], NULL);
	index_clear(&x->settled);
}

struct move *executor_find(const struct executor *x, const ProtobufCBinaryData *id)
{
	return id->len == UUID_SIZE ? index_find(&x->moves, id->data) : NULL;
}

const Tagalong__MoveInfo *executor_find_settled(const struct executor *x,
						const ProtobufCBinaryData *id)
{
	const MoveEntry *entry = id->len == UUID_SIZE ? index_find(&x->settled, id->data) : NULL;

	return entry ? entry->info : NULL;
}

/* ---- The store ------------------------------------------------------------------- */

static const char *move_key(const struct move *move, char key[STORE_KEY_SIZE])
{
	char id[UUID_TEXT_SIZE];

	snprintf(key, STORE_KEY_SIZE, "moves/%s", uuid_format(&move->id, id));
	return key;
}

static void keep(struct executor *x, const struct move *move)
{
	char key[STORE_KEY_SIZE];

	effects_put(x->fx, move_key(move, key), &move->entry->base);
}

/* Sets a string of a message that protobuf-c allocated; NULL clears it. */
static void set_text(struct executor *x, char **field, const char *text)
{
	char *copy = text ? strdup(text) : NULL;

	if (text && !copy)
		x->fx->error = -ENOMEM;
	free(*field);
	*field = copy;
}

int executor_load(struct executor *x, MoveEntry *entry)
{
	struct move *move = calloc(1, sizeof(*move));
	int r;

	if (!move)
		return -ENOMEM;
	if (entry->info->move.len != UUID_SIZE || !peer_name_is_valid(entry->info->vm) ||
	    !peer_name_is_valid(entry->info->source) || !peer_name_is_valid(entry->info->target)) {
		free(move);
		return -EINVAL;
	}
	memcpy(move->id.bytes, entry->info->move.data, UUID_SIZE);
	r = fleet_add_vm(x->fleet, entry->info->vm, &move->vm);
	if (r == 0)
		r = fleet_add_node(x->fleet, entry->info->source, &move->source);
	if (r == 0)
		r = fleet_add_node(x->fleet, entry->info->target, &move->target);
	if (r == 0)
		r = index_insert(&x->moves, move->id.bytes, move);
	if (r < 0) {
		move_free(move);
		return r;
	}
	move->begun_ns = move->heard_ns = x->fx->now_ns;
	move->vm->move = move;
	move->vm->bound = move->target;
	move->entry = entry;
	return 0;
}

int executor_load_settled(struct executor *x, MoveEntry *entry)
{
	MoveEntry **slot = &x->recent[x->n_recent % EXECUTOR_RECENT];
	int r;

	if (entry->info->move.len != UUID_SIZE)
		return -EINVAL;
	r = index_insert(&x->settled, entry->info->move.data, entry);
	if (r < 0)
		return r;
	if (*slot) {
		index_remove(&x->settled, (*slot)->info->move.data);
		tagalong__placement__move_entry__free_unpacked(*slot, NULL);
	}
	*slot = entry;
	x->n_recent++;
	return 0;
}

/* ---- Sending ----------------------------------------------------------------------- */

static void send_to_source(struct executor *x, struct move *move, uint64_t *request, Envelope *e)
{
	const struct program *p = &move->source->programs[PROGRAM_MIGRATOR];

	if (!p->known || !p->up)
		return;
	/* A repetition has the number of the first: any answer will do. */
	if (!*request)
		*request = effects_request(x->fx);
	move->sent_ns = x->fx->now_ns;
	effects_send(x->fx, &p->peer, *request, e);
}

static void send_order(struct executor *x, struct move *move)
{
	Envelope e = TAGALONG__ENVELOPE__INIT;
	Tagalong__MoveOrder order = *move->entry->order;
	const char *key = order.target_public_key;

	/* The target may have been given another address since. */
	if (executor_target_key(x, move->target, &key, NULL) == 0)
		order.target_endpoint = move->target->hello->control_endpoint;
	order.target_public_key = (char *)key;
	e.body_case = TAGALONG__ENVELOPE__BODY_MOVE_ORDER;
	e.move_order = &order;
	send_to_source(x, move, &move->order_request, &e);
}

static void send_cancel(struct executor *x, struct move *move)
{
	Tagalong__MoveCancel cancel = TAGALONG__MOVE_CANCEL__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	cancel.move = move->entry->info->move;
	e.body_case = TAGALONG__ENVELOPE__BODY_MOVE_CANCEL;
	e.move_cancel = &cancel;
	send_to_source(x, move, &move->cancel_request, &e);
}

static void send_query(struct executor *x, struct move *move)
{
	Tagalong__MoveQuery query = TAGALONG__MOVE_QUERY__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	query.has_move = true;
	query.move = move->entry->info->move;
	e.body_case = TAGALONG__ENVELOPE__BODY_MOVE_QUERY;
	e.move_query = &query;
	send_to_source(x, move, &move->query_request, &e);
}

/* Whoever ordered the move sees what a node says of it. */
static void tell_watcher(struct executor *x, const struct move *move, bool settled)
{
	Tagalong__MoveProgress progress = TAGALONG__MOVE_PROGRESS__INIT;
	Tagalong__MoveResult result = TAGALONG__MOVE_RESULT__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	if (settled) {
		result.info = move->entry->info;
		e.body_case = TAGALONG__ENVELOPE__BODY_MOVE_RESULT;
		e.move_result = &result;
	} else {
		progress.info = move->entry->info;
		e.body_case = TAGALONG__ENVELOPE__BODY_MOVE_PROGRESS;
		e.move_progress = &progress;
	}
	effects_send(x->fx, &move->watcher, 0, &e);
}

/* Whoever listens hears of each change of state. */
static void tell_listeners(struct executor *x, const struct move *move)
{
	PlacementEvent event = TAGALONG__PLACEMENT__EVENT__INIT;

	event.what_case = TAGALONG__PLACEMENT__EVENT__WHAT_MOVE;
	event.move = move->entry->info;
	effects_event(x->fx, &event);
}

/* ---- Ordering ---------------------------------------------------------------------- */

/* The key of a name; of several the one that is wanted, or NULL. */
static const char *key_of(const struct executor *x, const char *node, const char *wanted)
{
	for (size_t i = 0; i < x->n_node_keys; i++)
		if (strcmp(x->node_keys[i]->name, node) == 0 &&
		    (!wanted || strcmp(x->node_keys[i]->public_key, wanted) == 0))
			return x->node_keys[i]->public_key;
	return NULL;
}

int executor_target_key(const struct executor *x, const struct node *node, const char **ret_key,
			struct mg_error *err)
{
	const char *key;

	if (!node->hello || !node->hello->control_endpoint)
		return mg_error_set(err, -EHOSTUNREACH,
				    "node '%s' has not said where it can be reached; is its "
				    "migratord running?", node->name);
	if (x->plain_text) {
		*ret_key = NULL;
		return 0;
	}
	key = key_of(x, node->name, node->hello->public_key);
	if (!key)
		return mg_error_set(err, -EACCES,
				    "node '%s' has a key that is not on the allow list", node->name);
	*ret_key = key;
	return 0;
}

static MoveEntry *new_entry(struct executor *x, const struct vm *vm, const struct node *target,
			    Tagalong__MoveOrder *order,
			    const Tagalong__Placement__Evidence *evidence)
{
	MoveEntry entry = TAGALONG__PLACEMENT__MOVE_ENTRY__INIT;
	Tagalong__MoveInfo info = TAGALONG__MOVE_INFO__INIT;
	_cleanup_free_ uint8_t *data = NULL;
	size_t len;

	info.move = order->move;
	info.vm = (char *)vm->name;
	info.source = vm->node->name;
	info.target = (char *)target->name;
	info.state = TAGALONG__MOVE_STATE__MOVE_QUEUED;
	info.reason = order->reason;
	info.has_begun_utc_ns = true;
	info.begun_utc_ns = x->fx->now_utc_ns;
	info.has_device = order->has_device;
	info.device = order->device;
	entry.info = &info;
	entry.order = order;
	entry.has_epoch = true;
	entry.epoch = x->fx->epoch;
	entry.evidence = (Tagalong__Placement__Evidence *)evidence;
	len = tagalong__placement__move_entry__get_packed_size(&entry);
	data = malloc(len);
	if (!data)
		return NULL;
	tagalong__placement__move_entry__pack(&entry, data);
	return tagalong__placement__move_entry__unpack(NULL, len, data);
}

static void decide_order(struct executor *x, const struct move *move)
{
	const Tagalong__MoveReason *reason = move->entry->order->reason;
	char id[UUID_TEXT_SIZE];

	effects_decide(x->fx, "order", "move=%s vm=%s from=%s to=%s code=%s %s",
		       uuid_format(&move->id, id), move->vm->name, move->source->name,
		       move->target->name, reason ? reason->code : "operator",
		       reason ? reason->text : "");
}

int executor_order(struct executor *x, struct vm *vm, struct node *target,
		   const Tagalong__MoveOrder *order, const Tagalong__Placement__Evidence *evidence,
		   const struct bus_peer *watcher, struct mg_error *err)
{
	Tagalong__MoveOrder full = *order;
	const char *key;
	MoveEntry *entry;
	struct move *move;
	int r;

	r = executor_target_key(x, target, &key, err);
	if (r < 0)
		return r;
	full.target_endpoint = target->hello->control_endpoint;
	full.target_public_key = (char *)key;
	if (!full.has_priority && vm->device && !vm->foreground) {
		full.has_priority = true;
		full.priority = TAGALONG__MOVE_PRIORITY__PRIORITY_LOW;
	}
	entry = new_entry(x, vm, target, &full, evidence);
	if (!entry)
		return mg_error_set(err, -ENOMEM, "out of memory");
	r = executor_load(x, entry);
	if (r < 0) {
		tagalong__placement__move_entry__free_unpacked(entry, NULL);
		return mg_error_set(err, r, "cannot order the move: %s", strerror(-r));
	}
	move = vm->move;
	if (watcher)
		move->watcher = *watcher;
	keep(x, move);
	decide_order(x, move);
	tell_listeners(x, move);
	if (x->mec021)
		mec021_note_order(x->mec021, move);
	send_order(x, move);
	return 0;
}

void executor_repeat_order(struct executor *x, struct move *move)
{
	if (move->entry->accepted || move->entry->cancelled)
		return;
	move->begun_ns = x->fx->now_ns;
	send_order(x, move);
}

void executor_cancel(struct executor *x, struct move *move, const char *why)
{
	char id[UUID_TEXT_SIZE];

	if (!move->entry->cancelled) {
		move->entry->has_cancelled = move->entry->cancelled = true;
		set_text(x, &move->entry->why_cancelled, why);
		keep(x, move);
		effects_decide(x->fx, "cancel", "move=%s vm=%s why=%s",
			       uuid_format(&move->id, id), move->vm->name, why);
	}
	if (!move->cancel_answered)
		send_cancel(x, move);
}

/* ---- What came of a cancel ---------------------------------------------------------- */

/* `code` 0: it has been called off. Those whose time is not over by `now_ns` wait on. */
static void answer_cancellers(struct executor *x, struct move *move, uint64_t now_ns, int code,
			      const char *text)
{
	struct canceller **at = &move->cancellers;

	while (*at) {
		struct canceller *c = *at;

		if (c->deadline_ns > now_ns) {
			at = &c->next;
			continue;
		}
		if (code)
			effects_reply_failure(x->fx, &c->operator, c->seq, code, "%s", text);
		else
			effects_reply_done(x->fx, &c->operator, c->seq);
		*at = c->next;
		free(c);
	}
}

static void expire_cancellers(struct executor *x, struct move *move)
{
	char text[256];

	snprintf(text, sizeof(text), "asked, but not confirmed yet: node '%s' has not answered, and is "
		 "asked again until it does; 'migrator history' tells what comes of it",
		 move->source->name);
	answer_cancellers(x, move, x->fx->now_ns, ETIMEDOUT, text);
}

/* It is over: that is the answer, if the source has given none. */
static void end_cancellers(struct executor *x, struct move *move)
{
	const Tagalong__MoveInfo *info = move->entry->info;
	bool off = !info->lost && info->state != TAGALONG__MOVE_STATE__MOVE_DONE;
	char text[64];

	snprintf(text, sizeof(text), "too late: the move is %s",
		 info->lost ? "lost" : move_state_name(info->state));
	answer_cancellers(x, move, UINT64_MAX, off ? 0 : EBUSY, text);
}

void executor_answer_cancel(struct executor *x, struct move *move, const struct bus_peer *operator,
			    uint64_t seq)
{
	struct canceller *c = calloc(1, sizeof(*c));

	if (!c) {
		x->fx->error = -ENOMEM;
		return;
	}
	*c = (struct canceller){ .operator = *operator, .seq = seq,
				 .deadline_ns = x->fx->now_ns + CONFIRM_NS, .next = move->cancellers };
	move->cancellers = c;
	if (move->cancel_answered) /* to an earlier one: it is on its way back */
		answer_cancellers(x, move, UINT64_MAX, 0, NULL);
}

/* ---- Settling ---------------------------------------------------------------------- */

/* A policy leaves the VM alone for a while, longer each time. */
static void back_off(struct executor *x, struct vm *vm)
{
	uint64_t wait = x->limits->backoff_ns;
	/* From a node that is failing it has to go all the same, and soon. */
	uint32_t doublings = vm->node && vm->node->evacuated ? 0 : vm->failures;

	for (uint32_t i = 0; i < doublings && i < 64 && wait < x->limits->backoff_max_ns; i++)
		wait *= 2;
	if (wait > x->limits->backoff_max_ns)
		wait = x->limits->backoff_max_ns;
	vm->failures++;
	vm->retry_utc_ns = x->fx->now_utc_ns + wait;
	fleet_touch(x->fleet, vm);
}

static void decide_result(struct executor *x, const struct move *move)
{
	const Tagalong__MoveInfo *info = move->entry->info;
	const Tagalong__MoveFigures *f = info->figures;
	char id[UUID_TEXT_SIZE], figures[128] = "";

	if (f)
		snprintf(figures, sizeof(figures),
			 " blackout_ns=%" PRIu64 " elapsed_ns=%" PRIu64 " wire_bytes=%" PRIu64,
			 f->blackout_ns, f->elapsed_ns, f->wire_bytes);
	effects_decide(x->fx, "result", "move=%s vm=%s from=%s to=%s state=%s%s%s%s",
		       uuid_format(&move->id, id), move->vm->name, move->source->name,
		       move->target->name, info->lost ? "lost" : move_state_name(info->state), figures,
		       info->failure ? " failure=" : "", info->failure ? info->failure : "");
}

void executor_keep_settled(struct executor *x, const MoveEntry *entry)
{
	char key[STORE_KEY_SIZE], text[UUID_TEXT_SIZE];
	struct uuid id;

	memcpy(id.bytes, entry->info->move.data, UUID_SIZE);
	snprintf(key, sizeof(key), "history/%016" PRIx64 "-%s", entry->info->ended_utc_ns,
		 uuid_format(&id, text));
	effects_put(x->fx, key, &entry->base);
}

static void into_history(struct executor *x, const struct move *move)
{
	char key[STORE_KEY_SIZE];

	effects_delete(x->fx, move_key(move, key));
	executor_keep_settled(x, move->entry);
}

/* The move is over, in the state that its info has; frees it. */
static void settle(struct executor *x, struct move *move)
{
	Tagalong__MoveInfo *info = move->entry->info;
	struct vm *vm = move->vm;
	int r;

	info->has_ended_utc_ns = true;
	info->ended_utc_ns = x->fx->now_utc_ns;
	if (info->lost) { /* which says nothing of the target: either side, or the link, may have failed */
		fleet_vm_lost(x->fleet, vm, move->source, move->target, x->fx->now_utc_ns);
	} else if (info->state == TAGALONG__MOVE_STATE__MOVE_DONE) {
		quarantine_success(x->fleet, move->target);
		if (info->figures)
			move_cost_learn(vm, move->source, move->target, info->figures);
		vm->failures = 0;
		vm->failed_at = NULL;
		vm->retry_utc_ns = 0;
		vm->summoned = false;
		fleet_touch(x->fleet, vm);
		if (fleet_vm_arrived(x->fleet, vm, move->source, move->target,
				     x->fx->now_utc_ns) < 0)
			x->fx->error = -ENOMEM;
	} else {
		/* What the source refused or was called off says nothing of the target. */
		if (move->entry->accepted && !move->entry->cancelled)
			quarantine_failure(x->fx, x->fleet, x->limits, move->target, vm);
		back_off(x, vm);
		vm->failed_at = move->target;
	}
	decide_result(x, move);
	into_history(x, move);
	end_cancellers(x, move);
	tell_watcher(x, move, true);
	tell_listeners(x, move);
	if (x->mec021)
		mec021_note_end(x->mec021, move);
	index_remove(&x->moves, move->id.bytes);
	r = executor_load_settled(x, move->entry);
	if (r < 0)
		x->fx->error = r;
	else
		move->entry = NULL;
	move_free(move);
}

/* The source knows nothing of the move, or will not do it. Perhaps that is so
 * because it was done already: then the VM is at the target. */
static void settle_unknown(struct executor *x, struct move *move, const char *failure)
{
	bool there = move->vm->node == move->target;

	move->entry->info->state = there ? TAGALONG__MOVE_STATE__MOVE_DONE :
					   TAGALONG__MOVE_STATE__MOVE_ABORTED;
	set_text(x, &move->entry->info->failure, there ? NULL : failure);
	settle(x, move);
}

/* ---- What nodes say -------------------------------------------------------------- */

/* Takes over what `info` has that changes while a move goes on. */
static void learn(struct executor *x, struct move *move, const Tagalong__MoveInfo *info)
{
	Tagalong__MoveInfo *ours = move->entry->info;
	_cleanup_free_ uint8_t *data = NULL;
	size_t len;

	move->heard_ns = x->fx->now_ns;
	ours->state = info->state;
	ours->has_priority = info->has_priority;
	ours->priority = info->priority;
	ours->has_paused = info->has_paused;
	ours->paused = info->paused;
	ours->has_lost = info->has_lost;
	ours->lost = info->lost;
	set_text(x, &ours->failure, info->failure);
	if (!info->figures)
		return;
	len = tagalong__move_figures__get_packed_size(info->figures);
	data = malloc(len ? len : 1);
	if (!data) {
		x->fx->error = -ENOMEM;
		return;
	}
	tagalong__move_figures__pack(info->figures, data);
	if (ours->figures)
		tagalong__move_figures__free_unpacked(ours->figures, NULL);
	ours->figures = tagalong__move_figures__unpack(NULL, len, data);
}

/* Any word of the source on a move shows that it has the order. */
static void note_accepted(struct executor *x, struct move *move)
{
	char id[UUID_TEXT_SIZE];

	move->heard_ns = x->fx->now_ns;
	if (move->entry->accepted)
		return;
	move->entry->has_accepted = move->entry->accepted = true;
	keep(x, move);
	effects_decide(x->fx, "accepted", "move=%s vm=%s", uuid_format(&move->id, id),
		       move->vm->name);
}

/* The source's word, and only that: the target tells of arriving moves too. */
static struct move *find_told(const struct executor *x, const struct node *node,
			      const Tagalong__MoveInfo *info)
{
	struct move *move = executor_find(x, &info->move);

	return move && move->source == node && !info->incoming ? move : NULL;
}

bool executor_progress(struct executor *x, const struct node *node, const Tagalong__MoveInfo *info)
{
	struct move *move = find_told(x, node, info);

	if (!move)
		return false;
	note_accepted(x, move);
	/* The end is told by MoveResult, which is repeated. */
	if (!move_state_is_final(info->state)) {
		bool is_news = move->entry->info->state != info->state;

		learn(x, move, info);
		tell_watcher(x, move, false);
		if (is_news)
			tell_listeners(x, move);
	}
	return true;
}

bool executor_result(struct executor *x, const struct node *node, const Tagalong__MoveInfo *info)
{
	struct move *move = find_told(x, node, info);

	if (!move || !move_state_is_final(info->state))
		return false;
	note_accepted(x, move);
	learn(x, move, info);
	settle(x, move);
	return true;
}

static void forgotten(struct executor *x, struct move *move)
{
	if (move->vm->node == move->target) {
		settle_unknown(x, move, NULL);
		return;
	}
	/* Told again, it may do it: the order is the same. */
	if (move->entry->accepted)
		move->begun_ns = x->fx->now_ns;
	move->entry->accepted = false;
	if (move->entry->cancelled)
		send_cancel(x, move);
	else
		send_order(x, move);
}

static void on_list(struct executor *x, struct move *move, const Tagalong__MoveList *list)
{
	for (size_t i = 0; i < list->n_moves; i++) {
		const Tagalong__MoveInfo *info = list->moves[i];

		if (find_told(x, move->source, info) != move)
			continue;
		if (move_state_is_final(info->state))
			executor_result(x, move->source, info);
		else
			executor_progress(x, move->source, info);
		return;
	}
	forgotten(x, move);
}

static void on_cancel_failure(struct executor *x, struct move *move,
			      const Tagalong__Failure *failure)
{
	if (failure->code == ENOENT) {
		settle_unknown(x, move, move->entry->why_cancelled);
		return;
	}
	answer_cancellers(x, move, UINT64_MAX, (int)failure->code, failure->text);
	/* Too late, most likely: it goes on to its end. */
	move->entry->cancelled = false;
	move->cancel_answered = false;
	move->cancel_request = 0;
	keep(x, move);
}

bool executor_answer(struct executor *x, uint64_t request, const Envelope *e)
{
	const Tagalong__Failure *failure =
		e->body_case == TAGALONG__ENVELOPE__BODY_FAILURE ? e->failure : NULL;
	struct move *move, *found = NULL;

	INDEX_FOREACH(move, &x->moves)
		if (move->order_request == request || move->cancel_request == request ||
		    move->query_request == request)
			found = move;
	if (!found)
		return false;
	found->heard_ns = x->fx->now_ns;
	if (request == found->query_request) {
		if (e->body_case == TAGALONG__ENVELOPE__BODY_MOVE_LIST)
			on_list(x, found, e->move_list);
	} else if (request == found->cancel_request) {
		found->cancel_answered = true;
		if (failure)
			on_cancel_failure(x, found, failure);
		else
			answer_cancellers(x, found, UINT64_MAX, 0, NULL);
	} else if (failure) {
		settle_unknown(x, found, failure->text);
	} else if (e->body_case == TAGALONG__ENVELOPE__BODY_DONE) {
		note_accepted(x, found);
	}
	return true;
}

void executor_hello(struct executor *x, const struct node *node, const Tagalong__NodeHello *hello)
{
	for (size_t i = x->moves.n; i-- > 0;) {
		struct move *move = x->moves.items[i];
		const Tagalong__MoveInfo *told = NULL;

		if (move->source != node)
			continue;
		for (size_t k = 0; k < hello->n_moves; k++)
			if (find_told(x, node, hello->moves[k]) == move)
				told = hello->moves[k];
		if (told && move_state_is_final(told->state))
			executor_result(x, node, told);
		else if (told)
			executor_progress(x, node, told);
		else
			forgotten(x, move);
	}
}

/* ---- Time ------------------------------------------------------------------------ */

/* Its host may never come back, and the target has the VM by its own word: then the move was done,
 * and must not keep the VM from the next one. */
static bool outlived_its_source(const struct executor *x, const struct move *move)
{
	return !node_is_up(move->source) && fleet_vm_runs_at(move->vm, move->target) &&
	       x->fx->now_ns - move->heard_ns >= GONE_NS;
}

static void tick(struct executor *x, struct move *move)
{
	uint64_t now = x->fx->now_ns;
	bool due = now - move->sent_ns >= REPEAT_NS;

	expire_cancellers(x, move);
	if (outlived_its_source(x, move)) {
		move->entry->info->state = TAGALONG__MOVE_STATE__MOVE_DONE;
		set_text(x, &move->entry->info->failure, NULL);
		settle(x, move);
		return;
	}
	if (!move->entry->accepted && !move->entry->cancelled && !move->vm->warming &&
	    now - move->begun_ns >= x->limits->order_timeout_ns)
		executor_cancel(x, move, "the source did not take the order in time");
	else if (move->entry->cancelled && due && !move->cancel_answered)
		send_cancel(x, move);
	else if (!move->entry->accepted && !move->entry->cancelled && due)
		send_order(x, move);
	else if (now - move->heard_ns >= QUERY_NS && now - move->sent_ns >= QUERY_NS)
		send_query(x, move);
}

void executor_tick(struct executor *x)
{
	for (size_t i = x->moves.n; i-- > 0;) /* one that is over leaves the index */
		tick(x, x->moves.items[i]);
}

void executor_traffic(const struct executor *x, struct traffic *traffic)
{
	struct move *move;

	INDEX_FOREACH(move, &x->moves)
		if (node_is_up(move->source))
			traffic_add(traffic, move->vm, move->source, move->target);
}

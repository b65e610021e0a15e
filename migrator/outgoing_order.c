/* SPDX-License-Identifier: Apache-2.0
 *
 * Orders: which are taken, and what a repeated one is answered.
 */
#include <sodium.h>
#include <string.h>

#include "migrator/node_config.h"
#include "migrator/outgoing_internal.h"

static void take_limits(struct outgoing *o, const Tagalong__MoveOrder *order)
{
	const Tagalong__MoveLimits *l = order->limits;

	o->force = order->force;
	o->dry_run = order->dry_run;
	o->warm = order->warm;
	if (order->has_priority)
		o->priority = order->priority;
	o->copy_bases = order->copy_bases;
	if (l && l->blackout_ns)
		o->promise_ns = l->blackout_ns;
	if (l && l->has_if_not_converging)
		o->if_not_converging = l->if_not_converging;
	if (l && l->blackout_max_ns)
		o->most_ns = l->blackout_max_ns;
	else if (o->if_not_converging != TAGALONG__IF_NOT_CONVERGING__CONVERGE_LONGER)
		o->most_ns = o->promise_ns; /* the promise is firm */
	else if (o->most_ns < 2 * o->promise_ns)
		o->most_ns = 2 * o->promise_ns;
	if (l && l->bandwidth_bps)
		o->bandwidth_bps = l->bandwidth_bps;
	if (l && l->timeout_ns)
		o->timeout_ns = l->timeout_ns;
	if (l && l->has_connections)
		o->connections = l->connections;
	else if (outgoing_may_post_copy(o))
		o->connections = 1;
	if (l && l->has_patience_ns)
		o->patience_ns = l->patience_ns;
	if (l && l->attempts)
		o->retry.most = l->attempts;
	if (l && l->stall_timeout_ns)
		o->stall_timeout_ns = l->stall_timeout_ns;
}

static int check_order(struct node *n, const Tagalong__MoveOrder *order, struct vm *vm,
		       struct mg_error *err)
{
	const Tagalong__MoveLimits *l = order->limits;

	if (!vm)
		return mg_error_set(err, -ENOENT, "no VM named '%s' on %s; 'migrator vm list --node "
				    "%s' shows those that are", order->vm, n->config->name,
				    n->config->name);
	if (vm->watcher)
		return mg_error_set(err, -EBUSY, "%s is being moved already, or sent ahead of a move",
				    order->vm);
	if (vm->guest && !vm->ready)
		return mg_error_set(err, -EAGAIN, "the QEMU of %s does not answer yet; try again in a "
				    "moment", order->vm);
	if (vm_state(vm) != TAGALONG__VM_STATE__VM_RUNNING)
		return mg_error_set(err, -EINVAL, "%s does not run; only a running VM can be moved",
				    order->vm);
	if (strcmp(order->target, n->config->name) == 0)
		return mg_error_set(err, -EINVAL, "%s is on %s already", order->vm, order->target);
	if (!order->target_endpoint || !*order->target_endpoint)
		return mg_error_set(err, -EINVAL, "the order does not say where %s is reached",
				    order->target);
	if (l && l->has_connections && (l->connections == 0 || l->connections > LINK_LANES_MAX))
		return mg_error_set(err, -EINVAL, "%u data connections: from 1 to %d are possible",
				    l->connections, LINK_LANES_MAX);
	if (l && l->blackout_ns && l->blackout_max_ns && l->blackout_max_ns < l->blackout_ns)
		return mg_error_set(err, -EINVAL, "the most that the blackout may last is less than "
				    "what is promised");
	return 0;
}

static int begin(struct node *n, const Tagalong__MoveOrder *order, struct vm *vm,
		 struct outgoing **ret, struct mg_error *err)
{
	struct uuid id = uuid_of(&order->move);
	struct outgoing *o = outgoing_new(n);
	int r;

	if (!o)
		return mg_error_set(err, -ENOMEM, "out of memory");
	r = move_init(&o->m, n, &id, false, vm->spec, &vm->incarnation);
	if (r == 0)
		r = move_set_nodes(&o->m, n->config->name, order->target, order->target_endpoint,
				   order->target_public_key);
	if (r == 0)
		r = move_set_cause(&o->m, order->reason, order->has_device ? &order->device : NULL);
	if (r == 0)
		r = vm_pack(vm, err);
	take_limits(o, order);
	if (r == 0 && !o->dry_run && (o->warm || o->retry.most > 1)) /* an image may be there */
		r = vm_note_visit(vm, order->target, order->target_endpoint,
				  order->target_public_key, err);
	if (r == 0)
		r = outgoing_connect(o, err);
	if (r == 0)
		r = journal_write(n->journal, &o->m.row, err);
	if (r < 0) {
		outgoing_free(o);
		return err->code ? r : mg_error_set(err, r, "out of memory");
	}
	randombytes_buf(o->session_key, sizeof(o->session_key));
	o->peer_id = id;
	o->qemu = COMMIT_QEMU_RUNNING;
	o->live = true;
	outgoing_watch(o, vm);
	image_find_base(o);
	*ret = o;
	return 0;
}

/* A move that is settled: the answer is that of the first order, and how it ended. */
static bool answer_known(struct node *n, struct bus_socket *s, const struct bus_peer *from,
			 const Envelope *e)
{
	struct uuid id = uuid_of(&e->move_order->move);
	struct outgoing *o = outgoing_find(n, &id);
	struct journal_move row;
	struct mg_error err = { 0 };

	if (!o && journal_find(n->journal, &id, &row) == 0) {
		if (row.incoming) {
			mg_error_set(&err, -EINVAL, "that is the id of a move to this node");
			bus_reply_failure(s, from, e, &err);
			journal_move_clear(&row);
			return true;
		}
		row.reported = false;
		if (outgoing_restore(n, &row) == 0)
			o = outgoing_find(n, &id);
	}
	if (!o)
		return false;
	move_set_follower(&o->m, from);
	o->m.row.reported = false;
	o->m.result_sent_mono_ns = 0;
	bus_reply_done(s, from, e);
	move_tell_progress(&o->m);
	return true;
}

void outgoing_order(struct node *n, struct bus_socket *s, const struct bus_peer *from,
		    const Envelope *e)
{
	struct vm *vm = vm_find(n, e->move_order->vm);
	struct uuid id = uuid_of(&e->move_order->move);
	const struct mg_error *refused = refusals_find(&n->refused, &id);
	struct outgoing *o = NULL;
	struct mg_error err = { 0 };

	if (answer_known(n, s, from, e))
		return;
	if (refused) {
		bus_reply_failure(s, from, e, refused);
		return;
	}
	/* Whoever orders repeats it until it is answered, and by then the way is free. */
	if (vm && !e->move_order->warm && !e->move_order->dry_run && outgoing_make_way(vm))
		return;
	if (check_order(n, e->move_order, vm, &err) < 0 ||
	    begin(n, e->move_order, vm, &o, &err) < 0) {
		refusals_add(&n->refused, &id, &err);
		bus_reply_failure(s, from, e, &err);
		return;
	}
	move_set_follower(&o->m, from);
	bus_reply_done(s, from, e);
	sharing_order(o);
	outgoing_tick_in(o, OUTGOING_CONNECT_NS);
}

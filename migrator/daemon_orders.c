/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may say what, and which part carries it out.
 *
 * A node may only speak of moves (Peer…). A controller and operators give
 * orders. Where a controller is configured it has charge of the node's VMs, and
 * an operator who moves or stops one behind its back has to force it.
 */
#include <string.h>

#include "common/log.h"
#include "migrator/base_image.h"
#include "migrator/daemon_internal.h"
#include "migrator/foreign.h"
#include "migrator/incoming.h"
#include "migrator/node_config.h"
#include "migrator/outgoing.h"
#include "migrator/relay.h"
#include "migrator/vm.h"

#define LIST_MAX 1000 /* moves in one answer: well below the size of a message */

/* ---- May they? ----------------------------------------------------------------------- */

static bool is_peer_message(const Envelope *e)
{
	switch (e->body_case) {
	case TAGALONG__ENVELOPE__BODY_PEER_PREPARE:
	case TAGALONG__ENVELOPE__BODY_PEER_COMMIT:
	case TAGALONG__ENVELOPE__BODY_PEER_ABORT:
	case TAGALONG__ENVELOPE__BODY_PEER_QUERY:
	case TAGALONG__ENVELOPE__BODY_PEER_STATE:
	case TAGALONG__ENVELOPE__BODY_PEER_FORGET:
	case TAGALONG__ENVELOPE__BODY_PEER_IMAGE_QUERY:
	case TAGALONG__ENVELOPE__BODY_PEER_BASE_QUERY:
	case TAGALONG__ENVELOPE__BODY_PEER_RELAY:
		return true;
	default:
		return false;
	}
}

static bool is_order(const Envelope *e)
{
	switch (e->body_case) {
	case TAGALONG__ENVELOPE__BODY_MOVE_ORDER:
	case TAGALONG__ENVELOPE__BODY_MOVE_CANCEL:
	case TAGALONG__ENVELOPE__BODY_MOVE_ADJUST:
	case TAGALONG__ENVELOPE__BODY_MOVE_RESOLVE:
	case TAGALONG__ENVELOPE__BODY_VM_START:
	case TAGALONG__ENVELOPE__BODY_VM_STOP:
	case TAGALONG__ENVELOPE__BODY_VM_ADOPT:
	case TAGALONG__ENVELOPE__BODY_VM_RECEIVE:
	case TAGALONG__ENVELOPE__BODY_VM_RELAY:
		return true;
	default:
		return false;
	}
}

static int check_role(const struct bus_peer *from, const Envelope *e, struct mg_error *err)
{
	bool peer = is_peer_message(e);

	if (from->role == PEER_ROLE_NONE) /* plain text: anybody may do anything */
		return 0;
	if (peer && from->role != PEER_ROLE_NODE)
		return mg_error_set(err, -EACCES, "%s is no node, and may not speak for one",
				    from->name);
	if (!peer && from->role == PEER_ROLE_NODE)
		return mg_error_set(err, -EACCES, "%s is a node, and may not give orders",
				    from->name);
	return 0;
}

int daemon_see_epoch(struct node *n, uint64_t epoch, struct mg_error *err)
{
	int r;

	if (epoch <= n->epoch)
		return 0;
	r = journal_raise_epoch(n->journal, epoch, err);
	if (r == 0)
		n->epoch = epoch;
	return r;
}

/* A controller's orders carry its epoch; the orders of one that was replaced by
 * a newer one are void. */
static int check_epoch(struct node *n, const Envelope *e, struct mg_error *err)
{
	if (e->epoch < n->epoch)
		return mg_error_set(err, -ESTALE, "stale order: epoch %llu, but %llu has given orders "
				    "already", (unsigned long long)e->epoch,
				    (unsigned long long)n->epoch);
	return daemon_see_epoch(n, e->epoch, err);
}

static bool is_forced(const Envelope *e)
{
	if (e->body_case == TAGALONG__ENVELOPE__BODY_MOVE_ORDER)
		return e->move_order->force || e->move_order->dry_run || e->move_order->warm;
	if (e->body_case == TAGALONG__ENVELOPE__BODY_VM_STOP)
		return e->vm_stop->force;
	return true; /* starting takes nothing away; cancel and resolve are for emergencies */
}

static int check_order(struct node *n, const struct bus_peer *from, const Envelope *e,
		       struct mg_error *err)
{
	if (!from || from->role == PEER_ROLE_CONTROLLER)
		return check_epoch(n, e, err);
	if (n->controller && !is_forced(e))
		return mg_error_set(err, -EPERM, "a controller has charge of the VMs of %s; order it "
				    "there, or use --force", n->config->name);
	return 0;
}

/* ---- Orders --------------------------------------------------------------------------- */

static const char *who(const struct bus_peer *from)
{
	return !from ? "the controller" : from->name[0] ? from->name : "an operator";
}

static void on_cancel(struct node *n, struct bus_socket *s, const struct bus_peer *from,
		      const Envelope *e)
{
	struct uuid id = uuid_of(&e->move_cancel->move);
	struct outgoing *o = outgoing_find(n, &id);
	struct mg_error err = { 0 };

	if (o)
		(void)outgoing_cancel(o, e->move_cancel, who(from), &err);
	else if (!relay_cancel(n, e->move_cancel, who(from)))
		mg_error_set(&err, -ENOENT, "no such move leaves %s", n->config->name);
	if (err.code)
		bus_reply_failure(s, from, e, &err);
	else
		bus_reply_done(s, from, e);
}

static void on_adjust(struct node *n, struct bus_socket *s, const struct bus_peer *from,
		      const Envelope *e)
{
	struct uuid id = uuid_of(&e->move_adjust->move);
	struct outgoing *o = outgoing_find(n, &id);
	struct mg_error err = { 0 };

	if (!o)
		mg_error_set(&err, -ENOENT, "no such move leaves %s", n->config->name);
	else
		(void)outgoing_adjust(o, e->move_adjust, who(from), &err);
	if (err.code)
		bus_reply_failure(s, from, e, &err);
	else
		bus_reply_done(s, from, e);
}

static void on_resolve(struct node *n, struct bus_socket *s, const struct bus_peer *from,
		       const Envelope *e)
{
	struct uuid id = uuid_of(&e->move_resolve->move);
	struct outgoing *o = outgoing_find(n, &id);
	struct incoming *in = incoming_find_order(n, &id);
	struct mg_error err = { 0 };

	if (o)
		(void)outgoing_resolve(o, e->move_resolve, who(from), &err);
	else if (in)
		(void)incoming_resolve(in, e->move_resolve, who(from), &err);
	else
		mg_error_set(&err, -ENOENT, "no such move is open on %s", n->config->name);
	if (err.code)
		bus_reply_failure(s, from, e, &err);
	else
		bus_reply_done(s, from, e);
}

/* ---- Questions -------------------------------------------------------------------------- */

static void on_vm_query(struct node *n, struct bus_socket *s, const struct bus_peer *from,
			const Envelope *e)
{
	Tagalong__VmList list = TAGALONG__VM_LIST__INIT;
	Envelope answer = TAGALONG__ENVELOPE__INIT;

	if (vm_infos(n, e->vm_query->name, &list.vms, &list.n_vms) < 0)
		return;
	answer.body_case = TAGALONG__ENVELOPE__BODY_VM_LIST;
	answer.vm_list = &list;
	bus_reply(s, from, e, &answer);
	vm_infos_free(list.vms, list.n_vms);
}

int daemon_open_moves(struct node *n, MoveInfo ***ret, size_t *ret_n)
{
	size_t outgoing = outgoing_infos(n, NULL), incoming = incoming_infos(n, NULL);
	MoveInfo **moves = calloc(outgoing + incoming + 1, sizeof(*moves));

	if (!moves)
		return -ENOMEM;
	outgoing_infos(n, moves);
	incoming_infos(n, moves + outgoing);
	*ret = moves;
	*ret_n = outgoing + incoming;
	return 0;
}

/* What is in memory is newer than what is journaled. */
static MoveInfo *newest(struct node *n, const struct journal_move *row)
{
	struct outgoing *o = row->incoming ? NULL : outgoing_find(n, &row->id);
	struct incoming *in = row->incoming ? incoming_find(n, &row->id) : NULL;

	if (o)
		return (MoveInfo *)outgoing_info(o);
	return in ? (MoveInfo *)incoming_info(in) : row->info;
}

static int take_row(struct journal_move *row, struct journal_move **ret, size_t *ret_n)
{
	*ret = calloc(1, sizeof(**ret));
	if (!*ret) {
		journal_move_clear(row);
		return -ENOMEM;
	}
	**ret = *row;
	*ret_n = 1;
	return 0;
}

/* At the target each attempt is a row of its own, of one name to those who ask: the latest. */
static int find_attempt(struct node *n, const struct uuid *order, struct journal_move **ret,
			size_t *ret_n)
{
	const struct journal_filter all = { .limit = LIST_MAX };
	struct journal_move *rows, found = { 0 };
	size_t count;
	int r = journal_moves(n->journal, &all, &rows, &count);

	if (r < 0)
		return r;
	*ret = NULL;
	*ret_n = 0;
	for (size_t i = 0; i < count && !found.info; i++) {
		if (memcmp(rows[i].info->move.data, order->bytes, UUID_SIZE) != 0)
			continue;
		found = rows[i];
		rows[i] = (struct journal_move){ 0 };
	}
	journal_moves_free(rows, count);
	return found.info ? take_row(&found, ret, ret_n) : 0;
}

static int find_moves(struct node *n, const Tagalong__MoveQuery *q, struct journal_move **ret,
		      size_t *ret_n)
{
	struct journal_filter filter = { .vm = q->vm, .limit = LIST_MAX };
	struct journal_move row = { 0 };
	struct uuid id;

	if (q->has_limit && q->limit && q->limit < LIST_MAX)
		filter.limit = q->limit;
	if (!q->has_move)
		return journal_moves(n->journal, &filter, ret, ret_n);
	id = uuid_of(&q->move);
	if (journal_find(n->journal, &id, &row) == 0 && !row.incoming)
		return take_row(&row, ret, ret_n);
	journal_move_clear(&row);
	return find_attempt(n, &id, ret, ret_n);
}

static void on_move_query(struct node *n, struct bus_socket *s, const struct bus_peer *from,
			  const Envelope *e)
{
	Tagalong__MoveList list = TAGALONG__MOVE_LIST__INIT;
	Envelope answer = TAGALONG__ENVELOPE__INIT;
	struct mg_error err = { 0 };
	struct journal_move *rows;
	size_t count;

	if (find_moves(n, e->move_query, &rows, &count) < 0) {
		mg_error_set(&err, -EIO, "the journal cannot be read");
		bus_reply_failure(s, from, e, &err);
		return;
	}
	list.moves = calloc(count + relay_infos(n, e->move_query, NULL) + 1, sizeof(*list.moves));
	if (list.moves) /* they are journaled once they are over */
		list.n_moves = relay_infos(n, e->move_query, list.moves);
	for (size_t i = 0; list.moves && i < count; i++)
		list.moves[list.n_moves++] = newest(n, &rows[i]);
	answer.body_case = TAGALONG__ENVELOPE__BODY_MOVE_LIST;
	answer.move_list = &list;
	bus_reply(s, from, e, &answer);
	free(list.moves);
	journal_moves_free(rows, count);
}

/* ---- Dispatch ----------------------------------------------------------------------------- */

void daemon_on_order(struct daemon *d, struct bus_socket *s, const struct bus_peer *from,
		     const Envelope *e)
{
	struct node *n = &d->node;
	struct mg_error err = { 0 };

	if (is_order(e) && check_order(n, from, e, &err) < 0) {
		bus_reply_failure(s, from, e, &err);
		return;
	}
	switch (e->body_case) {
	case TAGALONG__ENVELOPE__BODY_MOVE_ORDER:
		outgoing_order(n, s, from, e);
		break;
	case TAGALONG__ENVELOPE__BODY_MOVE_CANCEL:
		on_cancel(n, s, from, e);
		break;
	case TAGALONG__ENVELOPE__BODY_MOVE_ADJUST:
		on_adjust(n, s, from, e);
		break;
	case TAGALONG__ENVELOPE__BODY_MOVE_RESOLVE:
		on_resolve(n, s, from, e);
		break;
	case TAGALONG__ENVELOPE__BODY_VM_START:
		vm_start_for(n, s, from, e);
		break;
	case TAGALONG__ENVELOPE__BODY_VM_STOP:
		vm_stop_for(n, s, from, e);
		break;
	case TAGALONG__ENVELOPE__BODY_VM_ADOPT:
		foreign_adopt_for(n, s, from, e);
		break;
	case TAGALONG__ENVELOPE__BODY_VM_RECEIVE:
		foreign_receive_for(n, s, from, e);
		break;
	case TAGALONG__ENVELOPE__BODY_VM_RELAY:
		relay_order(n, s, from, e);
		break;
	case TAGALONG__ENVELOPE__BODY_VM_QUERY:
		on_vm_query(n, s, from, e);
		break;
	case TAGALONG__ENVELOPE__BODY_MOVE_QUERY:
		on_move_query(n, s, from, e);
		break;
	case TAGALONG__ENVELOPE__BODY_IMAGE_ADD:
		base_image_add_for(n, s, from, e);
		break;
	case TAGALONG__ENVELOPE__BODY_IMAGE_QUERY:
		daemon_on_image_query(n, s, from, e);
		break;
	case TAGALONG__ENVELOPE__BODY_IMAGE_REMOVE:
		daemon_on_image_remove(n, s, from, e);
		break;
	default:
		mg_error_set(&err, -EOPNOTSUPP, "a migratord has no answer to %s",
			     envelope_body_name(e));
		bus_reply_failure(s, from, e, &err);
		break;
	}
}

static bool is_outgoing(struct node *n, const struct uuid *id)
{
	enum journal_stage stage;
	struct outgoing *o;

	return outgoing_find_for_peer(n, id, &o, &stage);
}

static void on_peer(struct node *n, struct bus_socket *s, const struct bus_peer *from,
		    const Envelope *e)
{
	struct uuid id;

	if (relay_target_message(n, s, from, e))
		return;
	if (e->body_case == TAGALONG__ENVELOPE__BODY_PEER_BASE_QUERY) {
		base_image_answer(n, s, from, e);
		return;
	}
	if (e->body_case == TAGALONG__ENVELOPE__BODY_PEER_FORGET) {
		luggage_forget_for(n, s, from, e);
		return;
	}
	if (e->body_case == TAGALONG__ENVELOPE__BODY_PEER_STATE) {
		outgoing_take_state(n, s, from, e);
		return;
	}
	if (e->body_case == TAGALONG__ENVELOPE__BODY_PEER_QUERY) {
		id = uuid_of(&e->peer_query->move);
		if (is_outgoing(n, &id)) {
			outgoing_answer_query(n, s, from, e);
			return;
		}
	}
	incoming_message(n, s, from, e);
}

void daemon_on_router(struct bus_socket *s, const struct bus_peer *from, const Envelope *e,
		      void *userdata)
{
	struct daemon *d = userdata;
	struct mg_error err = { 0 };

	if (check_role(from, e, &err) < 0) {
		bus_reply_failure(s, from, e, &err);
		return;
	}
	if (is_peer_message(e)) {
		on_peer(&d->node, s, from, e);
	} else if (e->body_case == TAGALONG__ENVELOPE__BODY_DONE) {
		if (!outgoing_take_answer(&d->node, e->reply_to))
			relay_take_answer(&d->node, e->reply_to);
	} else if (e->body_case != TAGALONG__ENVELOPE__BODY_FAILURE) {
		daemon_on_order(d, s, from, e);
	}
}

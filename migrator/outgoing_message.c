/* SPDX-License-Identifier: Apache-2.0
 *
 * What the two ends say to each other, from the source's side.
 */
#include <string.h>

#include "common/address.h"
#include "common/clock.h"
#include "common/log.h"
#include "migrator/fault.h"
#include "migrator/node_config.h"
#include "migrator/outgoing_internal.h"

#define REPEAT_NS (250 * NS_PER_MS)   /* of a word that is not answered */
#define REACH_TIMEOUT_NS (8 * NS_PER_S)
#define PREPARE_TIMEOUT_NS (60 * NS_PER_S)
#define DOUBT_NS (5 * NS_PER_S)

#define STATE(name) TAGALONG__MOVE_STATE__MOVE_##name
#define PEER(name) TAGALONG__PEER_STAGE__PEER_##name

/* How long the guest will have stood still when the target reads what is said now. */
static uint64_t stopped_ns(const struct outgoing *o)
{
	return o->stop_utc_ns ? clock_utc_ns() - o->stop_utc_ns + o->rtt_ns / 2 : 0;
}

/* ---- Words from the target ------------------------------------------------------------------ */

/* Until the guest ran there; less exactly with a target that does not say since when it does. */
static uint64_t blackout_ns(const struct outgoing *o, const Tagalong__PeerState *state)
{
	uint64_t until_heard = clock_utc_ns() - o->stop_utc_ns;
	uint64_t since = state->has_resumed_for_ns ? state->resumed_for_ns + o->rtt_ns / 2 : 0;

	return since < until_heard ? until_heard - since : until_heard;
}

static bool is_last(Tagalong__PeerStage stage)
{
	return stage == PEER(RAN) || stage == PEER(NEVER);
}

/* It has what is left of the guest, or had: it knows whether that is all. */
static void note_lost(struct outgoing *o, const Tagalong__PeerState *state)
{
	MoveInfo *info = o->m.row.info;

	if (state->stage != PEER(RAN))
		return;
	info->has_lost = info->lost = state->lost;
	if (!state->lost)
		return;
	if (state->why)
		move_explain(&o->m, "%s", state->why);
	else
		move_explain(&o->m, "%s is lost, post-copy broke off: %s has ended what it had of it",
			     info->vm, o->m.row.peer);
}

void outgoing_peer_state(struct outgoing *o, const Tagalong__PeerState *state)
{
	bool settled = o->peer_stage == PEER(RAN) || o->peer_stage == PEER(NEVER);

	log_debug("outgoing", "move=%s target says stage=%d", o->m.id_text, state->stage);
	o->unheard = false;
	if (settled || (o->peer_stage == PEER(TAKING) && !is_last(state->stage)) ||
	    (o->peer_stage == PEER(READY) && !is_last(state->stage) && state->stage != PEER(TAKING)))
		return; /* older than what is known */
	o->peer_stage = state->stage;
	note_lost(o, state);
	if (o->live && state->stage == PEER(TAKING))
		outgoing_say(o, WORD_NONE); /* it is heard again when all is there */
	if ((state->stage == PEER(RAN) || state->stage == PEER(TAKING)) && o->stop_utc_ns &&
	    !move_figures(&o->m)->has_blackout_ns) {
		Tagalong__MoveFigures *f = move_figures(&o->m);

		f->has_blackout_ns = true;
		f->blackout_ns = blackout_ns(o, state);
		if (o->stop_link_ns)
			stop_cost_note(&o->m.node->stop_cost, f->blackout_ns, o->stop_link_ns);
	}
	if (o->live && o->m.row.stage <= JOURNAL_PREPARED &&
	    (state->stage == PEER(NEVER) || state->stage == PEER(UNKNOWN)))
		outgoing_give_up(o, "%s gave it up%s%s", o->m.row.peer, state->why ? ": " : "",
				 state->why ? state->why : "");
	if (state->stage == PEER(READY) && o->live)
		copy_ready(o);
	outgoing_reconcile(o);
}

/* A target that does not know of several takes one. */
static void take_connections(struct outgoing *o, const Tagalong__PeerPrepared *p)
{
	unsigned agreed = p->has_connections && p->connections ? p->connections : 1;

	if (agreed < o->connections)
		o->connections = agreed;
}

static void on_prepared(struct outgoing *o, const Tagalong__PeerPrepared *p)
{
	if (o->m.row.stage != JOURNAL_BEGUN || !o->live)
		return;
	if (outgoing_may_post_copy(o) && !p->post_copy) {
		outgoing_give_up(o, "%s is too old for post-copy", o->m.row.peer);
		outgoing_reconcile(o);
		return;
	}
	snprintf(o->data_endpoint, sizeof(o->data_endpoint), "%s", p->data_endpoint);
	take_connections(o, p);
	outgoing_say(o, WORD_NONE);
	outgoing_disk_take_bases(o, p);
	if (o->dry_run) {
		o->peer_stage = PEER(NEVER); /* the target has promised nothing */
		o->connections = 1;
		connection_begin(o); /* to see whether there is a way, and how long it is */
	} else if (move_to_stage(&o->m, JOURNAL_PREPARED) < 0) {
		outgoing_give_up(o, "the journal cannot be written");
	} else {
		o->peer_stage = PEER(PREPARED);
		move_show(&o->m, STATE(PREPARED));
		if (!image_fetch_begin(o, p))
			copy_begin(o);
	}
	outgoing_reconcile(o);
}

static void on_failure(struct outgoing *o, const Tagalong__Failure *f)
{
	if (o->word != WORD_PREPARE) {
		log_warning("outgoing", "move=%s %s refuses: %s", o->m.id_text, o->m.row.peer, f->text);
		return;
	}
	if (f->code == EAGAIN) { /* others arrive there: our turn comes, or the time is over */
		if (!o->peer_is_busy)
			log_info("outgoing", "move=%s vm=%s waits: at %s %s", o->m.id_text,
				 o->m.row.info->vm, o->m.row.peer, f->text);
		o->peer_is_busy = true;
		o->word_since_ns = clock_mono_ns();
		return;
	}
	o->peer_stage = PEER(NEVER); /* it has nothing */
	outgoing_give_up(o, "%s: %s", o->m.row.peer, f->text);
	outgoing_reconcile(o);
}

static void on_peer_message(struct bus_socket *s, const struct bus_peer *from, const Envelope *e,
			    void *userdata)
{
	struct outgoing *o = userdata;
	char step[48];

	(void)s;
	(void)from;
	peer_step_name(e, step);
	fault_before("receive", step);
	if (e->body_case == TAGALONG__ENVELOPE__BODY_PEER_PREPARED)
		on_prepared(o, e->peer_prepared);
	else if (e->body_case == TAGALONG__ENVELOPE__BODY_PEER_STATE)
		outgoing_peer_state(o, e->peer_state);
	else if (e->body_case == TAGALONG__ENVELOPE__BODY_PEER_IMAGE_DATA && o->live)
		image_fetch_data(o, e->peer_image_data);
	else if (e->body_case == TAGALONG__ENVELOPE__BODY_FAILURE)
		on_failure(o, e->failure);
	fault_after("receive", step);
}

/* A target that had our word by asking answers by the same way. */
void outgoing_take_state(struct node *n, struct bus_socket *s, const struct bus_peer *from,
			 const Envelope *e)
{
	struct uuid id = uuid_of(&e->peer_state->move);
	struct mg_error err = { 0 };
	enum journal_stage stage;
	struct outgoing *o;
	char step[48];

	peer_step_name(e, step);
	fault_before("receive", step);
	(void)outgoing_find_for_peer(n, &id, &o, &stage);
	if (o && from->name[0] && strcmp(from->name, o->m.row.peer) != 0) {
		mg_error_set(&err, -EACCES, "that move is between %s and %s", n->config->name,
			     o->m.row.peer);
		bus_reply_failure(s, from, e, &err);
		return;
	}
	if (o)
		outgoing_peer_state(o, e->peer_state);
	bus_reply_done(s, from, e); /* also of a move that is over: it need not say it again */
	fault_after("receive", step);
}

/* A target that waits for our word asks for it. */
void outgoing_answer_query(struct node *n, struct bus_socket *s, const struct bus_peer *from,
			   const Envelope *e)
{
	struct uuid id = uuid_of(&e->peer_query->move);
	enum journal_stage stage = 0;
	struct outgoing *o;

	fault_before("receive", "query");
	(void)outgoing_find_for_peer(n, &id, &o, &stage);
	if (o)
		connection_heard(o, from);
	if (stage == JOURNAL_COMMIT && o && o->word == WORD_ABORT)
		peer_send_word(s, from, e, &id, TAGALONG__ENVELOPE__BODY_PEER_ABORT, NULL);
	else if (stage == JOURNAL_COMMIT || stage == JOURNAL_DONE)
		peer_send_commit(s, from, e, &id, o ? stopped_ns(o) : 0);
	else if (stage == JOURNAL_ABORTED || stage == JOURNAL_REVOKED)
		peer_send_word(s, from, e, &id, TAGALONG__ENVELOPE__BODY_PEER_ABORT, NULL);
	else
		peer_send_state(s, from, e, &id, stage ? PEER(PREPARED) : PEER(UNKNOWN), NULL, 0,
				false);
	fault_after("receive", "query");
}

/* ---- Words to the target ------------------------------------------------------------------ */

int outgoing_connect(struct outgoing *o, struct mg_error *err)
{
	struct journal_move *row = &o->m.row;

	if (o->peer)
		return 0;
	return bus_connect(o->m.node->bus, BUS_DEALER, row->peer_endpoint, row->peer_key,
			   on_peer_message, o, &o->peer, err);
}

void outgoing_follow(struct outgoing *o, const char *host)
{
	struct journal_move *row = &o->m.row;
	char address[ADDRESS_TEXT_SIZE];

	if (address_elsewhere(row->peer_endpoint, host, address, sizeof(address)) < 0)
		return; /* a name, which is looked up whenever there is no connection */
	snprintf(row->peer_endpoint, sizeof(row->peer_endpoint), "tcp://%s", address);
	bus_socket_free(o->peer);
	o->peer = NULL;
	o->unheard = true;
	(void)move_to_stage(&o->m, row->stage); /* for the one who restarts: nobody is at the old one */
	(void)outgoing_connect(o, NULL); /* else the next word does */
}

static bool is_in_doubt(const struct outgoing *o)
{
	return o->m.row.info->state == STATE(IN_DOUBT);
}

static int64_t send_prepare(struct outgoing *o)
{
	struct node *n = o->m.node;
	Tagalong__PeerPrepare p = TAGALONG__PEER_PREPARE__INIT;
	Tagalong__MoveLimits limits = TAGALONG__MOVE_LIMITS__INIT;
	VmSpec spec = *guest_spec(o->vm->guest); /* with the RAM that it really has */
	Envelope e = TAGALONG__ENVELOPE__INIT;
	struct disks_told disks;

	limits.has_blackout_ns = limits.has_blackout_max_ns = true;
	limits.blackout_ns = o->promise_ns;
	limits.blackout_max_ns = o->most_ns;
	limits.has_patience_ns = true;
	limits.patience_ns = o->patience_ns;
	limits.has_connections = true;
	limits.connections = o->connections;
	p.move = (ProtobufCBinaryData){ UUID_SIZE, o->peer_id.bytes };
	spec.monitor = NULL; /* this node's own business */
	p.spec = &spec;
	p.session_key = (ProtobufCBinaryData){ LINK_KEY_SIZE, o->session_key };
	p.plain_text = n->config->plain_text_data;
	p.source_node = n->config->name;
	p.source_endpoint = n->control_endpoint;
	if (bus_public_key(n->bus)[0]) /* in plain text there is none */
		p.source_public_key = (char *)bus_public_key(n->bus);
	p.source_qemu_version = (char *)guest_qemu_version(o->vm->guest);
	p.limits = &limits;
	p.has_force = p.force = o->force;
	p.has_dry_run = p.dry_run = o->dry_run;
	image_describe(o, &p);
	outgoing_disk_describe(o, &disks, &p);
	p.reason = o->m.row.info->reason;
	p.has_device = o->m.row.info->has_device;
	p.device = o->m.row.info->device;
	p.has_order_id = o->m.row.info->has_attempt_id;
	p.order_id = o->m.row.info->move;
	p.has_warm = p.warm = o->warm;
	p.has_post_copy = p.post_copy = outgoing_may_post_copy(o);
	p.has_may_come_again = true;
	p.may_come_again = !o->warm && o->retry.made < o->retry.most;
	e.body_case = TAGALONG__ENVELOPE__BODY_PEER_PREPARE;
	e.peer_prepare = &p;
	return peer_send(o->peer, NULL, &e);
}

static int64_t send_now(struct outgoing *o)
{
	const struct uuid *id = &o->peer_id;

	switch (o->word) {
	case WORD_PREPARE:
		return send_prepare(o);
	case WORD_COMMIT:
		return peer_send_commit(o->peer, NULL, NULL, id, stopped_ns(o));
	case WORD_ABORT:
		return peer_send_word(o->peer, NULL, NULL, id, TAGALONG__ENVELOPE__BODY_PEER_ABORT,
				      o->m.row.info->failure);
	default:
		return peer_send_word(o->peer, NULL, NULL, id, TAGALONG__ENVELOPE__BODY_PEER_QUERY,
				      o->may_be_older ? o->m.row.info->failure : NULL);
	}
}

void outgoing_repeat(struct outgoing *o)
{
	uint64_t now = clock_mono_ns();
	int64_t seq;

	if (o->word_went && now - o->word_sent_ns < REPEAT_NS)
		return;
	if (o->word == WORD_PREPARE && !outgoing_disk_bases_known(o)) {
		o->word_since_ns = now;
		return;
	}
	if (outgoing_connect(o, NULL) < 0)
		return;
	seq = send_now(o);
	if (seq < 0)
		return;
	o->word_went = true;
	o->word_sent_ns = now;
	o->prepare_went |= o->word == WORD_PREPARE;
}

void outgoing_say(struct outgoing *o, enum word word)
{
	if (o->word != word) {
		o->word = word;
		o->word_went = false;
		o->word_since_ns = clock_mono_ns();
	}
	if (word != WORD_NONE)
		outgoing_repeat(o);
}

void outgoing_prepare(struct outgoing *o)
{
	outgoing_say(o, WORD_PREPARE);
}

void outgoing_ask(struct outgoing *o)
{
	if (outgoing_connect(o, NULL) == 0)
		(void)peer_send_word(o->peer, NULL, NULL, &o->peer_id,
				     TAGALONG__ENVELOPE__BODY_PEER_QUERY, NULL);
}

/* While the target cannot be reached it is not known yet what the doubt will be about. */
static void enter_doubt(struct outgoing *o)
{
	struct journal_move *row = &o->m.row;
	bool heard = row->stage == JOURNAL_PREPARED && o->peer_stage == PEER(READY);

	if (is_in_doubt(o) && (!heard || o->may_be_older))
		return;
	o->may_be_older = heard;
	if (heard)
		move_explain(&o->m, "QEMU of %s died at %s, and may have run it until then: what %s has of "
			     "it may be older; resolve it there", row->info->vm,
			     o->m.node->config->name, row->peer);
	else
		move_explain(&o->m, "%s has to say whether it runs %s, and cannot be reached", row->peer,
			     row->info->vm);
	if (is_in_doubt(o))
		node_changed(o->m.node);
	else
		move_show(&o->m, STATE(IN_DOUBT));
}

void outgoing_check_patience(struct outgoing *o)
{
	uint64_t waited = clock_mono_ns() - o->word_since_ns;
	struct journal_move *row = &o->m.row;

	if (o->word == WORD_PREPARE && !o->prepare_went && waited > REACH_TIMEOUT_NS)
		outgoing_give_up(o, "cannot reach %s at %s; is it up, and is this node's key on its "
				 "allow list?", row->peer, row->peer_endpoint);
	else if (o->word == WORD_PREPARE && waited > PREPARE_TIMEOUT_NS)
		outgoing_give_up(o, "%s does not answer", row->peer);
	else if (o->word == WORD_ABORT && o->tell_until_ns && clock_mono_ns() > o->tell_until_ns)
		o->peer_stage = PEER(UNKNOWN); /* it never got beyond waiting, and gives up itself */
	else if ((o->word == WORD_COMMIT || o->word == WORD_QUERY) && waited > DOUBT_NS)
		enter_doubt(o);
}

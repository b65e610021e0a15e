/* SPDX-License-Identifier: Apache-2.0
 *
 * What the two ends say to each other, from the target's side.
 */
#include <string.h>

#include "common/log.h"
#include "migrator/disk.h"
#include "migrator/fault.h"
#include "migrator/incoming_internal.h"
#include "migrator/node_config.h"

#define TELL_NS (NS_PER_S)      /* between two times of one word */
#define OWED_NS (30 * NS_PER_S) /* how long the last one is said */

#define STATE(name) TAGALONG__MOVE_STATE__MOVE_##name
#define PEER(name) TAGALONG__PEER_STAGE__PEER_##name

/* ---- Telling the source ---------------------------------------------------------- */

static Tagalong__PeerStage stage_of(const struct incoming *in)
{
	if (in->m.row.stage == JOURNAL_RUN && in->partial && in->resumed_utc_ns)
		return PEER(TAKING);
	return commit_target_stage(in->m.row.stage, in->inflow != NULL);
}

static void tell(struct incoming *in, struct bus_socket *s, const struct bus_peer *to)
{
	(void)peer_send_state(s, to, NULL, &in->m.row.id, stage_of(in), in->m.row.info->failure,
			      in->resumed_utc_ns, in->m.row.info->lost);
}

/* Whoever had to be asked may not reach us, and then the route of what it said once leads nowhere;
 * but one of the release before hears us by that alone. */
void incoming_tell_state(struct incoming *in)
{
	uint64_t now = clock_mono_ns();

	if (in->has_source)
		tell(in, in->socket, &in->source);
	if (!in->by_ask || !in->ask)
		return;
	tell(in, in->ask, NULL);
	in->asked_ns = now;
	if (in->m.row.stage == JOURNAL_DONE || in->m.row.stage == JOURNAL_NEVER)
		in->owed_until_ns = now + OWED_NS;
}

/* Nobody asks for it again who does not reach us. Not for ever: there may be nobody. */
bool incoming_owes_word(struct incoming *in)
{
	uint64_t now = clock_mono_ns();

	if (now >= in->owed_until_ns)
		return false;
	if (now - in->asked_ns >= TELL_NS) {
		in->asked_ns = now;
		tell(in, in->ask, NULL);
	}
	return true;
}

void incoming_tell_prepared(struct incoming *in)
{
	struct node *n = in->m.node;
	const VmSpec *spec = in->m.row.spec;
	protobuf_c_boolean has_base[VM_DISKS_MAX];
	Tagalong__PeerPrepared p = TAGALONG__PEER_PREPARED__INIT;
	Tagalong__HeldImage image;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	p.move = (ProtobufCBinaryData){ UUID_SIZE, in->m.row.id.bytes };
	p.data_endpoint = n->data_endpoint;
	p.incarnation = (ProtobufCBinaryData){ UUID_SIZE, in->m.row.incarnation.bytes };
	p.qemu_version = n->host.qemu_version;
	p.has_connections = true;
	p.connections = in->connections;
	p.has_post_copy = p.post_copy = in->post_copy;
	p.has_has_the_base = true;
	p.has_the_base = in->base != NULL;
	p.has_tail_mark = in->last_tail != NULL;
	if (in->last_tail)
		p.tail_mark = tail_mark(in->last_tail);
	if (in->image) {
		incoming_describe_image(in, &image);
		p.image = &image;
	}
	p.has_disk_base = has_base;
	for (size_t i = 0; i < spec->n_disks; i++)
		if (disk_moves(spec->disks[i]))
			has_base[p.n_has_disk_base++] = spec->disks[i]->base_path != NULL;
	e.body_case = TAGALONG__ENVELOPE__BODY_PEER_PREPARED;
	e.peer_prepared = &p;
	e.has_reply_to = true;
	e.reply_to = in->prepare_seq;
	(void)peer_send(in->socket, &in->source, &e);
}

void incoming_remember_source(struct incoming *in, struct bus_socket *s,
			      const struct bus_peer *from)
{
	in->heard_ns = clock_mono_ns();
	in->by_ask = !from;
	if (!from)
		return;
	in->socket = s;
	in->source = *from;
	in->has_source = true;
}

/* ---- Messages -------------------------------------------------------------------- */

/* How a settled move, or one never heard of, stands. */
static Tagalong__PeerStage known_stage(struct node *n, const struct uuid *id, uint64_t *ret_utc_ns,
				       bool *ret_lost)
{
	Tagalong__PeerStage stage = PEER(UNKNOWN);
	struct journal_move row;

	if (journal_find(n->journal, id, &row) < 0)
		return stage;
	if (row.incoming)
		stage = commit_target_stage(row.stage, false);
	if (row.stage == JOURNAL_DONE)
		*ret_utc_ns = row.info->ended_utc_ns;
	*ret_lost = row.info->lost;
	journal_move_clear(&row);
	return stage;
}

/* An abort that overtook its PeerPrepare, or came after it was forgotten. */
static void leave_tombstone(struct node *n, const struct uuid *id, const char *source,
			    const char *why)
{
	struct move m = { .node = n };
	VmSpec spec = TAGALONG__VM_SPEC__INIT;
	char none[] = "";
	struct uuid incarnation = { 0 };

	spec.name = spec.machine = spec.cpu = spec.accelerator = none;
	if (move_init(&m, n, id, true, &spec, &incarnation) < 0)
		return;
	m.row.stage = JOURNAL_NEVER;
	m.row.settled = true;
	m.row.info->state = STATE(ABORTED);
	if (why)
		move_explain(&m, "%s", why);
	if (move_set_nodes(&m, source, n->config->name, NULL, NULL) == 0)
		(void)journal_write(n->journal, &m.row, NULL);
	move_clear(&m);
}

static void on_unknown(struct node *n, struct bus_socket *s, const struct bus_peer *from,
		       const Envelope *e, const struct uuid *id)
{
	uint64_t utc_ns = 0;
	bool lost = false;
	Tagalong__PeerStage stage = known_stage(n, id, &utc_ns, &lost);

	if (stage == PEER(UNKNOWN) && e->body_case == TAGALONG__ENVELOPE__BODY_PEER_ABORT) {
		leave_tombstone(n, id, e->sender, e->peer_abort->why);
		stage = known_stage(n, id, &utc_ns, &lost);
	}
	peer_send_state(s, from, e, id, stage, NULL, utc_ns, lost);
}

/* The reason is the source's, unless this side had one of its own. */
static void take_reason(struct incoming *in, const char *why)
{
	struct journal_move *row = &in->m.row;

	if (row->stage <= JOURNAL_READY) {
		move_explain(&in->m, "%s", why ? why : "the source called it off");
	} else if (row->stage == JOURNAL_NEVER && in->hung_up && why) {
		in->hung_up = false;
		move_explain(&in->m, "%s", why);
		if (row->settled)
			(void)move_settle(&in->m); /* once more, with the reason */
	}
}

static void take_word(struct incoming *in, const Envelope *e)
{
	if (e->body_case == TAGALONG__ENVELOPE__BODY_PEER_COMMIT) {
		in->word = COMMIT_WORD_COMMIT;
		if (e->peer_commit->has_stopped_ns && !in->commit_utc_ns) {
			in->commit_utc_ns = clock_utc_ns();
			in->stopped_ns = e->peer_commit->stopped_ns;
		}
	} else {
		in->word = COMMIT_WORD_ABORT;
		take_reason(in, e->peer_abort->why);
	}
	incoming_reconcile(in);
}

/* The source has a settled word for us, or none yet. */
static void on_known(struct incoming *in, struct bus_socket *s, const struct bus_peer *from,
		     const Envelope *e)
{
	enum journal_stage was = in->m.row.stage;

	incoming_remember_source(in, s, from);
	switch (e->body_case) {
	case TAGALONG__ENVELOPE__BODY_PEER_PREPARE:
		in->prepare_seq = e->seq;
		if (was == JOURNAL_PREPARED)
			incoming_tell_prepared(in);
		else if (was > JOURNAL_PREPARED)
			incoming_tell_state(in);
		break;
	case TAGALONG__ENVELOPE__BODY_PEER_COMMIT:
	case TAGALONG__ENVELOPE__BODY_PEER_ABORT:
		take_word(in, e);
		/* A change of stage has told it already; RUN tells when it runs. */
		if (in->m.row.stage == was && (was != JOURNAL_RUN || in->partial))
			incoming_tell_state(in);
		break;
	default:
		if (e->peer_query->why)
			incoming_doubt(in, e->peer_query->why);
		incoming_tell_state(in);
		break;
	}
}

static const ProtobufCBinaryData *move_of(const Envelope *e)
{
	switch (e->body_case) {
	case TAGALONG__ENVELOPE__BODY_PEER_PREPARE:
		return &e->peer_prepare->move;
	case TAGALONG__ENVELOPE__BODY_PEER_COMMIT:
		return &e->peer_commit->move;
	case TAGALONG__ENVELOPE__BODY_PEER_ABORT:
		return &e->peer_abort->move;
	case TAGALONG__ENVELOPE__BODY_PEER_IMAGE_QUERY:
		return &e->peer_image_query->move;
	default:
		return &e->peer_query->move;
	}
}

static int check_sender(const struct incoming *in, const struct bus_peer *from,
			struct mg_error *err)
{
	if (!from->name[0] || strcmp(from->name, in->m.row.peer) == 0)
		return 0;
	return mg_error_set(err, -EACCES, "that move is between %s and %s", in->m.row.peer,
			    in->m.node->config->name);
}

void incoming_message(struct node *n, struct bus_socket *s, const struct bus_peer *from,
		      const Envelope *e)
{
	struct uuid id = uuid_of(move_of(e));
	struct incoming *in = incoming_find(n, &id);
	struct mg_error err = { 0 };
	uint64_t utc_ns = 0;
	bool lost;
	char step[48];

	peer_step_name(e, step);
	fault_before("receive", step);
	if (in && check_sender(in, from, &err) < 0)
		bus_reply_failure(s, from, e, &err);
	else if (e->body_case == TAGALONG__ENVELOPE__BODY_PEER_IMAGE_QUERY && in)
		incoming_answer_image_query(in, s, from, e);
	else if (in)
		on_known(in, s, from, e);
	else if (e->body_case == TAGALONG__ENVELOPE__BODY_PEER_PREPARE &&
		 known_stage(n, &id, &utc_ns, &lost) == PEER(UNKNOWN))
		incoming_prepare(n, s, from, e);
	else
		on_unknown(n, s, from, e, &id);
	fault_after("receive", step);
}

/* The source answers what we asked: PeerCommit, PeerAbort, or PeerState while it
 * has not decided; and what we told it: Done, or Failure if it is too old to hear that here. */
static void on_ask_answer(struct bus_socket *s, const struct bus_peer *from, const Envelope *e,
			  void *userdata)
{
	struct incoming *in = userdata;
	char step[48];

	peer_step_name(e, step);
	fault_before("receive", step);
	if (e->body_case == TAGALONG__ENVELOPE__BODY_PEER_COMMIT ||
	    e->body_case == TAGALONG__ENVELOPE__BODY_PEER_ABORT)
		on_known(in, s, from, e);
	else if (e->body_case == TAGALONG__ENVELOPE__BODY_PEER_STATE &&
		 e->peer_state->stage == PEER(PREPARED))
		in->heard_ns = clock_mono_ns();
	else if (e->body_case == TAGALONG__ENVELOPE__BODY_DONE ||
		 e->body_case == TAGALONG__ENVELOPE__BODY_FAILURE)
		in->owed_until_ns = 0;
	fault_after("receive", step);
}

void incoming_connect_source(struct incoming *in)
{
	struct journal_move *row = &in->m.row;
	struct mg_error err = { 0 };

	if (!row->peer_endpoint[0] || in->ask)
		return;
	if (bus_connect(in->m.node->bus, BUS_DEALER, row->peer_endpoint, row->peer_key,
			on_ask_answer, in, &in->ask, &err) < 0)
		log_warning("incoming", "move=%s %s", in->m.id_text, err.text);
}

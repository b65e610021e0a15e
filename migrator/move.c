/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/move.h"

#include <stdarg.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "migrator/exporter.h"
#include "migrator/fault.h"
#include "migrator/node_config.h"

#define RESULT_INTERVAL_NS NS_PER_S

struct uuid uuid_of(const ProtobufCBinaryData *data)
{
	struct uuid u = { 0 };

	if (data->len == UUID_SIZE)
		memcpy(u.bytes, data->data, UUID_SIZE);
	return u;
}

/* ---- Making and ending --------------------------------------------------------------- */

static int set_bytes(ProtobufCBinaryData *field, const struct uuid *u)
{
	field->data = malloc(UUID_SIZE);
	if (!field->data)
		return -ENOMEM;
	memcpy(field->data, u->bytes, UUID_SIZE);
	field->len = UUID_SIZE;
	return 0;
}

int move_init(struct move *m, struct node *n, const struct uuid *id, bool incoming,
	      const VmSpec *spec, const struct uuid *incarnation)
{
	MoveInfo *info = malloc(sizeof(*info));

	if (!info)
		return -ENOMEM;
	tagalong__move_info__init(info);
	*m = (struct move){ .node = n, .begun_mono_ns = clock_mono_ns() };
	m->row = (struct journal_move){ .id = *id, .incoming = incoming, .stage = JOURNAL_BEGUN,
					.incarnation = *incarnation, .info = info };
	m->row.reported = incoming; /* the source tells */
	uuid_format(id, m->id_text);
	m->row.spec = vm_spec_copy(spec);
	info->vm = strdup(spec->name);
	info->state = TAGALONG__MOVE_STATE__MOVE_QUEUED;
	info->has_incoming = info->incoming = incoming;
	info->has_begun_utc_ns = true;
	info->begun_utc_ns = clock_utc_ns();
	if (!m->row.spec || !info->vm || set_bytes(&info->move, id) < 0) {
		move_clear(m);
		return -ENOMEM;
	}
	return 0;
}

int move_set_order(struct move *m, const struct uuid *order)
{
	MoveInfo *info = m->row.info;

	info->attempt_id = info->move;
	info->has_attempt_id = true;
	info->move = (ProtobufCBinaryData){ 0 };
	uuid_format(order, m->id_text);
	return set_bytes(&info->move, order);
}

int move_set_nodes(struct move *m, const char *source, const char *target, const char *endpoint,
		   const char *key)
{
	m->row.info->source = strdup(source);
	m->row.info->target = strdup(target);
	snprintf(m->row.peer, sizeof(m->row.peer), "%s", m->row.incoming ? source : target);
	snprintf(m->row.peer_endpoint, sizeof(m->row.peer_endpoint), "%s", endpoint ? endpoint : "");
	snprintf(m->row.peer_key, sizeof(m->row.peer_key), "%s", key ? key : "");
	return m->row.info->source && m->row.info->target ? 0 : -ENOMEM;
}

int move_set_cause(struct move *m, const Tagalong__MoveReason *reason,
		   const ProtobufCBinaryData *device)
{
	MoveInfo *info = m->row.info;
	struct uuid id;

	if (device && device->len == UUID_SIZE) {
		id = uuid_of(device);
		if (set_bytes(&info->device, &id) < 0)
			return -ENOMEM;
		info->has_device = true;
	}
	if (!reason)
		return 0;
	info->reason = malloc(sizeof(*info->reason));
	if (!info->reason)
		return -ENOMEM;
	tagalong__move_reason__init(info->reason);
	info->reason->code = strdup(reason->code);
	info->reason->text = strdup(reason->text);
	return info->reason->code && info->reason->text ? 0 : -ENOMEM;
}

/* What people saw last may be older than what was journaled last. */
static MoveState state_of_stage(enum journal_stage stage)
{
	switch (stage) {
	case JOURNAL_BEGUN:
		return TAGALONG__MOVE_STATE__MOVE_CHECKING;
	case JOURNAL_READY:
		return TAGALONG__MOVE_STATE__MOVE_READY;
	case JOURNAL_COMMIT:
	case JOURNAL_RUN:
	case JOURNAL_REVOKED: /* until the guest runs again */
		return TAGALONG__MOVE_STATE__MOVE_COMMITTED;
	case JOURNAL_DONE:
		return TAGALONG__MOVE_STATE__MOVE_DONE;
	case JOURNAL_NEVER:
		return TAGALONG__MOVE_STATE__MOVE_ABORTED;
	case JOURNAL_PREPARED:
	case JOURNAL_ABORTED: /* until the guest runs again */
		break;
	}
	return TAGALONG__MOVE_STATE__MOVE_PREPARED;
}

void move_restore(struct move *m, struct node *n, struct journal_move *row)
{
	struct uuid order;

	if (!row->settled && !move_state_is_final(row->info->state))
		row->info->state = state_of_stage(row->stage);
	*m = (struct move){ .node = n, .row = *row, .begun_mono_ns = clock_mono_ns() };
	*row = (struct journal_move){ 0 };
	order = uuid_of(&m->row.info->move);
	uuid_format(&order, m->id_text);
	/* The controller is told, whoever ordered it: an operator's connection is gone. */
	m->follower = !m->row.incoming && n->controller;
	if (!m->row.reported && !m->follower)
		m->row.reported = true;
}

void move_clear(struct move *m)
{
	journal_move_clear(&m->row);
}

/* ---- Journal and state ------------------------------------------------------------------ */

static int write_row(struct move *m)
{
	struct mg_error err = { 0 };
	int r = journal_write(m->node->journal, &m->row, &err);

	if (r < 0 && !m->unwritten)
		log_error("move", "move=%s vm=%s cannot write stage '%s', and tries again: %s", m->id_text,
			  m->row.info->vm, journal_stage_name(m->row.stage), err.text);
	m->unwritten = r < 0;
	return r;
}

int move_to_stage(struct move *m, enum journal_stage stage)
{
	enum journal_stage was = m->row.stage;
	int r;

	m->row.stage = stage;
	r = write_row(m);
	if (r < 0)
		m->row.stage = was;
	else
		log_debug("move", "move=%s vm=%s stage=%s", m->id_text, m->row.info->vm,
			  journal_stage_name(stage));
	return r;
}

int move_settle(struct move *m)
{
	int r;

	m->row.settled = true;
	r = write_row(m);
	if (r < 0)
		m->row.settled = false;
	return r;
}

static void set_state(struct move *m, MoveState state)
{
	MoveState *now = &m->row.info->state;

	if (!move_state_may_follow(*now, state) &&
	    move_state_may_follow(*now, TAGALONG__MOVE_STATE__MOVE_IN_DOUBT))
		(void)move_state_set(now, TAGALONG__MOVE_STATE__MOVE_IN_DOUBT);
	(void)move_state_set(now, state);
}

void move_show(struct move *m, MoveState state)
{
	MoveInfo *info = m->row.info;

	if (info->state == state || move_state_is_final(info->state))
		return;
	set_state(m, state);
	if (move_state_is_final(state)) {
		if (!info->has_ended_utc_ns)
			info->ended_utc_ns = clock_utc_ns();
		info->has_ended_utc_ns = true;
		move_figures(m)->has_elapsed_ns = true;
		move_figures(m)->elapsed_ns = info->ended_utc_ns - info->begun_utc_ns;
	}
	log_at(state == TAGALONG__MOVE_STATE__MOVE_IN_DOUBT ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
	       "move", "move=%s vm=%s from=%s to=%s state=\"%s\"%s%s", m->id_text, info->vm,
	       info->source, info->target, move_state_name(state), info->failure ? " " : "",
	       info->failure ? info->failure : "");
	if (move_state_is_final(state))
		exporter_note_move(m->node->exporter, info, m->row.incoming);
	move_tell_progress(m);
	node_changed(m->node);
}

void move_explain(struct move *m, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	free(m->row.info->failure);
	m->row.info->failure = NULL;
	if (!fmt)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	m->row.info->failure = strdup(text);
}

void move_warn(struct node *n, const struct uuid *attempt, const char *text)
{
	struct journal_move row;

	if (journal_find(n->journal, attempt, &row) < 0)
		return;
	free(row.info->warning);
	row.info->warning = strdup(text);
	if (row.settled) /* else it is about to be written by its owner */
		(void)journal_write(n->journal, &row, NULL);
	journal_move_clear(&row);
}

Tagalong__MoveFigures *move_figures(struct move *m)
{
	static Tagalong__MoveFigures spare; /* out of memory: figures are lost, no more */
	MoveInfo *info = m->row.info;

	if (info->figures)
		return info->figures;
	info->figures = malloc(sizeof(*info->figures));
	if (!info->figures)
		return &spare;
	tagalong__move_figures__init(info->figures);
	return info->figures;
}

void move_figures_pages(Tagalong__MoveFigures *f, const uint64_t pages[PAGE_COUNTS])
{
	f->has_pages_zero = f->has_pages_same = f->has_pages_copy = f->has_pages_patch = true;
	f->has_pages_delta = f->has_pages_lz4 = f->has_pages_raw = f->has_pages_asked = true;
	f->has_pages_zstd = f->has_pages_replaced = f->has_pages_ahead = true;
	f->pages_zero = pages[PAGES_ZERO];
	f->pages_same = pages[PAGES_SAME];
	f->pages_copy = pages[PAGES_COPY];
	f->pages_patch = pages[PAGES_PATCH];
	f->pages_delta = pages[PAGES_DELTA];
	f->pages_lz4 = pages[PAGES_LZ4];
	f->pages_zstd = pages[PAGES_ZSTD];
	f->pages_raw = pages[PAGES_RAW];
	f->pages_asked = pages[PAGES_ASKED];
	f->pages_ahead = pages[PAGES_AHEAD];
	f->pages_replaced = pages[PAGES_REPLACED];
}

/* ---- Telling ---------------------------------------------------------------------------- */

void move_set_follower(struct move *m, const struct bus_peer *peer)
{
	m->follower = true;
	m->follower_is_peer = peer;
	if (peer)
		m->peer = *peer;
}

static int64_t tell(struct move *m, Envelope *e)
{
	struct node *n = m->node;

	if (!m->follower)
		return -ENOENT;
	if (m->follower_is_peer)
		return bus_send(n->router, &m->peer, e);
	return n->controller ? bus_send(n->controller, NULL, e) : -ENOENT;
}

void move_tell_progress(struct move *m)
{
	Tagalong__MoveProgress progress = TAGALONG__MOVE_PROGRESS__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	progress.info = m->row.info;
	e.body_case = TAGALONG__ENVELOPE__BODY_MOVE_PROGRESS;
	e.move_progress = &progress;
	(void)tell(m, &e); /* the next one comes soon */
}

bool move_tell_result(struct move *m)
{
	Tagalong__MoveResult result = TAGALONG__MOVE_RESULT__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	uint64_t now = clock_mono_ns();
	int64_t seq;

	if (m->row.reported || (m->result_sent_mono_ns &&
				now - m->result_sent_mono_ns < RESULT_INTERVAL_NS))
		return m->row.reported;
	m->result_sent_mono_ns = now;
	result.info = m->row.info;
	e.body_case = TAGALONG__ENVELOPE__BODY_MOVE_RESULT;
	e.move_result = &result;
	seq = tell(m, &e);
	if (seq > 0)
		m->result_seqs[m->n_results++ % MOVE_RESULT_SEQS] = (uint64_t)seq;
	/* An operator who left will ask when they want to know. */
	if (seq < 0 && seq != -EAGAIN && (m->follower_is_peer || !m->follower))
		m->row.reported = true;
	return m->row.reported;
}

bool move_take_answer(struct move *m, uint64_t reply_to)
{
	for (unsigned i = 0; i < MOVE_RESULT_SEQS; i++)
		if (reply_to && m->result_seqs[i] == reply_to) {
			m->row.reported = true;
			return true;
		}
	return false;
}

/* ---- Peers --------------------------------------------------------------------------------- */

const char *peer_step_name(const Envelope *e, char buffer[48])
{
	static const char *const stages[] = { "?", "unknown", "prepared", "ready",
					      "ran", "never", "loading", "taking" };
	const char *name = envelope_body_name(e);

	if (strncmp(name, "peer_", 5) == 0)
		name += 5;
	if (e->body_case == TAGALONG__ENVELOPE__BODY_PEER_STATE &&
	    (unsigned)e->peer_state->stage < ARRAY_SIZE(stages))
		snprintf(buffer, 48, "state-%s", stages[e->peer_state->stage]);
	else
		snprintf(buffer, 48, "%s", name);
	return buffer;
}

int64_t peer_send(struct bus_socket *s, const struct bus_peer *to, Envelope *e)
{
	char step[48];
	int64_t seq;

	peer_step_name(e, step);
	fault_before("send", step);
	seq = bus_send(s, to, e);
	if (seq > 0)
		fault_after("send", step);
	return seq;
}

static void set_reply_to(Envelope *e, const Envelope *request)
{
	if (!request)
		return;
	e->has_reply_to = true;
	e->reply_to = request->seq;
}

int64_t peer_send_state(struct bus_socket *s, const struct bus_peer *to, const Envelope *request,
			const struct uuid *move, Tagalong__PeerStage stage, const char *why,
			uint64_t resumed_utc_ns, bool lost)
{
	Tagalong__PeerState state = TAGALONG__PEER_STATE__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	uint64_t now = clock_utc_ns();

	state.move = (ProtobufCBinaryData){ UUID_SIZE, (uint8_t *)move->bytes };
	state.stage = stage;
	state.why = (char *)why;
	state.has_lost = state.lost = lost;
	state.has_resumed_utc_ns = resumed_utc_ns != 0;
	state.resumed_utc_ns = resumed_utc_ns;
	state.has_resumed_for_ns = resumed_utc_ns && now >= resumed_utc_ns;
	state.resumed_for_ns = state.has_resumed_for_ns ? now - resumed_utc_ns : 0;
	e.body_case = TAGALONG__ENVELOPE__BODY_PEER_STATE;
	e.peer_state = &state;
	set_reply_to(&e, request);
	return peer_send(s, to, &e);
}

int64_t peer_send_commit(struct bus_socket *s, const struct bus_peer *to, const Envelope *request,
			 const struct uuid *move, uint64_t stopped_ns)
{
	Tagalong__PeerCommit commit = TAGALONG__PEER_COMMIT__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	commit.move = (ProtobufCBinaryData){ UUID_SIZE, (uint8_t *)move->bytes };
	commit.has_stopped_ns = stopped_ns != 0;
	commit.stopped_ns = stopped_ns;
	e.body_case = TAGALONG__ENVELOPE__BODY_PEER_COMMIT;
	e.peer_commit = &commit;
	set_reply_to(&e, request);
	return peer_send(s, to, &e);
}

int64_t peer_send_word(struct bus_socket *s, const struct bus_peer *to, const Envelope *request,
		       const struct uuid *move, Tagalong__Envelope__BodyCase body,
		       const char *why)
{
	Tagalong__PeerAbort abort = TAGALONG__PEER_ABORT__INIT;
	Tagalong__PeerQuery query = TAGALONG__PEER_QUERY__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	abort.move = query.move = (ProtobufCBinaryData){ UUID_SIZE, (uint8_t *)move->bytes };
	abort.why = query.why = (char *)why;
	e.body_case = body;
	if (body == TAGALONG__ENVELOPE__BODY_PEER_ABORT)
		e.peer_abort = &abort;
	else
		e.peer_query = &query;
	set_reply_to(&e, request);
	return peer_send(s, to, &e);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * What moves have bought. Some time after a move is done the round-trip time at its target is
 * noted with it in the history; a summary adds up what there is, by the reason of the moves.
 */
#include <inttypes.h>
#include <string.h>

#include "common/clock.h"
#include "placement/controller_private.h"

typedef Tagalong__Placement__MoveEntry MoveEntry;

/* ---- Judging a move ------------------------------------------------------------------- */

#define JUDGE_AFTER_NS (30 * NS_PER_S)
#define JUDGE_UNTIL_NS (600 * NS_PER_S)

static bool is_due(const struct controller *c, const MoveEntry *entry)
{
	const Tagalong__MoveInfo *info = entry->info;
	uint64_t ago = c->fx.now_utc_ns - info->ended_utc_ns;

	return !entry->has_after_ns && info->state == TAGALONG__MOVE_STATE__MOVE_DONE && !info->lost &&
	       entry->evidence && entry->evidence->here_ns > 0 && ago >= JUDGE_AFTER_NS &&
	       ago < JUDGE_UNTIL_NS;
}

/* The device's round-trip time from the move's target, while its VM is there; 0: unknown. */
static uint64_t time_there(const struct controller *c, const Tagalong__MoveInfo *info)
{
	const struct vm *vm = fleet_vm(&c->fleet, info->vm);

	if (!vm || !vm->device || !vm->node || strcmp(vm->node->name, info->target) != 0)
		return 0;
	for (size_t i = 0; i < vm->device->n_rtts; i++) {
		const struct rtt_entry *rtt = &vm->device->rtts[i];

		if (rtt->node == vm->node &&
		    c->fx.now_ns - rtt->fresh_ns <= parameters_of(c, vm->device)->max_age_ns)
			return rtt->srtt_ns;
	}
	return 0;
}

void summary_tick(struct controller *c)
{
	for (size_t i = 0; i < EXECUTOR_RECENT && c->executor.recent[i]; i++) {
		MoveEntry *entry = c->executor.recent[i];
		uint64_t srtt = is_due(c, entry) ? time_there(c, entry->info) : 0;

		if (!srtt)
			continue;
		entry->has_after_ns = true;
		entry->after_ns = srtt;
		executor_keep_settled(&c->executor, entry);
		effects_decide(&c->fx, "outcome",
			       "vm=%s to=%s before_ns=%" PRIu64 " expected_ns=%" PRIu64
			       " after_ns=%" PRIu64, entry->info->vm, entry->info->target,
			       entry->evidence->here_ns, entry->evidence->target_ns, srtt);
	}
}

/* ---- Adding up ------------------------------------------------------------------------ */

#define ROWS_MAX 16 /* reasons; there are fewer */

/* When a VM left for its next move: entries come with the newest first. */
struct departure {
	char vm[NAME_SIZE];
	uint64_t utc_ns;
};

struct row {
	Tagalong__SummaryRow message;
	char code[32];
	double before, expected, after, saved, stayed;
};

struct summary {
	uint64_t since_utc_ns, now_utc_ns;
	struct index departures;
	struct row rows[ROWS_MAX];
	size_t n_rows;
	int error;
};

static int compare_departure(const void *vm, const void *departure)
{
	return strcmp(vm, ((const struct departure *)departure)->vm);
}

static struct row *row_of(struct summary *s, const char *code)
{
	struct row *row;
	size_t i = 0;

	while (i < s->n_rows && strcmp(s->rows[i].code, code) != 0)
		i++;
	if (i == ROWS_MAX)
		return &s->rows[ROWS_MAX - 1];
	row = &s->rows[i];
	if (i == s->n_rows) {
		tagalong__summary_row__init(&row->message);
		snprintf(row->code, sizeof(row->code), "%s", code);
		row->message.code = row->code;
		s->n_rows++;
	}
	return row;
}

/* For how long the VM stayed where this move, which is done, brought it. */
static uint64_t stay(struct summary *s, const Tagalong__MoveInfo *info)
{
	struct departure *d = index_find(&s->departures, info->vm);
	uint64_t until = d ? d->utc_ns : s->now_utc_ns;

	if (!d) {
		d = calloc(1, sizeof(*d));
		if (!d || index_insert(&s->departures, info->vm, d) < 0) {
			free(d);
			s->error = -ENOMEM;
			return 0;
		}
		snprintf(d->vm, sizeof(d->vm), "%s", info->vm);
	}
	d->utc_ns = info->begun_utc_ns;
	return until > info->ended_utc_ns ? until - info->ended_utc_ns : 0;
}

static void judge(struct row *row, const MoveEntry *entry, uint64_t stay_ns)
{
	double before = (double)entry->evidence->here_ns, after = (double)entry->after_ns;

	row->message.judged++;
	row->message.worse += after >= before;
	row->before += before;
	row->expected += (double)entry->evidence->target_ns;
	row->after += after;
	row->saved += (before - after) * (double)stay_ns;
	row->stayed += (double)stay_ns;
}

static void add(struct summary *s, const MoveEntry *entry)
{
	const Tagalong__MoveInfo *info = entry->info;
	struct row *row = row_of(s, info->reason ? info->reason->code : "operator");
	const Tagalong__MoveFigures *f = info->figures;
	uint64_t stay_ns;

	row->message.wire_bytes += f ? f->wire_bytes : 0;
	if (info->state != TAGALONG__MOVE_STATE__MOVE_DONE || info->lost) {
		row->message.failed++;
		return;
	}
	row->message.done++;
	row->message.blackout_ns += f ? f->blackout_ns : 0;
	if (f && f->blackout_ns > row->message.blackout_max_ns)
		row->message.blackout_max_ns = f->blackout_ns;
	stay_ns = stay(s, info);
	if (entry->has_after_ns && entry->evidence)
		judge(row, entry, stay_ns);
}

static int on_entry(const struct store_entry *e, void *userdata)
{
	struct summary *s = userdata;
	MoveEntry *entry = tagalong__placement__move_entry__unpack(NULL, e->len, e->value);
	bool too_old;

	/* What an older or newer release wrote and we cannot read is not counted. */
	if (!entry)
		return 0;
	too_old = entry->info->ended_utc_ns < s->since_utc_ns;
	if (!too_old && peer_name_is_valid(entry->info->vm))
		add(s, entry);
	tagalong__placement__move_entry__free_unpacked(entry, NULL);
	return too_old || s->error;
}

/* From sums to means. */
static void finish(struct row *row)
{
	Tagalong__SummaryRow *m = &row->message;

	if (m->judged == 0)
		return;
	m->has_before_ns = m->has_expected_ns = m->has_after_ns = true;
	m->before_ns = (uint64_t)(row->before / m->judged);
	m->expected_ns = (uint64_t)(row->expected / m->judged);
	m->after_ns = (uint64_t)(row->after / m->judged);
	m->has_saved_ns = m->has_stay_ns = row->stayed > 0;
	m->saved_ns = row->stayed > 0 ? (int64_t)(row->saved / row->stayed) : 0;
	m->stay_ns = (uint64_t)row->stayed;
}

static void tell(struct controller *c, const struct bus_peer *from, const Envelope *request,
		 struct summary *s)
{
	Tagalong__SummaryRow *rows[ROWS_MAX];
	Tagalong__Summary summary = TAGALONG__SUMMARY__INIT;
	Envelope reply = TAGALONG__ENVELOPE__INIT;

	for (size_t i = 0; i < s->n_rows; i++) {
		finish(&s->rows[i]);
		rows[i] = &s->rows[i].message;
	}
	summary.rows = rows;
	summary.n_rows = s->n_rows;
	reply.body_case = TAGALONG__ENVELOPE__BODY_SUMMARY;
	reply.summary = &summary;
	effects_reply(&c->fx, from, request->seq, &reply);
}

void summary_on_query(struct controller *c, const struct bus_peer *from, const Envelope *e)
{
	struct summary s = { .since_utc_ns = e->summary_query->since_utc_ns,
			     .now_utc_ns = c->fx.now_utc_ns,
			     .departures.compare = compare_departure };
	struct departure *departure;
	struct mg_error err = { 0 };
	int r = 0;

	if (c->store)
		r = store_range(c->store, &(struct store_range){ "history/", 0, true }, on_entry, &s,
				NULL, &err);
	if (s.error < 0)
		r = mg_error_set(&err, s.error, "out of memory");
	if (r < 0)
		request_reply(c, from, e, r, &err);
	else
		tell(c, from, e, &s);
	INDEX_FOREACH(departure, &s.departures)
		free(departure);
	index_clear(&s.departures);
}

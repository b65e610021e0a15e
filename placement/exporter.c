/* SPDX-License-Identifier: Apache-2.0 */
#include "placement/exporter.h"

#include <string.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/document.h"
#include "common/move_state.h"
#include "placement/store_timed.h"

#define STATE(name) TAGALONG__MOVE_STATE__MOVE_##name

static const double input_bounds[] = {
	1e-5, 5e-5, 1e-4, 5e-4, 1e-3, 5e-3, 1e-2, 5e-2, 0.1, 0.5, 1
};
static const double blackout_bounds[] = { 5e-3, 1e-2, 2e-2, 3e-2, 5e-2, 7.5e-2, 0.1,
					  0.15, 0.2,  0.3,  0.5,  1,    2,      5 };
static const double duration_bounds[] = { 0.25, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600 };

void exporter_init(struct exporter *x)
{
	*x = (struct exporter){
		.blackout = { blackout_bounds, ARRAY_SIZE(blackout_bounds) },
		.duration = { duration_bounds, ARRAY_SIZE(duration_bounds) },
	};
	for (size_t i = 0; i < EXPORTER_INPUTS; i++)
		x->inputs[i] = (struct metrics_histogram){ input_bounds, ARRAY_SIZE(input_bounds) };
}

void exporter_note_input(struct exporter *x, enum exporter_input kind, uint64_t took_ns)
{
	metrics_histogram_add(&x->inputs[kind], (double)took_ns / NS_PER_S);
}

/* ---- Moves ---------------------------------------------------------------------- */

static struct exporter_outcomes *outcomes_of(struct exporter *x, const char *reason)
{
	struct exporter_outcomes *o = x->outcomes;

	while (o < x->outcomes + x->n_outcomes && strcmp(o->reason, reason) != 0)
		o++;
	if (o < x->outcomes + x->n_outcomes)
		return o;
	if (x->n_outcomes == EXPORTER_REASONS)
		return &x->outcomes[EXPORTER_REASONS - 1];
	if (++x->n_outcomes == EXPORTER_REASONS)
		reason = "other";
	snprintf(o->reason, sizeof(o->reason), "%s", reason);
	return o;
}

static void note_done(struct exporter *x, const Tagalong__MoveInfo *move)
{
	const Tagalong__MoveFigures *f = move->figures;

	if (move->has_begun_utc_ns && move->has_ended_utc_ns &&
	    move->ended_utc_ns >= move->begun_utc_ns)
		metrics_histogram_add(&x->duration,
				      (double)(move->ended_utc_ns - move->begun_utc_ns) / NS_PER_S);
	if (!f)
		return;
	if (f->has_blackout_ns)
		metrics_histogram_add(&x->blackout, (double)f->blackout_ns / NS_PER_S);
	x->wire_bytes += f->wire_bytes;
	x->guest_bytes += f->guest_bytes;
}

void exporter_note_event(struct exporter *x, const PlacementEvent *event)
{
	struct exporter_outcomes *o;

	if (event->what_case != TAGALONG__PLACEMENT__EVENT__WHAT_MOVE)
		return;
	if (!move_state_is_final(event->move->state) && event->move->state != STATE(IN_DOUBT))
		return;
	o = outcomes_of(x, event->move->reason ? event->move->reason->code : "unknown");
	if (event->move->lost) {
		o->lost += event->move->state != STATE(IN_DOUBT);
		return;
	}
	o->aborted += event->move->state == STATE(ABORTED);
	o->revoked += event->move->state == STATE(REVOKED);
	o->in_doubt += event->move->state == STATE(IN_DOUBT);
	o->done += event->move->state == STATE(DONE);
	if (event->move->state == STATE(DONE))
		note_done(x, event->move);
}

static void write_outcomes(const struct exporter *x, struct metrics *m)
{
	metrics_family(m, METRICS_COUNTER, "tagalong_placement_moves_total",
		       "Moves by what became of them and why they were ordered; in_doubt: ever.");
	for (size_t i = 0; i < x->n_outcomes; i++) {
		const struct exporter_outcomes *o = &x->outcomes[i];
		const struct {
			const char *outcome;
			uint64_t n;
		} all[] = { { "done", o->done },
			    { "aborted", o->aborted },
			    { "revoked", o->revoked },
			    { "lost", o->lost },
			    { "in_doubt", o->in_doubt } };

		for (size_t j = 0; j < ARRAY_SIZE(all); j++)
			metrics_value(m, (double)all[j].n,
				      METRICS_LABELS({ "outcome", all[j].outcome },
						     { "reason", o->reason }));
	}
	metrics_family(m, METRICS_HISTOGRAM, "tagalong_placement_move_blackout_seconds",
		       "From the stop at the source to the run at the target, of moves done.");
	metrics_histogram_value(m, &x->blackout, METRICS_NO_LABELS);
	metrics_family(m, METRICS_HISTOGRAM, "tagalong_placement_move_duration_seconds",
		       "From the order to the result, of moves done.");
	metrics_histogram_value(m, &x->duration, METRICS_NO_LABELS);
	metrics_family(m, METRICS_COUNTER, "tagalong_placement_move_wire_bytes_total",
		       "Sent between nodes by moves done.");
	metrics_value(m, (double)x->wire_bytes, METRICS_NO_LABELS);
	metrics_family(m, METRICS_COUNTER, "tagalong_placement_move_guest_bytes_total",
		       "Memory of guests that those bytes stood for.");
	metrics_value(m, (double)x->guest_bytes, METRICS_NO_LABELS);
}

/* ---- The fleet ------------------------------------------------------------------ */

static void gauge(struct metrics *m, const char *name, const char *help, size_t value)
{
	metrics_family(m, METRICS_GAUGE, name, help);
	metrics_value(m, (double)value, METRICS_NO_LABELS);
}

static void write_fleet(const struct controller_figures *f, struct metrics *m)
{
	gauge(m, "tagalong_placement_nodes", "Nodes that have ever been heard of.", f->nodes);
	metrics_family(m, METRICS_GAUGE, "tagalong_placement_nodes_up",
		       "Nodes whose program is connected.");
	metrics_value(m, (double)f->migrators_up, METRICS_LABELS({ "program", "migratord" }));
	metrics_value(m, (double)f->telemetries_up, METRICS_LABELS({ "program", "telemetryd" }));
	gauge(m, "tagalong_placement_nodes_drained", "Nodes that are drained.", f->drained);
	metrics_family(m, METRICS_COUNTER, "tagalong_placement_reports_missed_total",
		       "Reports of round-trip times that were lost on the way.");
	metrics_value(m, (double)f->reports_missed, METRICS_NO_LABELS);
	gauge(m, "tagalong_placement_devices", "Devices that are paired with VMs.", f->devices);
	gauge(m, "tagalong_placement_devices_asleep", "Of those, which sleep.", f->asleep);
	gauge(m, "tagalong_placement_pairs", "Pairs of a device and a VM.", f->pairs);
	gauge(m, "tagalong_placement_vms_frozen", "VMs that only operators move.", f->frozen);
	gauge(m, "tagalong_placement_vms_warming", "VMs whose memory is being sent ahead.",
	      f->warming);
	metrics_family(m, METRICS_GAUGE, "tagalong_placement_vms",
		       "VMs as nodes tell them, by state; one that moves is on two nodes.");
	for (int i = TAGALONG__VM_STATE__VM_RUNNING; i < FIGURES_VM_STATES; i++)
		metrics_value(
			m, (double)f->vms[i],
			METRICS_LABELS({ "state", document_vm_state_name((Tagalong__VmState)i) }));
}

/* KubeVirt's three phases. */
static void write_phases(const struct controller_figures *f, struct metrics *m)
{
	size_t running = f->moves[STATE(COPYING)] + f->moves[STATE(STOPPED)] +
			 f->moves[STATE(READY)] + f->moves[STATE(COMMITTED)];

	gauge(m, "tagalong_vmi_migrations_in_pending_phase", "Moves that are ordered, not begun.",
	      f->moves[STATE(QUEUED)]);
	gauge(m, "tagalong_vmi_migrations_in_scheduling_phase",
	      "Moves whose two sides are being checked and prepared.",
	      f->moves[STATE(CHECKING)] + f->moves[STATE(PREPARED)]);
	gauge(m, "tagalong_vmi_migrations_in_running_phase", "Moves whose pages flow.", running);
	gauge(m, "tagalong_vmi_migrations_in_doubt", "Moves that need a node which is away.",
	      f->moves[STATE(IN_DOUBT)]);
}

enum move_figure { FIGURE_PROCESSED, FIGURE_REMAINING, FIGURE_TRANSFER, FIGURE_DIRTY, FIGURES };

struct move_figures {
	struct metrics *m;
	enum move_figure which;
};

static bool move_figure(const Tagalong__MoveFigures *f, enum move_figure which, uint64_t *ret)
{
	switch (which) {
	case FIGURE_PROCESSED:
		*ret = f->guest_bytes;
		return f->has_guest_bytes;
	case FIGURE_REMAINING:
		*ret = f->remaining_bytes;
		return f->has_remaining_bytes;
	case FIGURE_TRANSFER:
		*ret = f->link_bps;
		return f->has_link_bps;
	default:
		*ret = f->dirty_bps;
		return f->has_dirty_bps;
	}
}

static void write_move(const Tagalong__MoveInfo *move, void *userdata)
{
	const struct move_figures *w = userdata;
	uint64_t value;

	if (move->figures && move_figure(move->figures, w->which, &value))
		metrics_value(w->m, (double)value,
			      METRICS_LABELS({ "name", move->vm }, { "source", move->source },
					     { "target", move->target }));
}

static void write_moves(const struct controller *c, struct metrics *m)
{
	static const struct {
		const char *name, *help;
	} families[FIGURES] = {
		{ "tagalong_vmi_migration_data_processed_bytes",
		  "Memory of the guest that has gone over, of each open move." },
		{ "tagalong_vmi_migration_data_remaining_bytes", "Memory that has yet to go." },
		{ "tagalong_vmi_migration_memory_transfer_rate_bytes", "Bytes a second." },
		{ "tagalong_vmi_migration_dirty_memory_rate_bytes",
		  "Memory that the guest writes, bytes a second." },
	};

	for (int i = 0; i < FIGURES; i++) {
		struct move_figures w = { m, (enum move_figure)i };

		metrics_family(m, METRICS_GAUGE, families[i].name, families[i].help);
		controller_each_move(c, write_move, &w);
	}
}

/* ---- The program itself --------------------------------------------------------- */

static void write_inputs(const struct exporter *x, struct metrics *m)
{
	static const char *const kinds[] = { "message", "timer", "plan" };

	metrics_family(m, METRICS_HISTOGRAM, "tagalong_placement_input_seconds",
		       "Time for one input, to the commit and what it sends; plan: a round of "
		       "decisions.");
	for (size_t i = 0; i < EXPORTER_INPUTS; i++)
		metrics_histogram_value(m, &x->inputs[i], METRICS_LABELS({ "kind", kinds[i] }));
	metrics_family(m, METRICS_COUNTER, "tagalong_placement_rtt_samples_total",
		       "Round-trip times that nodes have reported.");
	metrics_value(m, (double)x->samples, METRICS_NO_LABELS);
}

static void write_store(const struct store *store, struct metrics *m)
{
	metrics_family(m, METRICS_HISTOGRAM, "tagalong_placement_store_seconds",
		       "Time for one request to the store.");
	for (int i = 0; i < STORE_TIMINGS; i++)
		metrics_histogram_value(
			m, store_timed_get(store, (enum store_timing)i),
			METRICS_LABELS({ "operation", store_timing_name((enum store_timing)i) }));
}

void exporter_write(const struct exporter *x, const struct controller *c, const struct store *store,
		    struct metrics *m)
{
	struct controller_figures figures;

	gauge(m, "tagalong_placement_leader", "1: this controller leads.", c != NULL);
	metrics_family(m, METRICS_COUNTER, "tagalong_placement_terms_total",
		       "How often it has begun to lead since it was started.");
	metrics_value(m, (double)x->terms, METRICS_NO_LABELS);
	write_inputs(x, m);
	write_store(store, m);
	write_outcomes(x, m);
	if (!c)
		return;
	controller_figures(c, &figures);
	gauge(m, "tagalong_placement_epoch", "The epoch of its orders.", figures.epoch);
	write_fleet(&figures, m);
	write_phases(&figures, m);
	write_moves(c, m);
}

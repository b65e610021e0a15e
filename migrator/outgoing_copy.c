/* SPDX-License-Identifier: Apache-2.0
 *
 * The copy: QEMU's capabilities and parameters, the data connection, the pages,
 * and when the guest may stop.
 */
#include <fcntl.h>
#include <math.h>
#include <string.h>

#include "common/log.h"
#include "migrator/image.h"
#include "migrator/node_config.h"
#include "migrator/outgoing_internal.h"

#define STEP_TIMEOUT_NS (10 * NS_PER_S)
#define QUERY_TIMEOUT_NS (5 * NS_PER_S)
#define DOWNTIME_TIMEOUT_NS NS_PER_S /* a figure only */
/* The stop is due soon: an idle guest's rounds last some milliseconds each then. */
#define NEAR_END_NS (500 * NS_PER_MS)
#define NEAR_END_TICK_NS (10 * NS_PER_MS)
#define FD_NAME "tagalong"
#define POST_COPY_POLL_NS (50 * NS_PER_MS) /* what QEMU needs to see that its stream is gone */
#define BANDWIDTH_UNLIMITED ((json_int_t)1 << 40) /* bytes a second; our link is the limit */

#define STATE(name) TAGALONG__MOVE_STATE__MOVE_##name

static void next_step(struct outgoing *o);

/* ---- Preparing QEMU ---------------------------------------------------------------------- */

/* QEMU takes back what it throttled however its migration ends, also because we have died. */
static bool may_throttle(const struct outgoing *o)
{
	return o->if_not_converging == TAGALONG__IF_NOT_CONVERGING__CONVERGE_THROTTLE;
}

static json_t *capabilities(const struct outgoing *o)
{
	const struct {
		const char *name;
		int on;
	} wanted[] = {
		{ "events", 1 },	    { "return-path", 1 },
		{ "late-block-activate", 1 }, { "xbzrle", 0 },
		{ "multifd", 0 },	    { "postcopy-ram", outgoing_may_post_copy(o) },
		{ "auto-converge", may_throttle(o) }, { "release-ram", 0 },
		/* Only for the mirrors' end: a guest that stands still there does not resume by
		 * itself when we die, but when we are back. */
		{ "pause-before-switchover", outgoing_disk_moves(o) },
	};
	json_t *list = json_array();

	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		json_array_append_new(list, json_pack("{s:s, s:b}", "capability", wanted[i].name,
						      "state", wanted[i].on));
	return json_pack("{s:o}", "capabilities", list);
}

/* QEMU slows the guest down by itself, at the least sign (1 %) of what it takes for
 * too many writes; but no further than its maximum, which is raised when steer.h says so. */
static json_t *parameters(const struct outgoing *o)
{
	json_t *p = json_pack("{s:I, s:i}", "max-bandwidth", BANDWIDTH_UNLIMITED,
			      "downtime-limit", 1);

	if (may_throttle(o))
		json_object_update_new(p, json_pack("{s:i, s:i, s:i, s:i, s:b}",
						    "cpu-throttle-initial", 1,
						    "cpu-throttle-increment", STEER_THROTTLE_MOST,
						    "max-cpu-throttle", 1,
						    "throttle-trigger-threshold", 1,
						    "cpu-throttle-tailslow", 0));
	return p;
}

static void on_step(struct qmp *q, int r, json_t *result, const struct mg_error *err,
		    void *userdata)
{
	struct outgoing *o = userdata;

	(void)q;
	(void)result;
	o->pending--;
	if (o->step == COPY_GETFD && o->qemu_fd >= 0) {
		close(o->qemu_fd); /* QEMU has its own by now */
		o->qemu_fd = -1;
	}
	if (r < 0)
		outgoing_give_up(o, "QEMU: %s", err->text);
	else if (o->live)
		next_step(o);
	outgoing_reconcile(o);
}

static void command(struct outgoing *o, enum copy_step step, const char *name, json_t *arguments)
{
	o->step = step;
	o->step_since_ns = clock_mono_ns();
	if (outgoing_command(o, name, arguments, STEP_TIMEOUT_NS, on_step) < 0)
		outgoing_give_up(o, "QEMU's monitor does not answer");
}

void copy_begin(struct outgoing *o)
{
	command(o, COPY_CAPABILITIES, "migrate-set-capabilities", capabilities(o));
}

/* ---- The flow ------------------------------------------------------------------- */

static void on_outflow(struct outflow *flow, enum outflow_event event, void *userdata);
static void fill_figures(struct outgoing *o, const struct outflow_stats *s);

static void take_connections(struct outgoing *o, int fds[LINK_LANES_MAX])
{
	for (unsigned i = 0; i < o->connections; i++)
		fds[i] = o->data[i].fd;
}

static void given_away(struct outgoing *o)
{
	for (unsigned i = 0; i < o->connections; i++)
		o->data[i].fd = -1;
}

static int begin_flow(struct outgoing *o, struct mg_error *err)
{
	struct node *n = o->m.node;
	_cleanup_close_ int ram_fd = guest_ram_open(o->vm->guest);
	struct outflow_config config = {
		.qemu_fd = -1,
		.qemu_end = -1,
		.ram_fd = ram_fd,
		.shadow_bytes = n->config->shadow_bytes,
		.connections = o->connections,
		.link = { .move = o->peer_id, .incarnation = o->data[0].incarnation,
			  .plain_text = n->config->plain_text_data },
		.ram_id = vm_spec_ram_block(guest_spec(o->vm->guest)),
		.mirror = guest_is_foreign(o->vm->guest),
		.ram_bytes = guest_ram_bytes(o->vm->guest),
		.bandwidth_bps = outgoing_disk_page_bandwidth(o),
		.held = o->held,
		.arrived = o->arrived,
		.base = o->both_have_base ? o->base : NULL,
		.last_tail = o->last_tail,
		.warm = o->warm,
		.post_copy = outgoing_may_post_copy(o),
		.thrifty = o->warm, /* nobody waits for it */
	};
	int r = sharing_begin(o, err);

	if (r < 0)
		return r;
	config.share = o->share;
	if (ram_fd < 0)
		return mg_error_set(err, ram_fd, "cannot open the guest's RAM: %s",
				    strerror(-ram_fd));
	r = outflow_socketpair(&config.qemu_fd, &o->qemu_fd);
	if (r < 0)
		return mg_error_set(err, r, "no socketpair: %s", strerror(-r));
	config.qemu_end = fcntl(o->qemu_fd, F_DUPFD_CLOEXEC, 0);
	if (config.qemu_end < 0) {
		close(config.qemu_fd);
		return mg_error_set(err, -errno, "no descriptor: %s", strerror(errno));
	}
	take_connections(o, config.fds);
	memcpy(config.link.key, o->session_key, sizeof(config.link.key));
	image_hash_key(o->vm->luggage->image_key.data, config.link.page_secret);
	r = outflow_start(n->loop, &config, on_outflow, o, &o->outflow, err);
	explicit_bzero(&config.link, sizeof(config.link));
	if (r < 0) {
		close(config.qemu_fd);
		close(config.qemu_end);
		return r;
	}
	ram_fd = -1;
	given_away(o);
	return 0;
}

static void give_fd(struct outgoing *o)
{
	struct qmp *q = guest_qmp(o->vm->guest);

	o->step = COPY_GETFD;
	o->step_since_ns = clock_mono_ns();
	if (!q || qmp_command_with_fd(q, "getfd", json_pack("{s:s}", "fdname", FD_NAME), o->qemu_fd,
				      STEP_TIMEOUT_NS, on_step, o) < 0)
		outgoing_give_up(o, "QEMU's monitor does not answer");
	else
		o->pending++;
}

/* What the commit costs; disks have to be flushed before, which is one way there and back. */
static uint64_t least_blackout_ns(const struct outgoing *o)
{
	return cost_least_blackout_ns(o->rtt_ns) + (outgoing_disk_moves(o) ? o->rtt_ns : 0);
}

bool outgoing_promise_fits(const struct outgoing *o)
{
	return o->promise_ns >= least_blackout_ns(o);
}

void outgoing_refuse_promise(struct outgoing *o)
{
	outgoing_give_up(o, "a blackout of %.1f ms cannot be kept: the way to %s and back takes %.1f ms, "
			 "the commit %.1f of those, and QEMU %.1f ms; promise %.0f ms or more",
			 (double)o->promise_ns / NS_PER_MS, o->m.row.peer,
			 (double)o->rtt_ns / NS_PER_MS, outgoing_disk_moves(o) ? 2.5 : 1.5,
			 (double)COST_QEMU_LEAST_NS / NS_PER_MS,
			 ceil((double)least_blackout_ns(o) / NS_PER_MS));
}

void copy_connected(struct outgoing *o)
{
	struct mg_error err = { 0 };

	if (!outgoing_promise_fits(o)) {
		outgoing_refuse_promise(o);
		return;
	}
	if (begin_flow(o, &err) < 0) {
		outgoing_give_up(o, "%s", err.text);
		return;
	}
	give_fd(o);
}

static void show_stopped(struct outgoing *o)
{
	if (o->m.row.info->state == STATE(COPYING))
		move_show(&o->m, STATE(STOPPED));
	if (o->peer_stage == TAGALONG__PEER_STAGE__PEER_READY)
		copy_ready(o);
}

void copy_disks_done(struct outgoing *o)
{
	o->step = COPY_CONNECTING;
	o->step_since_ns = clock_mono_ns();
	connection_begin(o);
}

static void next_step(struct outgoing *o)
{
	switch (o->step) {
	case COPY_CAPABILITIES:
		command(o, COPY_PARAMETERS, "migrate-set-parameters", parameters(o));
		break;
	case COPY_PARAMETERS:
		if (!outgoing_disk_begin(o)) {
			copy_disks_done(o);
			break;
		}
		o->step = COPY_DISKS;
		move_show(&o->m, STATE(COPYING));
		break;
	case COPY_GETFD:
		o->qemu = COMMIT_QEMU_BUSY;
		command(o, COPY_MIGRATE, "migrate", json_pack("{s:s}", "uri", "fd:" FD_NAME));
		break;
	case COPY_MIGRATE:
		o->step = COPY_FLOWING;
		steer_init(&o->steer, o->if_not_converging, o->promise_ns, o->most_ns);
		stall_init(&o->stall, clock_mono_ns());
		forecast_init(&o->forecast);
		move_show(&o->m, STATE(COPYING));
		if (o->guard) /* it was all over before QEMU's answer was heard */
			show_stopped(o);
		break;
	default:
		break;
	}
}

/* ---- The stop --------------------------------------------------------------------------------- */

static int on_guard(sd_event_source *source, uint64_t now, void *userdata)
{
	struct outgoing *o = userdata;

	(void)source;
	(void)now;
	if (o->step == COPY_FLOWING) {
		outgoing_give_up(o, "the blackout would have lasted longer than %llu ms; the guest "
				 "runs on here", (unsigned long long)(o->most_ns / NS_PER_MS));
		retry_want(o);
	}
	outgoing_reconcile(o);
	return 0;
}

/* What follows READY, or the guest's return here, takes a little longer still. */
static uint64_t guard_ns(const struct outgoing *o)
{
	uint64_t margin = o->rtt_ns / 2 + COST_QEMU_LEAST_NS;

	return o->most_ns - (margin < o->most_ns / 4 ? margin : o->most_ns / 4);
}

/* From now on QEMU's monitor may be silent, and only closing its socket helps. On a busy host
 * the target's READY may be heard before this. */
static void on_stopped(struct outgoing *o)
{
	if (o->vm)
		o->vm->stopped_by_move = true;
	if (!o->guard)
		outgoing_set_timer(o, &o->guard, guard_ns(o), on_guard, o);
	show_stopped(o);
}

void copy_ready(struct outgoing *o)
{
	if (o->step != COPY_FLOWING)
		return;
	if (o->m.row.info->state == STATE(COPYING))
		move_show(&o->m, STATE(STOPPED));
	move_show(&o->m, STATE(READY));
	if (o->post_copy)
		return; /* QEMU will hear it from the target's, when that has all */
	if (outflow_send_shut(o->outflow) < 0) {
		outgoing_give_up(o, "QEMU closed its migration socket");
		return;
	}
	o->step = COPY_SHUT_SENT;
	outgoing_poll(o, NS_PER_MS); /* should its event be late */
}

/* That is all: the guest has not noticed, and the target keeps what it has got. */
static void end_warming(struct outgoing *o)
{
	struct outflow_stats stats;

	outflow_get_stats(o->outflow, &stats);
	fill_figures(o, &stats);
	o->live = false;
}

/* ---- Post-copy ----------------------------------------------------------------------------- */

static void set_post_copy(struct outgoing *o, bool on)
{
	Tagalong__MoveFigures *f = move_figures(&o->m);

	o->post_copy = on;
	f->has_post_copy = f->post_copy = on;
	(void)move_to_stage(&o->m, JOURNAL_PREPARED);
}

static void on_post_copy(struct qmp *q, int r, json_t *result, const struct mg_error *err,
			 void *userdata)
{
	struct outgoing *o = userdata;

	(void)q;
	(void)result;
	o->pending--;
	if (r == -EREMOTEIO) { /* it was refused; else it may have begun */
		set_post_copy(o, false);
		outgoing_give_up(o, "QEMU: %s", err->text);
	}
	outgoing_reconcile(o);
}

/* Journaled first: whoever finds this move after a restart must not take QEMU's end for one that
 * leaves a whole guest at the target. */
static void start_post_copy(struct outgoing *o)
{
	if (o->post_copy)
		return;
	set_post_copy(o, true);
	log_warning("outgoing", "move=%s vm=%s post-copy: the loss of %s or %s loses the VM until all of "
		    "its memory is there", o->m.id_text, o->m.row.info->vm, o->m.node->config->name,
		    o->m.row.peer);
	if (outgoing_command(o, "migrate-start-postcopy", NULL, STEP_TIMEOUT_NS, on_post_copy) < 0)
		outgoing_give_up(o, "QEMU's monitor does not answer");
}

/* The guest cannot run here any more, so nothing guards its blackout. */
static void post_copy_begun(struct outgoing *o)
{
	o->post_copy = true;
	if (o->vm)
		o->vm->stopped_by_move = true;
	show_stopped(o);
}

/* QEMU pauses without its stream, and so does the target's; they are ended by the rules. */
void copy_break_off(struct outgoing *o)
{
	o->live = false;
	copy_end(o);
	outgoing_poll(o, POST_COPY_POLL_NS);
}

void copy_lose(struct outgoing *o, const char *why)
{
	MoveInfo *info = o->m.row.info;
	_cleanup_free_ char *known = info->failure ? strdup(info->failure) : NULL;

	if (!info->lost && o->peer_stage != TAGALONG__PEER_STAGE__PEER_RAN) {
		info->has_lost = info->lost = true;
		move_explain(&o->m, "%s is lost, post-copy broke off: %s", info->vm, known ? known : why);
		log_error("outgoing", "move=%s vm=%s %s", o->m.id_text, info->vm, info->failure);
	}
	copy_break_off(o);
}

static void on_outflow(struct outflow *flow, enum outflow_event event, void *userdata)
{
	struct outgoing *o = userdata;

	if (!o->live)
		return;
	if (event == OUTFLOW_POST_COPY) {
		post_copy_begun(o);
		return;
	}
	if (event == OUTFLOW_STOPPED && !o->warm) {
		if (o->post_copy)
			set_post_copy(o, false); /* so little was left that QEMU did not begin it */
		on_stopped(o);
		return;
	}
	if (event == OUTFLOW_LOST || event == OUTFLOW_RESUMED) {
		(event == OUTFLOW_LOST ? connection_lost : connection_resumed)(o);
		return;
	}
	if (event == OUTFLOW_FAILED && o->m.row.stage == JOURNAL_COMMIT) {
		move_explain(&o->m, "%s", outflow_error(flow)->text);
		copy_break_off(o);
		return;
	}
	if (event != OUTFLOW_FAILED)
		end_warming(o); /* stopped: QEMU was ahead of us, and resumes it at once */
	else
		outgoing_give_up(o, "%s", outflow_error(flow)->text);
	if (event == OUTFLOW_FAILED && o->guard && o->step == COPY_FLOWING)
		retry_want(o); /* the link was lost while the guest stood still */
	outgoing_reconcile(o);
}

static void on_migration_event(struct outgoing *o, const char *status)
{
	if (strcmp(status, "pre-switchover") == 0 && o->live) {
		on_stopped(o);
		outgoing_disk_finish(o);
	}
	if (strcmp(status, "failed") == 0 || strcmp(status, "cancelled") == 0)
		outgoing_give_up(o, "QEMU's migration %s", status);
	if (strcmp(status, "completed") == 0 || strcmp(status, "failed") == 0 ||
	    strcmp(status, "cancelled") == 0)
		outgoing_poll(o, 0);
	outgoing_reconcile(o);
}

void copy_event(struct outgoing *o, const char *event, json_t *data, uint64_t utc_ns)
{
	const char *status = json_string_value(json_object_get(data, "status"));

	if (strcmp(event, "STOP") == 0) {
		o->stop_utc_ns = utc_ns;
		sharing_stopped(o);
	} else if (strcmp(event, "RESUME") == 0) {
		o->ran_on |= o->stop_utc_ns != 0;
		o->stop_utc_ns = 0;
		outgoing_poll(o, 0);
	} else if (strcmp(event, "MIGRATION") == 0 && status && o->step >= COPY_MIGRATE) {
		on_migration_event(o, status);
	} else {
		outgoing_disk_event(o, event, data);
	}
}

void copy_end(struct outgoing *o)
{
	connection_end(o);
	sd_event_source_disable_unref(o->guard);
	o->guard = NULL;
	sd_event_source_disable_unref(o->asking);
	o->asking = NULL;
	if (o->outflow)
		outflow_abort(o->outflow); /* a stopped guest resumes now, not after the join */
	outflow_free(o->outflow);
	o->outflow = NULL;
	sharing_end(o);
	outgoing_disk_end(o);
	if (o->qemu_fd >= 0)
		close(TAKE_FD(o->qemu_fd));
}

/* ---- Progress ------------------------------------------------------------------------------------ */

static void fill_figures(struct outgoing *o, const struct outflow_stats *s)
{
	Tagalong__MoveFigures *f = move_figures(&o->m);

	f->has_wire_bytes = f->has_guest_bytes = f->has_link_bps = f->has_elapsed_ns = true;
	f->wire_bytes = s->wire_bytes;
	f->guest_bytes = s->guest_bytes;
	move_figures_pages(f, s->pages);
	f->has_resent_bytes = s->resent_bytes > 0;
	f->resent_bytes = s->resent_bytes;
	f->has_tail_bytes = s->tail_bytes > 0;
	f->tail_bytes = s->tail_bytes;
	f->link_bps = s->link_bps;
	f->elapsed_ns = clock_mono_ns() - o->m.begun_mono_ns;
}

static void on_parameter_set(struct qmp *q, int r, json_t *result, const struct mg_error *err,
			 void *userdata)
{
	struct outgoing *o = userdata;

	(void)q;
	(void)result;
	o->pending--;
	if (r == -EREMOTEIO)
		log_warning("outgoing", "move=%s QEMU's parameters: %s", o->m.id_text, err->text);
}

static void set_parameter(struct outgoing *o, const char *name, uint32_t value)
{
	const Tagalong__MoveFigures *f = move_figures(&o->m);

	log_debug("outgoing", "move=%s %s=%u remaining=%llu round=%u", o->m.id_text, name, value,
		  (unsigned long long)f->remaining_bytes, f->round);
	(void)outgoing_command(o, "migrate-set-parameters",
			       json_pack("{s:I}", name, (json_int_t)value), QUERY_TIMEOUT_NS,
			       on_parameter_set);
}

static void give_up_convergence(struct outgoing *o)
{
	const Tagalong__MoveFigures *f = move_figures(&o->m);

	outgoing_give_up(o, "it does not converge: rounds begin with as much as those before (%.1f MB "
			 "now), for the guest writes %.1f MB/s and the link carries %.1f MB/s; allow "
			 "a blackout longer than %llu ms, or throttling",
			 (double)f->remaining_bytes / 1e6, (double)f->dirty_bps / 1e6,
			 (double)f->link_bps / 1e6, (unsigned long long)(o->promise_ns / NS_PER_MS));
}

static void steer(struct outgoing *o)
{
	Tagalong__MoveFigures *f = move_figures(&o->m);
	struct outflow_stats stats;
	struct steer_verdict verdict;
	struct cost_facts facts;
	struct cost cost;

	outflow_get_stats(o->outflow, &stats);
	forecast_show(o, &stats, &facts, &cost);
	verdict = steer_update(&o->steer, &facts, f->round, stats.accepted_bps);
	f->has_promise_ns = true;
	f->promise_ns = o->steer.allowed_ns;
	if (verdict.limit_ms)
		set_parameter(o, "downtime-limit", verdict.limit_ms);
	if (verdict.throttle_percent)
		set_parameter(o, "max-cpu-throttle", verdict.throttle_percent);
	if (verdict.give_up)
		give_up_convergence(o);
	if (verdict.post_copy)
		start_post_copy(o);
}

/* Not while the link is away, for which there is another patience. */
static void check_stall(struct outgoing *o)
{
	const Tagalong__MoveFigures *f = move_figures(&o->m);
	uint64_t now = clock_mono_ns();

	if (o->lost_since_ns) {
		stall_excuse(&o->stall, now);
		forecast_excuse(&o->forecast);
	}
	if (o->stall_timeout_ns && stall_ns(&o->stall, now) > o->stall_timeout_ns)
		outgoing_give_up(o, "it makes no progress: for %llu s there was not less to go than %.1f "
				 "MB, while the guest writes %.1f MB/s and the link carries %.1f MB/s",
				 (unsigned long long)(o->stall_timeout_ns / NS_PER_S),
				 (double)o->stall.best_start / 1e6, (double)f->dirty_bps / 1e6,
				 (double)f->link_bps / 1e6);
}

static uint64_t number(json_t *object, const char *key)
{
	json_int_t v = json_integer_value(json_object_get(object, key));

	return v > 0 ? (uint64_t)v : 0;
}

static void take_ram_figures(struct outgoing *o, json_t *result)
{
	Tagalong__MoveFigures *f = move_figures(&o->m);
	json_t *ram = json_object_get(result, "ram");

	if (json_object_get(result, "setup-time")) {
		f->has_start_stall_ns = true;
		f->start_stall_ns = number(result, "setup-time") * NS_PER_MS;
	}
	if (number(result, "cpu-throttle-percentage") > 1) {
		f->has_throttle_percent = true;
		f->throttle_percent = (uint32_t)number(result, "cpu-throttle-percentage");
	}
	if (!ram)
		return;
	f->has_round = f->has_remaining_bytes = f->has_dirty_bps = true;
	f->round = (uint32_t)number(ram, "dirty-sync-count");
	f->remaining_bytes = number(ram, "remaining");
	f->dirty_bps = number(ram, "dirty-pages-rate") * number(ram, "page-size");
	stall_note(&o->stall, f->round, f->remaining_bytes, clock_mono_ns());
}

static int on_asking(sd_event_source *source, uint64_t now, void *userdata);

static void on_query_migrate(struct qmp *q, int r, json_t *result, const struct mg_error *err,
			     void *userdata)
{
	struct outgoing *o = userdata;

	(void)q;
	(void)err;
	o->pending--;
	o->asking_progress = false;
	if (r < 0 || !o->live || !o->outflow)
		return;
	take_ram_figures(o, result);
	if (o->m.row.info->state != STATE(COPYING) || o->post_copy)
		return; /* the monitor may be silent, and each millisecond counts */
	if (!o->warm && !sharing_holds(o)) /* it is not to stop */
		steer(o);
	if (o->ends_in_ns < NEAR_END_NS)
		outgoing_set_timer(o, &o->asking, NEAR_END_TICK_NS, on_asking, o);
}

/* The guest runs at the target, and what is left of its memory follows. */
static bool is_taken(const struct outgoing *o)
{
	return o->post_copy && o->peer_stage == TAGALONG__PEER_STAGE__PEER_TAKING;
}

static void ask_progress(struct outgoing *o)
{
	if (o->asking_progress || !o->outflow ||
	    (o->m.row.info->state != STATE(COPYING) && !is_taken(o)))
		return;
	o->asking_progress = outgoing_command(o, "query-migrate", NULL, QUERY_TIMEOUT_NS,
					      on_query_migrate) >= 0;
}

static int on_asking(sd_event_source *source, uint64_t now, void *userdata)
{
	(void)source;
	(void)now;
	ask_progress(userdata);
	return 0;
}

void copy_tick(struct outgoing *o)
{
	struct outflow_stats stats;

	outgoing_disk_tick(o);
	if (o->live && o->step > COPY_NONE && o->step < COPY_FLOWING && o->step != COPY_DISKS &&
	    clock_mono_ns() - o->step_since_ns > STEP_TIMEOUT_NS + NS_PER_S)
		outgoing_give_up(o, "no data connection to %s at %s within %llu s", o->m.row.peer,
				 o->data_endpoint, (unsigned long long)(STEP_TIMEOUT_NS / NS_PER_S));
	connection_tick(o);
	if (!o->outflow || o->step != COPY_FLOWING)
		return;
	outflow_get_stats(o->outflow, &stats);
	fill_figures(o, &stats);
	if (o->m.row.info->state != STATE(COPYING) && !is_taken(o))
		return; /* as above */
	move_tell_progress(&o->m);
	ask_progress(o);
	if (!o->warm && !o->post_copy)
		check_stall(o);
}

static void on_downtime(struct qmp *q, int r, json_t *result, const struct mg_error *err,
			void *userdata)
{
	struct outgoing *o = userdata;
	Tagalong__MoveFigures *f = move_figures(&o->m);

	(void)q;
	(void)err;
	o->pending--;
	o->asking_downtime = false;
	if (r == 0 && json_object_get(result, "downtime")) {
		take_ram_figures(o, result);
		f->has_qemu_downtime_ns = true;
		f->qemu_downtime_ns = number(result, "downtime") * NS_PER_MS;
		f->remaining_bytes = 0;
	}
	outgoing_reconcile(o);
}

void copy_ask_downtime(struct outgoing *o)
{
	struct outflow_stats stats;

	if (o->step != COPY_SHUT_SENT)
		return;
	o->step = COPY_COMMITTED;
	outflow_get_stats(o->outflow, &stats);
	fill_figures(o, &stats);
	forecast_note_stop(o, &stats);
	o->asking_downtime =
		outgoing_command(o, "query-migrate", NULL, DOWNTIME_TIMEOUT_NS, on_downtime) >= 0;
}

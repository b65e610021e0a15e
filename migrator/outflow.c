/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/cursor.h"
#include "migrator/outflow_internal.h"
#include "migrator/return_path.h"

#define QEMU_READ ((size_t)128 << 10)
#define LINGER_NS (500 * NS_PER_US) /* how long a part of a batch waits for more */
#define RATE_PERIOD_NS (50 * NS_PER_MS)
#define RATE_SHIFT 2
#define SURVEY_PERIOD_NS NS_PER_S
/* What a warming leaves: more than QEMU would stop the guest for (what its socket takes in a
 * millisecond), and little of the whole. */
#define WARM_LEFT_MAX 4096
#define WARM_LEFT_PART 16
#define LOOK_PAGES 4096 /* of a table that is filled in memory: some milliseconds */

/* ---- What the target says ------------------------------------------------------------ */

/* QEMU reads all the time, so there is room; when it has closed, it has what it needs. */
static int on_return(struct outflow *o, const uint8_t *data, size_t len, struct mg_error *err)
{
	struct return_path_reader reader = { .post_copy = o->post_copy };
	enum return_path_type type;
	uint32_t value;
	int r = 0;

	while (len) {
		r = return_path_read(&reader, &data, &len, &type, &value, err);
		if (r <= 0)
			return r < 0 ? r : mg_error_set(err, -EPROTO, "RETURN: half a message");
		if (!o->post_copy)
			return mg_error_set(err, -EPROTO, "RETURN: there is no post-copy");
		if (type == RETURN_PATH_SHUT)
			atomic_store(&o->shut_sent, true);
		if (send(o->qemu_fd, reader.held, reader.len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
		    errno != EPIPE)
			return mg_error_set(err, -errno, "QEMU's return path: %s", strerror(errno));
	}
	return 0;
}

static int on_heard(void *userdata, enum frame_type type, const uint8_t *payload, size_t len,
		    struct mg_error *err)
{
	struct outflow *o = userdata;

	return type == FRAME_RETURN ? on_return(o, payload, len, err)
				    : page_ask_decode(payload, len, &o->asked, err);
}

static int send_asked(struct outflow *o)
{
	uint8_t data[RAMSTREAM_PAGE];
	uint64_t page;
	int r = 0;

	if (o->asked.count)
		r = outflow_open_ram(o);
	while (r == 0 && o->asked.count && !outflow_make_room(o)) {
		page_set_take(&o->asked, 1, &page);
		r = ram_image_get(o->ram, page, data);
		if (r < 0)
			return mg_error_set(&o->flow.error, r, "RAM file: %s", strerror(-r));
		lanes_add_whole(&o->lanes, page, data);
		outflow_note_waiting(o);
	}
	return r;
}

/* ---- The thread -------------------------------------------------------------------------- */

static void on_qemu_read(struct ring_op *op, int res)
{
	struct outflow *o = ring_container(op, struct outflow, qemu_op);

	if (res > 0) {
		o->input_at = 0;
		o->input_end = (size_t)res;
		o->rate_bytes += (uint64_t)res;
	} else if (res != -ECANCELED) {
		o->qemu_eof = true;
	}
}

/* What the target could not make goes first: QEMU does not know of it, and would stop the guest
 * over all that is still to be sent. */
static bool is_behind(const struct outflow *o)
{
	return o->asked.count && !o->stopped && !o->post_copy;
}

static void read_qemu(struct outflow *o)
{
	if (o->qemu_op.pending || o->qemu_eof || o->holding || o->input_at < o->input_end ||
	    is_behind(o) || lanes_down(&o->lanes) || atomic_load(&o->paused))
		return;
	ring_recv(&o->flow.ring, &o->qemu_op, o->qemu_fd, o->input, QEMU_READ);
}

/* Parses what was read, as far as there is room for it. */
static int take_input(struct outflow *o)
{
	struct mg_error err;
	ssize_t n;

	if (o->input_at == o->input_end || o->holding || is_behind(o) || lanes_down(&o->lanes) ||
	    !outflow_clear_way(o) || outflow_make_room(o))
		return 0;
	n = ramstream_feed(o->stream, o->input + o->input_at, o->input_end - o->input_at, &err);
	if (n < 0) {
		if (o->flow.error.code == 0)
			o->flow.error = err;
		return (int)n;
	}
	o->input_at += (size_t)n;
	return 0;
}

/* Sends a part of a batch when nothing better is to be done: QEMU is silent and
 * the link idle. After the stop at once, before after a moment. Returns how
 * long to wait; ns. */
static uint64_t flush_idle(struct outflow *o)
{
	uint64_t age;

	if (!o->oldest_ns || !lanes_idle(&o->lanes))
		return UINT64_MAX;
	age = clock_mono_ns() - o->oldest_ns;
	if (!o->stopped && !o->post_copy && age < LINGER_NS)
		return LINGER_NS - age;
	outflow_send_all(o);
	return UINT64_MAX;
}

static bool thread_may_rise(void)
{
	struct rlimit limit;

	/* a limit of 20 stands for a nice value of 0 */
	return geteuid() == 0 || (getrlimit(RLIMIT_NICE, &limit) == 0 && limit.rlim_cur >= 20);
}

/* All that was read has been placed by the target. */
static void check_warmed(struct outflow *o)
{
	if (!o->holding || o->warmed || o->oldest_ns || o->asked.count ||
	    lanes_queued(&o->lanes))
		return;
	o->warmed = true;
	flow_post(&o->flow, OUTFLOW_WARMED);
}

static void update_stats(struct outflow *o)
{
	uint64_t now = clock_mono_ns(), elapsed = now - o->rate_since_ns, rate, old;

	SET(o, wire_bytes, lanes_wire_bytes(&o->lanes));
	SET(o, queued_bytes, lanes_queued(&o->lanes) + o->writer.len);
	SET(o, resent_bytes, lanes_resent_bytes(&o->lanes));
	SET(o, link_bps, pace_rate(&o->lanes.pace));
	SET(o, link_rtt_ns, pace_rtt_ns(&o->lanes.pace));
	if (elapsed < RATE_PERIOD_NS)
		return;
	rate = o->rate_bytes * NS_PER_S / elapsed;
	old = GET(o, accepted_bps);
	SET(o, accepted_bps, old ? old + (rate >> RATE_SHIFT) - (old >> RATE_SHIFT) : rate);
	o->rate_bytes = 0;
	o->rate_since_ns = now;
}

/* QEMU closes its end once it has SHUT; before, it has failed or was cancelled. */
static int check_eof(struct outflow *o)
{
	if (!o->qemu_eof || atomic_load(&o->shut_sent))
		return 0;
	return mg_error_set(&o->flow.error, -ECONNRESET, "QEMU closed its migration socket at byte "
			    "%" PRIu64 " of the stream (failed or cancelled)",
			    ramstream_offset(o->stream));
}

/* Before the stop a lost connection costs time; while the guest stands still it is for the
 * source to run it on, at once. */
static int check_link(struct outflow *o)
{
	unsigned news;
	int r = lanes_check(&o->lanes, o->stopped, &news, &o->flow.error);

	if (r == 0 && news & LANES_RESUMED)
		flow_post(&o->flow, OUTFLOW_RESUMED);
	if (r == 0 && news & LANES_LOST)
		flow_post(&o->flow, OUTFLOW_LOST);
	return r;
}

static int wait_for_events(struct outflow *o, uint64_t wait)
{
	bool for_qemu = o->qemu_op.pending && !lanes_packing(&o->lanes);
	uint64_t since = clock_mono_ns();
	int r = ring_run(&o->flow.ring, wait);

	if (for_qemu)
		effort_waited(&o->lanes.effort, clock_mono_ns() - since);
	return r;
}

/* Only where it can be undone: the priority may rise, and does when the guest stands still. */
static void adjust_nice(struct outflow *o)
{
	int nice = o->share ? share_nice(o->share) : 0;

	if (nice == o->nice)
		return;
	o->nice = nice;
	if (nice == 0 || thread_may_rise())
		(void)setpriority(PRIO_PROCESS, (id_t)gettid(), nice);
}

/* ---- What is to be expected ----------------------------------------------------------------- */

/* Of a guest whose memory is its own QEMU's there is nothing to be seen beforehand. */
static void begin_survey(struct outflow *o)
{
	uint64_t now = clock_mono_ns();

	if (o->mirror || survey_new(o->ram_fd, o->ram_bytes / RAMSTREAM_PAGE, o->lanes.ref, now,
				    &o->survey) < 0)
		return;
	SET(o, first_wire_bytes, survey_from(o->survey, 0).wire_bytes);
	o->survey_ns = now + SURVEY_PERIOD_NS;
}

static void update_survey(struct outflow *o)
{
	uint64_t passed = GET(o, passes) ? o->ram_bytes : o->last_offset, now = clock_mono_ns();
	uint64_t sent = o->ahead * RAMSTREAM_PAGE > passed ? o->ahead * RAMSTREAM_PAGE : passed;
	struct survey_writes writes;

	if (!o->survey || o->stopped)
		return;
	SET(o, left_wire_bytes, survey_from(o->survey, sent / RAMSTREAM_PAGE).wire_bytes);
	SET(o, left_data_bytes, survey_from(o->survey, passed / RAMSTREAM_PAGE).data_bytes);
	if (now < o->survey_ns)
		return;
	survey_look(o->survey, o->ram_fd, now);
	survey_writes(o->survey, &writes);
	SET(o, written_bps, writes.bps);
	SET(o, working_set, writes.working_set);
	SET(o, written_permille, writes.permille);
	o->survey_ns = now + SURVEY_PERIOD_NS;
}

static int step(struct outflow *o)
{
	uint64_t wait, linger;
	int r = send_asked(o);

	adjust_nice(o);
	if (r == 0)
		r = take_input(o);
	if (r < 0)
		return r;
	read_qemu(o);
	wait = lanes_pump(&o->lanes);
	r = ring_run(&o->flow.ring, 0); /* what is there already; r > 0: go on at once */
	if (r == 0 && !outflow_read_ahead(o)) {
		linger = flush_idle(o);
		if (!lanes_idle(&o->lanes))
			wait = lanes_pump(&o->lanes);
		wait = linger < wait ? linger : wait;
		r = wait_for_events(o, wait);
	}
	if (r < 0)
		return mg_error_set(&o->flow.error, r, "io_uring: %s", strerror(-r));
	check_warmed(o);
	update_stats(o);
	update_survey(o);
	r = check_link(o);
	return r < 0 ? r : check_eof(o);
}

/* The target must not take us for dead while we read what takes seconds for a large VM. */
static bool look_after_link(void *userdata)
{
	struct outflow *o = userdata;

	(void)lanes_pump(&o->lanes);
	return ring_run(&o->flow.ring, 0) >= 0 && !atomic_load(&o->flow.stopping);
}

/* What the target has of an earlier visit. Here and not by the owner, as it takes a while. What
 * cannot be read is as if it were not there: it is sent. */
static void load_held(struct outflow *o)
{
	const struct image_manifest *held = o->held;

	if (o->arrived)
		(void)arrived_load(o->arrived, o->lanes.ref, look_after_link, o);
	for (uint64_t page = 0; held && page < image_manifest_guest_pages(held); page++) {
		uint32_t slot = image_manifest_slot(held, page);

		if (page % LOOK_PAGES == 0 && !look_after_link(o))
			break;
		if (slot != IMAGE_NO_SLOT)
			reference_load(o->lanes.ref, page, image_manifest_hash(held, slot), NULL);
	}
}

/* All of the image is read. */
static int index_base(struct outflow *o)
{
	int r;

	if (!o->base)
		return 0;
	r = image_index_new(o->base, reference_hasher(o->lanes.ref), look_after_link, o, &o->base_index);
	if (r == 0)
		reference_set_source(o->lanes.ref, PAGE_SOURCE_BASE, image_index_source(o->base_index));
	return r == -ENOMEM ? mg_error_set(&o->flow.error, r, "out of memory") : 0;
}

static void outflow_run(struct flow *flow)
{
	struct outflow *o = ring_container(flow, struct outflow, flow);
	int r = 0;

	flow_watch_wake(flow);
	lanes_start(&o->lanes);
	load_held(o);
	r = index_base(o);
	begin_survey(o);
	while (r >= 0 && !atomic_load(&flow->stopping))
		r = step(o);
	if (r < 0)
		flow_post(flow, OUTFLOW_FAILED);
}

/* ---- For the owner ------------------------------------------------------------------------- */

static void on_event(struct flow *flow, unsigned event)
{
	struct outflow *o = ring_container(flow, struct outflow, flow);

	if (event == OUTFLOW_FAILED && atomic_load(&o->shut_sent))
		return;
	if (event == OUTFLOW_LOST && lanes_lost(&o->lanes))
		o->lost_lane = (unsigned)__builtin_ctz(lanes_lost(&o->lanes));
	o->fn(o, (enum outflow_event)event, o->userdata);
}

static uint64_t warm_end(uint64_t pages)
{
	uint64_t left = pages / WARM_LEFT_PART;

	return pages - (left < WARM_LEFT_MAX ? left : WARM_LEFT_MAX);
}

static struct outflow *outflow_new(const struct outflow_config *config)
{
	_cleanup_(outflow_free_p) struct outflow *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->qemu_fd = o->qemu_end = o->ram_fd = -1;
	o->qemu_op.done = on_qemu_read;
	o->ram_bytes = config->ram_bytes;
	o->hold_at = config->warm ? warm_end(config->ram_bytes / RAMSTREAM_PAGE) : UINT64_MAX;
	o->ram_block = OUTFLOW_NO_BLOCK;
	o->writer = (struct streamwriter){ .data = o->stream_buf, .size = sizeof(o->stream_buf) };
	o->rate_since_ns = clock_mono_ns();
	snprintf(o->ram_id, sizeof(o->ram_id), "%s", config->ram_id);
	o->input = malloc(QEMU_READ);
	if (!o->input || ramstream_new(&outflow_stream_ops, o, &o->stream) < 0 ||
	    page_set_init(&o->asked, config->ram_bytes / RAMSTREAM_PAGE) < 0)
		return NULL;
	return TAKE_PTR(o);
}

static void wake(void *userdata)
{
	struct outflow *o = userdata;

	flow_wake(&o->flow);
}

static int open_lanes(struct outflow *o, const struct outflow_config *config, struct mg_error *err)
{
	const struct lanes_config lanes = { .ring = &o->flow.ring,
					    .link = &config->link,
					    .fds = config->fds,
					    .count = config->connections,
					    .ram_bytes = config->ram_bytes,
					    .bandwidth_bps = config->bandwidth_bps,
					    .shadow_bytes = config->shadow_bytes,
					    .thrifty = config->thrifty,
					    .share = config->share,
					    .page_counts = o->counters.pages,
					    .wake = wake,
					    .heard = on_heard,
					    .userdata = o };

	return lanes_init(&o->lanes, &lanes, err);
}

int outflow_start(sd_event *loop, const struct outflow_config *config, outflow_event_fn fn,
		  void *userdata, struct outflow **ret, struct mg_error *err)
{
	_cleanup_(outflow_free_p) struct outflow *o = outflow_new(config);
	int r;

	if (!o)
		return mg_error_set(err, -ENOMEM, "out of memory");
	o->fn = fn;
	o->userdata = userdata;
	r = flow_init(&o->flow, loop, outflow_run, on_event, err);
	if (r < 0)
		return r;
	r = open_lanes(o, config, err);
	if (r < 0)
		return r;
	o->qemu_fd = config->qemu_fd;
	o->qemu_end = config->qemu_end;
	o->ram_fd = config->ram_fd;
	o->mirror = config->mirror;
	o->may_post_copy = config->post_copy;
	o->base = config->base;
	o->held = config->held;
	o->arrived = config->arrived;
	o->last_tail = config->last_tail;
	o->share = config->share;
	return_path_tune(o->qemu_fd);
	outflow_lengthen_queue(o);
	r = flow_start(&o->flow, err);
	if (r < 0) { /* the descriptors remain the caller's */
		o->qemu_fd = o->qemu_end = o->ram_fd = -1;
		lanes_give_back(&o->lanes);
		return r;
	}
	*ret = TAKE_PTR(o);
	return 0;
}

void outflow_get_stats(struct outflow *o, struct outflow_stats *ret)
{
	*ret = (struct outflow_stats){
		.wire_bytes = GET(o, wire_bytes),
		.guest_bytes = GET(o, guest_bytes),
		.stream_bytes = GET(o, stream_bytes),
		.tail_bytes = GET(o, tail_bytes),
		.accepted_bps = GET(o, accepted_bps),
		.link_bps = GET(o, link_bps),
		.link_rtt_ns = GET(o, link_rtt_ns),
		.queued_bytes = GET(o, queued_bytes),
		.resent_bytes = GET(o, resent_bytes),
		.passes = GET(o, passes),
		.stopped_mono_ns = GET(o, stopped_mono_ns),
		.stopped_bytes = GET(o, stopped_bytes),
		.survey = { .first_wire_bytes = GET(o, first_wire_bytes),
			    .left_wire_bytes = GET(o, left_wire_bytes),
			    .left_data_bytes = GET(o, left_data_bytes),
			    .writes = { .bps = GET(o, written_bps),
					.working_set = GET(o, working_set),
					.permille = GET(o, written_permille) } },
	};
	for (unsigned k = 0; k < PAGE_COUNTS; k++)
		ret->pages[k] = GET(o, pages[k]);
}

unsigned outflow_lost(struct outflow *o)
{
	return lanes_lost(&o->lanes);
}

void outflow_resume(struct outflow *o, unsigned connection, int fd, uint32_t incarnation)
{
	lanes_resume(&o->lanes, connection, fd, incarnation);
}

void outflow_pause(struct outflow *o, bool paused)
{
	atomic_store(&o->paused, paused);
	flow_wake(&o->flow);
}

const struct mg_error *outflow_loss(struct outflow *o)
{
	return &o->lanes.lane[o->lost_lane].loss;
}

const struct mg_error *outflow_error(struct outflow *o)
{
	return &o->flow.error;
}

/* From the owner's thread, past the ring: when it returns, QEMU has it. */
int outflow_send_shut(struct outflow *o)
{
	int r;

	atomic_store(&o->shut_sent, true);
	r = return_path_send(o->qemu_fd, RETURN_PATH_SHUT, 0);
	if (r < 0)
		atomic_store(&o->shut_sent, false);
	return r;
}

void outflow_abort(struct outflow *o)
{
	shutdown(o->qemu_fd, SHUT_RDWR);
	flow_stop(&o->flow);
}

void outflow_free(struct outflow *o)
{
	if (!o)
		return;
	flow_stop(&o->flow);
	lanes_stop(&o->lanes); /* its workers wake the flow's thread, whether it is there or not */
	flow_exit(&o->flow);
	lanes_exit(&o->lanes);
	if (o->qemu_fd >= 0)
		close(o->qemu_fd);
	if (o->qemu_end >= 0)
		close(o->qemu_end);
	if (o->ram_fd >= 0)
		close(o->ram_fd);
	ram_image_free(o->ram);
	survey_free(o->survey);
	ramstream_free(o->stream);
	image_index_free(o->base_index);
	page_set_exit(&o->asked);
	free(o->input);
	free(o);
}

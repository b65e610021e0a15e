/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/outflow.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/cursor.h"
#include "migrator/flow.h"
#include "migrator/image_index.h"
#include "migrator/lanes.h"
#include "migrator/page_ask.h"
#include "migrator/ram_image.h"
#include "migrator/ramstream.h"
#include "migrator/return_path.h"
#include "migrator/streamwriter.h"

#define QEMU_SNDBUF (16 << 10)      /* on QEMU's end; the kernel doubles it */
/* The same during the first pass, which is most of a move: with the small one both sides wake
 * each other for every few pages, which took a fifth of all processor time. */
#define QEMU_SNDBUF_FIRST (256 << 10)
#define FIRST_LAST_PART 16          /* of the guest's memory, for which it is small again */
#define QEMU_READ ((size_t)128 << 10)
#define LINGER_NS (500 * NS_PER_US) /* how long a part of a batch waits for more */
#define RATE_PERIOD_NS (50 * NS_PER_MS)
#define RATE_SHIFT 2
#define NO_BLOCK UINT32_MAX
#define SURVEY_PERIOD_NS NS_PER_S
/* What a warming leaves: more than QEMU would stop the guest for (what its socket takes in a
 * millisecond), and little of the whole. */
#define WARM_LEFT_MAX 4096
#define WARM_LEFT_PART 16

struct counters { /* written by the thread, read by the owner */
	_Atomic uint64_t wire_bytes, guest_bytes, stream_bytes, tail_bytes, pages[PAGE_COUNTS];
	_Atomic uint64_t accepted_bps, link_bps, link_rtt_ns, queued_bytes, stopped_mono_ns;
	_Atomic uint64_t resent_bytes, stopped_bytes;
	_Atomic uint32_t passes;
	_Atomic uint64_t first_wire_bytes, left_wire_bytes, left_data_bytes; /* the survey's */
	_Atomic uint64_t written_bps, working_set;
	_Atomic uint32_t written_permille;
};

struct outflow {
	struct flow flow;
	outflow_event_fn fn;
	void *userdata;
	struct lanes lanes;
	struct counters counters;
	atomic_bool shut_sent;
	unsigned lost_lane; /* of the owner: the last one that it was told of */

	int qemu_fd;
	int qemu_end;
	struct ring_op qemu_op;
	bool qemu_eof;
	uint8_t *input;
	size_t input_at, input_end;

	struct ramstream *stream;
	char ram_id[256];
	uint64_t ram_bytes;
	unsigned ram_block;
	uint64_t last_offset;

	const struct image *base; /* the owner's, as the next two */
	const struct image_manifest *held;
	const struct arrived *arrived;
	struct image_index *base_index;
	struct page_set asked; /* by the target */
	int ram_fd;
	bool mirror;
	struct ram_image *ram; /* NULL until it is needed */
	struct survey *survey; /* NULL: none */
	uint64_t survey_ns;    /* when it looks again */
	uint8_t stream_buf[STREAM_FRAME_BYTES];
	struct streamwriter writer;
	bool tail_is_next;
	uint16_t tail_flags;    /* of its frames; 0 before */
	bool post_copy;         /* QEMU has sent the package, or does */
	struct tail *last_tail; /* the owner's; NULL: none */
	uint64_t oldest_ns;     /* when the first thing that waits came; 0: nothing waits */
	bool stopped;
	uint64_t hold_at; /* the page after which nothing more is read: a warming's */
	bool holding, warmed;
	atomic_bool paused;
	struct share_member *share; /* the owner's; NULL: it shares the link with nobody */
	int nice;

	uint64_t rate_since_ns, rate_bytes; /* for accepted_bps */
};

#define ADD(o, counter, n) \
	atomic_fetch_add_explicit(&(o)->counters.counter, n, memory_order_relaxed)
#define SET(o, counter, n) \
	atomic_store_explicit(&(o)->counters.counter, n, memory_order_relaxed)
#define GET(o, counter) atomic_load_explicit(&(o)->counters.counter, memory_order_relaxed)

int outflow_socketpair(int *ret_ours, int *ret_qemu)
{
	int fds[2], size = QEMU_SNDBUF;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	if (setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) < 0) {
		int r = -errno;

		close(fds[0]);
		close(fds[1]);
		return r;
	}
	*ret_ours = fds[0];
	*ret_qemu = fds[1];
	return 0;
}

/* ---- From batches to frames --------------------------------------------------------- */

static bool send_stream(struct outflow *o)
{
	size_t len = lanes_send_stream(&o->lanes, o->writer.data, o->writer.len, o->tail_flags,
				       o->last_tail);

	if (!len)
		return false;
	if (o->tail_flags & FRAME_FLAG_TAIL)
		ADD(o, tail_bytes, len);
	ADD(o, stream_bytes, o->writer.len);
	o->writer.len = 0;
	return true;
}

/* The stream's bytes never overtake the pages before them: what makes the
 * destination load its devices comes after all memory. */
static bool send_all(struct outflow *o)
{
	if (!lanes_flush(&o->lanes))
		return false;
	if (o->writer.len && !send_stream(o))
		return false;
	o->oldest_ns = 0;
	return true;
}

static bool stream_is_due(const struct outflow *o)
{
	return o->writer.size - o->writer.len < STREAMWRITER_PAGE_MAX;
}

/* Returns 1, a pause for the reader, when there is no room for more now. */
static int make_room(struct outflow *o)
{
	if (stream_is_due(o) && !send_all(o))
		return 1;
	return !lanes_make_room(&o->lanes);
}

/* What was before the tail leaves in frames of its own. False: no room for them now. */
static bool begin_tail(struct outflow *o)
{
	if (o->tail_is_next && send_all(o)) {
		o->tail_is_next = false;
		o->tail_flags = o->post_copy ? FRAME_FLAG_POST_COPY : FRAME_FLAG_TAIL;
	}
	return !o->tail_is_next;
}

/* ---- From QEMU's stream to batches ---------------------------------------------------- */

static void note_waiting(struct outflow *o)
{
	if (!o->oldest_ns)
		o->oldest_ns = clock_mono_ns();
}

static int on_bytes(void *userdata, const uint8_t *data, size_t len)
{
	struct outflow *o = userdata;

	/* fits: there is room for a page, and pieces are no longer than that */
	streamwriter_bytes(&o->writer, data, len);
	note_waiting(o);
	return make_room(o);
}

static int on_block(void *userdata, unsigned index, const struct ramstream_block *block)
{
	struct outflow *o = userdata;

	if (strcmp(block->name, o->ram_id) != 0)
		return 0;
	if (block->length != o->ram_bytes)
		return mg_error_set(&o->flow.error, -EINVAL, "QEMU's block '%s' has %" PRIu64
				    " bytes, expected %" PRIu64, o->ram_id, block->length,
				    o->ram_bytes);
	o->ram_block = index;
	return 0;
}

static void lengthen_queue(struct outflow *o)
{
	static const int size = QEMU_SNDBUF_FIRST;

	if (o->qemu_end >= 0)
		(void)setsockopt(o->qemu_end, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

/* From here on QEMU may stop the guest. Its end is its own again, too, so that we
 * see it closed. */
static void shorten_queue(struct outflow *o)
{
	static const int size = QEMU_SNDBUF;

	if (o->qemu_end < 0)
		return;
	(void)setsockopt(o->qemu_end, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	close(TAKE_FD(o->qemu_end));
}

static int open_ram(struct outflow *o)
{
	return o->ram ? 0 : ram_image_open(o->ram_fd, o->ram_bytes, &o->ram, &o->flow.error);
}

/* The target may ask for it, and it is what the next move's pages are told apart from. */
static int mirror_page(struct outflow *o, uint64_t page, const uint8_t *data)
{
	int r = open_ram(o);

	if (r < 0)
		return r;
	r = data ? ram_image_put(o->ram, page, 1, data) : ram_image_zero(o->ram, page, 1);
	return r < 0 ? mg_error_set(&o->flow.error, r, "the copy of the guest's RAM: %s",
				    strerror(-r))
		     : 0;
}

static int on_page(void *userdata, unsigned index, uint64_t offset, const uint8_t *data)
{
	struct outflow *o = userdata;

	note_waiting(o);
	if (index != o->ram_block) {
		streamwriter_page(&o->writer, ramstream_block_at(o->stream, index), offset, data);
		return make_room(o);
	}
	if (offset < o->last_offset)
		ADD(o, passes, 1);
	if (offset < o->last_offset || offset >= o->ram_bytes - o->ram_bytes / FIRST_LAST_PART)
		shorten_queue(o);
	o->last_offset = offset;
	if (o->mirror && mirror_page(o, offset / RAMSTREAM_PAGE, data) < 0)
		return o->flow.error.code;
	lanes_add(&o->lanes, offset / RAMSTREAM_PAGE, data);
	ADD(o, guest_bytes, RAMSTREAM_PAGE);
	o->holding |= offset / RAMSTREAM_PAGE >= o->hold_at;
	return o->holding || make_room(o);
}

static void note_stop(struct outflow *o, enum outflow_event event)
{
	if (o->share)
		share_set_urgent(o->share);
	shorten_queue(o);
	SET(o, stopped_bytes, lanes_wire_bytes(&o->lanes) - pace_unacked(&o->lanes.pace));
	SET(o, stopped_mono_ns, clock_mono_ns());
	flow_post(&o->flow, event);
}

static int on_section(void *userdata, enum ramstream_element kind)
{
	struct outflow *o = userdata;

	if (kind != RAMSTREAM_START && o->ram_block == NO_BLOCK)
		return mg_error_set(&o->flow.error, -EINVAL, "QEMU's stream has no block '%s'",
				    o->ram_id);
	if (kind == RAMSTREAM_END) {
		o->stopped = true;
		note_stop(o, OUTFLOW_STOPPED);
	}
	return 0;
}

/* What follows in the stream; else it could not be told when QEMU has emptied its memory. */
static void ping_advised(struct outflow *o)
{
	uint8_t ping[9];
	struct wcursor c = wcursor_over(ping, sizeof(ping));

	wcursor_u8(&c, RAMSTREAM_COMMAND);
	wcursor_u16(&c, RAMSTREAM_PING);
	wcursor_u16(&c, sizeof(uint32_t));
	wcursor_u32(&c, RETURN_PATH_ADVISED);
	streamwriter_bytes(&o->writer, ping, sizeof(ping));
}

static int on_command(void *userdata, enum ramstream_command command, uint32_t value)
{
	struct outflow *o = userdata;
	int r;

	if (command == RAMSTREAM_POSTCOPY_ADVISE)
		ping_advised(o);
	if (command == RAMSTREAM_PACKAGED) {
		o->post_copy = true;
		note_stop(o, OUTFLOW_POST_COPY);
	}
	if (command != RAMSTREAM_PING)
		return 0;
	r = return_path_send(o->qemu_fd, RETURN_PATH_PONG, value);
	if (r < 0 && r != -EPIPE) /* then the end of its stream says more */
		return mg_error_set(&o->flow.error, r, "QEMU's return path: %s", strerror(-r));
	return 0;
}

static int on_tail(void *userdata)
{
	struct outflow *o = userdata;

	o->tail_is_next = true;
	return !begin_tail(o);
}

static const struct ramstream_ops stream_ops = {
	.bytes = on_bytes,
	.block = on_block,
	.page = on_page,
	.section = on_section,
	.command = on_command,
	.tail = on_tail,
};

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
		r = open_ram(o);
	while (r == 0 && o->asked.count && !make_room(o)) {
		page_set_take(&o->asked, 1, &page);
		r = ram_image_get(o->ram, page, data);
		if (r < 0)
			return mg_error_set(&o->flow.error, r, "RAM file: %s", strerror(-r));
		lanes_add_whole(&o->lanes, page, data);
		note_waiting(o);
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
	    !begin_tail(o) || make_room(o))
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
	send_all(o);
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
	struct survey_part left;
	struct survey_writes writes;

	if (!o->survey || o->stopped)
		return;
	left = survey_from(o->survey, passed / RAMSTREAM_PAGE);
	SET(o, left_wire_bytes, left.wire_bytes);
	SET(o, left_data_bytes, left.data_bytes);
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
	if (r == 0) {
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

/* What the target has of an earlier visit. Here and not by the owner, as it takes a while. What
 * cannot be read is as if it were not there: it is sent. */
static void load_held(struct outflow *o)
{
	const struct image_manifest *held = o->held;

	if (o->arrived)
		(void)arrived_load(o->arrived, o->lanes.ref);
	for (uint64_t page = 0; held && page < image_manifest_guest_pages(held); page++) {
		uint32_t slot = image_manifest_slot(held, page);

		if (slot != IMAGE_NO_SLOT)
			reference_load(o->lanes.ref, page, image_manifest_hash(held, slot), NULL);
	}
}

/* Likewise: all of the image is read. */
static int index_base(struct outflow *o)
{
	int r;

	if (!o->base)
		return 0;
	r = image_index_new(o->base, reference_hasher(o->lanes.ref), &o->flow.stopping, &o->base_index);
	if (r == 0)
		reference_set_source(o->lanes.ref, PAGE_SOURCE_BASE, image_index_source(o->base_index));
	return r == -ENOMEM ? mg_error_set(&o->flow.error, r, "out of memory") : 0;
}

static void outflow_run(struct flow *flow)
{
	struct outflow *o = ring_container(flow, struct outflow, flow);
	int r = 0;

	flow_watch_wake(flow);
	load_held(o);
	r = index_base(o);
	begin_survey(o);
	lanes_start(&o->lanes);
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
	o->ram_block = NO_BLOCK;
	o->writer = (struct streamwriter){ .data = o->stream_buf, .size = sizeof(o->stream_buf) };
	o->rate_since_ns = clock_mono_ns();
	snprintf(o->ram_id, sizeof(o->ram_id), "%s", config->ram_id);
	o->input = malloc(QEMU_READ);
	if (!o->input || ramstream_new(&stream_ops, o, &o->stream) < 0 ||
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
	o->base = config->base;
	o->held = config->held;
	o->arrived = config->arrived;
	o->last_tail = config->last_tail;
	o->share = config->share;
	return_path_tune(o->qemu_fd);
	lengthen_queue(o);
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

/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/inflow.h"

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/cursor.h"
#include "migrator/flow.h"
#include "migrator/image_index.h"
#include "migrator/page_placer.h"
#include "migrator/receiver.h"
#include "migrator/return_path.h"
#include "migrator/stream_frame.h"
#include "migrator/worker.h"
#include "migrator/write_back.h"

#define QEMU_BUFFER ((size_t)256 << 10) /* stream bytes that wait for QEMU */
#define QEMU_BUFFER_MAX ((size_t)16 << 20) /* while they wait for a page that was asked for */
#define TICK_NS (100 * NS_PER_MS)

struct next_link {
	int fd;
	struct link_hello hello;
};

/* One of the data connections: the pages that are bound to it (page.h) are placed by its worker. */
struct inlane {
	struct inflow *all;
	unsigned number;
	struct receiver receiver;
	bool open;
	struct page_placer *placer;
	struct worker worker;
	bool placing;
	/* of the placing, the worker's meanwhile */
	const uint8_t *payload;
	size_t len;
	int result;
	struct page_stats stats;
	struct mg_error error;
	uint64_t missing; /* pages, after the last frame */
	struct page_set changed; /* pages, by the last frame, that QEMU is to be told of */

	struct link_config newest; /* of the owner: the last connection that it has handed over */
	struct next_link *_Atomic next;
	struct mg_error loss;
	bool expected; /* there was none yet */
	bool told;     /* of this loss the owner knows */
};

struct inflow {
	struct flow flow;
	inflow_event_fn fn;
	void *userdata;
	struct inlane lanes[LINK_LANES_MAX];
	unsigned n_lanes;
	uint16_t stream; /* of the first one's frames; the others' count up from there */
	atomic_uint lost_lane; /* the last one that the owner was told of */
	struct ram_image *image;
	struct write_back *back; /* NULL: QEMU has the RAM file mapped */
	bool started;
	_Atomic uint64_t wire_bytes, stream_bytes, pages[PAGE_COUNTS];

	int qemu_fd;
	struct ring_op write_op, read_op;
	uint8_t *out;
	size_t out_size, out_at, out_end; /* [out_at, out_end) waits for QEMU */
	bool qemu_is_full; /* it takes no more: what it has said before that will be read */
	uint8_t in[64];
	struct return_path_reader return_path;
	bool awaits_advised; /* no page is placed before QEMU has emptied its memory */
	bool post_copy;      /* pages come for QEMU alone; `return_path` says if that may be */
	struct return_log said; /* in post-copy, by QEMU */
	struct tail *last_tail; /* the owner's; NULL: none */
	uint8_t *tail;
	size_t tail_len; /* may be more than TAIL_MAX, of which there are no bytes then */
	bool loaded;  /* by QEMU: from here on the memory is its own */
	bool reported; /* that it is */
};

static int fail(struct inflow *i, const struct mg_error *err)
{
	if (i->flow.error.code == 0)
		i->flow.error = *err;
	return err->code;
}

/* ---- Frames -------------------------------------------------------------------------- */

/* Pages that are not what they should be, on all connections. */
static uint64_t missing(const struct inflow *i)
{
	uint64_t n = 0;

	for (unsigned k = 0; k < i->n_lanes; k++)
		n += i->lanes[k].missing;
	return n;
}

static void ask(struct inlane *l)
{
	if (!l->placing)
		receiver_ask(&l->receiver, page_placer_unasked(l->placer));
}

/* By the worker, or at once. */
static void place(void *userdata)
{
	struct inlane *l = userdata;

	l->result = page_placer_place(l->placer, l->payload, l->len, &l->stats, &l->error);
}

static void placed(void *userdata)
{
	struct inlane *l = userdata;

	flow_wake(&l->all->flow);
}

/* What the worker has placed, to be written by the flow. */
static void tell_changed(struct inlane *l)
{
	uint64_t page, n;

	while (l->changed.count) {
		n = page_set_take(&l->changed, l->changed.count, &page);
		page_set_add(write_back_pages(l->all->back), page, n);
	}
}

/* The frame is taken when its pages are placed, so it is acknowledged no sooner. What comes once
 * QEMU has loaded is a page that was asked for and came otherwise, too: the guest may have
 * changed it since. */
static int take_pages(struct inlane *l, const uint8_t *payload, size_t len, struct mg_error *err)
{
	if (!l->placing) {
		if (l->all->loaded)
			return 0;
		l->placing = true;
		l->payload = payload;
		l->len = len;
		worker_do(&l->worker);
	}
	if (worker_busy(&l->worker))
		return -EAGAIN;
	l->placing = false;
	if (l->result < 0) {
		*err = l->error;
		return l->result;
	}
	l->missing = page_placer_missing(l->placer);
	tell_changed(l);
	page_counts_add(l->all->pages, &l->stats);
	ask(l);
	return 0;
}

/* From the package of post-copy on QEMU alone places pages, but for those that were asked for
 * before: it waits for them. One that was asked for anew after a cut comes twice. */
static int take_pages_in_turn(struct inlane *l, const uint8_t *payload, size_t len,
			      struct mg_error *err)
{
	if (l->all->awaits_advised)
		return -EAGAIN;
	if (l->all->post_copy && !missing(l->all) && !l->placing)
		return 0;
	return take_pages(l, payload, len, err);
}

/* What follows comes after so many frames of the other connections. */
static int take_barrier(struct inflow *i, const uint8_t *payload, size_t len, struct mg_error *err)
{
	struct rcursor c = rcursor_over(payload, len);

	if (len != i->n_lanes * sizeof(uint64_t))
		return mg_error_set(err, -EPROTO, "BARRIER of %zu bytes between %u connections",
				    len, i->n_lanes);
	for (unsigned k = 0; k < i->n_lanes; k++)
		if (rcursor_u64(&c) >= i->lanes[k].receiver.processed) /* which counts HELLO */
			return -EAGAIN;
	return 0;
}

static size_t room_for_stream(const struct inflow *i)
{
	return i->out_size - i->out_end;
}

/* While a page is asked for, QEMU gets nothing (device state is loaded over memory that is
 * whole), and the page is behind the stream's bytes that come until it is there. */
static int hold_more(struct inflow *i, struct mg_error *err)
{
	uint8_t *bigger;

	if (i->out_size >= QEMU_BUFFER_MAX)
		return mg_error_set(err, -ENOBUFS, "%zu bytes of QEMU's stream wait for pages that "
				    "the source was asked for", i->out_end);
	bigger = realloc(i->out, 2 * i->out_size);
	if (!bigger)
		return mg_error_set(err, -ENOMEM, "out of memory");
	i->out = bigger;
	i->out_size *= 2;
	return 0;
}

/* For the VM's next move; what cannot be kept costs bytes then. */
static void keep_tail(struct inflow *i, const uint8_t *piece, size_t len)
{
	if (i->loaded)
		return; /* it is the owner's to read now */
	if (!i->tail)
		i->tail = malloc(TAIL_MAX);
	if (i->tail && len <= TAIL_MAX && i->tail_len <= TAIL_MAX - len)
		memcpy(i->tail + i->tail_len, piece, len);
	i->tail_len += len;
}

static int begin_post_copy(struct inflow *i, struct mg_error *err)
{
	if (i->post_copy)
		return 0;
	if (!i->return_path.post_copy)
		return mg_error_set(err, -EPROTO, "STREAM: post-copy, which was not agreed on");
	i->post_copy = true;
	flow_post(&i->flow, INFLOW_POST_COPY);
	return 0;
}

static int take_stream(struct inflow *i, const struct frame_header *h, const uint8_t *payload,
		       struct mg_error *err)
{
	size_t n;
	int r = 0;

	if (!i->write_op.pending) { /* the buffer may be moved */
		memmove(i->out, i->out + i->out_at, i->out_end - i->out_at);
		i->out_end -= i->out_at;
		i->out_at = 0;
		if (room_for_stream(i) < STREAM_FRAME_BYTES && missing(i))
			r = hold_more(i, err);
	}
	if (r < 0)
		return r;
	if (room_for_stream(i) < STREAM_FRAME_BYTES)
		return -EAGAIN;
	r = stream_frame_decode(payload, h->length, h->flags, i->last_tail, i->out + i->out_end, &n,
				err);
	if (r < 0)
		return r;
	if (h->flags & FRAME_FLAG_TAIL)
		keep_tail(i, i->out + i->out_end, n);
	if (h->flags & FRAME_FLAG_POST_COPY)
		r = begin_post_copy(i, err);
	if (r < 0)
		return r;
	i->out_end += n;
	atomic_fetch_add_explicit(&i->stream_bytes, n, memory_order_relaxed);
	return 0;
}

static int on_frame(void *userdata, const struct frame_header *h, const uint8_t *payload,
		    struct mg_error *err)
{
	struct inlane *l = userdata;
	struct inflow *i = l->all;

	if (!i->started) {
		i->started = true;
		flow_post(&i->flow, INFLOW_STARTED);
	}
	if (h->type == FRAME_PAGES)
		return take_pages_in_turn(l, payload, h->length, err);
	if (h->type == FRAME_STREAM && l->number == 0)
		return take_stream(i, h, payload, err);
	if (h->type == FRAME_BARRIER && l->number == 0)
		return take_barrier(i, payload, h->length, err);
	return mg_error_set(err, -EPROTO, "%s frame where there should be none",
			    frame_type_name(h->type));
}

/* ---- QEMU ------------------------------------------------------------------------------ */

static void qemu_broke(struct inflow *i, int res)
{
	struct mg_error err;

	if (i->loaded || res == -ECANCELED)
		return; /* loaded: QEMU closes its end, and nothing more is to come */
	mg_error_set(&err, -EREMOTEIO, "QEMU closed the incoming stream after "
		     "%zu bytes: it could not load the state; its log says why",
		     (size_t)atomic_load(&i->stream_bytes));
	fail(i, &err);
}

static void use_stream(struct inflow *i, size_t len)
{
	i->out_at += len;
	if (i->out_at == i->out_end)
		i->out_at = i->out_end = 0;
}

static void on_qemu_written(struct ring_op *op, int res)
{
	struct inflow *i = ring_container(op, struct inflow, write_op);

	/* One that does not want the description of the devices closes before it has come. */
	i->qemu_is_full = res == -EPIPE || res == -ECONNRESET;
	if (res < 0) {
		if (!i->qemu_is_full)
			qemu_broke(i, res);
		return;
	}
	if (i->back)
		write_back_written(i->back, (size_t)res);
	else
		use_stream(i, (size_t)res);
}

/* What QEMU gets next: the stream as it came, or with the pages put back into it. */
static const uint8_t *next_bytes(struct inflow *i, size_t *ret_len)
{
	struct mg_error err;
	ssize_t n;

	*ret_len = i->out_end - i->out_at;
	if (!i->back)
		return i->out + i->out_at;
	n = write_back_run(i->back, i->out + i->out_at, *ret_len, &err);
	if (n < 0)
		fail(i, &err);
	else
		use_stream(i, (size_t)n);
	return write_back_output(i->back, ret_len);
}

static void write_qemu(struct inflow *i)
{
	const uint8_t *bytes;
	size_t len;

	if (i->write_op.pending || i->qemu_is_full || i->flow.error.code || missing(i))
		return;
	bytes = next_bytes(i, &len);
	if (len && i->flow.error.code == 0)
		ring_send(&i->flow.ring, &i->write_op, i->qemu_fd, bytes, len);
}

static void read_qemu(struct inflow *i)
{
	ring_recv(&i->flow.ring, &i->read_op, i->qemu_fd, i->in, sizeof(i->in));
}

/* A page that is zero is none that is missing, in post-copy: QEMU would ask for it, and the
 * source does not send what it has sent. So there are no holes from now on but those that
 * QEMU itself makes. */
static int begin_pages(struct inflow *i)
{
	struct mg_error err;
	int r = i->awaits_advised ? ram_image_reserve(i->image) : 0;

	i->awaits_advised = false;
	if (r < 0) {
		mg_error_set(&err, r, "no room for the guest's memory: %s", strerror(-r));
		return fail(i, &err);
	}
	return 0;
}

static int on_message(struct inflow *i, enum return_path_type type, uint32_t value)
{
	struct mg_error err;

	if (i->post_copy)
		return_log_add(&i->said, i->return_path.held, i->return_path.len);
	if (type == RETURN_PATH_PONG && value == RETURN_PATH_ADVISED)
		return begin_pages(i);
	if (type != RETURN_PATH_SHUT)
		return 0; /* PONG answers a PING that outflow has answered already */
	if (value != 0) {
		mg_error_set(&err, -EREMOTEIO, "the target's QEMU could not load the state (%u); its "
			     "log says why", value);
		return fail(i, &err);
	}
	i->loaded = true;
	return 0;
}

static void on_qemu_read(struct ring_op *op, int res)
{
	struct inflow *i = ring_container(op, struct inflow, read_op);
	const uint8_t *data = i->in;
	size_t len = res > 0 ? (size_t)res : 0;
	struct mg_error err;
	enum return_path_type type;
	uint32_t value;
	int r = 1;

	if (res <= 0) {
		qemu_broke(i, res);
		return;
	}
	while (r > 0 && len) {
		r = return_path_read(&i->return_path, &data, &len, &type, &value, &err);
		if (r > 0)
			r = on_message(i, type, value) < 0 ? -1 : 1;
		else if (r < 0)
			fail(i, &err);
	}
	if (r >= 0)
		read_qemu(i);
}

/* ---- The thread --------------------------------------------------------------------------- */

static void next_link_free(struct next_link *next)
{
	if (!next)
		return;
	if (next->fd >= 0)
		close(next->fd);
	free(next);
}

static bool all_are_there(const struct inflow *i)
{
	for (unsigned k = 0; k < i->n_lanes; k++)
		if (i->lanes[k].told)
			return false;
	return true;
}

static void take_next_link(struct inlane *l)
{
	struct next_link *next = atomic_exchange(&l->next, NULL);
	bool was_told = l->told;
	struct mg_error err;

	if (receiver_resume(&l->receiver, next->fd, &next->hello, &err) == 0) {
		next->fd = -1;
		l->told = l->expected = false;
		page_placer_ask_again(l->placer);
		return_log_again(&l->all->said);
		if (was_told && all_are_there(l->all))
			flow_post(&l->all->flow, INFLOW_RESUMED);
	}
	next_link_free(next);
}

/* A source that makes another connection has lost the last one, even if that cannot be
 * seen here. What is being placed belongs to the last one. */
static void check_link(struct inlane *l)
{
	bool has_next = atomic_load(&l->next) != NULL;

	if (has_next)
		receiver_drop(&l->receiver);
	if (!receiver_is_down(&l->receiver) || l->placing || l->all->loaded)
		return;
	if (has_next) {
		take_next_link(l);
	} else if (!l->told && !l->expected) {
		l->told = true;
		l->loss = l->receiver.lost;
		atomic_store(&l->all->lost_lane, l->number);
		flow_post(&l->all->flow, INFLOW_LOST);
	}
}

static void pump(struct inlane *l)
{
	check_link(l);
	ask(l);
	if (l->number == 0)
		receiver_return(&l->receiver, &l->all->said);
	receiver_pump(&l->receiver);
	ask(l);
}

/* The guest may run, so no worker may be at it any more. */
static void report_loaded(struct inflow *i)
{
	if (!i->loaded || i->reported)
		return;
	for (unsigned k = 0; k < i->n_lanes; k++)
		if (i->lanes[k].placing)
			return;
	i->reported = true;
	flow_post(&i->flow, INFLOW_LOADED);
}

static uint64_t all_wire_bytes(const struct inflow *i)
{
	uint64_t n = 0;

	for (unsigned k = 0; k < i->n_lanes; k++)
		n += i->lanes[k].receiver.wire_bytes;
	return n;
}

static int step(struct inflow *i)
{
	struct mg_error err;
	int r;

	for (unsigned k = i->n_lanes; k-- > 0;) /* the first one may wait for the others */
		pump(&i->lanes[k]);
	write_qemu(i);
	report_loaded(i);
	atomic_store_explicit(&i->wire_bytes, all_wire_bytes(i), memory_order_relaxed);
	for (unsigned k = 0; k < i->n_lanes && !i->loaded; k++)
		if (i->lanes[k].receiver.error.code)
			return fail(i, &i->lanes[k].receiver.error);
	if (i->flow.error.code)
		return i->flow.error.code;
	r = ring_run(&i->flow.ring, TICK_NS);
	if (r < 0) {
		mg_error_set(&err, r, "io_uring: %s", strerror(-r));
		return fail(i, &err);
	}
	return 0;
}

static void inflow_run(struct flow *flow)
{
	struct inflow *i = ring_container(flow, struct inflow, flow);
	int r = 0;

	flow_watch_wake(flow);
	for (unsigned k = 0; k < i->n_lanes; k++)
		if (!i->lanes[k].expected)
			receiver_start(&i->lanes[k].receiver);
	read_qemu(i);
	while (r >= 0 && !atomic_load(&flow->stopping))
		r = step(i);
	if (r >= 0)
		return;
	for (unsigned k = 0; k < i->n_lanes; k++)
		if (!i->lanes[k].receiver.lost.code)
			receiver_say_error(&i->lanes[k].receiver, flow->error.text);
	flow_post(flow, INFLOW_FAILED);
}

/* ---- For the owner ---------------------------------------------------------------------------- */

static void on_event(struct flow *flow, unsigned event)
{
	struct inflow *i = ring_container(flow, struct inflow, flow);

	i->fn(i, (enum inflow_event)event, i->userdata);
}

static int make_placer(struct inlane *l, const struct inflow_config *config)
{
	int r = page_placer_new(l->all->image, config->link.page_secret, &l->placer);

	if (r < 0)
		return r;
	page_placer_bind(l->placer, l->number, l->all->n_lanes);
	if (config->base)
		page_placer_set_source(l->placer, PAGE_SOURCE_BASE, image_page_source(config->base));
	page_placer_set_arrival(l->placer, config->arrival);
	if (!l->all->back)
		return 0;
	r = page_placer_set_changed(l->placer, &l->changed);
	return r < 0 ? r : page_set_init(&l->changed, ram_image_pages(l->all->image));
}

static int open_lane(struct inlane *l, const struct inflow_config *config, struct mg_error *err)
{
	struct link_config link = config->link;
	int r = make_placer(l, config);

	if (r < 0)
		return mg_error_set(err, r, "out of memory");
	link.stream = (uint16_t)(link.stream + l->number);
	l->expected = link.stream != config->hello.stream;
	if (l->expected)
		link.incarnation = 0; /* any */
	r = receiver_init(&l->receiver, &l->all->flow.ring, &link,
			  l->expected ? NULL : &config->hello, config->ram_bytes, err);
	l->open = r == 0;
	l->newest = link;
	explicit_bzero(&link, sizeof(link));
	if (r < 0)
		return r;
	l->receiver.frame = on_frame;
	l->receiver.userdata = l;
	l->worker.job = place;
	l->worker.done = placed;
	l->worker.userdata = l;
	return l->all->n_lanes > 1 ? worker_start(&l->worker, err) : 0;
}

static int open_lanes(struct inflow *i, const struct inflow_config *config, struct mg_error *err)
{
	unsigned first = (uint16_t)(config->hello.stream - config->link.stream);
	int r = 0;

	if (first >= config->connections)
		return mg_error_set(err, -EPROTO, "HELLO of stream %u instead of %u to %u",
				    config->hello.stream, config->link.stream,
				    config->link.stream + config->connections - 1);
	i->stream = config->link.stream;
	i->n_lanes = config->connections;
	for (unsigned k = 0; k < i->n_lanes && r == 0; k++) {
		i->lanes[k].all = i;
		i->lanes[k].number = k;
		r = open_lane(&i->lanes[k], config, err);
	}
	return r;
}

static int make_image(struct inflow *i, const struct inflow_config *config, struct mg_error *err)
{
	int r = ram_image_open(config->ram_fd, config->ram_bytes, &i->image, err);

	if (r < 0)
		return r;
	r = ram_image_set_source(i->image, config->image);
	if (r == 0 && config->write_back)
		r = write_back_new(i->image, config->write_back, &i->back);
	i->out_size = QEMU_BUFFER;
	i->out = malloc(i->out_size);
	if (r < 0 || !i->out)
		return mg_error_set(err, -ENOMEM, "out of memory");
	return 0;
}

/* The descriptors remain the caller's. */
static void give_back(struct inflow *i)
{
	i->qemu_fd = -1;
	for (unsigned k = 0; k < i->n_lanes; k++)
		i->lanes[k].receiver.config.fd = -1;
}

int inflow_start(sd_event *loop, const struct inflow_config *config, inflow_event_fn fn,
		 void *userdata, struct inflow **ret, struct mg_error *err)
{
	_cleanup_(inflow_free_p) struct inflow *i = calloc(1, sizeof(*i));
	int r;

	if (!i)
		return mg_error_set(err, -ENOMEM, "out of memory");
	i->qemu_fd = config->qemu_fd;
	i->fn = fn;
	i->userdata = userdata;
	i->write_op.done = on_qemu_written;
	i->read_op.done = on_qemu_read;
	i->last_tail = config->last_tail;
	i->awaits_advised = i->return_path.post_copy = config->post_copy;
	r = make_image(i, config, err);
	if (r == 0)
		r = flow_init(&i->flow, loop, inflow_run, on_event, err);
	if (r == 0)
		r = open_lanes(i, config, err);
	if (r == 0) {
		return_path_tune(i->qemu_fd);
		r = flow_start(&i->flow, err);
	}
	if (r < 0) {
		give_back(i);
		return r;
	}
	*ret = TAKE_PTR(i);
	return 0;
}

int inflow_resume(struct inflow *i, int fd, const struct link_hello *hello, struct mg_error *err)
{
	unsigned lane = (uint16_t)(hello->stream - i->stream);
	struct next_link *next;
	int r;

	if (lane >= i->n_lanes)
		return mg_error_set(err, -EPROTO, "HELLO of stream %u instead of %u to %u",
				    hello->stream, i->stream, i->stream + i->n_lanes - 1);
	r = link_check_next(&i->lanes[lane].newest, hello, err);
	if (r < 0)
		return r;
	next = malloc(sizeof(*next));
	if (!next)
		return mg_error_set(err, -ENOMEM, "out of memory");
	*next = (struct next_link){ .fd = fd, .hello = *hello };
	i->lanes[lane].newest.incarnation = hello->incarnation;
	next_link_free(atomic_exchange(&i->lanes[lane].next, next));
	flow_wake(&i->flow);
	return 0;
}

const struct mg_error *inflow_loss(struct inflow *i)
{
	return &i->lanes[atomic_load(&i->lost_lane)].loss;
}

void inflow_get_stats(struct inflow *i, struct inflow_stats *ret)
{
	*ret = (struct inflow_stats){
		.wire_bytes = atomic_load_explicit(&i->wire_bytes, memory_order_relaxed),
		.stream_bytes = atomic_load_explicit(&i->stream_bytes, memory_order_relaxed),
	};
	for (unsigned k = 0; k < PAGE_COUNTS; k++)
		ret->pages[k] = atomic_load_explicit(&i->pages[k], memory_order_relaxed);
	ret->guest_bytes = page_counts_bytes(ret->pages);
}

const uint8_t *inflow_tail(const struct inflow *i, size_t *ret_len)
{
	*ret_len = i->tail && i->tail_len <= TAIL_MAX ? i->tail_len : 0;
	return i->tail;
}

const struct mg_error *inflow_error(struct inflow *i)
{
	return &i->flow.error;
}

static void close_lane(struct inlane *l)
{
	worker_stop(&l->worker);
	if (l->open)
		receiver_exit(&l->receiver);
	next_link_free(atomic_load(&l->next));
	explicit_bzero(&l->newest, sizeof(l->newest));
	page_placer_free(l->placer);
	page_set_exit(&l->changed);
}

void inflow_free(struct inflow *i)
{
	if (!i)
		return;
	flow_stop(&i->flow);
	for (unsigned k = 0; k < i->n_lanes; k++)
		close_lane(&i->lanes[k]); /* their workers wake the flow */
	flow_exit(&i->flow);
	if (i->qemu_fd >= 0)
		close(i->qemu_fd);
	write_back_free(i->back);
	ram_image_free(i->image);
	free(i->out);
	free(i->tail);
	free(i);
}

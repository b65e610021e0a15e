/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/inflow.h"

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "migrator/flow.h"
#include "migrator/image_index.h"
#include "migrator/page_placer.h"
#include "migrator/receiver.h"
#include "migrator/return_path.h"
#include "migrator/stream_frame.h"

#define QEMU_BUFFER ((size_t)256 << 10) /* stream bytes that wait for QEMU */
#define QEMU_BUFFER_MAX ((size_t)16 << 20) /* while they wait for a page that was asked for */
#define TICK_NS (100 * NS_PER_MS)

struct next_link {
	int fd;
	struct link_hello hello;
};

struct inflow {
	struct flow flow;
	inflow_event_fn fn;
	void *userdata;
	struct receiver receiver;
	bool receiver_open;
	struct ram_image *image;
	struct page_placer *placer;
	bool started;
	struct link_config newest; /* of the owner: the last connection that it has handed over */
	struct next_link *_Atomic next;
	struct mg_error loss;
	bool told; /* of this loss the owner knows */
	_Atomic uint64_t wire_bytes, stream_bytes, pages[PAGE_COUNTS];

	int qemu_fd;
	struct ring_op write_op, read_op;
	uint8_t *out;
	size_t out_size, out_at, out_end; /* [out_at, out_end) waits for QEMU */
	uint8_t in[64];
	struct return_path_reader return_path;
	struct tail *last_tail; /* the owner's; NULL: none */
	uint8_t *tail;
	size_t tail_len; /* may be more than TAIL_MAX, of which there are no bytes then */
	bool loaded;
};

static int fail(struct inflow *i, const struct mg_error *err)
{
	if (i->flow.error.code == 0)
		i->flow.error = *err;
	return err->code;
}

/* ---- Frames -------------------------------------------------------------------------- */

static int take_pages(struct inflow *i, const uint8_t *payload, size_t len, struct mg_error *err)
{
	struct page_stats stats;
	int r = page_placer_place(i->placer, payload, len, &stats, err);

	if (r < 0)
		return r;
	page_counts_add(i->pages, &stats);
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

static int take_stream(struct inflow *i, const struct frame_header *h, const uint8_t *payload,
		       struct mg_error *err)
{
	size_t n;
	int r = 0;

	if (!i->write_op.pending) { /* the buffer may be moved */
		memmove(i->out, i->out + i->out_at, i->out_end - i->out_at);
		i->out_end -= i->out_at;
		i->out_at = 0;
		if (room_for_stream(i) < STREAM_FRAME_BYTES && page_placer_missing(i->placer))
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
	i->out_end += n;
	atomic_fetch_add_explicit(&i->stream_bytes, n, memory_order_relaxed);
	return 0;
}

static int on_frame(void *userdata, const struct frame_header *h, const uint8_t *payload,
		    struct mg_error *err)
{
	struct inflow *i = userdata;

	if (!i->started) {
		i->started = true;
		flow_post(&i->flow, INFLOW_STARTED);
	}
	switch (h->type) {
	case FRAME_PAGES:
		return take_pages(i, payload, h->length, err);
	case FRAME_STREAM:
		return take_stream(i, h, payload, err);
	default:
		return mg_error_set(err, -EPROTO, "%s frame in the wrong direction",
				    frame_type_name(h->type));
	}
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

static void on_qemu_written(struct ring_op *op, int res)
{
	struct inflow *i = ring_container(op, struct inflow, write_op);

	if (res < 0) {
		qemu_broke(i, res);
		return;
	}
	i->out_at += (size_t)res;
	if (i->out_at == i->out_end)
		i->out_at = i->out_end = 0;
}

static void write_qemu(struct inflow *i)
{
	if (i->write_op.pending || i->out_at == i->out_end || i->flow.error.code ||
	    page_placer_missing(i->placer))
		return;
	ring_send(&i->flow.ring, &i->write_op, i->qemu_fd, i->out + i->out_at,
		  i->out_end - i->out_at);
}

static void read_qemu(struct inflow *i)
{
	ring_recv(&i->flow.ring, &i->read_op, i->qemu_fd, i->in, sizeof(i->in));
}

static int on_message(struct inflow *i, enum return_path_type type, uint32_t value)
{
	struct mg_error err;

	if (type == RETURN_PATH_PONG)
		return 0; /* answers a PING that outflow has answered already */
	if (value != 0) {
		mg_error_set(&err, -EREMOTEIO, "the target's QEMU could not load the state (%u); its "
			     "log says why", value);
		return fail(i, &err);
	}
	i->loaded = true;
	flow_post(&i->flow, INFLOW_LOADED);
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

static void take_next_link(struct inflow *i)
{
	struct next_link *next = atomic_exchange(&i->next, NULL);
	struct mg_error err;

	if (receiver_resume(&i->receiver, next->fd, &next->hello, &err) == 0) {
		next->fd = -1;
		i->told = false;
		page_placer_ask_again(i->placer);
		flow_post(&i->flow, INFLOW_RESUMED);
	}
	next_link_free(next);
}

/* A source that makes another connection has lost the last one, even if that cannot be
 * seen here. */
static void check_link(struct inflow *i)
{
	bool has_next = atomic_load(&i->next) != NULL;

	if (has_next)
		receiver_drop(&i->receiver);
	if (!receiver_is_down(&i->receiver) || i->loaded)
		return;
	if (has_next) {
		take_next_link(i);
	} else if (!i->told) {
		i->told = true;
		i->loss = i->receiver.lost;
		flow_post(&i->flow, INFLOW_LOST);
	}
}

static int step(struct inflow *i)
{
	struct mg_error err;
	int r;

	check_link(i);
	receiver_ask(&i->receiver, page_placer_unasked(i->placer));
	receiver_pump(&i->receiver);
	receiver_ask(&i->receiver, page_placer_unasked(i->placer));
	write_qemu(i);
	atomic_store_explicit(&i->wire_bytes, i->receiver.wire_bytes, memory_order_relaxed);
	if (i->receiver.error.code && !i->loaded)
		return fail(i, &i->receiver.error);
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
	receiver_start(&i->receiver);
	read_qemu(i);
	while (r >= 0 && !atomic_load(&flow->stopping))
		r = step(i);
	if (r >= 0)
		return;
	receiver_say_error(&i->receiver, flow->error.text);
	flow_post(flow, INFLOW_FAILED);
}

/* ---- For the owner ---------------------------------------------------------------------------- */

static void on_event(struct flow *flow, unsigned event)
{
	struct inflow *i = ring_container(flow, struct inflow, flow);

	i->fn(i, (enum inflow_event)event, i->userdata);
}

static int make_placer(struct inflow *i, const struct inflow_config *config, struct mg_error *err)
{
	int r = ram_image_open(config->ram_fd, config->ram_bytes, &i->image, err);

	if (r < 0)
		return r;
	r = page_placer_new(i->image, config->link.page_secret, &i->placer);
	if (r == 0)
		r = ram_image_set_source(i->image, config->image);
	if (r == 0 && config->base)
		page_placer_set_source(i->placer, PAGE_SOURCE_BASE, image_page_source(config->base));
	if (r == 0)
		page_placer_set_arrival(i->placer, config->arrival);
	i->out_size = QEMU_BUFFER;
	i->out = malloc(i->out_size);
	if (r < 0 || !i->out)
		return mg_error_set(err, -ENOMEM, "out of memory");
	return 0;
}

int inflow_start(sd_event *loop, const struct inflow_config *config, inflow_event_fn fn,
		 void *userdata, struct inflow **ret, struct mg_error *err)
{
	_cleanup_(inflow_free_p) struct inflow *i = calloc(1, sizeof(*i));
	int r;

	if (!i)
		return mg_error_set(err, -ENOMEM, "out of memory");
	i->qemu_fd = -1;
	i->fn = fn;
	i->userdata = userdata;
	i->write_op.done = on_qemu_written;
	i->read_op.done = on_qemu_read;
	r = make_placer(i, config, err);
	if (r < 0)
		return r;
	r = flow_init(&i->flow, loop, inflow_run, on_event, err);
	if (r < 0)
		return r;
	r = receiver_init(&i->receiver, &i->flow.ring, &config->link, &config->hello,
			  config->ram_bytes, err);
	if (r < 0)
		return r;
	i->receiver_open = true;
	i->newest = config->link;
	i->receiver.frame = on_frame;
	i->receiver.userdata = i;
	i->qemu_fd = config->qemu_fd;
	i->last_tail = config->last_tail;
	return_path_tune(i->qemu_fd);
	r = flow_start(&i->flow, err);
	if (r < 0) { /* the descriptors remain the caller's */
		i->qemu_fd = i->receiver.config.fd = -1;
		return r;
	}
	*ret = TAKE_PTR(i);
	return 0;
}

int inflow_resume(struct inflow *i, int fd, const struct link_hello *hello, struct mg_error *err)
{
	struct next_link *next;
	int r = link_check_next(&i->newest, hello, err);

	if (r < 0)
		return r;
	next = malloc(sizeof(*next));
	if (!next)
		return mg_error_set(err, -ENOMEM, "out of memory");
	*next = (struct next_link){ .fd = fd, .hello = *hello };
	i->newest.incarnation = hello->incarnation;
	next_link_free(atomic_exchange(&i->next, next));
	flow_wake(&i->flow);
	return 0;
}

const struct mg_error *inflow_loss(struct inflow *i)
{
	return &i->loss;
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

void inflow_free(struct inflow *i)
{
	if (!i)
		return;
	flow_exit(&i->flow);
	if (i->receiver_open)
		receiver_exit(&i->receiver);
	next_link_free(atomic_load(&i->next));
	explicit_bzero(&i->newest, sizeof(i->newest));
	if (i->qemu_fd >= 0)
		close(i->qemu_fd);
	page_placer_free(i->placer);
	ram_image_free(i->image);
	free(i->out);
	free(i->tail);
	free(i);
}

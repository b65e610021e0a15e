/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/disk_pipe.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "migrator/frame_reader.h"

#define KEPT_BYTES ((size_t)4 << 20) /* more than an NBD request, and than most links' windows */
#define FRAME_BYTES ((size_t)64 << 10)
#define WIRE_BYTES (FRAME_HEADER_SIZE + FRAME_BYTES + FRAME_TRAILER_SIZE)
#define READER_BYTES (4 * WIRE_BYTES)
#define TELL_BYTES (FRAME_BYTES * 4) /* taken and not acknowledged: enough for a frame of its own */
#define TURN 8 /* frames at a time */
#define PRIORITY SD_EVENT_PRIORITY_IDLE

enum greeting { GREETING_NONE, GREETING_HELLO, GREETING_WELCOME, GREETING_DONE };

struct disk_pipe {
	sd_event *loop;
	struct link_config link;
	uint64_t disk_bytes;
	disk_pipe_fn fn;
	void *userdata;
	/* QEMU's side */
	int local;
	sd_event_source *local_io;
	/* the connection; -1: none */
	int fd;
	sd_event_source *fd_io;
	bool is_source;
	enum greeting greeting;
	uint8_t hello[LINK_HELLO_SIZE], welcome[LINK_HELLO_SIZE];
	size_t greeting_at;
	bool heard; /* how much the other end has taken is known */
	struct seal seal_out, seal_in;
	uint64_t sequence;
	struct frame_reader reader;
	uint8_t wire[WIRE_BYTES];
	size_t wire_len, wire_at;
	struct mg_error loss;
	/* Out, counted over all connections: [acknowledged, sent, filled), at count % KEPT_BYTES */
	uint8_t *kept;
	uint64_t acknowledged, sent, filled;
	/* In: a frame that QEMU has not taken all of yet */
	const uint8_t *payload;
	size_t payload_left;
	uint64_t taken, told;
	uint64_t wire_bytes;
};

static void set_up(struct disk_pipe *p);

/* ---- Kept bytes -------------------------------------------------------------------- */

/* Between two counts: as far as it lies in one piece. */
static uint8_t *piece(struct disk_pipe *p, uint64_t from, uint64_t to, size_t *ret_len)
{
	size_t at = from % KEPT_BYTES, len = (size_t)(to - from);

	*ret_len = len < KEPT_BYTES - at ? len : KEPT_BYTES - at;
	return p->kept + at;
}

/* The other end has taken so much. It can be neither less than it said nor more than was sent. */
static int take_acknowledged(struct disk_pipe *p, uint64_t count)
{
	if (count < p->acknowledged || count > p->filled)
		return mg_error_set(&p->loss, -EPROTO, "the peer acknowledges what was not sent");
	p->acknowledged = count;
	if (p->sent < count)
		p->sent = count; /* over an earlier connection */
	return 0;
}

/* ---- Losing the connection ---------------------------------------------------------- */

static void drop_connection(struct disk_pipe *p)
{
	sd_event_source_disable_unref(p->fd_io);
	p->fd_io = NULL;
	if (p->fd >= 0)
		close(TAKE_FD(p->fd));
	p->greeting = GREETING_NONE;
	p->heard = false;
	p->wire_len = p->wire_at = 0;
	p->sent = p->acknowledged; /* goes again, if it was not taken */
	seal_wipe(&p->seal_in);
	seal_wipe(&p->seal_out);
}

static int lose(struct disk_pipe *p, int r)
{
	if (!p->loss.code)
		mg_error_set(&p->loss, r, "the data connection was lost: %s",
			     r == -ECONNRESET ? "the peer closed it" : strerror(-r));
	return r;
}

/* ---- Greetings ---------------------------------------------------------------------- */

static int begin_frames(struct disk_pipe *p, const struct link_keys *keys)
{
	int r = seal_init(&p->seal_out, keys->cipher, keys->secret, p->link.stream,
			  p->is_source ? SEAL_TO_TARGET : SEAL_TO_SOURCE);

	if (r == 0)
		r = seal_init(&p->seal_in, keys->cipher, keys->secret, p->link.stream,
			      p->is_source ? SEAL_TO_SOURCE : SEAL_TO_TARGET);
	if (r < 0)
		return r;
	p->sequence = 0;
	frame_reader_restart(&p->reader, 1);
	p->greeting = GREETING_DONE;
	p->told = UINT64_MAX; /* the first frame says how much was taken, even if that is nothing */
	return 0;
}

/* Writes or reads the greeting that is due. 0: all of it; -EAGAIN; or it is lost. */
static int move_greeting(struct disk_pipe *p, uint8_t *greeting, bool out)
{
	while (p->greeting_at < LINK_HELLO_SIZE) {
		size_t left = LINK_HELLO_SIZE - p->greeting_at;
		ssize_t n = out ? send(p->fd, greeting + p->greeting_at, left, MSG_NOSIGNAL)
				: recv(p->fd, greeting + p->greeting_at, left, 0);

		if (n <= 0)
			return n == 0 ? -ECONNRESET : -errno;
		p->greeting_at += (size_t)n;
		p->wire_bytes += (uint64_t)n;
	}
	p->greeting_at = 0;
	return 0;
}

static int greet(struct disk_pipe *p)
{
	struct link_keys keys;
	int r = 0;

	if (p->greeting == GREETING_HELLO) {
		r = move_greeting(p, p->hello, true);
		if (r == 0)
			p->greeting = GREETING_WELCOME;
	}
	if (r == 0 && p->greeting == GREETING_WELCOME)
		r = move_greeting(p, p->welcome, !p->is_source);
	if (r < 0 || p->greeting == GREETING_DONE)
		return r;
	if (!p->is_source) /* whose keys are there already */
		p->greeting = GREETING_DONE;
	if (!p->is_source)
		return 0;
	r = link_check_welcome(&p->link, p->hello, p->welcome, &keys, &p->loss);
	if (r == 0)
		r = take_acknowledged(p, keys.taken);
	if (r == 0)
		r = begin_frames(p, &keys);
	p->heard = r == 0;
	explicit_bzero(&keys, sizeof(keys));
	return r;
}

/* ---- Out ------------------------------------------------------------------------------ */

/* 0, -EAGAIN, or QEMU has closed it. */
static int read_local(struct disk_pipe *p)
{
	while (p->local >= 0 && p->filled - p->acknowledged < KEPT_BYTES) {
		size_t len;
		uint8_t *to = piece(p, p->filled, p->acknowledged + KEPT_BYTES, &len);
		ssize_t n = recv(p->local, to, len, 0);

		if (n <= 0)
			return n == 0 ? -ECONNRESET : -errno;
		p->filled += (uint64_t)n;
	}
	return -EAGAIN;
}

static void make_frame(struct disk_pipe *p, enum frame_type type, size_t len)
{
	struct frame_header h = { .type = type, .stream = p->link.stream, .length = (uint32_t)len,
				  .sequence = ++p->sequence, .acknowledged = p->taken };

	frame_header_encode(&h, p->wire);
	seal_frame(&p->seal_out, &h, p->wire);
	p->told = p->taken;
	p->wire_len = FRAME_HEADER_SIZE + len + FRAME_TRAILER_SIZE;
	p->wire_at = 0;
}

/* Whether there is a frame to be written now. */
static bool next_frame(struct disk_pipe *p)
{
	size_t len = 0;

	if (p->wire_len)
		return true;
	if (p->told != UINT64_MAX && p->heard && p->sent < p->filled) {
		const uint8_t *from = piece(p, p->sent, p->filled, &len);

		if (len > FRAME_BYTES)
			len = FRAME_BYTES;
		memcpy(p->wire + FRAME_HEADER_SIZE, from, len);
		p->sent += len;
	}
	if (len == 0 && p->told != UINT64_MAX && p->taken - p->told < TELL_BYTES &&
	    (p->taken == p->told || p->payload_left))
		return false;
	make_frame(p, len ? FRAME_DISK : FRAME_ACK, len);
	return true;
}

static int write_frames(struct disk_pipe *p)
{
	for (int turn = 0; turn < TURN && next_frame(p); turn++) {
		ssize_t n = send(p->fd, p->wire + p->wire_at, p->wire_len - p->wire_at,
				 MSG_NOSIGNAL);

		if (n < 0)
			return -errno;
		p->wire_bytes += (uint64_t)n;
		p->wire_at += (size_t)n;
		if (p->wire_at == p->wire_len)
			p->wire_len = 0;
	}
	return 0;
}

/* ---- In ------------------------------------------------------------------------------- */

/* 0: QEMU has taken all that came. */
static int write_local(struct disk_pipe *p)
{
	while (p->payload_left) {
		ssize_t n;

		if (p->local < 0)
			return -EAGAIN;
		n = send(p->local, p->payload, p->payload_left, MSG_NOSIGNAL);
		if (n < 0)
			return -errno;
		p->payload += n;
		p->payload_left -= (size_t)n;
		p->taken += (uint64_t)n;
	}
	return 0;
}

static int take_frame(struct disk_pipe *p)
{
	struct frame_header h;
	int r = frame_reader_next(&p->reader, &h, &p->payload, &p->loss);

	if (r <= 0)
		return r;
	if (h.type != FRAME_DISK && h.type != FRAME_ACK)
		return mg_error_set(&p->loss, -EPROTO, "a frame %s on a disk's connection",
				    frame_type_name(h.type));
	r = take_acknowledged(p, h.acknowledged);
	if (r < 0)
		return r;
	p->heard = true;
	p->payload_left = h.length;
	return 1;
}

/* What QEMU does not take stops it: the connection's window fills. */
static int read_frames(struct disk_pipe *p, int *ret_local)
{
	for (int turn = 0; turn < TURN; turn++) {
		size_t len;
		uint8_t *to;
		ssize_t n;
		int r;

		while ((*ret_local = write_local(p)) == 0 && (r = take_frame(p)) != 0)
			if (r < 0)
				return r;
		if (*ret_local < 0)
			return 0;
		to = frame_reader_space(&p->reader, &len);
		n = recv(p->fd, to, len, 0);
		if (n <= 0)
			return n == 0 ? -ECONNRESET : -errno;
		p->wire_bytes += (uint64_t)n;
		frame_reader_filled(&p->reader, (size_t)n);
	}
	return 0;
}

/* ---- Both ------------------------------------------------------------------------------ */

static bool is_lost(int r)
{
	return r < 0 && r != -EAGAIN && r != -EINTR;
}

static int pump_connection(struct disk_pipe *p, int *ret_local)
{
	bool was_up = p->greeting == GREETING_DONE;
	int r;

	if (p->fd < 0)
		return 0;
	r = greet(p);
	if (r == 0)
		r = read_frames(p, ret_local);
	if (!is_lost(r) && p->greeting == GREETING_DONE)
		r = write_frames(p);
	if (is_lost(r))
		return lose(p, r);
	if (!was_up && p->greeting == GREETING_DONE)
		return 1;
	return 0;
}

static void pump(struct disk_pipe *p)
{
	int local = read_local(p), in = 0, r = pump_connection(p, &in);

	if (is_lost(r))
		drop_connection(p);
	/* Bytes that QEMU said before it closed its end are worth nothing without it. */
	if (is_lost(local) || is_lost(in)) {
		drop_connection(p);
		sd_event_source_disable_unref(p->local_io);
		p->local_io = NULL;
		p->fn(p, DISK_PIPE_CLOSED, p->userdata);
		return;
	}
	set_up(p);
	if (r != 0)
		p->fn(p, r > 0 ? DISK_PIPE_UP : DISK_PIPE_LOST, p->userdata);
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	(void)source;
	(void)fd;
	(void)events;
	pump(userdata);
	return 0;
}

/* What is waited for. Without interest an error would be told again and again: off. */
static void wait_for(sd_event_source *source, uint32_t events)
{
	if (!source)
		return;
	(void)sd_event_source_set_io_events(source, events);
	(void)sd_event_source_set_enabled(source, events ? SD_EVENT_ON : SD_EVENT_OFF);
}

static void set_up(struct disk_pipe *p)
{
	bool up = p->greeting == GREETING_DONE;
	uint32_t local = 0, net = 0;

	if (p->filled - p->acknowledged < KEPT_BYTES)
		local |= EPOLLIN;
	if (p->payload_left)
		local |= EPOLLOUT;
	if (p->greeting == GREETING_HELLO || (p->greeting == GREETING_WELCOME && !p->is_source) ||
	    (up && next_frame(p)))
		net |= EPOLLOUT;
	if ((p->greeting == GREETING_WELCOME && p->is_source) || (up && !p->payload_left))
		net |= EPOLLIN;
	wait_for(p->local_io, local);
	wait_for(p->fd_io, net);
}

/* ---- Beginning and ending ---------------------------------------------------------------- */

static int watch(struct disk_pipe *p, int fd, sd_event_source **ret)
{
	int flags = fcntl(fd, F_GETFL);
	int r = flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;

	if (r == 0)
		r = sd_event_add_io(p->loop, ret, fd, EPOLLIN, on_io, p);
	if (r >= 0)
		r = sd_event_source_set_priority(*ret, PRIORITY);
	return r < 0 ? r : 0;
}

int disk_pipe_new(sd_event *loop, const struct link_config *link, uint64_t disk_bytes,
		  disk_pipe_fn fn, void *userdata, struct disk_pipe **ret)
{
	struct disk_pipe *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	p->loop = sd_event_ref(loop);
	p->link = *link;
	p->link.incarnation = 0;
	p->disk_bytes = disk_bytes;
	p->fn = fn;
	p->userdata = userdata;
	p->fd = -1;
	p->local = -1;
	p->kept = malloc(KEPT_BYTES);
	r = p->kept ? frame_reader_init(&p->reader, READER_BYTES, &p->seal_in, link->stream)
		    : -ENOMEM;
	if (r < 0) {
		disk_pipe_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

int disk_pipe_join(struct disk_pipe *p, int local_fd)
{
	int r = watch(p, local_fd, &p->local_io);

	if (r < 0)
		return r;
	p->local = local_fd;
	set_up(p);
	return 0;
}

void disk_pipe_free(struct disk_pipe *p)
{
	if (!p)
		return;
	drop_connection(p);
	sd_event_source_disable_unref(p->local_io);
	if (p->local >= 0)
		close(p->local);
	frame_reader_exit(&p->reader);
	free(p->kept);
	sd_event_unref(p->loop);
	explicit_bzero(p, sizeof(*p));
	free(p);
}

static int begin(struct disk_pipe *p, int fd, enum greeting first, struct mg_error *err)
{
	int r;

	drop_connection(p);
	p->loss = (struct mg_error){ 0 };
	link_tune_socket(fd);
	r = watch(p, fd, &p->fd_io);
	if (r < 0)
		return mg_error_set(err, r, "event loop: %s", strerror(-r));
	p->fd = fd;
	p->greeting = first;
	p->greeting_at = 0;
	set_up(p);
	return 0;
}

int disk_pipe_connect(struct disk_pipe *p, int fd, uint32_t incarnation, struct mg_error *err)
{
	int r;

	p->is_source = true;
	p->link.incarnation = incarnation;
	r = link_make_hello(&p->link, p->disk_bytes, p->hello, err);
	return r < 0 ? r : begin(p, fd, GREETING_HELLO, err);
}

int disk_pipe_accept(struct disk_pipe *p, int fd, const struct link_hello *hello,
		     struct mg_error *err)
{
	struct link_config next = p->link;
	struct link_keys keys;
	int r = link_check_next(&p->link, hello, err);

	next.incarnation = hello->incarnation;
	if (r == 0)
		r = link_answer_hello(&next, p->disk_bytes, p->taken, hello->bytes, p->welcome,
				      &keys, err);
	explicit_bzero(&next, sizeof(next));
	if (r < 0)
		return r;
	p->link.incarnation = hello->incarnation;
	r = begin(p, fd, GREETING_WELCOME, err);
	if (r == 0 && begin_frames(p, &keys) < 0)
		drop_connection(p); /* the source makes another one */
	else if (r == 0)
		p->greeting = GREETING_WELCOME; /* which has to be written first */
	explicit_bzero(&keys, sizeof(keys));
	return r;
}

const struct mg_error *disk_pipe_loss(const struct disk_pipe *p)
{
	return &p->loss;
}

uint64_t disk_pipe_wire_bytes(const struct disk_pipe *p)
{
	return p->wire_bytes;
}

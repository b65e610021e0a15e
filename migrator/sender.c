/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/sender.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"

#define STALL_NS (10 * NS_PER_S)
#define TICK_NS (100 * NS_PER_MS)
#define READER_SIZE ((size_t)128 << 10) /* acknowledgements are small */
#define FRAME_SHARE 4                   /* a frame takes so much of the window */
#define FRAME_TARGET_MIN ((size_t)16 << 10)

static void fail(struct sender *s, int code, const char *what)
{
	if (s->error.code == 0)
		mg_error_set(&s->error, code, "data connection: %s", what);
}

/* What is under way on it ends by this. */
static void lose(struct sender *s, int code, const char *what)
{
	if (s->lost.code)
		return;
	mg_error_set(&s->lost, code, "data connection: %s", what);
	shutdown(s->config.fd, SHUT_RDWR);
}

static struct sender_frame *frame_at(struct sender *s, uint64_t count)
{
	return &s->frames[count % SENDER_FRAMES];
}

/* A frame can be acknowledged before we hear that all of it was written. */
static void drop_acknowledged(struct sender *s)
{
	for (; s->kept < s->acknowledged && s->kept < s->written; s->kept++) {
		free(frame_at(s, s->kept)->wire);
		frame_at(s, s->kept)->wire = NULL;
	}
}

static void receive(struct sender *s);

/* ---- Sending --------------------------------------------------------------------- */

static void write_hello(struct sender *s)
{
	ring_send(s->ring, &s->send_op, s->config.fd, s->hello + s->hello_sent,
		  LINK_HELLO_SIZE - s->hello_sent);
}

static void write_more(struct sender *s)
{
	struct sender_frame *f = frame_at(s, s->written);

	ring_send(s->ring, &s->send_op, s->config.fd, f->wire + s->part, f->len - s->part);
}

static void on_sent(struct ring_op *op, int res)
{
	struct sender *s = ring_container(op, struct sender, send_op);

	if (s->lost.code || link_is_gone(res))
		return; /* why, the peer may have said before: receiving ends with it */
	if (res < 0) {
		lose(s, res, strerror(-res));
		return;
	}
	s->wire_bytes += (uint64_t)res;
	if (!s->writing) {
		s->hello_sent += (size_t)res;
		if (s->hello_sent < LINK_HELLO_SIZE)
			write_hello(s);
		return;
	}
	s->part += (size_t)res;
	if (s->part < frame_at(s, s->written)->len) {
		write_more(s);
		return;
	}
	s->writing = false;
	s->part = 0;
	s->written++;
	drop_acknowledged(s);
}

uint64_t sender_pump(struct sender *s)
{
	uint64_t now = clock_mono_ns(), delay;
	const struct sender_frame *f;

	if (s->error.code || s->lost.code)
		return TICK_NS;
	/* before the greeting what was under way is that of a connection that was lost */
	if ((s->greeted ? pace_silence(&s->line, now) : now - s->started_ns) > STALL_NS) {
		lose(s, -ETIMEDOUT, "the peer has not acknowledged anything for 10 s");
		return TICK_NS;
	}
	if (s->written == s->committed || s->writing || !s->greeted)
		return TICK_NS;
	delay = pace_delay(&s->line, now);
	if (!delay && s->share)
		delay = share_delay(s->share, now);
	if (delay)
		return delay < TICK_NS ? delay : TICK_NS;
	f = frame_at(s, s->written);
	if (s->share)
		share_sent(s->share, f->len, f->starved, now);
	pace_sent(&s->line, f->len, f->made, f->starved, now);
	s->writing = true;
	write_more(s);
	return TICK_NS;
}

uint8_t *sender_payload(struct sender *s)
{
	if (!s->greeted || s->committed - s->written >= s->queue || s->error.code || s->lost.code)
		return NULL;
	return s->payload;
}

void sender_commit(struct sender *s, enum frame_type type, uint16_t flags, size_t len)
{
	struct sender_frame *f = frame_at(s, s->committed);
	const struct frame_header h = { .type = type,
					.flags = flags,
					.stream = s->config.stream,
					.length = (uint32_t)len,
					.sequence = s->committed + 1,
					.acknowledged = s->received };

	f->len = FRAME_HEADER_SIZE + len + FRAME_TRAILER_SIZE;
	f->wire = malloc(f->len);
	if (!f->wire) {
		fail(s, -ENOMEM, "out of memory");
		return;
	}
	frame_header_encode(&h, f->wire);
	memcpy(f->wire + FRAME_HEADER_SIZE, s->payload, len);
	seal_frame(&s->seal_out, &h, f->wire);
	f->starved = sender_starved(s);
	f->made = 0;
	s->committed++;
}

void sender_commit_pages(struct sender *s, size_t len, uint32_t made)
{
	struct sender_frame *f = frame_at(s, s->committed);

	sender_commit(s, FRAME_PAGES, 0, len);
	f->made = made;
}

bool sender_idle(const struct sender *s)
{
	return s->written == s->committed;
}

bool sender_starved(const struct sender *s)
{
	return sender_idle(s) && pace_unacked(s->pace) < pace_window(s->pace) / 2;
}

size_t sender_frame_target(const struct sender *s)
{
	uint64_t target = pace_window(s->pace) / FRAME_SHARE;

	if (target < FRAME_TARGET_MIN)
		return FRAME_TARGET_MIN;
	return target < FRAME_PAYLOAD_MAX ? target : FRAME_PAYLOAD_MAX;
}

uint64_t sender_queued(const struct sender *s)
{
	uint64_t n = pace_line_unacked(&s->line);

	for (uint64_t i = s->written + s->writing; i < s->committed; i++)
		n += s->frames[i % SENDER_FRAMES].len;
	return n;
}

/* ---- Receiving -------------------------------------------------------------------- */

static void on_frame(struct sender *s, const struct frame_header *h, const uint8_t *payload)
{
	char text[FRAME_ERROR_MAX + 32];

	s->received++;
	if (h->acknowledged == 0 || !pace_acked(&s->line, h->acknowledged - 1, clock_mono_ns())) {
		fail(s, -EPROTO, "the peer acknowledges what was not sent");
		return;
	}
	s->acknowledged = h->acknowledged - 1;
	drop_acknowledged(s);
	if (h->type == FRAME_ACK)
		return;
	if (h->type == FRAME_ASK || h->type == FRAME_RETURN) {
		struct mg_error err = { 0 };
		int r = s->heard(s->userdata, h->type, payload, h->length, &err);

		if (r < 0)
			fail(s, r, err.text);
		return;
	}
	if (h->type != FRAME_ERROR) {
		fail(s, -EPROTO, "a frame of the wrong direction");
		return;
	}
	snprintf(text, sizeof(text), "the target says: %.*s", (int)h->length, (const char *)payload);
	for (char *p = text; *p; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
	fail(s, -EREMOTEIO, text);
}

static void read_frames(struct sender *s)
{
	struct frame_header h;
	const uint8_t *payload;
	struct mg_error err;
	int r = 0;

	while (!s->error.code && (r = frame_reader_next(&s->reader, &h, &payload, &err)) > 0)
		on_frame(s, &h, payload);
	if (r < 0)
		fail(s, r, err.text);
}

/* From old keys to new ones. */
static void seal_again(struct sender *s, const struct seal *old, struct sender_frame *f)
{
	struct frame_header h;

	if (frame_header_decode(f->wire, &h, NULL) < 0 || !seal_open(old, &h, f->wire))
		fail(s, -EIO, "a frame that was kept is damaged");
	else
		seal_frame(&s->seal_out, &h, f->wire);
}

/* What the target has taken is done with, the rest goes over this connection. */
static void take_up(struct sender *s, uint64_t taken, const struct seal *old)
{
	if (!pace_resume(&s->line, taken, clock_mono_ns())) {
		fail(s, -EPROTO, "the peer acknowledges what was not sent");
		return;
	}
	s->acknowledged = taken;
	for (uint64_t i = taken; i < s->written; i++)
		s->resent_bytes += frame_at(s, i)->len;
	s->resent_bytes += s->resent_part;
	s->written = taken > s->written ? taken : s->written;
	drop_acknowledged(s);
	s->written = taken;
	for (uint64_t i = taken; i < s->committed; i++)
		seal_again(s, old, frame_at(s, i));
}

static void read_welcome(struct sender *s)
{
	struct seal old = s->seal_out;
	struct link_keys keys;
	struct mg_error err;
	int r = link_check_welcome(&s->config, s->hello, s->welcome, &keys, &err);

	if (r < 0) {
		fail(s, r, err.text);
		return;
	}
	seal_wipe(&s->seal_in);
	if (seal_init(&s->seal_out, keys.cipher, keys.secret, s->config.stream, SEAL_TO_TARGET) < 0 ||
	    seal_init(&s->seal_in, keys.cipher, keys.secret, s->config.stream, SEAL_TO_SOURCE) < 0)
		fail(s, -ENOMEM, "out of memory");
	else
		take_up(s, keys.taken, &old);
	explicit_bzero(&keys, sizeof(keys));
	seal_wipe(&old);
	s->greeted = true;
	s->received = 1;
}

static void on_received(struct ring_op *op, int res)
{
	struct sender *s = ring_container(op, struct sender, recv_op);

	if (res == 0 || link_is_gone(res)) {
		lose(s, -ECONNRESET, "the peer closed it");
		return;
	}
	if (res < 0) {
		lose(s, res, strerror(-res));
		return;
	}
	if (s->lost.code)
		return;
	if (s->greeted) {
		frame_reader_filled(&s->reader, (size_t)res);
		read_frames(s);
	} else {
		s->welcome_read += (size_t)res;
		if (s->welcome_read == LINK_HELLO_SIZE)
			read_welcome(s);
	}
	if (!s->error.code)
		receive(s);
}

static void receive(struct sender *s)
{
	uint8_t *space = s->welcome + s->welcome_read;
	size_t len = LINK_HELLO_SIZE - s->welcome_read;

	if (s->greeted)
		space = frame_reader_space(&s->reader, &len);
	ring_recv(s->ring, &s->recv_op, s->config.fd, space, len);
}

/* ---- Beginning and end --------------------------------------------------------------- */

int sender_init(struct sender *s, struct ring *ring, const struct link_config *config,
		uint64_t ram_bytes, struct pace *pace, struct mg_error *err)
{
	int r;

	memset(s, 0, sizeof(*s));
	s->config.fd = -1;
	s->ring = ring;
	s->send_op.done = on_sent;
	s->recv_op.done = on_received;
	s->ram_bytes = ram_bytes;
	s->queue = SENDER_QUEUE_SHORT;
	r = link_make_hello(config, ram_bytes, s->hello, err);
	if (r < 0)
		return r;
	r = frame_reader_init(&s->reader, READER_SIZE, &s->seal_in, config->stream);
	s->payload = malloc(FRAME_PAYLOAD_MAX);
	if (r < 0 || !s->payload) {
		r = -ENOMEM;
		sender_exit(s);
		return mg_error_set(err, r, "out of memory");
	}
	s->started_ns = clock_mono_ns();
	s->pace = pace;
	pace_line_init(&s->line, pace, s->started_ns);
	s->config = *config;
	link_tune_socket(config->fd);
	return 0;
}

void sender_start(struct sender *s)
{
	write_hello(s);
	receive(s);
}

bool sender_is_down(const struct sender *s)
{
	return s->lost.code && !s->send_op.pending && !s->recv_op.pending;
}

int sender_resume(struct sender *s, int fd, uint32_t incarnation, struct mg_error *err)
{
	struct link_config next = s->config;
	int r;

	next.fd = fd;
	next.incarnation = incarnation;
	r = link_make_hello(&next, s->ram_bytes, s->hello, err);
	if (r == 0) {
		close(s->config.fd);
		s->config = next;
		s->resent_part = s->part;
		s->hello_sent = s->welcome_read = s->part = 0;
		s->greeted = s->writing = false;
		s->lost = (struct mg_error){ 0 };
		s->started_ns = clock_mono_ns();
		frame_reader_restart(&s->reader, 1);
		link_tune_socket(fd);
		sender_start(s);
	}
	explicit_bzero(&next, sizeof(next));
	return r;
}

void sender_exit(struct sender *s)
{
	if (s->config.fd >= 0)
		close(s->config.fd);
	s->config.fd = -1;
	for (uint64_t i = s->kept; i < s->committed; i++)
		free(frame_at(s, i)->wire);
	free(s->payload);
	frame_reader_exit(&s->reader);
	seal_wipe(&s->seal_out);
	seal_wipe(&s->seal_in);
	explicit_bzero(s->config.key, sizeof(s->config.key));
}

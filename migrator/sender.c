/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/sender.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"

#define STREAM 0
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

static void receive(struct sender *s);

/* ---- Sending --------------------------------------------------------------------- */

static void write_hello(struct sender *s)
{
	ring_send(s->ring, &s->send_op, s->config.fd, s->hello + s->hello_sent,
		  LINK_HELLO_SIZE - s->hello_sent);
}

static void write_more(struct sender *s)
{
	struct sender_buffer *b = &s->queue[s->head];

	ring_send(s->ring, &s->send_op, s->config.fd, b->wire + s->written, b->len - s->written);
}

static void on_sent(struct ring_op *op, int res)
{
	struct sender *s = ring_container(op, struct sender, send_op);

	if (link_is_gone(res))
		return; /* why, the peer may have said before: receiving ends with it */
	if (res < 0) {
		fail(s, res, strerror(-res));
		return;
	}
	s->wire_bytes += (uint64_t)res;
	if (!s->writing) {
		s->hello_sent += (size_t)res;
		if (s->hello_sent < LINK_HELLO_SIZE)
			write_hello(s);
		return;
	}
	s->written += (size_t)res;
	if (s->written < s->queue[s->head].len) {
		write_more(s);
		return;
	}
	s->writing = false;
	s->written = 0;
	s->head = (s->head + 1) % SENDER_QUEUE;
	s->count--;
}

uint64_t sender_pump(struct sender *s)
{
	uint64_t now = clock_mono_ns(), delay;
	struct sender_buffer *b = &s->queue[s->head];

	if (s->error.code)
		return TICK_NS;
	if (pace_silence(&s->pace, now) > STALL_NS ||
	    (!s->greeted && now - s->started_ns > STALL_NS)) {
		fail(s, -ETIMEDOUT, "the peer has not acknowledged anything for 10 s");
		return TICK_NS;
	}
	if (s->count == 0 || s->writing || !s->greeted)
		return TICK_NS;
	delay = pace_delay(&s->pace, now);
	if (delay)
		return delay < TICK_NS ? delay : TICK_NS;
	pace_sent(&s->pace, b->len, b->starved, now);
	s->writing = true;
	write_more(s);
	return TICK_NS;
}

uint8_t *sender_payload(struct sender *s)
{
	if (!s->greeted || s->count == SENDER_QUEUE || s->error.code)
		return NULL;
	return s->queue[(s->head + s->count) % SENDER_QUEUE].wire + FRAME_HEADER_SIZE;
}

void sender_commit(struct sender *s, enum frame_type type, uint16_t flags, size_t len)
{
	struct sender_buffer *b = &s->queue[(s->head + s->count) % SENDER_QUEUE];
	const struct frame_header h = { .type = type,
					.flags = flags,
					.stream = STREAM,
					.length = (uint32_t)len,
					.sequence = s->sequence++,
					.acknowledged = s->received };

	frame_header_encode(&h, b->wire);
	seal_frame(&s->seal_out, &h, b->wire);
	b->len = FRAME_HEADER_SIZE + len + FRAME_TRAILER_SIZE;
	b->starved = sender_starved(s);
	s->count++;
}

bool sender_idle(const struct sender *s)
{
	return s->count == 0;
}

bool sender_starved(const struct sender *s)
{
	return s->count == 0 && pace_unacked(&s->pace) < pace_window(&s->pace) / 2;
}

size_t sender_frame_target(const struct sender *s)
{
	uint64_t target = pace_window(&s->pace) / FRAME_SHARE;

	if (target < FRAME_TARGET_MIN)
		return FRAME_TARGET_MIN;
	return target < FRAME_PAYLOAD_MAX ? target : FRAME_PAYLOAD_MAX;
}

uint64_t sender_queued(const struct sender *s)
{
	uint64_t n = pace_unacked(&s->pace);

	for (unsigned i = s->writing; i < s->count; i++)
		n += s->queue[(s->head + i) % SENDER_QUEUE].len;
	return n;
}

/* ---- Receiving -------------------------------------------------------------------- */

static void on_frame(struct sender *s, const struct frame_header *h, const uint8_t *payload)
{
	char text[FRAME_ERROR_MAX + 32];

	s->received++;
	if (!pace_acked(&s->pace, h->acknowledged ? h->acknowledged - 1 : 0, clock_mono_ns())) {
		fail(s, -EPROTO, "the peer acknowledges what was not sent");
		return;
	}
	if (h->type == FRAME_ACK)
		return;
	if (h->type == FRAME_ASK) {
		struct mg_error err = { 0 };
		int r = s->ask(s->userdata, payload, h->length, &err);

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

static void read_welcome(struct sender *s)
{
	struct link_keys keys;
	struct mg_error err;
	int r = link_check_welcome(&s->config, s->hello, s->welcome, &keys, &err);

	if (r < 0) {
		fail(s, r, err.text);
		return;
	}
	seal_init(&s->seal_out, keys.cipher, keys.secret, STREAM, SEAL_TO_TARGET);
	seal_init(&s->seal_in, keys.cipher, keys.secret, STREAM, SEAL_TO_SOURCE);
	explicit_bzero(&keys, sizeof(keys));
	s->greeted = true;
	s->received = 1;
}

static void on_received(struct ring_op *op, int res)
{
	struct sender *s = ring_container(op, struct sender, recv_op);

	if (res == 0 || link_is_gone(res)) {
		fail(s, -ECONNRESET, "the peer closed it");
		return;
	}
	if (res < 0) {
		fail(s, res, strerror(-res));
		return;
	}
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
		uint64_t ram_bytes, uint64_t cap_bits_per_s, struct mg_error *err)
{
	int r;

	memset(s, 0, sizeof(*s));
	s->config.fd = -1;
	s->ring = ring;
	s->send_op.done = on_sent;
	s->recv_op.done = on_received;
	s->sequence = 1;
	r = link_make_hello(config, ram_bytes, s->hello, err);
	if (r < 0)
		return r;
	r = frame_reader_init(&s->reader, READER_SIZE, &s->seal_in, STREAM);
	for (unsigned i = 0; i < SENDER_QUEUE && r >= 0; i++) {
		s->queue[i].wire = malloc(FRAME_WIRE_MAX);
		if (!s->queue[i].wire)
			r = -ENOMEM;
	}
	if (r < 0) {
		sender_exit(s);
		return mg_error_set(err, r, "out of memory");
	}
	s->started_ns = clock_mono_ns();
	pace_init(&s->pace, cap_bits_per_s, s->started_ns);
	s->config = *config;
	link_tune_socket(config->fd);
	return 0;
}

void sender_start(struct sender *s)
{
	write_hello(s);
	receive(s);
}

void sender_exit(struct sender *s)
{
	if (s->config.fd >= 0)
		close(s->config.fd);
	s->config.fd = -1;
	for (unsigned i = 0; i < SENDER_QUEUE; i++)
		free(s->queue[i].wire);
	frame_reader_exit(&s->reader);
	seal_wipe(&s->seal_out);
	seal_wipe(&s->seal_in);
	explicit_bzero(s->config.key, sizeof(s->config.key));
}

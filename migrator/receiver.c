/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/receiver.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"

#define LAST_WORD_NS (50 * NS_PER_MS)
#define READER_SIZE (2 * FRAME_WIRE_MAX)

static void fail(struct receiver *r, int code, const char *what)
{
	if (r->error.code == 0)
		mg_error_set(&r->error, code, "data connection: %s", what);
}

/* What is under way on it ends by this. */
static void lose(struct receiver *r, int code, const char *what)
{
	if (r->lost.code)
		return;
	mg_error_set(&r->lost, code, "data connection: %s", what);
	shutdown(r->config.fd, SHUT_RDWR);
}

/* ---- Sending ---------------------------------------------------------------------- */

static void write_out(struct receiver *r)
{
	ring_send(r->ring, &r->send_op, r->config.fd, r->out + r->out_sent,
		  r->out_len - r->out_sent);
}

static void on_sent(struct ring_op *op, int res)
{
	struct receiver *r = ring_container(op, struct receiver, send_op);

	if (r->lost.code || link_is_gone(res))
		return; /* receiving ends with it */
	if (res < 0) {
		lose(r, res, strerror(-res));
		return;
	}
	r->out_sent += (size_t)res;
	if (r->out_sent < r->out_len)
		write_out(r);
}

/* Of the payload that is in r->ack already. */
static size_t make_frame(struct receiver *r, enum frame_type type, size_t len)
{
	const struct frame_header h = { .type = type,
					.stream = r->config.stream,
					.length = (uint32_t)len,
					.sequence = r->sequence++,
					.acknowledged = r->processed };

	frame_header_encode(&h, r->ack);
	seal_frame(&r->seal_out, &h, r->ack);
	return FRAME_HEADER_SIZE + len + FRAME_TRAILER_SIZE;
}

static void send_frame(struct receiver *r, enum frame_type type, size_t len)
{
	r->acknowledged = r->processed;
	r->out = r->ack;
	r->out_len = make_frame(r, type, len);
	r->out_sent = 0;
	write_out(r);
}

static void acknowledge(struct receiver *r)
{
	if (!r->send_op.pending && !r->lost.code && r->acknowledged != r->processed)
		send_frame(r, FRAME_ACK, 0);
}

void receiver_ask(struct receiver *r, struct page_set *pages)
{
	if (!r->send_op.pending && pages->count && !r->error.code && !r->lost.code)
		send_frame(r, FRAME_ASK, page_ask_encode(pages, r->ack + FRAME_HEADER_SIZE));
}

void receiver_return(struct receiver *r, struct return_log *log)
{
	size_t len;

	if (r->send_op.pending || r->error.code || r->lost.code)
		return;
	len = return_log_take(log, r->ack + FRAME_HEADER_SIZE, PAGE_ASK_SIZE);
	if (len)
		send_frame(r, FRAME_RETURN, len);
}

void receiver_say_error(struct receiver *r, const char *text)
{
	uint64_t end = clock_mono_ns() + LAST_WORD_NS;
	size_t len = strnlen(text, FRAME_ERROR_MAX);

	/* no frame can follow half a frame */
	while (r->send_op.pending && clock_mono_ns() < end)
		if (ring_run(r->ring, LAST_WORD_NS) < 0)
			break;
	if (!r->send_op.pending) {
		memcpy(r->ack + FRAME_HEADER_SIZE, text, len);
		(void)send(r->config.fd, r->ack, make_frame(r, FRAME_ERROR, len),
			   MSG_DONTWAIT | MSG_NOSIGNAL);
	}
	shutdown(r->config.fd, SHUT_WR);
}

/* ---- Receiving --------------------------------------------------------------------- */

static void receive(struct receiver *r)
{
	size_t len;
	uint8_t *space = frame_reader_space(&r->reader, &len);

	ring_recv(r->ring, &r->recv_op, r->config.fd, space, len);
}

static void on_received(struct ring_op *op, int res)
{
	struct receiver *r = ring_container(op, struct receiver, recv_op);

	if (res == 0 || link_is_gone(res)) {
		lose(r, -ECONNRESET, "the source closed it");
		return;
	}
	if (res < 0) {
		lose(r, res, strerror(-res));
		return;
	}
	r->wire_bytes += (uint64_t)res;
	frame_reader_filled(&r->reader, (size_t)res);
}

/* Returns 0 when the user has taken all whole frames, -EAGAIN when not. */
static int take_frames(struct receiver *r)
{
	for (;;) {
		struct mg_error err = { 0 };
		int res;

		if (!r->held_payload) {
			res = frame_reader_next(&r->reader, &r->held, &r->held_payload, &err);
			if (res < 0)
				fail(r, res, err.text);
			if (res <= 0) {
				r->held_payload = NULL;
				return res;
			}
		}
		res = r->frame(r->userdata, &r->held, r->held_payload, &err);
		if (res == -EAGAIN)
			return res;
		r->held_payload = NULL;
		if (res < 0) {
			fail(r, res, err.text);
			return res;
		}
		r->processed++;
	}
}

void receiver_pump(struct receiver *r)
{
	/* the buffer belongs to a recv in flight: nothing has come then */
	if (r->error.code || r->recv_op.pending) {
		acknowledge(r);
		return;
	}
	if (take_frames(r) == 0 && !r->error.code && !r->lost.code)
		receive(r);
	acknowledge(r);
}

/* ---- Beginning and end -------------------------------------------------------------- */

/* Answers the HELLO of a connection: its keys are set, WELCOME is ready to go. */
static int greet(struct receiver *r, const struct link_config *config,
		 const struct link_hello *hello, struct mg_error *err)
{
	struct link_keys keys;
	int res = link_answer_hello(config, r->ram_bytes, r->processed - 1, hello->bytes,
				    r->welcome, &keys, err);

	if (res < 0)
		return res;
	seal_wipe(&r->seal_in);
	seal_wipe(&r->seal_out);
	res = seal_init(&r->seal_in, keys.cipher, keys.secret, config->stream, SEAL_TO_TARGET);
	if (res == 0)
		res = seal_init(&r->seal_out, keys.cipher, keys.secret, config->stream,
				SEAL_TO_SOURCE);
	explicit_bzero(&keys, sizeof(keys));
	if (res < 0)
		return mg_error_set(err, res, "out of memory");
	r->sequence = 1;
	r->acknowledged = r->processed; /* WELCOME says it */
	return 0;
}

int receiver_init(struct receiver *r, struct ring *ring, const struct link_config *config,
		  const struct link_hello *hello, uint64_t ram_bytes, struct mg_error *err)
{
	int res;

	memset(r, 0, sizeof(*r));
	r->config.fd = -1;
	r->ring = ring;
	r->send_op.done = on_sent;
	r->recv_op.done = on_received;
	r->ram_bytes = ram_bytes;
	r->processed = 1;
	res = hello ? greet(r, config, hello, err)
		    : mg_error_set(&r->lost, -ENOTCONN, "data connection: not there yet");
	if (hello && res < 0)
		return res;
	res = frame_reader_init(&r->reader, READER_SIZE, &r->seal_in, config->stream);
	if (res < 0)
		return mg_error_set(err, res, "out of memory");
	r->config = *config;
	if (hello)
		link_tune_socket(config->fd);
	else
		r->config.fd = -1;
	return 0;
}

void receiver_drop(struct receiver *r)
{
	lose(r, -ECONNRESET, "another has taken its place");
}

bool receiver_is_down(const struct receiver *r)
{
	return r->lost.code && !r->send_op.pending && !r->recv_op.pending;
}

int receiver_resume(struct receiver *r, int fd, const struct link_hello *hello,
		    struct mg_error *err)
{
	struct link_config next = r->config;
	int res;

	next.fd = fd;
	next.incarnation = hello->incarnation;
	res = greet(r, &next, hello, err);
	if (res == 0) {
		if (r->config.fd >= 0)
			close(r->config.fd);
		r->config = next;
		r->lost = (struct mg_error){ 0 };
		r->held_payload = NULL; /* it comes again */
		frame_reader_restart(&r->reader, r->processed);
		link_tune_socket(fd);
		receiver_start(r);
	}
	explicit_bzero(&next, sizeof(next));
	return res;
}

void receiver_start(struct receiver *r)
{
	r->out = r->welcome;
	r->out_len = sizeof(r->welcome);
	r->out_sent = 0;
	write_out(r);
	receive(r);
}

void receiver_exit(struct receiver *r)
{
	if (r->config.fd >= 0)
		close(r->config.fd);
	r->config.fd = -1;
	frame_reader_exit(&r->reader);
	seal_wipe(&r->seal_in);
	seal_wipe(&r->seal_out);
	explicit_bzero(r->config.key, sizeof(r->config.key));
}

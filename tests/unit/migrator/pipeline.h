/* SPDX-License-Identifier: Apache-2.0
 *
 * The whole data path in one process: a make-believe QEMU that sends a guest
 * whose memory keeps changing, outflow, a relay that may do harm to the
 * frames, inflow, and a make-believe QEMU that loads. For Criterion and for
 * plain programs alike: what must not be ends the process.
 */
#ifndef TESTS_UNIT_MIGRATOR_PIPELINE_H
#define TESTS_UNIT_MIGRATOR_PIPELINE_H

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/cursor.h"
#include "migrator/inflow.h"
#include "migrator/outflow.h"
#include "migrator/ramstream.h"
#include "tests/unit/migrator/relay.h"

#define PIPE_PAGE 4096
#define PIPE_ROM_PAGES 3
#define PIPE_TAIL 900000 /* more than inflow keeps for a slow QEMU */
#define PIPE_SHORT_TAIL 90000
#define PIPE_SECONDS 60

struct pipeline_config {
	uint64_t seed; /* of the guest */
	unsigned pages;
	unsigned rounds;
	bool plain_text;
	bool fast;          /* no random pauses */
	unsigned connections; /* side by side; 0: one */
	struct relay_harm harm; /* to the first of them */
	/* A lost connection is replaced by another one: makes what will be done to that, once
	 * `cuts` has been counted down, and to those beside the first. NULL: it is not replaced,
	 * and they are not harmed. */
	void (*next_harm)(struct pipeline_config *c);
	unsigned cuts; /* how many connections are still to be lost */
	/* what the two make-believe QEMUs do wrong */
	long source_closes_after; /* bytes; 0: never */
	uint32_t shut_value;
	bool target_closes;
	bool target_is_slow;
	/* how the two ends differ */
	uint64_t bandwidth_bps;
	size_t shadow_bytes;
	bool short_tail; /* one that is kept */
	struct tail *source_tail, *target_tail; /* the VM's last one as each end has it */
	bool thrifty;
	uint8_t page_secret[PAGE_SECRET_SIZE];
	const struct image_manifest *held;              /* as the source has heard it */
	const struct image *target_image;               /* and what there is of it */
	const struct image *source_base, *target_base;
	unsigned stalls_ms; /* before its first page, as QEMU does while it prepares */
	bool waits_for_the_last; /* round until told to go on, and sends all pages in it */
	uint16_t stream; /* of their frames */
	bool other_key, other_incarnation, other_move, other_stream, target_refuses_plain;
	unsigned target_pages; /* 0: as the source */
};

struct pipeline {
	struct pipeline_config c;
	sd_event *loop;
	struct outflow *out;
	struct inflow *in;
	int source_qemu, target_qemu; /* the QEMUs' ends */
	int waiting_qemu; /* inflow's end, until there is an inflow */
	struct relay relays[LINK_LANES_MAX];
	pthread_t source, target;
	uint8_t *memory;           /* the source's guest */
	int memory_fd;
	uint8_t rom[PIPE_ROM_PAGES * PIPE_PAGE], rom_loaded[PIPE_ROM_PAGES * PIPE_PAGE];
	size_t tail_len;
	uint8_t tail[PIPE_TAIL], tail_loaded[PIPE_TAIL];
	size_t tail_got;
	struct ramstream *target_stream;
	int ram_fd;
	atomic_bool pong, shut, closing, waiting, go_on;
	uint32_t incarnations[LINK_LANES_MAX];
	unsigned resumed_out, resumed_in;
	_Atomic uint64_t put_bytes; /* of the memory, by the source */
	/* what the owner saw */
	bool stopped, loaded, out_failed, in_failed, out_lost, in_lost, started;
	bool joined;
	struct mg_error start_error;
	atomic_bool torn; /* the target's memory was not whole when the last of the tail came */
};

static inline uint64_t pipe_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* A page of a kind: zero, dense, sparse, text-like. */
static inline void pipe_fill(uint8_t *page, uint64_t *rng)
{
	uint64_t kind = pipe_random(rng) % 5;

	memset(page, 0, PIPE_PAGE);
	for (size_t i = 0; i < PIPE_PAGE; i += 8) {
		uint64_t v = pipe_random(rng);

		if (kind == 1 || (kind == 2 && i % 512 == 0) || (kind == 3 && i == PIPE_PAGE - 8))
			memcpy(page + i, &v, 8);
		else if (kind == 4)
			memset(page + i, 'a' + (int)(v % 7), 8);
	}
}

/* ---- The source's QEMU ------------------------------------------------------------- */

struct pipe_writer {
	struct pipeline *p;
	uint64_t rng;
	uint64_t sent;
	bool dead;
};

static inline void pipe_write(struct pipe_writer *w, const void *data, size_t len)
{
	const uint8_t *at = data;

	while (len && !w->dead) {
		size_t n = len;

		if (w->p->c.source_closes_after) {
			uint64_t left = (uint64_t)w->p->c.source_closes_after - w->sent;

			if (left == 0) {
				shutdown(w->p->source_qemu, SHUT_RDWR);
				w->dead = true;
				return;
			}
			n = left < n ? left : n;
		}
		ssize_t r = send(w->p->source_qemu, at, n, MSG_NOSIGNAL);

		if (r <= 0) {
			w->dead = true;
			return;
		}
		at += r;
		len -= (size_t)r;
		w->sent += (uint64_t)r;
	}
}

static inline void pipe_put(struct pipe_writer *w, uint64_t value, unsigned bytes)
{
	uint8_t b[8];
	struct wcursor c = wcursor_over(b, sizeof(b));

	wcursor_u64(&c, value);
	pipe_write(w, b + 8 - bytes, bytes);
}

static inline void pipe_put_name(struct pipe_writer *w, const char *name)
{
	pipe_put(w, strlen(name), 1);
	pipe_write(w, name, strlen(name));
}

static inline void pipe_put_page(struct pipe_writer *w, const char *block, uint64_t index,
				 const uint8_t *page, bool again)
{
	static const uint8_t zero[PIPE_PAGE];
	bool is_zero = memcmp(page, zero, PIPE_PAGE) == 0 && pipe_random(&w->rng) % 8;
	uint64_t word = index * PIPE_PAGE | (is_zero ? RAMSTREAM_ZERO : RAMSTREAM_PAGE_DATA) |
			(again ? RAMSTREAM_CONTINUE : 0);

	pipe_put(w, word, 8);
	if (!again)
		pipe_put_name(w, block);
	if (is_zero)
		pipe_put(w, 0, 1);
	else
		pipe_write(w, page, PIPE_PAGE);
}

static inline void pipe_put_eos(struct pipe_writer *w)
{
	pipe_put(w, RAMSTREAM_EOS, 8);
	pipe_put(w, RAMSTREAM_FOOTER, 1);
	pipe_put(w, 2, 4);
}

static inline void pipe_pause(struct pipe_writer *w)
{
	if (!w->p->c.fast && pipe_random(&w->rng) % 4 == 0)
		usleep((unsigned)(pipe_random(&w->rng) % 3000));
}

static inline void pipe_put_rom(struct pipe_writer *w)
{
	for (unsigned i = 0; i < PIPE_ROM_PAGES; i++)
		pipe_put_page(w, "rom", i, w->p->rom + i * PIPE_PAGE, i > 0);
}

/* A pass over the memory: every dirty page, changed again now and then. */
static inline void pipe_put_pass(struct pipe_writer *w, uint8_t *dirty, bool stopped)
{
	struct pipeline *p = w->p;
	bool again = false;

	for (unsigned i = 0; i < p->c.pages && !w->dead; i++) {
		unsigned other = (unsigned)(pipe_random(&w->rng) % p->c.pages);

		if (dirty[i]) {
			dirty[i] = 0;
			pipe_put_page(w, "ram0", i, p->memory + (size_t)i * PIPE_PAGE, again);
			atomic_fetch_add(&p->put_bytes, PIPE_PAGE);
			again = true;
		}
		if (!stopped && pipe_random(&w->rng) % 6 == 0) {
			pipe_fill(p->memory + (size_t)other * PIPE_PAGE, &w->rng);
			dirty[other] = 1;
		}
		if (pipe_random(&w->rng) % 500 == 0)
			pipe_pause(w);
	}
}

static inline void *pipe_source_main(void *userdata)
{
	struct pipeline *p = userdata;
	struct pipe_writer w = { .p = p, .rng = p->c.seed };
	uint8_t *dirty = malloc(p->c.pages), answer[16];

	memset(dirty, 1, p->c.pages);
	for (unsigned i = 0; i < p->c.pages; i++)
		pipe_fill(p->memory + (size_t)i * PIPE_PAGE, &w.rng);
	pipe_put(&w, 0x5145564d, 4);
	pipe_put(&w, 3, 4);
	pipe_put(&w, RAMSTREAM_CONFIGURATION, 1);
	pipe_put(&w, 4, 4);
	pipe_write(&w, "fake", 4);
	pipe_put(&w, RAMSTREAM_COMMAND, 1);
	pipe_put(&w, RAMSTREAM_OPEN_RETURN_PATH << 16, 4);
	pipe_put(&w, RAMSTREAM_COMMAND, 1);
	pipe_put(&w, RAMSTREAM_PING << 16 | 4, 4);
	pipe_put(&w, 1, 4);
	pipe_put(&w, RAMSTREAM_START, 1);
	pipe_put(&w, 2, 4);
	pipe_put_name(&w, "ram");
	pipe_put(&w, 0, 4);
	pipe_put(&w, 4, 4);
	pipe_put(&w, (p->c.pages + PIPE_ROM_PAGES) * PIPE_PAGE | RAMSTREAM_MEM_SIZE, 8);
	pipe_put_name(&w, "ram0");
	pipe_put(&w, p->c.pages * PIPE_PAGE, 8);
	pipe_put_name(&w, "rom");
	pipe_put(&w, PIPE_ROM_PAGES * PIPE_PAGE, 8);
	pipe_put_eos(&w);
	usleep(p->c.stalls_ms * 1000);
	for (unsigned round = 0; round < p->c.rounds && !w.dead; round++) {
		bool last = round + 1 == p->c.rounds;

		if (last && p->c.waits_for_the_last) {
			atomic_store(&p->waiting, true);
			while (!atomic_load(&p->go_on) && !atomic_load(&p->closing))
				usleep(1000);
			memset(dirty, 1, p->c.pages);
		}
		pipe_put(&w, last ? RAMSTREAM_END : RAMSTREAM_PART, 1);
		pipe_put(&w, 2, 4);
		pipe_put_pass(&w, dirty, last);
		pipe_put_rom(&w);
		pipe_put_eos(&w);
		pipe_pause(&w);
	}
	for (size_t at = 0; at < p->tail_len && !w.dead; at += 30000) {
		pipe_write(&w, p->tail + at, 30000);
		pipe_pause(&w);
	}
	/* PONG 1, then SHUT 0, then both ends close, as QEMU does it */
	for (size_t have = 0; have < sizeof(answer) && !w.dead;) {
		ssize_t n = recv(p->source_qemu, answer + have, sizeof(answer) - have, 0);

		if (n <= 0)
			break;
		have += (size_t)n;
		if (have >= 8)
			atomic_store(&p->pong, memcmp(answer, "\0\2\0\4\0\0\0\1", 8) == 0);
		if (have == 16)
			atomic_store(&p->shut, memcmp(answer + 8, "\0\1\0\4\0\0\0\0", 8) == 0);
	}
	shutdown(p->source_qemu, SHUT_RDWR);
	free(dirty);
	return NULL;
}

/* ---- The target's QEMU --------------------------------------------------------------- */

static inline int pipe_target_page(void *userdata, unsigned index, uint64_t offset,
				   const uint8_t *data)
{
	struct pipeline *p = userdata;

	MUST(strcmp(ramstream_block_at(p->target_stream, index)->name, "rom") == 0);
	if (data)
		memcpy(p->rom_loaded + offset, data, PIPE_PAGE);
	else
		memset(p->rom_loaded + offset, 0, PIPE_PAGE);
	return 0;
}

static inline int pipe_target_tail(void *userdata)
{
	struct pipeline *p = userdata;

	p->tail_got = 1; /* what follows counts; see pipe_target_bytes() */
	return 0;
}

static inline int pipe_target_bytes(void *userdata, const uint8_t *data, size_t len)
{
	struct pipeline *p = userdata;

	if (!p->tail_got)
		return 0;
	MUST(p->tail_got - 1 + len <= p->tail_len);
	memcpy(p->tail_loaded + p->tail_got - 1, data, len);
	p->tail_got += len;
	return 0;
}

static const struct ramstream_ops pipe_target_ops = {
	.page = pipe_target_page,
	.tail = pipe_target_tail,
	.bytes = pipe_target_bytes,
};

static inline void pipe_answer(struct pipeline *p, uint16_t type, uint32_t value)
{
	uint8_t message[8];
	struct wcursor c = wcursor_over(message, sizeof(message));

	wcursor_u16(&c, type);
	wcursor_u16(&c, 4);
	wcursor_u32(&c, value);
	(void)send(p->target_qemu, message, sizeof(message), MSG_NOSIGNAL);
}

/* Through the files, as the pages were: nobody writes them any more, or should not. */
static inline bool pipe_memory_is_same(struct pipeline *p)
{
	static _Thread_local uint8_t ours[PIPE_PAGE], theirs[PIPE_PAGE];

	for (off_t at = 0; at < (off_t)p->c.pages * PIPE_PAGE; at += PIPE_PAGE)
		if (pread(p->memory_fd, ours, PIPE_PAGE, at) != PIPE_PAGE ||
		    pread(p->ram_fd, theirs, PIPE_PAGE, at) != PIPE_PAGE ||
		    memcmp(ours, theirs, PIPE_PAGE) != 0)
			return false;
	return true;
}

static inline void *pipe_target_main(void *userdata)
{
	struct pipeline *p = userdata;
	static _Thread_local uint8_t buf[32768];
	ssize_t n;

	MUST(ramstream_new(&pipe_target_ops, p, &p->target_stream) == 0);
	while ((n = recv(p->target_qemu, buf, sizeof(buf), 0)) > 0) {
		struct mg_error err = { 0 };

		if (p->c.target_is_slow)
			usleep(2000);
		if (ramstream_feed(p->target_stream, buf, (size_t)n, &err) < 0) {
			fprintf(stderr, "target: %s\n", err.text);
			abort();
		}
		if (p->tail_got != p->tail_len + 1)
			continue;
		if (!pipe_memory_is_same(p)) /* over which it would load its devices */
			atomic_store(&p->torn, true);
		if (p->c.target_closes)
			break;
		pipe_answer(p, 2, 1);
		pipe_answer(p, 1, p->c.shut_value);
		break;
	}
	shutdown(p->target_qemu, SHUT_RDWR);
	ramstream_free(p->target_stream);
	return NULL;
}

/* ---- The owner ------------------------------------------------------------------------- */

static inline void pipe_on_outflow(struct outflow *o, enum outflow_event event, void *userdata)
{
	struct pipeline *p = userdata;

	(void)o;
	switch (event) {
	case OUTFLOW_STOPPED:
		p->stopped = true;
		return;
	case OUTFLOW_RESUMED:
		p->resumed_out++;
		return;
	case OUTFLOW_LOST:
		p->out_lost = true;
		return;
	default:
		p->out_failed = true;
	}
}

/* Why the source's end came to its end, or where it stands. */
static inline const char *pipe_out_error(struct pipeline *p)
{
	return p->out_failed ? outflow_error(p->out)->text : outflow_loss(p->out)->text;
}

static inline const char *pipe_in_error(struct pipeline *p)
{
	if (!p->in)
		return p->start_error.text;
	return p->in_failed ? inflow_error(p->in)->text : inflow_loss(p->in)->text;
}

static inline void pipe_on_inflow(struct inflow *i, enum inflow_event event, void *userdata)
{
	struct pipeline *p = userdata;

	(void)i;
	switch (event) {
	case INFLOW_STARTED:
		p->started = true;
		return;
	case INFLOW_LOADED:
		p->loaded = true;
		return;
	case INFLOW_POST_COPY: /* only a real QEMU begins it: tests/e2e/postcopy.sh */
		return;
	case INFLOW_RESUMED:
		p->resumed_in++;
		return;
	case INFLOW_LOST:
		p->in_lost = true;
		return;
	case INFLOW_FAILED:
		p->in_failed = true;
		return;
	}
}

/* What a target does with a connection that has come: its HELLO says whose it is. */
static inline int pipe_accept(struct pipeline *p, int fd)
{
	unsigned pages = p->c.target_pages ? p->c.target_pages : p->c.pages;
	struct inflow_config config = { .qemu_fd = p->waiting_qemu,
					.ram_fd = p->ram_fd,
					.ram_bytes = (uint64_t)pages * PIPE_PAGE,
					.image = p->c.target_image,
					.base = p->c.target_base,
					.last_tail = p->c.target_tail,
					.connections = p->c.connections,
					.link = { .fd = fd } };
	int r;

	/* one that the source has lost by then, or given up, may say nothing more */
	while ((r = link_read_hello(fd, &config.hello, &p->start_error)) == -EAGAIN &&
	       !p->out_lost && !p->out_failed)
		MUST(sd_event_run(p->loop, 1000) >= 0);
	if (r == 0 && p->in)
		return inflow_resume(p->in, fd, &config.hello, &p->start_error);
	if (r < 0)
		return r;
	MUST(ftruncate(p->ram_fd, (off_t)config.ram_bytes) == 0);
	memcpy(config.link.page_secret, p->c.page_secret, PAGE_SECRET_SIZE);
	config.link.incarnation = config.hello.incarnation + p->c.other_incarnation;
	config.link.key[0] = p->c.other_key;
	config.link.move.bytes[0] = p->c.other_move;
	config.link.stream = p->c.stream + p->c.other_stream;
	config.link.plain_text = p->c.plain_text && !p->c.target_refuses_plain;
	r = inflow_start(p->loop, &config, pipe_on_inflow, p, &p->in, &p->start_error);
	if (r == 0)
		p->waiting_qemu = -1;
	return r;
}

/* Gives the target its end of a connection. */
static inline void pipe_connect_target(struct pipeline *p, int fd)
{
	if (pipe_accept(p, fd) == 0)
		return;
	close(fd);
	if (p->c.next_harm)
		p->in_lost = true; /* it waits for another */
	else
		p->in_failed = true;
}

/* Makes one with a relay in it; the two ends are the caller's. */
static inline void pipe_connect(struct pipeline *p, unsigned connection, int *ret_source,
				int *ret_target)
{
	relay_begin(&p->relays[connection], &p->c.harm, ret_source, ret_target);
	p->incarnations[connection]++;
}

/* Others in the place of those that were lost. */
static inline void pipe_reconnect(struct pipeline *p)
{
	unsigned lost = outflow_lost(p->out);
	int source, target;

	p->out_lost = false;
	if (p->c.connections == 1)
		p->in_lost = false; /* else it may have been another one */
	for (; lost; lost &= lost - 1) {
		unsigned connection = (unsigned)__builtin_ctz(lost);

		relay_end(&p->relays[connection]);
		p->c.cuts -= p->c.cuts > 0;
		p->c.next_harm(&p->c);
		pipe_connect(p, connection, &source, &target);
		outflow_resume(p->out, connection, source, p->incarnations[connection]);
		pipe_connect_target(p, target);
	}
}

/* Whether both have come to an end that is none: lost, or given up. A target that has
 * loaded everything has nothing more to lose, and one that is unaware, or has other connections,
 * hears of it otherwise. */
static inline bool pipe_is_broken(const struct pipeline *p)
{
	return (p->out_failed || (p->out_lost && !p->c.next_harm)) &&
	       (p->in_failed || p->in_lost || p->loaded || p->c.harm.target_unaware ||
		p->c.connections > 1);
}

/* Runs until both ends are done, or have failed or lost each other for good. False when only
 * one has and the other has nothing to complain of, or (after 25 s) hangs. */
static inline bool pipe_loop(struct pipeline *p)
{
	uint64_t end = clock_mono_ns() + 25 * NS_PER_S;

	while (clock_mono_ns() < end) {
		if ((p->out_failed || p->out_lost) &&
		    (p->c.source_closes_after || p->c.harm.kind == HARM_STOP))
			return false;
		MUST(sd_event_run(p->loop, 20000) >= 0);
		if (p->loaded && !atomic_load(&p->shut) && !p->out_failed)
			(void)outflow_send_shut(p->out);
		if (p->out_lost && !p->out_failed && p->c.next_harm &&
		    (p->in_lost || p->c.harm.target_unaware || p->c.connections > 1))
			pipe_reconnect(p);
		if ((p->loaded && atomic_load(&p->shut)) || pipe_is_broken(p))
			return true;
	}
	return false;
}

static inline void pipeline_begin(struct pipeline *p, const struct pipeline_config *config)
{
	int targets[LINK_LANES_MAX], out_fd, in_fds[2];
	uint64_t rng = config->seed ^ 0x55;

	alarm(PIPE_SECONDS); /* what hangs ends by SIGALRM */
	memset(p, 0, sizeof(*p));
	p->c = *config;
	p->c.connections += p->c.connections == 0;
	MUST(sd_event_new(&p->loop) >= 0);
	p->memory_fd = memfd_create("memory", MFD_CLOEXEC);
	MUST(ftruncate(p->memory_fd, (off_t)p->c.pages * PIPE_PAGE) == 0);
	p->memory = mmap(NULL, (size_t)p->c.pages * PIPE_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
			 p->memory_fd, 0);
	MUST(p->memory != MAP_FAILED);
	p->ram_fd = memfd_create("ram", MFD_CLOEXEC);
	for (size_t i = 0; i < PIPE_ROM_PAGES; i++)
		pipe_fill(p->rom + i * PIPE_PAGE, &rng);
	p->tail_len = p->c.short_tail ? PIPE_SHORT_TAIL : PIPE_TAIL;
	for (size_t i = 0; i < p->tail_len; i++)
		p->tail[i] = (uint8_t)(pipe_random(&rng) % (i < p->tail_len / 2 ? 256 : 3));
	p->tail[0] = RAMSTREAM_FULL;
	MUST(outflow_socketpair(&out_fd, &p->source_qemu) == 0);
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, in_fds) == 0);
	p->target_qemu = in_fds[1];
	p->waiting_qemu = in_fds[0];
	struct outflow_config out = { .qemu_fd = out_fd,
				      .qemu_end = fcntl(p->source_qemu, F_DUPFD_CLOEXEC, 0),
				      .connections = p->c.connections,
				      .link = { .incarnation = 1,
						.stream = p->c.stream,
						.plain_text = p->c.plain_text },
				      .ram_id = "ram0",
				      .ram_fd = fcntl(p->memory_fd, F_DUPFD_CLOEXEC, 0),
				      .shadow_bytes = p->c.shadow_bytes,
				      .held = p->c.held,
				      .base = p->c.source_base,
				      .last_tail = p->c.source_tail,
				      .thrifty = p->c.thrifty,
				      .bandwidth_bps = p->c.bandwidth_bps,
				      .ram_bytes = (uint64_t)p->c.pages * PIPE_PAGE };
	memcpy(out.link.page_secret, p->c.page_secret, PAGE_SECRET_SIZE);
	for (unsigned i = 0; i < p->c.connections; i++) {
		pipe_connect(p, i, &out.fds[i], &targets[i]);
		p->c.harm = (struct relay_harm){ .kind = HARM_NONE };
		if (p->c.next_harm)
			p->c.next_harm(&p->c);
	}
	p->c.harm = p->relays[0].harm;
	MUST(outflow_start(p->loop, &out, pipe_on_outflow, p, &p->out, NULL) == 0);
	MUST(pthread_create(&p->source, NULL, pipe_source_main, p) == 0);
	MUST(pthread_create(&p->target, NULL, pipe_target_main, p) == 0);
	for (unsigned i = 0; i < p->c.connections; i++) /* in any order */
		pipe_connect_target(p, targets[(i + p->c.seed) % p->c.connections]);
}

/* Returns whether both ends are done or have failed; p says which. The caller
 * ends it. */
static inline bool pipeline_run(struct pipeline *p, const struct pipeline_config *config)
{
	pipeline_begin(p, config);
	return pipe_loop(p);
}

/* They end by themselves when all went well, else when their sockets close. */
static inline void pipe_join_qemus(struct pipeline *p)
{
	if (!p->joined) {
		pthread_join(p->source, NULL);
		pthread_join(p->target, NULL);
	}
	p->joined = true;
}

static inline void pipeline_end(struct pipeline *p)
{
	atomic_store(&p->closing, true);
	outflow_abort(p->out);
	outflow_free(p->out);
	inflow_free(p->in);
	shutdown(p->source_qemu, SHUT_RDWR);
	shutdown(p->target_qemu, SHUT_RDWR);
	pipe_join_qemus(p);
	for (unsigned i = 0; i < p->c.connections; i++)
		relay_end(&p->relays[i]);
	close(p->source_qemu);
	close(p->target_qemu);
	if (p->waiting_qemu >= 0)
		close(p->waiting_qemu);
	close(p->ram_fd);
	munmap(p->memory, (size_t)p->c.pages * PIPE_PAGE);
	close(p->memory_fd);
	sd_event_unref(p->loop);
	alarm(0);
}

/* After a good run: whether the target has the source's guest, byte for byte. */
static inline bool pipeline_same(struct pipeline *p)
{
	size_t bytes = (size_t)p->c.pages * PIPE_PAGE;
	uint8_t *ram = mmap(NULL, bytes, PROT_READ, MAP_SHARED, p->ram_fd, 0);
	bool same;

	pipe_join_qemus(p);
	MUST(ram != MAP_FAILED);
	same = !atomic_load(&p->torn) && memcmp(ram, p->memory, bytes) == 0 &&
	       memcmp(p->rom, p->rom_loaded, sizeof(p->rom)) == 0 &&
	       memcmp(p->tail, p->tail_loaded, p->tail_len) == 0;
	munmap(ram, bytes);
	return same;
}

#endif

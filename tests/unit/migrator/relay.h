/* SPDX-License-Identifier: Apache-2.0
 *
 * A data connection in two halves with a relay between them, which may do harm to what
 * the source says, or end it at any byte of either direction. For tests: what must not be
 * ends the process.
 */
#ifndef TESTS_UNIT_MIGRATOR_RELAY_H
#define TESTS_UNIT_MIGRATOR_RELAY_H

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "migrator/frame.h"

#define MUST(cond)                                                                                 \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                 \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

enum harm { /* to the n-th frame from the source */
	    HARM_NONE,
	    HARM_FLIP, /* one bit at `at` */
	    HARM_CUT,  /* the connection ends after `at` bytes of it */
	    HARM_DROP,
	    HARM_TWICE,
	    HARM_SWAP, /* with the next one */
	    HARM_STOP, /* nothing more goes through, but nothing is closed */
};

struct relay_harm {
	enum harm kind;
	unsigned frame;
	size_t at; /* modulo the frame's size */
	/* of any kind: ends after so many bytes of the source, or of the target; 0: does not */
	size_t there_max, back_max;
	bool target_unaware; /* of a cut, until the relay ends */
	unsigned late_us; /* each frame of the source waits so long */
};

struct relay {
	struct relay_harm harm;
	int source, target; /* the relay's ends of the two halves */
	pthread_t thread;
	atomic_bool ending;
	size_t there; /* bytes of the source that went on */
};

static inline void relay_tcp_pair(int fds[2])
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	MUST(l >= 0 && bind(l, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(l, 1) == 0);
	MUST(getsockname(l, (struct sockaddr *)&a, &len) == 0);
	fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	MUST(connect(fds[0], (struct sockaddr *)&a, sizeof(a)) == 0);
	fds[1] = accept(l, NULL, NULL);
	MUST(fds[1] >= 0);
	close(l);
}

/* ---- From the target to the source ----------------------------------------------------- */

static inline void relay_wait(struct relay *r)
{
	while (!atomic_load(&r->ending))
		usleep(1000);
}

static inline void *relay_back_main(void *userdata)
{
	struct relay *r = userdata;
	size_t left = r->harm.back_max ? r->harm.back_max : SIZE_MAX;
	uint8_t buf[4096];
	ssize_t n;

	while (left && (n = recv(r->target, buf, sizeof(buf), 0)) > 0) {
		size_t len = (size_t)n < left ? (size_t)n : left;

		if (send(r->source, buf, len, MSG_NOSIGNAL) < 0)
			break;
		left -= len;
	}
	if (left == 0)
		shutdown(r->source, SHUT_RDWR); /* and the other direction ends by it */
	else
		shutdown(r->source, SHUT_WR);
	return NULL;
}

/* ---- From the source to the target ------------------------------------------------------ */

static inline bool relay_read_all(int fd, uint8_t *buf, size_t len)
{
	for (size_t have = 0; have < len;) {
		ssize_t n = recv(fd, buf + have, len - have, 0);

		if (n <= 0)
			return false;
		have += (size_t)n;
	}
	return true;
}

static inline bool relay_read_frame(int fd, uint8_t *wire, size_t *ret_len)
{
	struct frame_header h;

	if (!relay_read_all(fd, wire, FRAME_HEADER_SIZE))
		return false;
	MUST(frame_header_decode(wire, &h, NULL) == 0);
	*ret_len = FRAME_HEADER_SIZE + h.length + FRAME_TRAILER_SIZE;
	return relay_read_all(fd, wire + FRAME_HEADER_SIZE, *ret_len - FRAME_HEADER_SIZE);
}

/* False: this was the last of it. */
static inline bool relay_write(struct relay *r, const uint8_t *wire, size_t len)
{
	bool last = r->harm.there_max && r->there + len >= r->harm.there_max;

	if (r->harm.late_us)
		usleep(r->harm.late_us);
	if (last)
		len = r->harm.there_max - r->there;
	r->there += len;
	return send(r->target, wire, len, MSG_NOSIGNAL) >= 0 && !last;
}

/* Does to the frame what is to be done; false: that was the last one. */
static inline bool relay_harm(struct relay *r, uint8_t *wire, size_t len)
{
	uint8_t *next;
	size_t next_len;
	bool more;

	switch (r->harm.kind) {
	case HARM_FLIP:
		wire[r->harm.at % len] ^= 0x10;
		break;
	case HARM_CUT:
		(void)relay_write(r, wire, r->harm.at % len);
		return false;
	case HARM_DROP:
		return true;
	case HARM_TWICE:
		(void)relay_write(r, wire, len);
		break;
	case HARM_SWAP:
		next = malloc(FRAME_WIRE_MAX);
		more = relay_read_frame(r->source, next, &next_len) &&
		       relay_write(r, next, next_len);
		free(next);
		return more && relay_write(r, wire, len);
	case HARM_STOP:
		relay_wait(r);
		return false;
	case HARM_NONE:
		break;
	}
	return relay_write(r, wire, len);
}

static inline void *relay_main(void *userdata)
{
	struct relay *r = userdata;
	uint8_t *wire = malloc(FRAME_WIRE_MAX);
	bool more = true;
	pthread_t back;
	size_t len;

	MUST(pthread_create(&back, NULL, relay_back_main, r) == 0);
	for (unsigned i = 0; more && relay_read_frame(r->source, wire, &len); i++)
		more = i == r->harm.frame ? relay_harm(r, wire, len) : relay_write(r, wire, len);
	if (r->harm.target_unaware) {
		shutdown(r->source, SHUT_RDWR);
		relay_wait(r);
	}
	shutdown(r->target, SHUT_RDWR);
	pthread_join(back, NULL); /* what the target said last still goes to the source */
	shutdown(r->source, SHUT_RDWR);
	free(wire);
	return NULL;
}

/* Makes a connection; the two ends are the caller's. */
static inline void relay_begin(struct relay *r, const struct relay_harm *harm, int *ret_source,
			       int *ret_target)
{
	int source[2], target[2];

	relay_tcp_pair(source);
	relay_tcp_pair(target);
	*ret_source = source[0];
	*ret_target = target[1];
	r->harm = *harm;
	r->source = source[1];
	r->target = target[0];
	r->there = 0;
	atomic_store(&r->ending, false);
	MUST(pthread_create(&r->thread, NULL, relay_main, r) == 0);
}

static inline void relay_end(struct relay *r)
{
	atomic_store(&r->ending, true);
	shutdown(r->target, SHUT_RDWR);
	shutdown(r->source, SHUT_RDWR);
	pthread_join(r->thread, NULL);
	close(r->source);
	close(r->target);
}

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * One direction of an emulated link, as pure logic: which frames are lost, and
 * when each of the others comes out. Time is given, never read, so that tests
 * run it on a virtual clock; linkem.c runs it on the real one.
 *
 * A frame passes, in this order: random loss; a token bucket (`rate`, with
 * `burst` bytes at once) behind a queue of `queue` bytes, whose tail is dropped
 * when it is full; then the propagation delay with its jitter. Frames leave in
 * the order in which they came unless `reorder` says otherwise: as on a real
 * path, jitter then shows as bunching, never as overtaking.
 */
#ifndef SIM_TESTBED_SHAPER_H
#define SIM_TESTBED_SHAPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

enum jitter_kind {
	JITTER_NORMAL,  /* `jitter` is the standard deviation; cut off at 4 of them */
	JITTER_UNIFORM, /* from -jitter to +jitter */
};

struct link_params {
	uint64_t delay_ns;
	uint64_t jitter_ns;
	enum jitter_kind jitter_kind;
	double loss;       /* probability, 0 to 1 */
	uint64_t rate_bps; /* bits a second; 0: unlimited */
	uint64_t burst;    /* bytes; 0: one full frame */
	uint64_t queue;    /* bytes; 0: 1 MiB. Bounds the queue without a rate, too */
	bool reorder;
};

struct link_counts {
	uint64_t frames, bytes;   /* that came out */
	uint64_t lost;            /* by chance */
	uint64_t dropped;         /* the queue was full */
};

/* A frame as it waits. Its owner embeds this at the start of its own struct. */
struct shaped_frame {
	TAILQ_ENTRY(shaped_frame) link;
	uint64_t due_ns;
	size_t len;
};

TAILQ_HEAD(shaped_frames, shaped_frame);

struct shaper {
	struct link_params params;
	struct link_counts counts;
	struct shaped_frames waiting; /* by due_ns */
	uint64_t waiting_bytes;
	uint64_t bucket_ns; /* when the bucket will have sent all that it took */
	uint64_t random;
};

/* Equal seeds give equal fates. */
void shaper_init(struct shaper *s, const struct link_params *params, uint64_t seed);

/* For frames that come from now on; those that wait keep their time. */
void shaper_set(struct shaper *s, const struct link_params *params);

/* Takes a frame of f->len bytes at time now. Returns false when it is lost: it
 * then remains the caller's. Else it is the shaper's until popped. */
bool shaper_push(struct shaper *s, struct shaped_frame *f, uint64_t now_ns);

/* When the next frame is due; UINT64_MAX when none waits. */
uint64_t shaper_next_ns(const struct shaper *s);

/* The next frame that is due at `now`, now the caller's; NULL when none is. */
struct shaped_frame *shaper_pop(struct shaper *s, uint64_t now_ns);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * The data connections of a move at the source, side by side. A lane is one of them: its
 * sender, and the batch of pages that waits for it. A page is bound to a lane by its address
 * (page.h), so that all that becomes of it is in order on one connection. With several lanes
 * each has a worker, which compresses its batches; all else, every connection included, is done
 * by the thread of the ring.
 *
 * What is on its way is kept short over all lanes together (pace.h). A page that is a copy of
 * one on another lane is sent as that only when the target has said that it holds it. Bytes of
 * QEMU's stream go on the first lane, behind a frame that says how much of the others has to
 * come before them.
 */
#ifndef MIGRATOR_LANES_H
#define MIGRATOR_LANES_H

#include "migrator/effort.h"
#include "migrator/page_batch.h"
#include "migrator/sender.h"
#include "migrator/stream_frame.h"
#include "migrator/worker.h"

struct lane {
	struct lanes *all;
	unsigned number; /* also that of its frames' stream, from the first one's on */
	struct sender sender;
	bool open;
	bool down; /* since its connection was lost, and until there is another */
	struct page_batch *batches[2]; /* being filled and being packed; one without a worker */
	unsigned filling;
	struct worker worker;
	bool packing; /* the batch that is not being filled */
	/* of the packing, the worker's meanwhile: */
	struct page_batch *packed;
	uint8_t *payload;
	int effort;
	size_t len;
	struct page_stats stats;
	uint64_t took_ns;
	/* the owner's, until it is there: */
	atomic_int next_fd; /* of the connection that takes the lost one's place; -1: none */
	uint32_t next_incarnation;
	struct mg_error loss;
};

struct lanes {
	struct lane lane[LINK_LANES_MAX];
	unsigned count;
	struct pace pace;
	struct reference *ref; /* what the target holds */
	/* For each page, the last frame of its lane that has it, modulo 2^32; NULL with one lane. */
	uint32_t *frame_of;
	struct effort effort;
	bool thrifty;
	uint64_t barrier[LINK_LANES_MAX]; /* what the target was last told to wait for */
	_Atomic uint64_t *page_counts;    /* PAGE_COUNTS of what was sent; the owner's */
	void (*wake)(void *userdata);     /* makes the ring's thread look, from any other */
	void *userdata;
	atomic_uint lost; /* lanes that wait for lanes_resume(): a bit each */
};

struct lanes_config {
	struct ring *ring;
	const struct link_config *link; /* of all; without socket and stream of its own */
	const int *fds; /* connected sockets, one a lane, taken over on success */
	unsigned count; /* 1 to LINK_LANES_MAX */
	uint64_t ram_bytes;
	uint64_t bandwidth_bps; /* cap in bits a second; 0: none */
	size_t shadow_bytes;
	bool thrifty;
	struct share_member *share; /* with whom they share the link; NULL: nobody */
	_Atomic uint64_t *page_counts;
	void (*wake)(void *userdata);
	int (*heard)(void *userdata, enum frame_type type, const uint8_t *payload, size_t len,
		     struct mg_error *err); /* as struct sender's */
	void *userdata;
};

int lanes_init(struct lanes *l, const struct lanes_config *config, struct mg_error *err);

/* Before the ring is closed: waits for the workers. */
void lanes_stop(struct lanes *l);

/* The sockets remain the caller's after all. */
void lanes_give_back(struct lanes *l);
void lanes_exit(struct lanes *l);

/* ---- For the ring's thread ---- */

void lanes_start(struct lanes *l);

/* How many frames may wait on each lane (sender.h). */
void lanes_set_queue(struct lanes *l, unsigned frames);

/* Sends what should not wait any longer. Whether there is room for another page, and then one
 * may be added: as page_batch_add() and its like. */
bool lanes_make_room(struct lanes *l);
void lanes_add(struct lanes *l, uint64_t page, const uint8_t *data);
void lanes_add_whole(struct lanes *l, uint64_t page, const uint8_t *data);
bool lanes_add_ahead(struct lanes *l, uint64_t page, const uint8_t *data);

/* Sends all pages that wait; false while some do still. */
bool lanes_flush(struct lanes *l);

/* Sends bytes of QEMU's stream, behind all pages that were flushed before, with flags of theirs
 * (frame.h). Their frame's length, or 0: not now, try again. */
size_t lanes_send_stream(struct lanes *l, const uint8_t *data, size_t len, uint16_t flags,
			 struct tail *last_tail);

/* As sender_pump(), to be called after each ring_run(). */
uint64_t lanes_pump(struct lanes *l);

/* Whether all that was sent has been given to the kernel, and whether a worker has something. */
bool lanes_idle(const struct lanes *l);
bool lanes_packing(const struct lanes *l);

/* Whether one waits for another connection: nothing is to be read from QEMU then. */
bool lanes_down(const struct lanes *l);

enum lanes_news { LANES_LOST = 1, LANES_RESUMED = 2 };

/* Looks after the connections, and takes up those that were made anew. *ret_news are bits:
 * one was lost; those that were have all been replaced. `final`: a lost one is not waited for
 * any more. Returns 0 or why it is over. */
int lanes_check(struct lanes *l, bool final, unsigned *ret_news, struct mg_error *err);

uint64_t lanes_wire_bytes(const struct lanes *l);
uint64_t lanes_resent_bytes(const struct lanes *l);
uint64_t lanes_queued(const struct lanes *l); /* waiting, or sent and not acknowledged */

/* ---- For the owner ---- */

/* Those that wait for another connection: a bit each. */
unsigned lanes_lost(struct lanes *l);

/* Gives one of them another one, which is taken over. */
void lanes_resume(struct lanes *l, unsigned lane, int fd, uint32_t incarnation);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * The source's end of a data connection, on a ring: numbers, seals and sends
 * frames, paced (pace.h), and reads their acknowledgements. The queue is short, one frame
 * being written and one behind it, so that whoever fills it is held up as soon as
 * the link is; or long, so that the link has something to do while who fills it has not.
 *
 * What is not acknowledged is kept. When the connection is lost the sender waits for another
 * one, and what the target has not taken by then goes again, sealed with the new keys.
 */
#ifndef MIGRATOR_SENDER_H
#define MIGRATOR_SENDER_H

#include <stdbool.h>

#include "migrator/frame_reader.h"
#include "migrator/link.h"
#include "migrator/pace.h"
#include "migrator/ring.h"
#include "migrator/share.h"

#define SENDER_QUEUE_SHORT 2 /* frames */
#define SENDER_QUEUE_LONG 16 /* some 20 ms: what a thread has to wait for a busy processor */
#define SENDER_FRAMES (2 * PACE_FLIGHTS) /* more than flights and queue */

struct sender_frame {
	uint8_t *wire; /* sealed */
	size_t len;
	uint32_t made; /* pages: see pace_sent() */
	bool starved;
};

struct sender {
	struct ring *ring;
	struct link_config config;
	uint64_t ram_bytes;
	uint8_t hello[LINK_HELLO_SIZE], welcome[LINK_HELLO_SIZE];
	size_t hello_sent, welcome_read;
	bool greeted;
	struct seal seal_out, seal_in;
	struct frame_reader reader;
	struct pace *pace;      /* shared with the other connections of the move */
	struct pace_line line;
	unsigned queue; /* frames that may wait; the owner's to change */
	struct share_member *share; /* the owner's; NULL: it shares the link with nobody */
	struct ring_op send_op, recv_op;

	uint8_t *payload;      /* of the frame that is being made */
	/* Counted over all connections, at count % SENDER_FRAMES, and the sequence is one more:
	 * [kept, written) wait for their acknowledgement, [written, committed) for the link. */
	struct sender_frame frames[SENDER_FRAMES];
	uint64_t kept, written, committed;
	uint64_t acknowledged;
	size_t part;           /* of the frame that is being written */
	bool writing;
	uint64_t received;     /* frames of the peer on this connection */
	uint64_t wire_bytes;
	uint64_t resent_bytes; /* written, and then written again */
	size_t resent_part;    /* of a frame that was being written when the connection was lost */
	uint64_t started_ns;   /* this connection */
	struct mg_error lost;  /* code < 0: the connection is gone, and another may come */
	struct mg_error error; /* code < 0: it is over */

	/* The target asks for pages, or its QEMU says something: the payload of an ASK or a RETURN
	 * frame. Returns 0 or an error with its text in *err. */
	int (*heard)(void *userdata, enum frame_type type, const uint8_t *payload, size_t len,
		     struct mg_error *err);
	void *userdata;
};

/* Takes the socket over (closed by sender_exit()) when it returns 0. `pace` remains the caller's,
 * of the same thread, and must outlive this. */
int sender_init(struct sender *s, struct ring *ring, const struct link_config *config,
		uint64_t ram_bytes, struct pace *pace, struct mg_error *err);
void sender_exit(struct sender *s);

/* Starts the first operations; in the ring's thread. */
void sender_start(struct sender *s);

/* Whether the connection is lost, and nothing of it is under way any more. */
bool sender_is_down(const struct sender *s);

/* Goes on over another connection, of a later incarnation than all before. The sender must be
 * down; takes the socket over when it returns 0. */
int sender_resume(struct sender *s, int fd, uint32_t incarnation, struct mg_error *err);

/* Sends what may go and judges the silence. To be called after each ring_run().
 * Returns how long it can wait for the next call; ns. */
uint64_t sender_pump(struct sender *s);

/* Where the payload of a new frame goes (FRAME_PAYLOAD_MAX bytes), or NULL while
 * the queue is full or HELLO unanswered; then sender_commit() with its length, or sender_commit_pages()
 * with the number of those that the target makes of what it has. They fail by s->error. */
uint8_t *sender_payload(struct sender *s);
void sender_commit(struct sender *s, enum frame_type type, uint16_t flags, size_t len);
void sender_commit_pages(struct sender *s, size_t len, uint32_t made);

/* Whether everything committed has been given to the kernel. */
bool sender_idle(const struct sender *s);

/* Whether the link has less to carry than it could. */
bool sender_starved(const struct sender *s);

/* The most bytes that a frame should have, so that it is on the link for a part
 * of the window only. */
size_t sender_frame_target(const struct sender *s);

/* Committed and not acknowledged. */
uint64_t sender_queued(const struct sender *s);

#endif

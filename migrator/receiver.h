/* SPDX-License-Identifier: Apache-2.0
 *
 * The target's end of a data connection, on a ring: reads frames, hands each
 * that verifies to its user in order, and acknowledges what has taken effect. When the
 * connection is lost it waits for another one, which goes on behind that.
 */
#ifndef MIGRATOR_RECEIVER_H
#define MIGRATOR_RECEIVER_H

#include <stdbool.h>

#include "migrator/frame_reader.h"
#include "migrator/link.h"
#include "migrator/page_ask.h"
#include "migrator/return_path.h"
#include "migrator/ring.h"

struct receiver {
	struct ring *ring;
	struct link_config config;
	uint8_t welcome[LINK_HELLO_SIZE];
	uint8_t ack[FRAME_HEADER_SIZE + PAGE_ASK_SIZE + FRAME_TRAILER_SIZE];
	const uint8_t *out; /* what is being written: one of the two above */
	size_t out_len, out_sent;
	struct seal seal_in, seal_out;
	struct frame_reader reader;
	struct ring_op recv_op, send_op;
	uint64_t ram_bytes;
	uint64_t sequence;     /* of our next frame on this connection */
	uint64_t processed;    /* the peer's frames that have taken effect, HELLO included */
	uint64_t acknowledged; /* and those that it was told of */
	uint64_t wire_bytes;
	struct mg_error lost;  /* code < 0: the connection is gone, and another may come */
	struct mg_error error; /* code < 0: it is over */

	/* Takes a frame. Returns 0, -EAGAIN (not now: the same again at the next
	 * receiver_pump()), or an error with its text in *err. */
	int (*frame)(void *userdata, const struct frame_header *h, const uint8_t *payload,
		     struct mg_error *err);
	void *userdata;
	struct frame_header held; /* the frame that was not taken */
	const uint8_t *held_payload;
};

/* Checks the HELLO and takes the socket over (closed by receiver_exit()) when
 * it returns 0; errors as link_answer_hello(). Without one, `hello` being NULL, it is down and
 * waits for its first connection. */
int receiver_init(struct receiver *r, struct ring *ring, const struct link_config *config,
		  const struct link_hello *hello, uint64_t ram_bytes, struct mg_error *err);
void receiver_exit(struct receiver *r);

/* Starts the first operations; in the ring's thread. */
void receiver_start(struct receiver *r);

/* Gives the connection up: another one has come. */
void receiver_drop(struct receiver *r);

/* Whether the connection is lost, and nothing of it is under way any more. */
bool receiver_is_down(const struct receiver *r);

/* Goes on over another connection. The receiver must be down. Checks the HELLO and takes the
 * socket over when it returns 0; errors as link_answer_hello(). */
int receiver_resume(struct receiver *r, int fd, const struct link_hello *hello,
		    struct mg_error *err);

/* Takes what has come, acknowledges, reads on. To be called after each ring_run(). */
void receiver_pump(struct receiver *r);

/* Asks the source for pages, as far as a frame can be sent now; those it takes out of
 * the set. To be called before receiver_pump(), whose acknowledgements can wait. */
void receiver_ask(struct receiver *r, struct page_set *pages);

/* Says what QEMU has said in post-copy, likewise. */
void receiver_return(struct receiver *r, struct return_log *log);

/* Tells the source why the connection ends, if that can be done within a moment,
 * and ends it for sending. The last thing to be done in the ring's thread. */
void receiver_say_error(struct receiver *r, const char *text);

#endif

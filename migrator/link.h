/* SPDX-License-Identifier: Apache-2.0
 *
 * What both ends of a data connection agree on. A connection begins with one
 * HELLO frame from the source, which names the move, the incarnation of the
 * connection and the ciphers on offer, and the target's WELCOME, which picks
 * one. Everything after it is numbered, acknowledged and, unless both
 * configurations say plain text, encrypted and authenticated per frame.
 *
 * When a connection is lost the source makes another, of a later incarnation. WELCOME says
 * how many of its frames have taken effect by then, and those behind come again.
 *
 * HELLO and WELCOME are readable by anyone but carry a tag under the session
 * key; the keys of the frames are derived from that key and both of them, so
 * that nothing recorded from one connection fits into another.
 */
#ifndef MIGRATOR_LINK_H
#define MIGRATOR_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/uuid.h"
#include "migrator/page_hash.h"
#include "migrator/seal.h"

#define LINK_KEY_SIZE 32
#define LINK_LANES_MAX 8 /* connections that a move may have side by side */
#define LINK_HELLO_PAYLOAD 48
#define LINK_HELLO_SIZE (FRAME_HEADER_SIZE + LINK_HELLO_PAYLOAD + FRAME_TRAILER_SIZE)

struct link_config {
	int fd; /* a connected TCP socket */
	struct uuid move;
	/* A move may have several connections side by side, each with frames, keys and
	 * incarnations of its own. They are told apart by the stream of their frames, HELLO
	 * and WELCOME included */
	uint16_t stream;
	uint32_t incarnation;        /* counts up with every connection of a stream */
	uint8_t key[LINK_KEY_SIZE];  /* the session key that came over the bus */
	uint8_t page_secret[PAGE_SECRET_SIZE]; /* under which both ends hash pages: the VM's own */
	bool plain_text;             /* source: sends plain text; target: would take it */
};

/* A HELLO while and after it is read from an accepted socket. Zero it first. */
struct link_hello {
	uint8_t bytes[LINK_HELLO_SIZE];
	size_t have;
	struct uuid move;      /* valid once link_read_hello() returned 0, and */
	uint16_t stream;       /* unproven until inflow_start() checked the tag */
	uint32_t incarnation;
};

/* Reads as much of a HELLO as there is on a non-blocking socket, never more.
 * Returns 0 when it is whole, -EAGAIN when the rest has not come yet (call
 * again on EPOLLIN; the caller sets the time limit), or why the connection
 * should be closed: -ECONNRESET, -EPROTO (not a HELLO), -EPROTONOSUPPORT.
 * With move and incarnation the caller finds the move that is being waited for
 * and hands socket, HELLO and session key to inflow_start(). */
int link_read_hello(int fd, struct link_hello *hello, struct mg_error *err);

/* Begins to connect to "ADDRESS:PORT". Returns the socket, non-blocking: EPOLLOUT says that there is an
 * answer, SO_ERROR which; -EINVAL when that is no address, or what else connect(2) says. */
int link_connect(const char *endpoint);

/* Whether this HELLO may take the place of the connection that `config` describes: its tag
 * fits, its stream is the same, and its incarnation is a later one. Returns 0, or as
 * link_answer_hello(). */
int link_check_next(const struct link_config *config, const struct link_hello *hello,
		    struct mg_error *err);

/* ---- For sender.c and receiver.c --------------------------------------------- */

struct link_keys { /* what both ends know after HELLO and WELCOME */
	enum seal_cipher cipher;
	uint8_t secret[LINK_KEY_SIZE];
	uint64_t taken; /* the source's frames that have taken effect, over all connections */
};

/* Prepares a connected socket: blocking (io_uring waits by itself), no delay,
 * little unsent data in the kernel, and dead peers noticed. */
void link_tune_socket(int fd);

/* Whether this result of a send or receive says that the peer is gone. A send may
 * learn of it before what the peer said last has been received. */
bool link_is_gone(int res);

/* The source's first frame. */
int link_make_hello(const struct link_config *config, uint64_t ram_bytes,
		    uint8_t out[LINK_HELLO_SIZE], struct mg_error *err);

/* The target: checks a HELLO, picks a cipher, makes the answer, which says how many frames
 * have been `taken` over earlier connections. Returns 0, -EACCES
 * (tag, plain text), -EPROTO (not the move, stream or incarnation that is expected),
 * -EINVAL (size of RAM) or -EOPNOTSUPP (no cipher in common). */
int link_answer_hello(const struct link_config *config, uint64_t ram_bytes, uint64_t taken,
		      const uint8_t hello[LINK_HELLO_SIZE], uint8_t out[LINK_HELLO_SIZE],
		      struct link_keys *ret, struct mg_error *err);

/* The source: checks the answer to its HELLO. */
int link_check_welcome(const struct link_config *config, const uint8_t hello[LINK_HELLO_SIZE],
		       const uint8_t welcome[LINK_HELLO_SIZE], struct link_keys *ret,
		       struct mg_error *err);

#endif

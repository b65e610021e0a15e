/* SPDX-License-Identifier: Apache-2.0
 *
 * The incoming half of the data path: frames in, pages written straight into
 * the guest's shared RAM file, stream bytes handed to the waiting QEMU. One
 * thread with one io_uring, and a worker for the pages of each connection where
 * there are several. QEMU's SHUT on the return path means that it has
 * loaded everything; it is reported, not forwarded. In post-copy all that it says there is for
 * the source's QEMU, too.
 */
#ifndef MIGRATOR_INFLOW_H
#define MIGRATOR_INFLOW_H

#include <systemd/sd-event.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "migrator/arrival.h"
#include "migrator/link.h"
#include "migrator/page.h"
#include "migrator/tail.h"

struct inflow;

/* Told in this order, should several have happened (flow.h). */
enum inflow_event {
	INFLOW_STARTED, /* the first page or stream byte has come */
	INFLOW_POST_COPY, /* QEMU is given the state of the devices, and a part of the memory follows:
			   it can be run once it has loaded that */
	INFLOW_LOADED,  /* QEMU has loaded the whole state and waits; in post-copy: it has all of the
			   memory */
	INFLOW_RESUMED, /* others have taken the place of the connections that were lost */
	INFLOW_LOST,    /* a connection is lost; inflow_loss() says how. Not after
			   INFLOW_LOADED */
	INFLOW_FAILED,  /* link, stream or QEMU broke; inflow_error() says how. Not after
			   INFLOW_LOADED: what breaks then no longer matters here */
};

typedef void (*inflow_event_fn)(struct inflow *i, enum inflow_event event, void *userdata);

struct inflow_config {
	int qemu_fd; /* our end of a socketpair whose other end QEMU got for
			migrate-incoming fd:…; taken over on success */
	int ram_fd;  /* the RAM file; remains the caller's */
	uint64_t ram_bytes;
	const char *write_back; /* the RAM file is a copy of ours, and QEMU gets its pages in the
				   stream, as ones of this block; NULL: QEMU has it mapped */
	struct link_config link; /* of the first connection that came, with its accepted socket,
				    which is taken over on success; with the first one's stream */
	unsigned connections;    /* side by side, 1 to LINK_LANES_MAX */
	bool post_copy;          /* it may come to that: QEMU will empty its memory first */
	struct link_hello hello; /* as link_read_hello() returned it */
	const struct image *base; /* that the source has too; NULL: none. As the next one */
	struct tail *last_tail;   /* of the VM, likewise */
	struct arrival *arrival; /* what comes is written down there; NULL: nowhere. Likewise, and
				    the owner's again from INFLOW_LOADED on */
	const struct image *image; /* of an earlier visit, which the source knows of; NULL: none.
				      Remains the caller's and must outlive this */
};

struct inflow_stats {
	uint64_t wire_bytes;   /* read from the TCP socket, headers and tags included */
	uint64_t guest_bytes;  /* of the pages placed, zero pages counted whole */
	uint64_t pages[PAGE_COUNTS]; /* as they came */
	uint64_t stream_bytes; /* handed to QEMU */
};

/* Checks the HELLO (move, incarnation, tag, cipher, size of RAM), then starts the
 * thread. -EACCES when the HELLO's tag is not of this key or the source would
 * speak plain text where this side does not; nothing is taken over then. The
 * RAM file may hold anything; what is in it is overwritten page by page. */
int inflow_start(sd_event *loop, const struct inflow_config *config, inflow_event_fn fn,
		 void *userdata, struct inflow **ret, struct mg_error *err);

/* Goes on over another accepted socket, in the place of the one that there is of its stream, lost
 * or not, or as the first one. Returns 0, or as link_check_next(); the socket is taken over then or closed later, should it
 * not do after all. INFLOW_RESUMED follows, or INFLOW_LOST. */
int inflow_resume(struct inflow *i, int fd, const struct link_hello *hello, struct mg_error *err);

/* Why INFLOW_LOST came; valid until inflow_resume(). */
const struct mg_error *inflow_loss(struct inflow *i);

void inflow_get_stats(struct inflow *i, struct inflow_stats *ret);

/* The tail that QEMU has loaded, once INFLOW_LOADED has come; of no length when there was
 * none, or one that is longer than what is kept. It is the inflow's. */
const uint8_t *inflow_tail(const struct inflow *i, size_t *ret_len);

/* Why INFLOW_FAILED came; valid from then on. */
const struct mg_error *inflow_error(struct inflow *i);

/* Closes both sockets and joins the thread. NULL is fine. */
void inflow_free(struct inflow *i);
DEFINE_CLEANUP(struct inflow, inflow_free)

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * The outgoing half of the data path: QEMU's migration stream in, frames on a
 * TCP connection out, or on several (lanes.h). One thread with one io_uring:
 *
 *     QEMU ─socketpair─> ramstream (reader) ─> page codec ─> link ═TCP═>
 *
 * Pages of the shared RAM block leave as addressed, encoded pages; all else
 * (header, small blocks, section marks, the device tail) as stream bytes with
 * those pages taken out. The return path to QEMU is answered here: PONG to each
 * PING at once, SHUT only when outflow_send_shut() says so. In post-copy it is the
 * target's QEMU that is heard there.
 *
 * The owner lives on an sd-event loop and is told by events; it steers by the
 * calls below, which are safe from the loop's thread only.
 */
#ifndef MIGRATOR_OUTFLOW_H
#define MIGRATOR_OUTFLOW_H

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "migrator/arrival.h"
#include "migrator/image.h"
#include "migrator/link.h"
#include "migrator/page.h"
#include "migrator/share.h"
#include "migrator/survey.h"
#include "migrator/tail.h"

struct outflow;

enum outflow_event {
	OUTFLOW_STOPPED,  /* END(ram) begins: the guest has been stopped */
	OUTFLOW_POST_COPY, /* the guest has been stopped, and will run at the target before all of its
			     memory is there: from here on it cannot run here any more */
	OUTFLOW_WARMED,   /* a warming: the target has all but the last pages, of which none is read
			     from QEMU until outflow_abort(), so that the guest never stops */
	OUTFLOW_RESUMED,  /* others have taken the place of the connections that were lost */
	OUTFLOW_LOST,     /* a connection is lost and the guest not stopped: outflow_lost() says
			     which, outflow_loss() how. QEMU is not read from until OUTFLOW_RESUMED */
	OUTFLOW_FAILED,   /* link, stream or QEMU broke; outflow_error() says how. QEMU's
			     socket stays open, so a stopped guest stays stopped, until
			     outflow_abort(). Not after outflow_send_shut() */
};

typedef void (*outflow_event_fn)(struct outflow *o, enum outflow_event event, void *userdata);

/* Makes the socketpair for `getfd` and `migrate fd:`. The buffer on QEMU's end is
 * small: what lies in it counts as sent for QEMU, which stops the guest by that
 * measure. Both are close-on-exec. */
int outflow_socketpair(int *ret_ours, int *ret_qemu);

struct outflow_config {
	int qemu_fd;  /* our end of the socketpair; taken over on success */
	int qemu_end; /* a duplicate of QEMU's, taken over on success: it has a large buffer
			 until the first pass is nearly over; -1: none */
	struct link_config link; /* of all data connections; without socket and stream */
	unsigned connections; /* side by side, 1 to LINK_LANES_MAX */
	int fds[LINK_LANES_MAX]; /* their connected sockets, taken over on success */
	const char *ram_id;
	uint64_t ram_bytes;
	int ram_fd; /* the guest's RAM file, for pages that the target asks for; taken over
		       on success */
	bool mirror; /* that is a file of ours, which gets the pages as they are read: QEMU's RAM
			is its own */
	const struct image_manifest *held; /* what the target has already, of as many pages;
					      NULL: nothing. Remains the caller's and must outlive
					      this */
	const struct arrived *arrived; /* the same, as the VM's arrival told; NULL: it did not */
	uint64_t shadow_bytes;  /* budget for the old bytes of pages that come again */
	const struct image *base; /* an image that the target has too; NULL: none. Remains
				     the caller's and must outlive this */
	struct tail *last_tail; /* of the VM, which the target has too; NULL: none. As the base */
	bool warm; /* hold before the end of the first pass */
	bool post_copy; /* QEMU may switch to it; else a stream that prepares for it is refused */
	bool thrifty; /* fewest bytes, even while the link waits for the processor */
	uint64_t bandwidth_bps; /* cap in bits a second; 0: none */
	struct share_member *share; /* with whom it shares the link; NULL: nobody. As the base */
};

struct outflow_stats {
	uint64_t wire_bytes;   /* written to the TCP socket, headers and tags included */
	uint64_t guest_bytes;  /* page bytes taken from QEMU, zero pages counted whole */
	uint64_t pages[PAGE_COUNTS]; /* sent */
	uint64_t stream_bytes; /* bytes that went as stream */
	uint64_t tail_bytes;   /* on the link, for the state of the devices */
	uint64_t accepted_bps; /* bytes a second that we take from QEMU, smoothed */
	uint64_t link_bps;     /* bytes a second that the link carries: acknowledged by
				  the peer while there was enough to send, smoothed */
	uint64_t link_rtt_ns;  /* least time from frame to acknowledgement, lately */
	uint64_t queued_bytes; /* accepted, not acknowledged */
	uint64_t resent_bytes; /* because a connection was lost */
	uint32_t passes;       /* how often the page addresses started over */
	uint64_t stopped_mono_ns; /* when END(ram) began; 0 before */
	uint64_t stopped_bytes;   /* that the peer had acknowledged by then, about */
	struct survey_stats survey;
};

int outflow_start(sd_event *loop, const struct outflow_config *config, outflow_event_fn fn,
		  void *userdata, struct outflow **ret, struct mg_error *err);

void outflow_get_stats(struct outflow *o, struct outflow_stats *ret);

/* The connections that are lost and wait for outflow_resume(): a bit each. */
unsigned outflow_lost(struct outflow *o);

/* Goes on over another connected socket, which is taken over, in the place of a lost connection
 * and as one of a later incarnation. OUTFLOW_RESUMED follows when it was the last one that was
 * missing, or OUTFLOW_LOST again. */
void outflow_resume(struct outflow *o, unsigned connection, int fd, uint32_t incarnation);

/* Reads no more from QEMU, or reads again. What was read is sent, the connections are kept. QEMU
 * must not be left so once it has stopped its guest: the owner hears of that by QEMU's STOP, not
 * by OUTFLOW_STOPPED. */
void outflow_pause(struct outflow *o, bool paused);

/* Why OUTFLOW_LOST came last; valid until outflow_resume(). */
const struct mg_error *outflow_loss(struct outflow *o);

/* Why OUTFLOW_FAILED came; valid from then on. */
const struct mg_error *outflow_error(struct outflow *o);

/* Tells QEMU that the destination has everything: it completes and becomes
 * postmigrate. Only after the target said READY. When it returns 0, QEMU has
 * SHUT in its socket, whatever happens to this process; else it has not
 * (-EPIPE: QEMU closed the socket). */
int outflow_send_shut(struct outflow *o);

/* Closes QEMU's socket: before SHUT, QEMU lets the guest run on (6–16 ms). The
 * link is closed too. */
void outflow_abort(struct outflow *o);

/* Aborts when need be, joins the thread. NULL is fine. */
void outflow_free(struct outflow *o);
DEFINE_CLEANUP(struct outflow, outflow_free)

#endif

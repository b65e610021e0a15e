/* SPDX-License-Identifier: Apache-2.0
 *
 * What outflow.c, the thread and its owner's calls, and outflow_stream.c, what becomes of the
 * stream that QEMU sends, share.
 */
#ifndef MIGRATOR_OUTFLOW_INTERNAL_H
#define MIGRATOR_OUTFLOW_INTERNAL_H

#include <stdatomic.h>

#include "migrator/flow.h"
#include "migrator/image_index.h"
#include "migrator/lanes.h"
#include "migrator/outflow.h"
#include "migrator/page_ask.h"
#include "migrator/ram_image.h"
#include "migrator/ramstream.h"
#include "migrator/streamwriter.h"

#define OUTFLOW_NO_BLOCK UINT32_MAX
#define OUTFLOW_AHEAD (16 * RAMSTREAM_PAGE) /* read at once */

struct counters { /* written by the thread, read by the owner */
	_Atomic uint64_t wire_bytes, guest_bytes, stream_bytes, tail_bytes, pages[PAGE_COUNTS];
	_Atomic uint64_t accepted_bps, link_bps, link_rtt_ns, queued_bytes, stopped_mono_ns;
	_Atomic uint64_t resent_bytes, stopped_bytes;
	_Atomic uint32_t passes;
	_Atomic uint64_t first_wire_bytes, left_wire_bytes, left_data_bytes; /* the survey's */
	_Atomic uint64_t written_bps, working_set;
	_Atomic uint32_t written_permille;
};

struct outflow {
	struct flow flow;
	outflow_event_fn fn;
	void *userdata;
	struct lanes lanes;
	struct counters counters;
	atomic_bool shut_sent;
	unsigned lost_lane; /* of the owner: the last one that it was told of */

	int qemu_fd;
	int qemu_end;
	struct ring_op qemu_op;
	bool qemu_eof;
	uint8_t *input;
	size_t input_at, input_end;

	struct ramstream *stream;
	char ram_id[256];
	uint64_t ram_bytes;
	unsigned ram_block;
	uint64_t last_offset;
	uint64_t ahead; /* pages below it have been sent, or are in QEMU's stream */
	uint64_t lead;  /* how many of them QEMU has not come to */
	uint8_t ahead_data[OUTFLOW_AHEAD];

	const struct image *base; /* the owner's, as the next two */
	const struct image_manifest *held;
	const struct arrived *arrived;
	struct image_index *base_index;
	struct page_set asked; /* by the target */
	int ram_fd;
	bool mirror;
	struct ram_image *ram; /* NULL until it is needed */
	struct survey *survey; /* NULL: none */
	uint64_t survey_ns;    /* when it looks again */
	uint8_t stream_buf[STREAM_FRAME_BYTES];
	struct streamwriter writer;
	bool tail_is_next;
	bool advise_is_next;    /* as the tail: POSTCOPY_ADVISE */
	uint16_t tail_flags;    /* of its frames; 0 before */
	bool may_post_copy;     /* QEMU, at any time */
	bool post_copy;         /* it has sent the package, or does */
	struct tail *last_tail; /* the owner's; NULL: none */
	uint64_t oldest_ns;     /* when the first thing that waits came; 0: nothing waits */
	bool stopped;
	uint64_t hold_at; /* the page after which nothing more is read: a warming's */
	bool holding, warmed;
	atomic_bool paused;
	struct share_member *share; /* the owner's; NULL: it shares the link with nobody */
	int nice;

	uint64_t rate_since_ns, rate_bytes; /* for accepted_bps */
};

#define ADD(o, counter, n) \
	atomic_fetch_add_explicit(&(o)->counters.counter, n, memory_order_relaxed)
#define SET(o, counter, n) \
	atomic_store_explicit(&(o)->counters.counter, n, memory_order_relaxed)
#define GET(o, counter) atomic_load_explicit(&(o)->counters.counter, memory_order_relaxed)

/* What QEMU's stream is parsed for; the outflow is their userdata. */
extern const struct ramstream_ops outflow_stream_ops;

/* Everything that was parsed goes into frames. False: there is no room for all of it now. */
bool outflow_send_all(struct outflow *o);

/* Returns 1, a pause for the reader, when there is no room for more now. */
int outflow_make_room(struct outflow *o);

/* What has to leave before anything that follows it is parsed, does: what is before the tail, which
 * has frames of its own, and what prepares the target for post-copy, before which it takes no page.
 * False: no room for it now. */
bool outflow_clear_way(struct outflow *o);

/* Something waits for a frame. */
void outflow_note_waiting(struct outflow *o);

/* Returns 0 or an error of the flow. */
int outflow_open_ram(struct outflow *o);

/* Sends pages that QEMU has not come to yet, as they are in the RAM file: a few of them, if there is
 * nothing better to do. The guest may be writing them, or write them again before QEMU tells of them,
 * which is why all that it tells is still compared with what the target has; most of it is the same
 * by then. Only in its first pass, in which it sends every page. Returns whether there were any. */
bool outflow_read_ahead(struct outflow *o);

/* QEMU has come to a page that is not zero. */
void outflow_note_passed(struct outflow *o, uint64_t page);

/* QEMU's end of the socket takes more, and so do the lanes, until outflow_stream.c finds the first
 * pass at its end. */
void outflow_lengthen_queue(struct outflow *o);

#endif

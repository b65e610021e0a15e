/* SPDX-License-Identifier: Apache-2.0 */
#include <unistd.h>

#include "common/clock.h"
#include "migrator/outflow_internal.h"

/* Bytes a second. What a faster link carries by itself in no time is not worth reading and hashing
 * twice. */
#define LINK_MOST (UINT64_C(500) << 20)

/* How far ahead of QEMU is far enough, in the link's time for pages as they are. QEMU sends all of them
 * too, and while it catches up at the end of the pass the link has nothing to do. */
#define LEAD_NS (500 * NS_PER_MS)

static uint64_t end_of(const struct outflow *o)
{
	uint64_t pages = o->ram_bytes / RAMSTREAM_PAGE;

	return o->hold_at < pages ? o->hold_at : pages;
}

/* Before its first page QEMU may take longer than that. */
static bool is_far_ahead(struct outflow *o)
{
	double most = (double)pace_rate(&o->lanes.pace) * LEAD_NS / NS_PER_S;

	return GET(o, guest_bytes) && (double)(o->lead * RAMSTREAM_PAGE) > most;
}

/* Until QEMU's first page comes there is nothing else to do: it prepares, for a second with a large
 * guest. From then on this takes a processor's time from it, and is worth that where the link is
 * what all wait for. */
static bool is_worth_it(struct outflow *o)
{
	if (pace_rate(&o->lanes.pace) > LINK_MOST)
		return false;
	return !GET(o, guest_bytes) || effort_link_is_slower(&o->lanes.effort);
}

static bool may_read(struct outflow *o)
{
	return !GET(o, passes) && !o->mirror && !o->may_post_copy && !o->stopped && !o->qemu_eof &&
	       o->input_at == o->input_end && !o->asked.count && !lanes_down(&o->lanes) &&
	       !atomic_load(&o->paused) && is_worth_it(o) && !is_far_ahead(o);
}

/* The next pages that are in the file at all: what is a hole is zero. How many there are; 0: none,
 * or they cannot be read, which is QEMU's to complain of. */
static uint64_t read_next(struct outflow *o)
{
	uint64_t end = end_of(o) * RAMSTREAM_PAGE, len;
	off_t at = lseek(o->ram_fd, (off_t)(o->ahead * RAMSTREAM_PAGE), SEEK_DATA);
	ssize_t n;

	if (at < 0 || (uint64_t)at >= end)
		return 0;
	o->ahead = (uint64_t)at / RAMSTREAM_PAGE;
	len = end - o->ahead * RAMSTREAM_PAGE;
	n = pread(o->ram_fd, o->ahead_data, len < OUTFLOW_AHEAD ? len : OUTFLOW_AHEAD,
		  (off_t)(o->ahead * RAMSTREAM_PAGE));
	return n < 0 ? 0 : (uint64_t)n / RAMSTREAM_PAGE;
}

bool outflow_read_ahead(struct outflow *o)
{
	uint64_t at = o->last_offset / RAMSTREAM_PAGE, pages;

	if (!may_read(o) || outflow_make_room(o))
		return false;
	if (o->ahead < at) {
		o->ahead = at;
		o->lead = 0;
	}
	pages = read_next(o);
	for (uint64_t i = 0; i < pages && !outflow_make_room(o); i++) {
		o->lead += lanes_add_ahead(&o->lanes, o->ahead++,
					   o->ahead_data + i * RAMSTREAM_PAGE);
		outflow_note_waiting(o);
	}
	return pages;
}

void outflow_note_passed(struct outflow *o, uint64_t page)
{
	if (page < o->ahead && o->lead)
		o->lead--;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * How much may be on its way. A long queue in front of the link would make QEMU
 * believe in more bandwidth than there is (it stops the guest by that measure), and
 * everything that the blackout has to send would wait behind it. So the bytes
 * that are sent and not acknowledged are kept to what the link needs: rate times
 * round trip, both measured from our own acknowledgements, and a few
 * milliseconds more. The idea is BBR's (Cardwell et al., ACM Queue 14(5), 2016): the
 * best delivery rate and the least round trip of late make the window, and time in
 * which we had nothing to send says nothing about the link.
 *
 * Connections side by side share all of this: what may be on its way is counted over them
 * together, since they share the link. A pace_line is one of them.
 *
 * Pure: no clock, no socket. Times are ns of one monotonic clock.
 */
#ifndef MIGRATOR_PACE_H
#define MIGRATOR_PACE_H

#include <stdbool.h>
#include <stdint.h>

#define PACE_FLIGHTS 1024 /* frames on their way at most; a power of two */

/* Pages on their way that the target makes of what it has, at most: they cost the link next to nothing, so
 * the window does not bound them, and the target looks each up, perhaps on a disk. 64 MiB of a guest: less
 * than a tenth of a second of work, or a third of one for a disk of 200 MB/s. */
#define PACE_MADE_MAX 16384

struct pace_flight {
	uint64_t bytes_end;    /* total bytes sent, this frame included */
	uint64_t made_end;     /* the same of pages that the target makes */
	uint64_t sent_ns;
};

struct pace_epoch { /* the rate is measured over one after the other */
	uint64_t since_ns;
	uint64_t bytes; /* acknowledged in it */
	bool starved;   /* the link has been waiting for us */
};

struct pace_filter { /* the best of the last one to two periods */
	uint64_t value, older;
	uint64_t since_ns;
};

struct pace {
	uint64_t unacked; /* bytes sent and not acknowledged, over all lines */
	uint64_t unacked_made; /* pages that the target makes, likewise */
	struct pace_epoch epoch;
	struct pace_filter rate, rtt;
	uint64_t rate_smooth; /* bytes a second; 0: not known yet, and then there is */
	uint64_t rate_floor;  /* what it is at least */
	uint64_t cap;         /* bytes a second, 0: none */
	uint64_t cap_ns;      /* when the cap lets the next frame go */
};

struct pace_line { /* what is on its way on one connection */
	struct pace *pace;
	struct pace_flight flights[PACE_FLIGHTS];
	uint64_t sent_frames, acked_frames;
	uint64_t sent_bytes, acked_bytes;
	uint64_t sent_made, acked_made;
	uint64_t progress_ns; /* the last acknowledgement, or the first frame after all were acknowledged */
};

void pace_init(struct pace *p, uint64_t cap_bits_per_s, uint64_t now);

/* `p` remains the caller's and must outlive it. */
void pace_line_init(struct pace_line *line, struct pace *p, uint64_t now);

/* Bytes that may be on their way, on all lines together. */
uint64_t pace_window(const struct pace *p);

/* How long the next frame has to wait for the cap: ns, 0: not at all;
 * UINT64_MAX: until an acknowledgement comes. */
uint64_t pace_delay(const struct pace_line *line, uint64_t now);

/* A frame goes, with `made` pages that the target makes of what it has. `starved`: there was
 * nothing to send before it. */
void pace_sent(struct pace_line *line, uint64_t bytes, uint32_t made, bool starved, uint64_t now);

/* The peer has acknowledged `frames` frames in all. Returns false when that
 * cannot be: more than were sent, or fewer than before. */
bool pace_acked(struct pace_line *line, uint64_t frames, uint64_t now);

/* The connection was lost and there is another: the peer has `frames`, those behind are no
 * longer on their way. What was measured is kept. Returns false as pace_acked(). */
bool pace_resume(struct pace_line *line, uint64_t frames, uint64_t now);

uint64_t pace_unacked(const struct pace *p); /* bytes, of all lines */
uint64_t pace_line_unacked(const struct pace_line *line);

/* How long nothing was acknowledged though something is on its way; ns. */
uint64_t pace_silence(const struct pace_line *line, uint64_t now);

uint64_t pace_rate(const struct pace *p);   /* bytes a second, smoothed; 0: unknown */
uint64_t pace_rtt_ns(const struct pace *p); /* least of late; 0: unknown */

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * The frames that an interface sends and receives, as a packet socket sees them (packet(7)): in a
 * ring of blocks that the kernel fills, each with the time at which it came by (TPACKET_V3). The
 * socket takes CAP_NET_RAW; what interface it looks at can be told later, without it.
 */
#ifndef TELEMETRY_PACKET_RING_H
#define TELEMETRY_PACKET_RING_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"

struct packet_ring;

/* It sees nothing yet. Non-blocking. */
int packet_ring_new(struct packet_ring **ret);
void packet_ring_free(struct packet_ring *r);
DEFINE_CLEANUP(struct packet_ring, packet_ring_free)

/* To poll for reading: readable when a block is full, or some 20 ms after its first frame. */
int packet_ring_fd(const struct packet_ring *r);

/* From now on frames must pass this filter, and are cut to what it returns. */
int packet_ring_set_filter(struct packet_ring *r, const struct sock_filter *code, size_t n);

/* Looks at the interface of that name, all that passes there, whomever it is for; to be called
 * again and again, as an interface may go and come. 0; 1 when it has just been found; -ENODEV:
 * there is none; -EPROTONOSUPPORT: it is no Ethernet. */
int packet_ring_attach(struct packet_ring *r, const char *interface);

/* Its index; 0: none. */
uint32_t packet_ring_interface(const struct packet_ring *r);

typedef void (*packet_ring_fn)(const void *frame, size_t len, uint64_t utc_ns, void *userdata);

/* Tells the frames of one block. Returns false when there was none. */
bool packet_ring_take(struct packet_ring *r, packet_ring_fn fn, void *userdata);

/* Frames that did not fit since the last call. */
uint64_t packet_ring_dropped(struct packet_ring *r);

#endif

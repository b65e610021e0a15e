/* SPDX-License-Identifier: Apache-2.0
 *
 * Several moves to one peer share the way there by priority. Each counts the bytes that it sends
 * in a time of its own, which goes the slower the more weight it has (start-time fair queueing:
 * Goyal, Vin and Cheng, SIGCOMM 1996); whoever is ahead of one that the link keeps
 * waiting waits for it. A move that the link does not keep waiting, because its processor or
 * its guest has no more to send, keeps nobody waiting either: so the link stays full.
 *
 * Called from the threads of the moves and from the owner's; everything is under one lock that
 * nobody holds for long. Times are ns of one monotonic clock.
 */
#ifndef MIGRATOR_SHARE_H
#define MIGRATOR_SHARE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cleanup.h"

enum share_priority { SHARE_LOW, SHARE_NORMAL, SHARE_HIGH };

struct share;
struct share_member;

int share_new(struct share **ret);
void share_free(struct share *s); /* all members have left. NULL is fine */
DEFINE_CLEANUP(struct share, share_free)

/* A move to `peer` begins; -ENOMEM. */
int share_join(struct share *s, const char *peer, enum share_priority priority,
	       struct share_member **ret);
void share_leave(struct share_member *m); /* NULL is fine */

void share_set_priority(struct share_member *m, enum share_priority priority);

/* Its guest stands still: from now on it waits for nobody, and all others for it. */
void share_set_urgent(struct share_member *m);

/* The nice value that its thread should have: the processor is shared by the same rule. */
int share_nice(struct share_member *m);

/* How long the next frame has to wait for others before it asks again; ns, 0: not at all. */
uint64_t share_delay(struct share_member *m, uint64_t now);

/* A frame goes. `starved`: the link had been waiting for it, not it for the link. */
void share_sent(struct share_member *m, uint64_t bytes, bool starved, uint64_t now);

#endif

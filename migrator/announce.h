/* SPDX-License-Identifier: Apache-2.0
 *
 * The network follows the guest. When it runs at its new host QEMU sends RARP packets from the guest's
 * addresses, by which bridges and switches learn where it is now. Those that leave at once may be
 * lost, as on a port that is not forwarding yet; a client would then speak to the old
 * host until the guest happens to send something. So they are repeated, and it is looked whether this
 * host's bridge has learnt the address at the guest's tap.
 */
#ifndef MIGRATOR_ANNOUNCE_H
#define MIGRATOR_ANNOUNCE_H

struct uuid;
struct vm;

/* The guest of `vm` has begun to run here. What does not succeed is logged, and a warning in the
 * record of the move, whose name this is between the two nodes. */
void announce_begin(struct vm *vm, const struct uuid *move);

/* Forgets about it; also when nothing was begun. */
void announce_end(struct vm *vm);

#endif

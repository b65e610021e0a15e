/* SPDX-License-Identifier: Apache-2.0
 *
 * The tail: what QEMU writes after the guest's memory, the state of its devices.
 * It differs little from one move of a VM to the next, so the last one goes along
 * with the VM (luggage.h) and is the dictionary that the next one is compressed
 * with. Both ends have it when they say the same mark; without it, for whatever
 * reason, the tail is compressed alone.
 */
#ifndef MIGRATOR_TAIL_H
#define MIGRATOR_TAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"

#define TAIL_MAX ((size_t)512 << 10) /* longer ones are not kept */

/* A VM's last tail, to compress and expand with; one thread at a time. */
struct tail;

/* Makes what the luggage carries of a tail: 0 and a buffer for free(), -E2BIG when it is
 * longer than TAIL_MAX, -EINVAL when it is none that could be used, -ENOMEM. */
int tail_pack(const uint8_t *tail, size_t len, uint8_t **ret, size_t *ret_len);

/* Reads that back, from wherever it came. -EBADMSG or -ENOMEM. */
int tail_unpack(const uint8_t *packed, size_t len, struct tail **ret);
void tail_free(struct tail *t);
DEFINE_CLEANUP(struct tail, tail_free)

/* A hash of its bytes (XXH3): two ends that say the same have the same. */
uint64_t tail_mark(const struct tail *t);

/* Compresses a piece of the new tail. Returns its length, 0 when it is not shorter than
 * `size`. */
size_t tail_compress(struct tail *t, const uint8_t *piece, size_t len, uint8_t *out, size_t size);

/* Exactly `out_len` bytes, or false. */
bool tail_expand(struct tail *t, const uint8_t *in, size_t len, uint8_t *out, size_t out_len);

#endif

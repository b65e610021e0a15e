/* SPDX-License-Identifier: Apache-2.0
 *
 * What is kept of senders that anyone can make up has a fixed size: each has a slot by its
 * address without the port, under a key that nobody knows, so that one host shares the slot of a
 * few others at most.
 */
#ifndef TELEMETRY_SOURCE_SLOT_H
#define TELEMETRY_SOURCE_SLOT_H

#include <sodium.h>

#include "common/address.h"

#define SOURCE_SLOTS 256

struct source_slots {
	uint8_t key[crypto_shorthash_KEYBYTES];
};

void source_slots_init(struct source_slots *s);

/* 0 to SOURCE_SLOTS - 1. */
unsigned source_slot(const struct source_slots *s, const struct address *from);

#endif

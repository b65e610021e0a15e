/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory that goes all at once: what messages are made of.
 */
#ifndef PLACEMENT_ARENA_H
#define PLACEMENT_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include "common/cleanup.h"

/* Begins as zeroes. */
struct arena {
	struct arena_block *first;
	bool failed;
};

void *arena_alloc(struct arena *arena, size_t n, size_t size); /* zeroed; NULL: arena->failed */
void arena_free(struct arena *arena);

#endif

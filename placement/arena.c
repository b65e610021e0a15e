/* SPDX-License-Identifier: Apache-2.0 */
#include "placement/arena.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

struct arena_block {
	struct arena_block *next;
	_Alignas(max_align_t) uint8_t data[];
};

void *arena_alloc(struct arena *arena, size_t n, size_t size)
{
	struct arena_block *b;
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes) ||
	    __builtin_add_overflow(bytes, sizeof(*b), &bytes) || !(b = calloc(1, bytes))) {
		arena->failed = true;
		return NULL;
	}
	b->next = arena->first;
	arena->first = b;
	return b->data;
}

void arena_free(struct arena *arena)
{
	struct arena_block *next;

	for (struct arena_block *b = arena->first; b; b = next) {
		next = b->next;
		free(b);
	}
	*arena = (struct arena){ 0 };
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * A sorted array of pointers: lookups by key, walks in order. Filling it in
 * order costs nothing extra, which is how the store hands things out.
 */
#ifndef PLACEMENT_INDEX_H
#define PLACEMENT_INDEX_H

#include <stddef.h>

struct index {
	void **items;
	size_t n, room;
	/* Less than, equal to or greater than 0, like strcmp(). */
	int (*compare)(const void *key, const void *item);
};

void *index_find(const struct index *index, const void *key);

/* Where the first item is that is not before the key. */
size_t index_seek(const struct index *index, const void *key);

/* -EEXIST, -ENOMEM. The item belongs to the caller. */
int index_insert(struct index *index, const void *key, void *item);

/* Returns the item, or NULL. */
void *index_remove(struct index *index, const void *key);

/* Frees the array, not the items. */
void index_clear(struct index *index);

#define INDEX_FOREACH(item, index)                                            \
	for (size_t item##_i_ = 0;                                            \
	     item##_i_ < (index)->n && ((item) = (index)->items[item##_i_], 1); \
	     item##_i_++)

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "placement/index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

size_t index_seek(const struct index *index, const void *key)
{
	size_t low = 0, high = index->n;

	if (index->n > 0 && index->compare(key, index->items[index->n - 1]) > 0)
		return index->n;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (index->compare(key, index->items[middle]) > 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void *index_find(const struct index *index, const void *key)
{
	size_t at = index_seek(index, key);

	if (at == index->n || index->compare(key, index->items[at]) != 0)
		return NULL;
	return index->items[at];
}

int index_insert(struct index *index, const void *key, void *item)
{
	size_t at = index_seek(index, key);

	if (at < index->n && index->compare(key, index->items[at]) == 0)
		return -EEXIST;
	if (index->n == index->room) {
		size_t room = index->room ? 2 * index->room : 16;
		void **items = reallocarray(index->items, room, sizeof(*items));

		if (!items)
			return -ENOMEM;
		index->items = items;
		index->room = room;
	}
	memmove(&index->items[at + 1], &index->items[at], (index->n - at) * sizeof(*index->items));
	index->items[at] = item;
	index->n++;
	return 0;
}

void *index_remove(struct index *index, const void *key)
{
	size_t at = index_seek(index, key);
	void *item;

	if (at == index->n || index->compare(key, index->items[at]) != 0)
		return NULL;
	item = index->items[at];
	index->n--;
	memmove(&index->items[at], &index->items[at + 1], (index->n - at) * sizeof(*index->items));
	return item;
}

void index_clear(struct index *index)
{
	free(index->items);
	index->items = NULL;
	index->n = index->room = 0;
}

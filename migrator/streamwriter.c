/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/streamwriter.h"

#include <string.h>

#include "common/cursor.h"

size_t streamwriter_bytes(struct streamwriter *w, const uint8_t *data, size_t len)
{
	size_t room = w->size - w->len;
	size_t n = len < room ? len : room;

	memcpy(w->data + w->len, data, n);
	w->len += n;
	return n;
}

int streamwriter_page(struct streamwriter *w, const struct ramstream_block *block,
		      uint64_t offset, const uint8_t *data)
{
	struct wcursor c = wcursor_over(w->data + w->len, w->size - w->len);
	size_t name_length = strlen(block->name);

	wcursor_u64(&c, offset | (data ? RAMSTREAM_PAGE_DATA : RAMSTREAM_ZERO));
	wcursor_u8(&c, (uint8_t)name_length);
	wcursor_bytes(&c, block->name, name_length);
	if (data)
		wcursor_bytes(&c, data, RAMSTREAM_PAGE);
	else
		wcursor_u8(&c, 0);
	if (!wcursor_ok(&c))
		return -ENOBUFS;
	w->len += wcursor_used(&c);
	return 0;
}

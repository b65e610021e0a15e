/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes a migration stream for the destination's QEMU out of what ramstream.h
 * read: verbatim bytes as they are, and the pages that travel in the stream
 * (those of all blocks but the shared one), each with its block's name, since
 * "same block as before" means nothing once pages in between are taken out.
 */
#ifndef MIGRATOR_STREAMWRITER_H
#define MIGRATOR_STREAMWRITER_H

#include <stddef.h>
#include <stdint.h>

#include "migrator/ramstream.h"

/* The most that one page takes: word, name, contents. */
#define STREAMWRITER_PAGE_MAX (8 + 256 + RAMSTREAM_PAGE)

struct streamwriter {
	uint8_t *data; /* the caller's */
	size_t size;
	size_t len;
};

/* Appends as many of the bytes as there is room for; returns how many. */
size_t streamwriter_bytes(struct streamwriter *w, const uint8_t *data, size_t len);

/* Appends a page, whole or not at all. data is NULL for a zero page. Returns 0
 * or -ENOBUFS. */
int streamwriter_page(struct streamwriter *w, const struct ramstream_block *block,
		      uint64_t offset, const uint8_t *data);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * A stream captured from QEMU 7.2 (tests/data/qemu/README.md), and a reader's
 * events written down as text, so that two readings can be compared.
 */
#ifndef TESTS_UNIT_MIGRATOR_CAPTURE_H
#define TESTS_UNIT_MIGRATOR_CAPTURE_H

#include <criterion/criterion.h>
#include <inttypes.h>
#include <string.h>

#include "common/file.h"
#include "migrator/ramstream.h"
#include "migrator/streamwriter.h"

#define CAPTURE_SHARED "ram0"

static inline uint8_t *capture_load(size_t *ret_len)
{
	const char *top = getenv("top_srcdir");
	char path[512], *text = NULL;

	snprintf(path, sizeof(path), "%s/tests/data/qemu/q35-7.2-1016k.stream", top ? top : ".");
	cr_assert_eq(file_read(path, 1 << 20, &text, ret_len, NULL), 0, "%s", path);
	return (uint8_t *)text;
}

/* Reads a stream as outflow does: the shared block's pages are counted, all else
 * is written again. */
struct capture_reader {
	struct ramstream *rs;
	struct streamwriter w;
	uint8_t out[256 << 10];
	unsigned shared;
	unsigned shared_pages, shared_zero, other_pages;
	unsigned sections[4];
	unsigned commands, tails;
	uint32_t last_ping;
	uint64_t sum; /* of everything that was said, in order */
};

static inline void capture_sum(struct capture_reader *c, const void *data, size_t len)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < len; i++)
		c->sum = (c->sum ^ p[i]) * UINT64_C(0x100000001b3);
}

static inline int capture_bytes(void *u, const uint8_t *data, size_t len)
{
	struct capture_reader *c = u;

	capture_sum(c, data, len);
	return streamwriter_bytes(&c->w, data, len) == len ? 0 : -ENOBUFS;
}

static inline int capture_block(void *u, unsigned index, const struct ramstream_block *b)
{
	struct capture_reader *c = u;

	if (strcmp(b->name, CAPTURE_SHARED) == 0)
		c->shared = index;
	return 0;
}

static inline int capture_page(void *u, unsigned index, uint64_t offset, const uint8_t *data)
{
	struct capture_reader *c = u;

	capture_sum(c, &index, sizeof(index));
	capture_sum(c, &offset, sizeof(offset));
	if (data)
		capture_sum(c, data, RAMSTREAM_PAGE);
	if (index == c->shared) {
		c->shared_pages++;
		c->shared_zero += !data;
		return 0;
	}
	c->other_pages++;
	return streamwriter_page(&c->w, ramstream_block_at(c->rs, index), offset, data);
}

static inline int capture_section(void *u, enum ramstream_element kind)
{
	struct capture_reader *c = u;

	c->sections[kind & 3]++;
	return 0;
}

static inline int capture_command(void *u, enum ramstream_command command, uint32_t value)
{
	struct capture_reader *c = u;

	c->commands++;
	if (command == RAMSTREAM_PING)
		c->last_ping = value;
	return 0;
}

static inline int capture_tail(void *u)
{
	struct capture_reader *c = u;

	c->tails++;
	return 0;
}

static const struct ramstream_ops capture_ops = {
	capture_bytes, capture_block, capture_page, capture_section, capture_command, capture_tail,
};

static inline struct capture_reader *capture_reader_new(void)
{
	struct capture_reader *c = calloc(1, sizeof(*c));

	c->shared = UINT32_MAX;
	c->w = (struct streamwriter){ .data = c->out, .size = sizeof(c->out) };
	cr_assert_eq(ramstream_new(&capture_ops, c, &c->rs), 0);
	return c;
}

static inline void capture_reader_free(struct capture_reader *c)
{
	ramstream_free(c->rs);
	free(c);
}

#endif

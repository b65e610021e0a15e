/* SPDX-License-Identifier: Apache-2.0
 *
 * QEMU's migration stream, in chunks of any size. Besides not crashing: every page
 * lies inside its block, and what is written for the destination is a stream
 * again that reads without an error.
 */
#include <stdlib.h>
#include <string.h>

#include "migrator/ramstream.h"
#include "migrator/streamwriter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct run {
	struct ramstream *rs;
	struct streamwriter w;
	unsigned pages;
};

static uint8_t written[1 << 20];

static int on_bytes(void *userdata, const uint8_t *data, size_t len)
{
	struct run *run = userdata;

	if (len == 0 || len > RAMSTREAM_PAGE)
		abort();
	return streamwriter_bytes(&run->w, data, len) == len ? 0 : -ENOBUFS;
}

static int on_page(void *userdata, unsigned index, uint64_t offset, const uint8_t *data)
{
	struct run *run = userdata;
	const struct ramstream_block *b = ramstream_block_at(run->rs, index);

	if (!b || offset % RAMSTREAM_PAGE || offset > b->length - RAMSTREAM_PAGE)
		abort();
	run->pages++;
	return streamwriter_page(&run->w, b, offset, data);
}

static int on_again(void *userdata, unsigned index, uint64_t offset, const uint8_t *data)
{
	struct run *run = userdata;

	(void)index, (void)offset, (void)data;
	run->pages++;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct ramstream_ops ops = { .bytes = on_bytes, .page = on_page };
	static const struct ramstream_ops again_ops = { .page = on_again };
	struct run run = { .w = { .data = written, .size = sizeof(written) } }, again = { 0 };
	size_t step, at = 1;
	ssize_t n = 0;

	if (size < 2)
		return 0;
	step = data[0] ? data[0] * 17u : size;
	if (ramstream_new(&ops, &run, &run.rs) < 0 ||
	    ramstream_new(&again_ops, &again, &again.rs) < 0)
		abort();
	while (n >= 0 && at < size) {
		n = ramstream_feed(run.rs, data + at, size - at < step ? size - at : step, NULL);
		at += n > 0 ? (size_t)n : 0;
	}
	if (n >= 0) {
		n = ramstream_feed(again.rs, written, run.w.len, NULL);
		if (n < 0 || again.pages != run.pages)
			abort();
	}
	ramstream_free(run.rs);
	ramstream_free(again.rs);
	return 0;
}

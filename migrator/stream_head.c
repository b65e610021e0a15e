/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/stream_head.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* A list of as many blocks as there may be, with names as long as they may be, and what comes
 * before it. */
#define HEAD_MAX (80 << 10)

struct peek {
	struct stream_head head;
	bool pages; /* begin: the list has ended */
};

static int on_block(void *userdata, unsigned index, const struct ramstream_block *block)
{
	struct peek *p = userdata;

	(void)index;
	if (block->length > p->head.ram.length)
		p->head.ram = *block;
	return 0;
}

static int on_command(void *userdata, enum ramstream_command command, uint32_t value)
{
	struct peek *p = userdata;

	(void)value;
	p->head.returns |= command == RAMSTREAM_OPEN_RETURN_PATH;
	return 0;
}

static int on_section(void *userdata, enum ramstream_element kind)
{
	struct peek *p = userdata;

	p->pages = kind != RAMSTREAM_START;
	return p->pages;
}

static int on_page(void *userdata, unsigned index, uint64_t offset, const uint8_t *data)
{
	struct peek *p = userdata;

	(void)index, (void)offset, (void)data;
	p->pages = true;
	return 1;
}

static const struct ramstream_ops ops = {
	.block = on_block,
	.command = on_command,
	.section = on_section,
	.page = on_page,
};

int stream_head_peek(int fd, struct stream_head *ret, struct mg_error *err)
{
	_cleanup_(ramstream_free_p) struct ramstream *stream = NULL;
	_cleanup_free_ uint8_t *data = malloc(HEAD_MAX);
	struct peek p = { 0 };
	ssize_t n;

	if (!data || ramstream_new(&ops, &p, &stream) < 0)
		return mg_error_set(err, -ENOMEM, "out of memory");
	n = recv(fd, data, HEAD_MAX, MSG_PEEK | MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		return mg_error_set(err, -ECONNRESET, "QEMU closed its migration socket");
	n = ramstream_feed(stream, data, (size_t)n, err);
	if (n < 0)
		return (int)n;
	if (!p.pages && !(p.head.ram.length && ramstream_between_sections(stream)))
		return 0;
	*ret = p.head;
	return 1;
}

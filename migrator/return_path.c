/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/return_path.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

#include "common/cursor.h"

#define HEADER_SIZE 4
#define MESSAGE_SIZE 8  /* of SHUT and PONG */
#define REQUEST_SIZE 12 /* offset and length */

void return_path_tune(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags >= 0)
		(void)fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
}

int return_path_send(int fd, enum return_path_type type, uint32_t value)
{
	uint8_t message[MESSAGE_SIZE];
	struct wcursor c = wcursor_over(message, sizeof(message));
	ssize_t n;

	wcursor_u16(&c, (uint16_t)type);
	wcursor_u16(&c, sizeof(value));
	wcursor_u32(&c, value);
	do
		n = send(fd, message, sizeof(message), MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0; /* a unix socket takes so little whole or not at all */
}

static bool is_known(const struct return_path_reader *r, uint16_t type, uint16_t length)
{
	switch (type) {
	case RETURN_PATH_SHUT:
	case RETURN_PATH_PONG:
		return length == sizeof(uint32_t);
	case RETURN_PATH_REQ_PAGES_ID: /* a name has 1 to 255 bytes */
		return r->post_copy && length > REQUEST_SIZE + 1 && length <= REQUEST_SIZE + 256;
	case RETURN_PATH_REQ_PAGES:
		return r->post_copy && length == REQUEST_SIZE && r->block_len;
	}
	return false;
}

/* Takes what is missing to `want` bytes. */
static bool have(struct return_path_reader *r, size_t want, const uint8_t **data, size_t *len)
{
	size_t n = want - r->have < *len ? want - r->have : *len;

	memcpy(r->held + r->have, *data, n);
	r->have += n;
	*data += n;
	*len -= n;
	return r->have == want;
}

/* Keeps the block's name, or adds it. */
static int name_block(struct return_path_reader *r, uint16_t type)
{
	struct wcursor c = wcursor_over(r->held, HEADER_SIZE);
	const uint8_t *name = r->held + HEADER_SIZE + REQUEST_SIZE;

	if (type == RETURN_PATH_REQ_PAGES_ID) {
		r->block_len = r->len - HEADER_SIZE - REQUEST_SIZE;
		if ((size_t)name[0] + 1 != r->block_len)
			return -EPROTO;
		memcpy(r->block, name, r->block_len);
	} else if (type == RETURN_PATH_REQ_PAGES) {
		memcpy(r->held + r->len, r->block, r->block_len);
		r->len += r->block_len;
		wcursor_u16(&c, RETURN_PATH_REQ_PAGES_ID);
		wcursor_u16(&c, (uint16_t)(REQUEST_SIZE + r->block_len));
	}
	return 0;
}

int return_path_read(struct return_path_reader *r, const uint8_t **data, size_t *len,
		     enum return_path_type *ret_type, uint32_t *ret_value, struct mg_error *err)
{
	struct rcursor c = rcursor_over(r->held, HEADER_SIZE + sizeof(uint32_t));
	uint16_t type, length;
	int res = 0;

	if (r->have < HEADER_SIZE && !have(r, HEADER_SIZE, data, len))
		return 0;
	type = rcursor_u16(&c);
	length = rcursor_u16(&c);
	if (!is_known(r, type, length))
		res = -EPROTO;
	else if (!have(r, HEADER_SIZE + length, data, len))
		return 0;
	r->len = r->have;
	r->have = 0;
	if (res == 0)
		res = name_block(r, type);
	if (res < 0)
		return mg_error_set(err, res, "QEMU's return path: message of type %u with %u "
				    "bytes", type, length);
	*ret_type = type;
	*ret_value = length == sizeof(uint32_t) ? rcursor_u32(&c) : 0;
	return 1;
}

/* ---- What was said --------------------------------------------------------------------- */

void return_log_add(struct return_log *l, const uint8_t *message, size_t len)
{
	struct return_log_message *m = &l->messages[l->made++ % RETURN_LOG_KEPT];

	m->len = (uint16_t)len;
	memcpy(m->bytes, message, len);
	if (l->made - l->taken > RETURN_LOG_KEPT)
		l->taken = l->made - RETURN_LOG_KEPT;
}

size_t return_log_take(struct return_log *l, uint8_t *out, size_t size)
{
	size_t used = 0;

	for (; l->taken < l->made; l->taken++) {
		const struct return_log_message *m = &l->messages[l->taken % RETURN_LOG_KEPT];

		if (size - used < m->len)
			break;
		memcpy(out + used, m->bytes, m->len);
		used += m->len;
	}
	return used;
}

void return_log_again(struct return_log *l)
{
	l->taken = l->made > RETURN_LOG_KEPT ? l->made - RETURN_LOG_KEPT : 0;
}

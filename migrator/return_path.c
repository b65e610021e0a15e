/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/return_path.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

#include "common/cursor.h"

#define MESSAGE_SIZE 8 /* of both types that we know */

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

int return_path_read(struct return_path_reader *r, const uint8_t **data, size_t *len,
		     enum return_path_type *ret_type, uint32_t *ret_value, struct mg_error *err)
{
	size_t n = MESSAGE_SIZE - r->have < *len ? MESSAGE_SIZE - r->have : *len;
	struct rcursor c = rcursor_over(r->held, MESSAGE_SIZE);
	uint16_t type, length;

	memcpy(r->held + r->have, *data, n);
	r->have += n;
	*data += n;
	*len -= n;
	if (r->have < MESSAGE_SIZE)
		return 0;
	r->have = 0;
	type = rcursor_u16(&c);
	length = rcursor_u16(&c);
	if ((type != RETURN_PATH_SHUT && type != RETURN_PATH_PONG) || length != sizeof(uint32_t))
		return mg_error_set(err, -EPROTO, "QEMU's return path: message of type %u with %u "
				    "bytes", type, length);
	*ret_type = type;
	*ret_value = rcursor_u32(&c);
	return 1;
}

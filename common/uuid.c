/* SPDX-License-Identifier: Apache-2.0 */
#include "common/uuid.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>

struct uuid uuid_random(void)
{
	struct uuid u;

	randombytes_buf(u.bytes, sizeof(u.bytes));
	u.bytes[6] = (uint8_t)((u.bytes[6] & 0x0f) | 0x40);
	u.bytes[8] = (uint8_t)((u.bytes[8] & 0x3f) | 0x80);
	return u;
}

const char *uuid_format(const struct uuid *u, char text[UUID_TEXT_SIZE])
{
	const uint8_t *b = u->bytes;

	snprintf(text, UUID_TEXT_SIZE,
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
		 b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11],
		 b[12], b[13], b[14], b[15]);
	return text;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int uuid_parse(const char *text, struct uuid *ret)
{
	struct uuid u;
	const char *p = text;

	for (int i = 0; i < UUID_SIZE; i++) {
		int high, low;

		if (i == 4 || i == 6 || i == 8 || i == 10)
			if (*p++ != '-')
				return -EINVAL;
		high = hex_digit(p[0]);
		low = high < 0 ? -1 : hex_digit(p[1]);
		if (low < 0)
			return -EINVAL;
		u.bytes[i] = (uint8_t)(high << 4 | low);
		p += 2;
	}
	if (*p)
		return -EINVAL;
	*ret = u;
	return 0;
}

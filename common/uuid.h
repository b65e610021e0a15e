/* SPDX-License-Identifier: Apache-2.0
 *
 * Identities: random UUIDs of version 4 (RFC 9562), 16 bytes in network order.
 */
#ifndef COMMON_UUID_H
#define COMMON_UUID_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define UUID_SIZE 16
#define UUID_TEXT_SIZE 37 /* with the closing NUL */

struct uuid {
	uint8_t bytes[UUID_SIZE];
};

struct uuid uuid_random(void);

/* Writes the 36 characters of the canonical form and a NUL; returns `text`. */
const char *uuid_format(const struct uuid *u, char text[UUID_TEXT_SIZE]);

/* Parses the canonical form, either case. Returns 0, or -EINVAL. */
int uuid_parse(const char *text, struct uuid *ret);

static inline bool uuid_equal(const struct uuid *a, const struct uuid *b)
{
	return memcmp(a->bytes, b->bytes, UUID_SIZE) == 0;
}

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * Bounded cursors over bytes from outside. The error is sticky: read or write
 * a whole structure, then check cursor_ok() once at its end. A read past the
 * end yields zero and moves nothing; a write past the end writes nothing.
 * Integers are big-endian, as on every wire of this project.
 */
#ifndef COMMON_CURSOR_H
#define COMMON_CURSOR_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct rcursor {
	const uint8_t *at;
	const uint8_t *end;
	bool failed;
};

struct wcursor {
	uint8_t *at;
	uint8_t *end;
	uint8_t *start;
	bool failed;
};

static inline struct rcursor rcursor_over(const void *data, size_t len)
{
	const uint8_t *p = data;

	return (struct rcursor){ .at = p, .end = p + len };
}

static inline struct wcursor wcursor_over(void *data, size_t len)
{
	uint8_t *p = data;

	return (struct wcursor){ .at = p, .end = p + len, .start = p };
}

static inline bool rcursor_ok(const struct rcursor *c)
{
	return !c->failed;
}

static inline size_t rcursor_left(const struct rcursor *c)
{
	return (size_t)(c->end - c->at);
}

static inline bool wcursor_ok(const struct wcursor *c)
{
	return !c->failed;
}

static inline size_t wcursor_used(const struct wcursor *c)
{
	return (size_t)(c->at - c->start);
}

/* The next n bytes in place, or NULL. They live as long as the data below. */
static inline const uint8_t *rcursor_bytes(struct rcursor *c, size_t n)
{
	const uint8_t *p = c->at;

	if (c->failed || n > rcursor_left(c)) {
		c->failed = true;
		return NULL;
	}
	c->at += n;
	return p;
}

static inline uint8_t *wcursor_space(struct wcursor *c, size_t n)
{
	uint8_t *p = c->at;

	if (c->failed || n > (size_t)(c->end - c->at)) {
		c->failed = true;
		return NULL;
	}
	c->at += n;
	return p;
}

static inline void wcursor_bytes(struct wcursor *c, const void *data, size_t n)
{
	uint8_t *p = wcursor_space(c, n);

	if (!c->failed && n) /* not "p": gcc 12 then warns about a NULL that cannot be */
		memcpy(p, data, n);
}

#define CURSOR_DEFINE(bits, to_host, to_wire)                                  \
	static inline uint##bits##_t rcursor_u##bits(struct rcursor *c)        \
	{                                                                      \
		const uint8_t *p = rcursor_bytes(c, bits / 8);                 \
		uint##bits##_t v = 0;                                          \
                                                                               \
		if (p)                                                         \
			memcpy(&v, p, sizeof(v));                              \
		return to_host(v);                                             \
	}                                                                      \
	static inline void wcursor_u##bits(struct wcursor *c, uint##bits##_t v) \
	{                                                                      \
		v = to_wire(v);                                                \
		wcursor_bytes(c, &v, sizeof(v));                               \
	}

#define CURSOR_AS_IS(v) (v)
CURSOR_DEFINE(8, CURSOR_AS_IS, CURSOR_AS_IS)
CURSOR_DEFINE(16, be16toh, htobe16)
CURSOR_DEFINE(32, be32toh, htobe32)
CURSOR_DEFINE(64, be64toh, htobe64)
#undef CURSOR_AS_IS
#undef CURSOR_DEFINE

#endif

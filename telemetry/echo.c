/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/echo.h"

#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <sodium.h>

#include "common/cursor.h"

_Static_assert(ECHO_KEY_SIZE == crypto_shorthash_KEYBYTES, "the token's key");

/* RFC 1071. */
static uint16_t checksum(const uint8_t *data, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i += 2)
		sum += (uint32_t)data[i] << 8 | data[i + 1];
	while (sum >> 16)
		sum = (sum & UINT16_MAX) + (sum >> 16);
	return (uint16_t)~sum;
}

void echo_request_pack(const struct echo *e, bool v6, uint8_t packet[ECHO_SIZE])
{
	struct wcursor c = wcursor_over(packet, ECHO_SIZE), sum = wcursor_over(packet + 2, 2);

	wcursor_u8(&c, v6 ? ICMP6_ECHO_REQUEST : ICMP_ECHO);
	wcursor_u8(&c, 0);
	wcursor_u16(&c, 0);
	wcursor_u16(&c, e->identifier);
	wcursor_u16(&c, (uint16_t)e->sequence);
	wcursor_u32(&c, e->sequence);
	wcursor_u64(&c, e->t1);
	wcursor_u64(&c, e->token);
	if (!v6)
		wcursor_u16(&sum, checksum(packet, ECHO_SIZE));
}

/* Returns false for what is not well-formed, or not of that type. */
static bool unpack(struct rcursor *c, uint8_t type, struct echo *ret)
{
	bool is_right = rcursor_u8(c) == type;
	uint16_t low;

	is_right &= rcursor_u8(c) == 0;
	rcursor_u16(c);
	ret->identifier = rcursor_u16(c);
	low = rcursor_u16(c);
	ret->sequence = rcursor_u32(c);
	ret->t1 = rcursor_u64(c);
	ret->token = rcursor_u64(c);
	return rcursor_ok(c) && rcursor_left(c) == 0 && is_right && low == (uint16_t)ret->sequence;
}

void echo_request_peek(const uint8_t packet[ECHO_SIZE], struct echo *ret)
{
	struct rcursor c = rcursor_over(packet, ECHO_SIZE);

	(void)unpack(&c, packet[0], ret);
}

int echo_reply_unpack(const void *data, size_t len, bool v6, struct echo *ret)
{
	struct rcursor c = rcursor_over(data, len);
	struct echo e;

	if (!unpack(&c, v6 ? ICMP6_ECHO_REPLY : ICMP_ECHOREPLY, &e))
		return -EBADMSG;
	*ret = e;
	return 0;
}

int echo_skip_header(const void *data, size_t len, const uint8_t **ret, size_t *ret_len)
{
	struct rcursor c = rcursor_over(data, len);
	uint8_t version_and_words = rcursor_u8(&c), protocol;
	size_t size = (size_t)(version_and_words & 15) * 4, left;

	rcursor_bytes(&c, 8);
	protocol = rcursor_u8(&c);
	rcursor_bytes(&c, 10);
	if (!rcursor_ok(&c) || version_and_words >> 4 != 4 || size < 20 || protocol != IPPROTO_ICMP)
		return -EBADMSG;
	rcursor_bytes(&c, size - 20);
	left = rcursor_left(&c);
	if (!rcursor_ok(&c))
		return -EBADMSG;
	*ret = (const uint8_t *)data + size;
	*ret_len = left;
	return 0;
}

bool echo_has_identifier(const void *message, size_t len, uint16_t identifier)
{
	struct rcursor c = rcursor_over(message, len);
	bool is_same;

	rcursor_bytes(&c, 4);
	is_same = rcursor_u16(&c) == identifier;
	return rcursor_ok(&c) && is_same;
}

uint64_t echo_token(const uint8_t key[ECHO_KEY_SIZE], const struct uuid *client,
		    const struct echo *e)
{
	uint8_t data[UUID_SIZE + 12], out[crypto_shorthash_BYTES];
	struct wcursor w = wcursor_over(data, sizeof(data));
	struct rcursor r = rcursor_over(out, sizeof(out));

	wcursor_bytes(&w, client->bytes, UUID_SIZE);
	wcursor_u32(&w, e->sequence);
	wcursor_u64(&w, e->t1);
	crypto_shorthash(out, data, sizeof(data), key);
	return rcursor_u64(&r);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/stamp.h"

#include <errno.h>
#include <sodium.h>
#include <sys/timex.h>

#include "common/clock.h"
#include "common/cursor.h"

#define NTP_TO_UNIX_S UINT64_C(2208988800) /* 1900 to 1970 */
#define NTP_ERA_S (UINT64_C(1) << 32)

/* What the HMAC of the authenticated mode is of. */
#define COVERED_SIZE (STAMP_AUTH_SIZE - STAMP_HMAC_SIZE)

uint64_t stamp_time_pack(enum stamp_format format, uint64_t utc_ns)
{
	uint64_t s = utc_ns / NS_PER_S, ns = utc_ns % NS_PER_S;

	if (format == STAMP_PTP)
		return s << 32 | ns;
	/* Rounded up, so that unpacking, which truncates, gives ns again. */
	return (s + NTP_TO_UNIX_S) << 32 | ((ns << 32) + NS_PER_S - 1) / NS_PER_S;
}

uint64_t stamp_time_unpack(enum stamp_format format, uint64_t wire)
{
	uint64_t s = wire >> 32, low = wire & UINT32_MAX;

	if (format == STAMP_PTP)
		return s * NS_PER_S + low;
	if (s < NTP_ERA_S / 2)
		s += NTP_ERA_S;
	return (s - NTP_TO_UNIX_S) * NS_PER_S + (low * NS_PER_S >> 32);
}

uint16_t stamp_error_pack(enum stamp_format format, bool synchronized, uint64_t error_ns)
{
	uint64_t s = error_ns / NS_PER_S, ns = error_ns % NS_PER_S;
	uint64_t multiplier; /* of 2^-32 s, rounded up */
	unsigned scale = 0;

	if (s > UINT32_MAX >> 1)
		s = UINT32_MAX >> 1;
	multiplier = s << 32 | ((ns << 32) + NS_PER_S - 1) / NS_PER_S;
	for (; multiplier > UINT8_MAX; scale++)
		multiplier = (multiplier + 1) / 2;
	if (multiplier == 0)
		multiplier = 1;
	return (uint16_t)((synchronized ? 0x8000 : 0) | (format == STAMP_PTP ? 0x4000 : 0) |
			  scale << 8 | multiplier);
}

uint16_t stamp_error_of_clock(enum stamp_format format)
{
	struct timex t = { 0 };
	bool synchronized = adjtimex(&t) >= 0 && !(t.status & STA_UNSYNC);
	uint64_t error_us = t.esterror > 0 ? (uint64_t)t.esterror : 0;

	return stamp_error_pack(format, synchronized, error_us * NS_PER_US);
}

struct stamp_reply stamp_reply_to(const struct stamp_request *p, uint64_t received_utc_ns,
				  uint64_t now_utc_ns, uint8_t ttl, uint16_t error_estimate)
{
	enum stamp_format format = stamp_error_format(p->error_estimate);

	return (struct stamp_reply){
		.sequence = p->sequence,
		.t2 = stamp_time_pack(format, received_utc_ns),
		.t3 = stamp_time_pack(format, now_utc_ns),
		.error_estimate =
			(uint16_t)((error_estimate & ~0x4000) | (format == STAMP_PTP ? 0x4000 : 0)),
		.sender = *p,
		.sender_ttl = ttl,
	};
}

/* ---- Unauthenticated ---------------------------------------------------------------- */

static void pack_request(struct wcursor *c, const struct stamp_request *p)
{
	wcursor_u32(c, p->sequence);
	wcursor_u64(c, p->t1);
	wcursor_u16(c, p->error_estimate);
}

void stamp_request_pack(const struct stamp_request *p, uint8_t packet[STAMP_SIZE])
{
	struct wcursor c = wcursor_over(packet, STAMP_SIZE);

	memset(packet, 0, STAMP_SIZE);
	pack_request(&c, p);
	wcursor_u16(&c, p->ssid);
}

void stamp_reply_pack(const struct stamp_reply *p, uint8_t packet[STAMP_SIZE])
{
	struct wcursor c = wcursor_over(packet, STAMP_SIZE);

	memset(packet, 0, STAMP_SIZE);
	wcursor_u32(&c, p->sequence);
	wcursor_u64(&c, p->t3);
	wcursor_u16(&c, p->error_estimate);
	wcursor_u16(&c, p->sender.ssid);
	wcursor_u64(&c, p->t2);
	pack_request(&c, &p->sender);
	wcursor_space(&c, 2);
	wcursor_u8(&c, p->sender_ttl);
}

static void unpack_request(struct rcursor *c, struct stamp_request *p)
{
	p->sequence = rcursor_u32(c);
	p->t1 = rcursor_u64(c);
	p->error_estimate = rcursor_u16(c);
}

int stamp_request_unpack(const void *data, size_t len, struct stamp_request *ret)
{
	struct rcursor c = rcursor_over(data, len);
	struct stamp_request p;

	unpack_request(&c, &p);
	p.ssid = rcursor_u16(&c);
	rcursor_bytes(&c, 28);
	if (!rcursor_ok(&c))
		return -EBADMSG;
	*ret = p;
	return 0;
}

int stamp_reply_unpack(const void *data, size_t len, struct stamp_reply *ret)
{
	struct rcursor c = rcursor_over(data, len);
	struct stamp_reply p;
	uint16_t ssid;

	p.sequence = rcursor_u32(&c);
	p.t3 = rcursor_u64(&c);
	p.error_estimate = rcursor_u16(&c);
	ssid = rcursor_u16(&c);
	p.t2 = rcursor_u64(&c);
	unpack_request(&c, &p.sender);
	p.sender.ssid = ssid;
	rcursor_bytes(&c, 2);
	p.sender_ttl = rcursor_u8(&c);
	rcursor_bytes(&c, 3);
	if (!rcursor_ok(&c))
		return -EBADMSG;
	*ret = p;
	return 0;
}

/* ---- Authenticated --------------------------------------------------------------------- */

void stamp_hmac(const uint8_t key[STAMP_KEY_SIZE], const void *first, size_t first_len,
		const void *second, size_t second_len, uint8_t ret[STAMP_HMAC_SIZE])
{
	crypto_auth_hmacsha256_state state;
	uint8_t whole[crypto_auth_hmacsha256_BYTES];

	crypto_auth_hmacsha256_init(&state, key, STAMP_KEY_SIZE);
	crypto_auth_hmacsha256_update(&state, first, first_len);
	crypto_auth_hmacsha256_update(&state, second, second_len);
	crypto_auth_hmacsha256_final(&state, whole);
	memcpy(ret, whole, STAMP_HMAC_SIZE);
}

static void sign(uint8_t packet[STAMP_AUTH_SIZE], const uint8_t key[STAMP_KEY_SIZE])
{
	stamp_hmac(key, packet, COVERED_SIZE, NULL, 0, packet + COVERED_SIZE);
}

static int verify(const void *data, size_t len, const uint8_t key[STAMP_KEY_SIZE])
{
	uint8_t hmac[STAMP_HMAC_SIZE];

	if (len < STAMP_AUTH_SIZE)
		return -EBADMSG;
	stamp_hmac(key, data, COVERED_SIZE, NULL, 0, hmac);
	return sodium_memcmp(hmac, (const uint8_t *)data + COVERED_SIZE, sizeof(hmac)) ? -EBADE : 0;
}

void stamp_auth_request_pack(const struct stamp_request *p, const uint8_t key[STAMP_KEY_SIZE],
			     uint8_t packet[STAMP_AUTH_SIZE])
{
	struct wcursor c = wcursor_over(packet, STAMP_AUTH_SIZE);

	memset(packet, 0, STAMP_AUTH_SIZE);
	wcursor_u32(&c, p->sequence);
	wcursor_space(&c, 12);
	wcursor_u64(&c, p->t1);
	wcursor_u16(&c, p->error_estimate);
	wcursor_u16(&c, p->ssid);
	sign(packet, key);
}

void stamp_auth_reply_pack(const struct stamp_reply *p, const uint8_t key[STAMP_KEY_SIZE],
			   uint8_t packet[STAMP_AUTH_SIZE])
{
	struct wcursor c = wcursor_over(packet, STAMP_AUTH_SIZE);

	memset(packet, 0, STAMP_AUTH_SIZE);
	wcursor_u32(&c, p->sequence);
	wcursor_space(&c, 12);
	wcursor_u64(&c, p->t3);
	wcursor_u16(&c, p->error_estimate);
	wcursor_u16(&c, p->sender.ssid);
	wcursor_space(&c, 4);
	wcursor_u64(&c, p->t2);
	wcursor_space(&c, 8);
	wcursor_u32(&c, p->sender.sequence);
	wcursor_space(&c, 12);
	wcursor_u64(&c, p->sender.t1);
	wcursor_u16(&c, p->sender.error_estimate);
	wcursor_space(&c, 6);
	wcursor_u8(&c, p->sender_ttl);
	sign(packet, key);
}

void stamp_auth_request_peek(const uint8_t packet[STAMP_AUTH_SIZE], struct stamp_request *ret)
{
	struct rcursor c = rcursor_over(packet, STAMP_AUTH_SIZE);

	ret->sequence = rcursor_u32(&c);
	rcursor_bytes(&c, 12);
	ret->t1 = rcursor_u64(&c);
	ret->error_estimate = rcursor_u16(&c);
	ret->ssid = rcursor_u16(&c);
}

int stamp_auth_request_unpack(const void *data, size_t len, const uint8_t key[STAMP_KEY_SIZE],
			      struct stamp_request *ret)
{
	int r = verify(data, len, key);

	if (r == 0)
		stamp_auth_request_peek(data, ret);
	return r;
}

int stamp_auth_reply_unpack(const void *data, size_t len, const uint8_t key[STAMP_KEY_SIZE],
			    struct stamp_reply *ret)
{
	struct rcursor c = rcursor_over(data, len);
	int r = verify(data, len, key);

	if (r < 0)
		return r;
	ret->sequence = rcursor_u32(&c);
	rcursor_bytes(&c, 12);
	ret->t3 = rcursor_u64(&c);
	ret->error_estimate = rcursor_u16(&c);
	ret->sender.ssid = rcursor_u16(&c);
	rcursor_bytes(&c, 4);
	ret->t2 = rcursor_u64(&c);
	rcursor_bytes(&c, 8);
	ret->sender.sequence = rcursor_u32(&c);
	rcursor_bytes(&c, 12);
	ret->sender.t1 = rcursor_u64(&c);
	ret->sender.error_estimate = rcursor_u16(&c);
	rcursor_bytes(&c, 6);
	ret->sender_ttl = rcursor_u8(&c);
	return 0;
}

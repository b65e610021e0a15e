/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/stamp.h"

#include <errno.h>
#include <sys/timex.h>

#include "common/clock.h"
#include "common/cursor.h"

#define NTP_TO_UNIX_S UINT64_C(2208988800) /* 1900 to 1970 */
#define NTP_ERA_S (UINT64_C(1) << 32)

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
}

void stamp_reply_pack(const struct stamp_reply *p, uint8_t packet[STAMP_SIZE])
{
	struct wcursor c = wcursor_over(packet, STAMP_SIZE);

	memset(packet, 0, STAMP_SIZE);
	wcursor_u32(&c, p->sequence);
	wcursor_u64(&c, p->t3);
	wcursor_u16(&c, p->error_estimate);
	wcursor_space(&c, 2);
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
	rcursor_bytes(&c, 30);
	if (!rcursor_ok(&c))
		return -EBADMSG;
	*ret = p;
	return 0;
}

int stamp_reply_unpack(const void *data, size_t len, struct stamp_reply *ret)
{
	struct rcursor c = rcursor_over(data, len);
	struct stamp_reply p;

	p.sequence = rcursor_u32(&c);
	p.t3 = rcursor_u64(&c);
	p.error_estimate = rcursor_u16(&c);
	rcursor_bytes(&c, 2);
	p.t2 = rcursor_u64(&c);
	unpack_request(&c, &p.sender);
	rcursor_bytes(&c, 2);
	p.sender_ttl = rcursor_u8(&c);
	rcursor_bytes(&c, 3);
	if (!rcursor_ok(&c))
		return -EBADMSG;
	*ret = p;
	return 0;
}

int stamp_reflect(void *data, size_t len, uint64_t received_utc_ns, uint64_t now_utc_ns,
		  uint8_t ttl, uint16_t error_estimate)
{
	struct stamp_reply reply = { .sender_ttl = ttl };
	enum stamp_format format;
	int r;

	r = stamp_request_unpack(data, len, &reply.sender);
	if (r < 0)
		return r;
	format = stamp_error_format(reply.sender.error_estimate);
	reply.sequence = reply.sender.sequence;
	reply.t2 = stamp_time_pack(format, received_utc_ns);
	reply.t3 = stamp_time_pack(format, now_utc_ns);
	reply.error_estimate = (uint16_t)((error_estimate & ~0x4000) |
					  (format == STAMP_PTP ? 0x4000 : 0));
	stamp_reply_pack(&reply, data);
	return 0;
}

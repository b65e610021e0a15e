/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "telemetry/stamp.h"

/* 2026-11-21 04:30:00.5 UTC: 1,795,235,400.5 s after 1970, which is 0x6b011e48,
 * and 4,004,224,200 s (0xeeab9cc8) after 1900. */
#define T UINT64_C(1795235400500000000)

/* Laid out by hand after RFC 8762, figures 3 and 4. Error Estimate 0x8a01: S,
 * NTP, scale 10, multiplier 1: 2^-22 s. */
static const uint8_t request_ntp[STAMP_SIZE] = {
	0x01, 0x02, 0x03, 0x04,                         /* Sequence Number */
	0xee, 0xab, 0x9c, 0xc8, 0x80, 0x00, 0x00, 0x00, /* Timestamp */
	0x8a, 0x01,                                     /* Error Estimate */
};
static const uint8_t reply_ntp[STAMP_SIZE] = {
	0x01, 0x02, 0x03, 0x04,                         /* Sequence Number */
	0xee, 0xab, 0x9c, 0xc8, 0xe0, 0x00, 0x00, 0x00, /* Timestamp: .875 */
	0x05, 0xff,                                     /* Error Estimate */
	0x00, 0x00,                                     /* MBZ */
	0xee, 0xab, 0x9c, 0xc8, 0xc0, 0x00, 0x00, 0x00, /* Receive Timestamp: .75 */
	0x01, 0x02, 0x03, 0x04,                         /* Session-Sender Sequence Number */
	0xee, 0xab, 0x9c, 0xc8, 0x80, 0x00, 0x00, 0x00, /* Session-Sender Timestamp */
	0x8a, 0x01,                                     /* Session-Sender Error Estimate */
	0x00, 0x00,                                     /* MBZ */
	0x3f,                                           /* Session-Sender TTL */
	0x00, 0x00, 0x00,                               /* MBZ */
};
static const uint8_t request_ptp[STAMP_SIZE] = {
	0xff, 0xff, 0xff, 0xff,                         /* Sequence Number */
	0x6b, 0x01, 0x1e, 0x48, 0x1d, 0xcd, 0x65, 0x00, /* 500,000,000 ns */
	0x40, 0x01,                                     /* Error Estimate: Z */
};
static const uint8_t reply_ptp[STAMP_SIZE] = {
	0xff, 0xff, 0xff, 0xff,                         /* Sequence Number */
	0x6b, 0x01, 0x1e, 0x48, 0x34, 0x27, 0x70, 0xc0, /* 875,000,000 ns */
	0x45, 0xff,                                     /* Error Estimate: Z */
	0x00, 0x00,                                     /* MBZ */
	0x6b, 0x01, 0x1e, 0x48, 0x2c, 0xb4, 0x17, 0x80, /* 750,000,000 ns */
	0xff, 0xff, 0xff, 0xff,                         /* Session-Sender Sequence Number */
	0x6b, 0x01, 0x1e, 0x48, 0x1d, 0xcd, 0x65, 0x00, /* Session-Sender Timestamp */
	0x40, 0x01,                                     /* Session-Sender Error Estimate */
	0x00, 0x00,                                     /* MBZ */
	0xff,                                           /* Session-Sender TTL */
	0x00, 0x00, 0x00,                               /* MBZ */
};

Test(stamp, requests_match_the_rfc_byte_for_byte)
{
	const struct stamp_request ntp = { 0x01020304, stamp_time_pack(STAMP_NTP, T), 0x8a01, 0 };
	const struct stamp_request ptp = { UINT32_MAX, stamp_time_pack(STAMP_PTP, T), 0x4001, 0 };
	uint8_t packet[STAMP_SIZE];

	memset(packet, 0xaa, sizeof(packet));
	stamp_request_pack(&ntp, packet);
	cr_assert_arr_eq(packet, request_ntp, sizeof(packet));
	stamp_request_pack(&ptp, packet);
	cr_assert_arr_eq(packet, request_ptp, sizeof(packet));
}

/* Packs what a stateless reflector answers to a request, T2 and T3 being .75 and .875. */
static void answer(const uint8_t *request, uint8_t ttl, uint8_t ret[STAMP_SIZE])
{
	struct stamp_request p;
	struct stamp_reply reply;

	cr_assert_eq(stamp_request_unpack(request, STAMP_SIZE, &p), 0);
	reply = stamp_reply_to(&p, T + 250 * NS_PER_MS, T + 375 * NS_PER_MS, ttl, 0x05ff);
	memset(ret, 0xaa, STAMP_SIZE);
	stamp_reply_pack(&reply, ret);
}

Test(stamp, replies_match_the_rfc_byte_for_byte)
{
	uint8_t packet[STAMP_SIZE];

	answer(request_ntp, 63, packet);
	cr_assert_arr_eq(packet, reply_ntp, sizeof(packet));
	answer(request_ptp, 255, packet);
	cr_assert_arr_eq(packet, reply_ptp, sizeof(packet));
}

Test(stamp, session_identifiers_go_there_and_back)
{
	const struct stamp_request p = { .sequence = 1, .ssid = 0xbeef };
	uint8_t request[STAMP_SIZE], reply[STAMP_SIZE];
	struct stamp_reply r;

	stamp_request_pack(&p, request);
	cr_assert_arr_eq(request + 14, "\xbe\xef", 2);
	answer(request, 64, reply);
	cr_assert_arr_eq(reply + 14, "\xbe\xef", 2);
	cr_assert_eq(stamp_reply_unpack(reply, sizeof(reply), &r), 0);
	cr_assert_eq(r.sender.ssid, 0xbeef);
}

Test(stamp, replies_are_read)
{
	struct stamp_reply p;

	cr_assert_eq(stamp_reply_unpack(reply_ptp, sizeof(reply_ptp), &p), 0);
	cr_assert_eq(p.sequence, UINT32_MAX);
	cr_assert_eq(p.sender.sequence, UINT32_MAX);
	cr_assert_eq(stamp_error_format(p.error_estimate), STAMP_PTP);
	cr_assert_eq(stamp_time_unpack(STAMP_PTP, p.t2), T + 250 * NS_PER_MS);
	cr_assert_eq(stamp_time_unpack(STAMP_PTP, p.t3), T + 375 * NS_PER_MS);
	cr_assert_eq(stamp_time_unpack(STAMP_PTP, p.sender.t1), T);
	cr_assert_eq(p.sender_ttl, 255);
	cr_assert_eq(stamp_reply_unpack(reply_ntp, sizeof(reply_ntp), &p), 0);
	cr_assert_eq(stamp_error_format(p.error_estimate), STAMP_NTP);
	cr_assert_eq(stamp_time_unpack(STAMP_NTP, p.t3), T + 375 * NS_PER_MS);
}

Test(stamp, short_packets_are_refused)
{
	struct stamp_request request = { .sequence = 7 };
	struct stamp_reply reply = { .sequence = 7 };
	uint8_t packet[STAMP_SIZE];

	for (size_t len = 0; len < STAMP_SIZE; len++) {
		memcpy(packet, request_ntp, sizeof(packet));
		cr_assert_eq(stamp_request_unpack(packet, len, &request), -EBADMSG);
		cr_assert_eq(stamp_reply_unpack(packet, len, &reply), -EBADMSG);
	}
	cr_assert_eq(request.sequence, 7);
	cr_assert_eq(reply.sequence, 7);
}

Test(stamp, reserved_bytes_are_ignored)
{
	struct stamp_request p;
	uint8_t packet[STAMP_SIZE];

	memset(packet, 0xff, sizeof(packet));
	memcpy(packet, request_ntp, 14);
	cr_assert_eq(stamp_request_unpack(packet, sizeof(packet), &p), 0);
	cr_assert_eq(p.sequence, 0x01020304);
}

Test(stamp, times_go_there_and_back)
{
	static const uint64_t instants[] = {
		0, 1, 999999999, T, T + 1, T + 499999999,
		UINT64_C(2085978495999999999), /* the last of NTP's era 0 */
		UINT64_C(2085978496000000000), /* the first of era 1 */
		UINT64_C(4000000000000000001),
	};

	for (size_t i = 0; i < ARRAY_SIZE(instants); i++) {
		uint64_t t = instants[i];

		cr_assert_eq(stamp_time_unpack(STAMP_PTP, stamp_time_pack(STAMP_PTP, t)), t);
		/* Era 0 before 1968 and era 1 share their numbers. */
		cr_assert_eq(stamp_time_unpack(STAMP_NTP, stamp_time_pack(STAMP_NTP, t)), t, "%lu",
			     t);
	}
	cr_assert_eq(stamp_time_pack(STAMP_NTP, 0), UINT64_C(0x83aa7e80) << 32);
	cr_assert_eq(stamp_time_pack(STAMP_NTP, UINT64_C(2085978496) * NS_PER_S), 0);
}

/* Multiplier × 2^(Scale - 32) seconds, in units of 2^-32 s. */
static double error_of(uint16_t e)
{
	return (double)(e & 0xff) * (double)(UINT64_C(1) << ((e >> 8) & 0x3f));
}

Test(stamp, error_estimates_round_up_and_are_never_zero)
{
	cr_assert_eq(stamp_error_pack(STAMP_NTP, false, 0), 0x0001);
	cr_assert_eq(stamp_error_pack(STAMP_PTP, true, 0), 0xc001);
	/* 1 s = 2^32 units = 128 × 2^25 */
	cr_assert_eq(stamp_error_pack(STAMP_NTP, true, NS_PER_S), 0x8000 | 25 << 8 | 128);
	for (uint64_t ns = 1; ns < UINT64_C(1) << 62; ns = ns * 5 / 3 + 1) {
		uint16_t e = stamp_error_pack(STAMP_NTP, false, ns);
		double units = (double)ns * 4.294967296;

		cr_assert_geq(e & 0xff, 1);
		if (ns / NS_PER_S < INT32_MAX) {
			cr_assert_geq(error_of(e), units);
			cr_assert_leq(error_of(e), units * 1.02 + 1);
		}
	}
	cr_assert_neq(stamp_error_of_clock(STAMP_PTP) & 0xff, 0);
	cr_assert_eq(stamp_error_format(stamp_error_of_clock(STAMP_PTP)), STAMP_PTP);
}

/* ---- Authenticated ------------------------------------------------------------------------ */

/* Laid out by hand after RFC 8762, figures 5 and 7, and RFC 8972, figures 3 and 4; HMACs are from
 * Python's hmac module. */
static const uint8_t key[STAMP_KEY_SIZE] = {
	0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
	16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
};
static const uint8_t auth_request[STAMP_AUTH_SIZE] = {
	[0] = 0x01, 0x02, 0x03, 0x04,                          /* Sequence Number */
	[16] = 0xee, 0xab, 0x9c, 0xc8, 0x80, 0x00, 0x00, 0x00, /* Timestamp */
	[24] = 0x8a, 0x01,                                     /* Error Estimate */
	[26] = 0xbe, 0xef,                                     /* SSID */
	[96] = 0x63, 0xd0, 0x73, 0x21, 0x38, 0x64, 0x9e, 0x74, /* HMAC */
	0x57, 0xbe, 0x4b, 0x09, 0x46, 0xc3, 0x5e, 0xdb,
};
static const uint8_t auth_reply[STAMP_AUTH_SIZE] = {
	[0] = 0x01, 0x02, 0x03, 0x04,                          /* Sequence Number */
	[16] = 0xee, 0xab, 0x9c, 0xc8, 0xe0, 0x00, 0x00, 0x00, /* Timestamp */
	[24] = 0x05, 0xff,                                     /* Error Estimate */
	[26] = 0xbe, 0xef,                                     /* SSID */
	[32] = 0xee, 0xab, 0x9c, 0xc8, 0xc0, 0x00, 0x00, 0x00, /* Receive Timestamp */
	[48] = 0x01, 0x02, 0x03, 0x04,                         /* Session-Sender Sequence Number */
	[64] = 0xee, 0xab, 0x9c, 0xc8, 0x80, 0x00, 0x00, 0x00, /* Session-Sender Timestamp */
	[72] = 0x8a, 0x01,                                     /* Session-Sender Error Estimate */
	[80] = 0x3f,                                           /* Session-Sender TTL */
	[96] = 0x4b, 0x0d, 0x11, 0x61, 0xee, 0xc3, 0xb1, 0x96, /* HMAC */
	0x3f, 0xa1, 0x9b, 0x1e, 0x8d, 0x5b, 0x4a, 0x0c,
};

Test(stamp, authenticated_packets_match_the_rfc_byte_for_byte)
{
	const struct stamp_request p = { 0x01020304, stamp_time_pack(STAMP_NTP, T), 0x8a01, 0xbeef };
	uint8_t packet[STAMP_AUTH_SIZE];
	struct stamp_request read;
	struct stamp_reply reply;

	memset(packet, 0xaa, sizeof(packet));
	stamp_auth_request_pack(&p, key, packet);
	cr_assert_arr_eq(packet, auth_request, sizeof(packet));
	cr_assert_eq(stamp_auth_request_unpack(packet, sizeof(packet), key, &read), 0);
	cr_assert_eq(read.sequence, p.sequence);
	cr_assert_eq(read.t1, p.t1);
	cr_assert_eq(read.error_estimate, p.error_estimate);
	cr_assert_eq(read.ssid, p.ssid);

	reply = stamp_reply_to(&read, T + 250 * NS_PER_MS, T + 375 * NS_PER_MS, 63, 0x05ff);
	memset(packet, 0xaa, sizeof(packet));
	stamp_auth_reply_pack(&reply, key, packet);
	cr_assert_arr_eq(packet, auth_reply, sizeof(packet));
}

Test(stamp, authenticated_replies_are_read)
{
	struct stamp_reply p;

	cr_assert_eq(stamp_auth_reply_unpack(auth_reply, sizeof(auth_reply), key, &p), 0);
	cr_assert_eq(p.sequence, 0x01020304);
	cr_assert_eq(stamp_time_unpack(STAMP_NTP, p.t2), T + 250 * NS_PER_MS);
	cr_assert_eq(stamp_time_unpack(STAMP_NTP, p.t3), T + 375 * NS_PER_MS);
	cr_assert_eq(p.sender.sequence, 0x01020304);
	cr_assert_eq(stamp_time_unpack(STAMP_NTP, p.sender.t1), T);
	cr_assert_eq(p.sender.error_estimate, 0x8a01);
	cr_assert_eq(p.sender.ssid, 0xbeef);
	cr_assert_eq(p.sender_ttl, 63);
}

Test(stamp, any_changed_bit_or_other_key_spoils_the_hmac)
{
	const uint8_t other[STAMP_KEY_SIZE] = { 1 };
	struct stamp_request request = { .sequence = 7 };
	struct stamp_reply reply = { .sequence = 7 };
	uint8_t packet[STAMP_AUTH_SIZE];

	for (unsigned bit = 0; bit < STAMP_AUTH_SIZE * 8; bit++) {
		memcpy(packet, auth_request, sizeof(packet));
		packet[bit / 8] ^= (uint8_t)(1u << bit % 8);
		cr_assert_eq(stamp_auth_request_unpack(packet, sizeof(packet), key, &request),
			     -EBADE, "bit %u", bit);
		memcpy(packet, auth_reply, sizeof(packet));
		packet[bit / 8] ^= (uint8_t)(1u << bit % 8);
		cr_assert_eq(stamp_auth_reply_unpack(packet, sizeof(packet), key, &reply), -EBADE,
			     "bit %u", bit);
	}
	cr_assert_eq(stamp_auth_reply_unpack(auth_reply, sizeof(auth_reply), other, &reply), -EBADE);
	for (size_t len = 0; len < STAMP_AUTH_SIZE; len++) {
		cr_assert_eq(stamp_auth_request_unpack(auth_request, len, key, &request), -EBADMSG);
		cr_assert_eq(stamp_auth_reply_unpack(auth_reply, len, key, &reply), -EBADMSG);
	}
	cr_assert_eq(request.sequence, 7);
	cr_assert_eq(reply.sequence, 7);
}

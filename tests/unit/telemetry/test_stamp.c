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
	const struct stamp_request ntp = { 0x01020304, stamp_time_pack(STAMP_NTP, T), 0x8a01 };
	const struct stamp_request ptp = { UINT32_MAX, stamp_time_pack(STAMP_PTP, T), 0x4001 };
	uint8_t packet[STAMP_SIZE];

	memset(packet, 0xaa, sizeof(packet));
	stamp_request_pack(&ntp, packet);
	cr_assert_arr_eq(packet, request_ntp, sizeof(packet));
	stamp_request_pack(&ptp, packet);
	cr_assert_arr_eq(packet, request_ptp, sizeof(packet));
}

Test(stamp, reflections_match_the_rfc_byte_for_byte)
{
	uint8_t packet[STAMP_SIZE];

	memcpy(packet, request_ntp, sizeof(packet));
	cr_assert_eq(stamp_reflect(packet, sizeof(packet), T + 250 * NS_PER_MS, T + 375 * NS_PER_MS,
				   63, 0x05ff), 0);
	cr_assert_arr_eq(packet, reply_ntp, sizeof(packet));
	memcpy(packet, request_ptp, sizeof(packet));
	cr_assert_eq(stamp_reflect(packet, sizeof(packet), T + 250 * NS_PER_MS, T + 375 * NS_PER_MS,
				   255, 0x05ff), 0);
	cr_assert_arr_eq(packet, reply_ptp, sizeof(packet));
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

Test(stamp, an_answer_is_as_long_as_its_request_and_keeps_what_follows)
{
	uint8_t packet[1400], before[1400];

	for (size_t i = 0; i < sizeof(packet); i++)
		packet[i] = (uint8_t)(i * 7 + 1);
	memcpy(before, packet, sizeof(packet));
	cr_assert_eq(stamp_reflect(packet, sizeof(packet), T, T, 1, 1), 0);
	cr_assert_arr_eq(packet + STAMP_SIZE, before + STAMP_SIZE, sizeof(packet) - STAMP_SIZE);
	cr_assert_arr_eq(packet + 24, before, 14);
}

Test(stamp, short_packets_are_refused_and_left_alone)
{
	struct stamp_request request = { .sequence = 7 };
	struct stamp_reply reply = { .sequence = 7 };
	uint8_t packet[STAMP_SIZE];

	for (size_t len = 0; len < STAMP_SIZE; len++) {
		memcpy(packet, request_ntp, sizeof(packet));
		cr_assert_eq(stamp_request_unpack(packet, len, &request), -EBADMSG);
		cr_assert_eq(stamp_reply_unpack(packet, len, &reply), -EBADMSG);
		cr_assert_eq(stamp_reflect(packet, len, T, T, 1, 1), -EBADMSG);
		cr_assert_arr_eq(packet, request_ntp, sizeof(packet));
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

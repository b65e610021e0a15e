/* SPDX-License-Identifier: Apache-2.0
 *
 * TLVs, laid out by hand after RFC 8972, sections 4.1 to 4.8.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "common/cleanup.h"
#include "telemetry/stamp_tlv.h"

static const uint8_t key[STAMP_KEY_SIZE] = {
	0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
	16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
};

static struct stamp_tlv_facts facts(const char *from, const char *to)
{
	struct stamp_tlv_facts f = {
		.dscp = 40,
		.ecn = 3,
		.dscps = UINT64_C(1) << 46 | UINT64_C(1) << 40,
		.clock_source = STAMP_CLOCK_NTP,
		.method_in = STAMP_METHOD_SOFTWARE,
		.method_out = STAMP_METHOD_HARDWARE,
		.has_session = true,
		.received = 0x10203040,
		.transmitted = 0x50607080,
		.has_last = true,
		.last_sequence = 0x01020304,
		.last_t3 = UINT64_C(0xeeab9cc8e0000000),
	};

	cr_assert_eq(address_parse(from, 0, &f.from), 0);
	cr_assert_eq(address_parse(to, 0, &f.to), 0);
	return f;
}

/* The answer to `request` must be `answer`, of the same length. Returns the DSCP. */
static uint8_t expect(const struct stamp_tlv_facts *f, const uint8_t *request,
		      const uint8_t *answer, size_t len)
{
	uint8_t tlvs[256];
	uint8_t dscp;

	memcpy(tlvs, request, len);
	dscp = stamp_tlv_reflect(tlvs, len, true, f);
	for (size_t i = 0; i < len; i++)
		cr_assert_eq(tlvs[i], answer[i], "byte %zu is %02x, not %02x", i, tlvs[i],
			     answer[i]);
	return dscp;
}

#define EXPECT(f, request, answer)                                                                 \
	({                                                                                         \
		_Static_assert(sizeof(request) == sizeof(answer), "of the same length");           \
		expect(f, request, answer, sizeof(request));                                       \
	})

Test(stamp_tlv, extra_padding_and_access_reports_come_back)
{
	static const uint8_t request[] = {
		0x80, 1, 0, 5, 'm', 'o', 'u', 's', 'e', /* Extra Padding */
		0x80, 6, 0, 4, 0x10, 1, 0, 0,           /* 3GPP, available */
		0x80, 6, 0, 4, 0x20, 2, 0, 0,           /* another, unavailable */
		0x80, 6, 0, 4, 0x30, 1, 0, 0,           /* there is no such network */
		0x80, 1, 0, 0,
	};
	static const uint8_t answer[] = {
		0x00, 1, 0, 5, 'm', 'o', 'u', 's', 'e', /**/
		0x00, 6, 0, 4, 0x10, 1, 0, 0,           /**/
		0x00, 6, 0, 4, 0x20, 2, 0, 0,           /**/
		0x80, 6, 0, 4, 0x30, 1, 0, 0,           /**/
		0x00, 1, 0, 0,
	};
	struct stamp_tlv_facts f = facts("192.0.2.1:1", "192.0.2.2:2");

	cr_assert_eq(EXPECT(&f, request, answer), 40);
}

Test(stamp_tlv, locations_are_told)
{
	static const uint8_t answer4[] = {
		0x00, 2, 0, 56, 0x03, 0x5e, 0xc3, 0x50,         /* ports 862 and 50000 */
		0x00, 3, 0, 8,  0,    0,    0,    0,    0, 0, 0, 0, /* no EUI-64 to be seen */
		0x00, 5, 0, 16, 192,  0,    2,    2,    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		0x00, 8, 0, 16, 192,  0,    2,    1,    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	};
	static const uint8_t answer6[] = {
		0x00, 2, 0, 56, 0x03, 0x5e, 0xc3, 0x50, /**/
		0x00, 3, 0, 8,  0,    0,    0,    0,    0, 0, 0, 0,
		0x00, 6, 0, 16, 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2,
		0x00, 9, 0, 16, 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
	};
	static const uint8_t asked[] = {
		0x80, 2, 0, 56, 0, 0, 0, 0,             /**/
		0x80, 1, 0, 8,  0, 0, 0, 0, 0, 0, 0, 0, /**/
		0x80, 4, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		0x80, 7, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	};
	struct stamp_tlv_facts f4 = facts("192.0.2.1:50000", "192.0.2.2:862");
	struct stamp_tlv_facts f6 = facts("[2001:db8::1]:50000", "[2001:db8::2]:862");
	uint8_t request[sizeof(asked)];
	struct wcursor c = wcursor_over(request, sizeof(request));

	cr_assert(stamp_tlv_add_location(&c));
	cr_assert_eq(wcursor_used(&c), sizeof(request));
	cr_assert_arr_eq(request, asked, sizeof(request));
	EXPECT(&f4, asked, answer4);
	EXPECT(&f6, asked, answer6);
	cr_assert_not(stamp_tlv_add_location(&c));
}

Test(stamp_tlv, what_does_not_ask_for_a_location_is_not_understood)
{
	static const uint8_t request[] = {
		0x80, 2, 0, 24, 0, 0, 0, 0,                         /**/
		0x80, 2, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0,              /**/
		0x80, 99, 0, 4, 1, 2, 3, 4,                         /**/
		0x80, 1, 0, 0,
	};
	static const uint8_t answer[] = {
		0x00, 2, 0, 24, 0, 2, 0, 1,                         /**/
		0x80, 2, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0,              /**/
		0x80, 99, 0, 4, 1, 2, 3, 4,                         /**/
		0x00, 1, 0, 0,
	};
	/* A Source MAC of a wrong length makes the whole TLV malformed, and ends it all. */
	static const uint8_t bad_request[] = {
		0x80, 2, 0, 12, 0, 0, 0, 0, 0x80, 1, 0, 4, 1, 2, 3, 4, 0x80, 1, 0, 0,
	};
	static const uint8_t bad_answer[] = {
		0x40, 2, 0, 12, 0, 2, 0, 1, 0x40, 1, 0, 4, 1, 2, 3, 4, 0x80, 1, 0, 0,
	};
	static const uint8_t short_request[] = { 0x80, 2, 0, 3, 7, 7, 7, 0x80, 1, 0, 0 };
	static const uint8_t short_answer[] = { 0x40, 2, 0, 3, 7, 7, 7, 0x80, 1, 0, 0 };
	struct stamp_tlv_facts f = facts("192.0.2.1:1", "192.0.2.2:2");

	EXPECT(&f, request, answer);
	EXPECT(&f, bad_request, bad_answer);
	EXPECT(&f, short_request, short_answer);
}

Test(stamp_tlv, clocks_and_counters_are_told)
{
	static const uint8_t request[] = {
		0x80, 3, 0, 4, 0, 0, 0, 0,                            /* Timestamp Information */
		0x80, 5, 0, 12, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0,   /* Direct Measurement */
		0x80, 7, 0, 16, 9, 9, 9, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, /* Follow-Up */
	};
	static const uint8_t answer[] = {
		0x00, 3, 0, 4, 1, 2, 1, 1, /**/
		0x00, 5, 0, 12, 0, 0, 1, 2, 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0x80,
		0x00, 7, 0, 16, 1, 2, 3, 4, 0xee, 0xab, 0x9c, 0xc8, 0xe0, 0, 0, 0, 1, 0, 0, 0,
	};
	/* Without state there are neither. */
	static const uint8_t stateless[] = {
		0x00, 3, 0, 4, 1, 2, 1, 1, /**/
		0x80, 5, 0, 12, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0,
		0x00, 7, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	};
	struct stamp_tlv_facts f = facts("192.0.2.1:1", "192.0.2.2:2");

	EXPECT(&f, request, answer);
	f.has_session = false;
	EXPECT(&f, request, stateless);
}

Test(stamp_tlv, a_class_of_service_is_wished_for)
{
	/* DSCP 46, and 10, which is not permitted. */
	static const uint8_t request[] = { 0x80, 4, 0, 4, 0xb8, 0, 0, 0 };
	static const uint8_t answer[] = { 0x00, 4, 0, 4, 0xba, 0x8c, 0, 0 };
	static const uint8_t refused[] = { 0x80, 4, 0, 4, 0x28, 0, 0, 0 };
	static const uint8_t refusal[] = { 0x00, 4, 0, 4, 0x2a, 0x8d, 0, 0 };
	struct stamp_tlv_facts f = facts("192.0.2.1:1", "192.0.2.2:2");

	cr_assert_eq(EXPECT(&f, request, answer), 46);
	cr_assert_eq(EXPECT(&f, refused, refusal), 40);
}

Test(stamp_tlv, unknown_ones_are_skipped_and_malformed_ones_end_it)
{
	static const uint8_t request[] = {
		0x80, 200, 0, 2, 1, 2,             /**/
		0x00, 0, 0, 0,                     /* reserved */
		0x80, 4, 0, 3, 1, 2, 3,            /* Class of Service, a byte short */
		0x80, 1, 0, 1, 5,
	};
	static const uint8_t answer[] = {
		0x80, 200, 0, 2, 1, 2,             /**/
		0x80, 0, 0, 0,                     /**/
		0x40, 4, 0, 3, 1, 2, 3,            /**/
		0x80, 1, 0, 1, 5,
	};
	static const uint8_t cut[] = { 0x80, 1, 0, 5, 1, 2, 3, 4 };
	static const uint8_t cut_answer[] = { 0x40, 1, 0, 5, 1, 2, 3, 4 };
	static const uint8_t stub[] = { 0x80, 1, 0, 0, 0x80, 1, 0 };
	static const uint8_t stub_answer[] = { 0x00, 1, 0, 0, 0x40, 1, 0 };
	static const uint8_t follow_up[] = { 0x80, 7, 0, 2, 9, 9 };
	static const uint8_t follow_up_answer[] = { 0x40, 7, 0, 2, 0, 0 };
	struct stamp_tlv_facts f = facts("192.0.2.1:1", "192.0.2.2:2");

	EXPECT(&f, request, answer);
	EXPECT(&f, cut, cut_answer);
	EXPECT(&f, stub, stub_answer);
	EXPECT(&f, follow_up, follow_up_answer);
}

/* Class of Service and HMAC, that from Python's hmac module. */
static const uint8_t whole[] = {
	0x80, 4, 0, 4, 0xb8, 0, 0, 0,                                       /**/
	0x80, 8, 0, 16, 0xc6, 0xdb, 0x88, 0x2c, 0xad, 0xa8, 0xc2, 0xd1, 0xd7, /**/
	0x62, 0x28, 0xe1, 0xed, 0x0a, 0x1d, 0x9e,
};

Test(stamp_tlv, hmacs_cover_sequence_number_and_what_is_before)
{
	uint8_t tlvs[sizeof(whole)], cleared[sizeof(whole)];

	cr_assert_eq(stamp_tlv_integrity(0x01020304, whole, sizeof(whole), key),
		     STAMP_INTEGRITY_RIGHT);
	cr_assert_eq(stamp_tlv_integrity(0x01020305, whole, sizeof(whole), key),
		     STAMP_INTEGRITY_WRONG);
	cr_assert_eq(stamp_tlv_integrity(0x01020304, whole, sizeof(whole), NULL),
		     STAMP_INTEGRITY_WRONG);
	cr_assert_eq(stamp_tlv_integrity(0x01020304, whole, 8, key), STAMP_INTEGRITY_NONE);
	for (unsigned bit = 0; bit < sizeof(whole) * 8; bit++) {
		/* The HMAC TLV's own header is not covered, but for what makes it one. */
		if (bit / 8 == 8)
			continue;
		memcpy(tlvs, whole, sizeof(tlvs));
		tlvs[bit / 8] ^= (uint8_t)(1u << bit % 8);
		cr_assert_neq(stamp_tlv_integrity(0x01020304, tlvs, sizeof(tlvs), key),
			      STAMP_INTEGRITY_RIGHT, "bit %u", bit);
	}
	memcpy(cleared, whole, sizeof(cleared));
	memset(cleared + 12, 0, STAMP_HMAC_SIZE);
	stamp_tlv_sign(0x01020304, cleared, sizeof(cleared), key);
	cr_assert_arr_eq(cleared, whole, sizeof(whole));
}

Test(stamp_tlv, only_padding_may_follow_an_hmac)
{
	static const uint8_t padding[] = { 0x80, 1, 0, 2, 1, 2, 0x80, 1, 0, 0 };
	static const uint8_t other[] = { 0x80, 3, 0, 4, 0, 0, 0, 0 };
	uint8_t tlvs[64];

	memcpy(tlvs, whole, sizeof(whole));
	memcpy(tlvs + sizeof(whole), padding, sizeof(padding));
	cr_assert_eq(stamp_tlv_integrity(0x01020304, tlvs, sizeof(whole) + sizeof(padding), key),
		     STAMP_INTEGRITY_RIGHT);
	memcpy(tlvs + sizeof(whole), other, sizeof(other));
	cr_assert_eq(stamp_tlv_integrity(0x01020304, tlvs, sizeof(whole) + sizeof(other), key),
		     STAMP_INTEGRITY_WRONG);
	/* A second HMAC, too, is something else than padding. */
	memcpy(tlvs + sizeof(whole), whole + 8, 20);
	cr_assert_eq(stamp_tlv_integrity(0x01020304, tlvs, sizeof(whole) + 20, key),
		     STAMP_INTEGRITY_WRONG);
	cr_assert_eq(stamp_tlv_integrity(1, padding, 6, key), STAMP_INTEGRITY_PADDING);
	cr_assert_eq(stamp_tlv_integrity(1, padding, sizeof(padding), key), STAMP_INTEGRITY_NONE);
	cr_assert_eq(stamp_tlv_integrity(1, whole + 8, 10, key), STAMP_INTEGRITY_WRONG);
}

Test(stamp_tlv, what_is_not_whole_is_marked_and_not_used)
{
	static const uint8_t request[] = {
		0x80, 4, 0, 4, 0xb8, 0, 0, 0, 0x80, 200, 0, 1, 5, 0x80, 1, 0, 9, 1,
	};
	static const uint8_t answer[] = {
		0x20, 4, 0, 4, 0xb8, 0, 0, 0, 0xa0, 200, 0, 1, 5, 0x20, 1, 0, 9, 1,
	};
	struct stamp_tlv_facts f = facts("192.0.2.1:1", "192.0.2.2:2");
	uint8_t tlvs[sizeof(request)];

	memcpy(tlvs, request, sizeof(tlvs));
	cr_assert_eq(stamp_tlv_reflect(tlvs, sizeof(tlvs), false, &f), 40);
	cr_assert_arr_eq(tlvs, answer, sizeof(tlvs));
}

Test(stamp_tlv, none_is_added_where_there_is_no_room)
{
	uint8_t data[7];
	struct wcursor c = wcursor_over(data, sizeof(data));

	cr_assert_null(stamp_tlv_add(&c, STAMP_TLV_ACCESS_REPORT, 4));
	cr_assert_not(wcursor_ok(&c));
}

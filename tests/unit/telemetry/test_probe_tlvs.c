/* SPDX-License-Identifier: Apache-2.0
 *
 * A sender's TLVs, and their answers, laid out by hand after RFC 8972, sections 4.1 to 4.8.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "telemetry/probe_tlvs.h"

static const uint8_t key[STAMP_KEY_SIZE] = {
	0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
	16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
};

static const struct probe_tlvs_wishes all = {
	.padding = 3,
	.class_of_service = true,
	.dscp = 46,
	.timestamp_information = true,
	.direct_measurement = true,
	.location = true,
	.follow_up = true,
	.access = STAMP_ACCESS_3GPP,
};

static struct probe_tlvs made(struct probe_tlvs_wishes wishes, bool authenticated)
{
	struct probe_tlvs t;

	probe_tlvs_make(&wishes, authenticated, &t);
	return t;
}

/* The answer with number 5 to the probe with number 7. */
static enum probe_tlvs_verdict read_answer(const struct probe_tlvs *t, const void *data, size_t len,
					   struct probe_tlvs_told *ret)
{
	const struct stamp_reply reply = { .sequence = 5, .sender.sequence = 7 };
	_cleanup_free_ uint8_t *exact = malloc(len ? len : 1); /* so that sanitizers see its end */

	memcpy(exact, data, len);
	return probe_tlvs_read(t, &reply, key, exact, len, ret);
}

#define READ(t, answer, ret) read_answer(t, answer, sizeof(answer), ret)

#define ZERO_8 0, 0, 0, 0, 0, 0, 0, 0
#define ZERO_16 ZERO_8, ZERO_8

/* All but the padding, which comes last. */
static const uint8_t asked[] = {
	0x80, 4, 0, 4, 0xb8, 0, 0, 0,            /* Class of Service: DSCP1 46 */
	0x80, 3, 0, 4, 0, 0, 0, 0,               /* Timestamp Information */
	0x80, 5, 0, 12, 0, 0, 0, 8, ZERO_8,      /* Direct Measurement: 8 were sent */
	0x80, 2, 0, 56, 0, 0, 0, 0,              /* Location: ports, and */
	0x80, 1, 0, 8, ZERO_8,                   /* Source MAC */
	0x80, 4, 0, 16, ZERO_16,                 /* Destination IP */
	0x80, 7, 0, 16, ZERO_16,                 /* Source IP */
	0x80, 6, 0, 4, 0x10, 1, 0, 0,            /* Access Report: 3GPP, available */
	0x80, 7, 0, 16, ZERO_16,                 /* Follow-Up Telemetry */
	0x80, 1, 0, 3,                           /* Extra Padding */
};

static const uint8_t answered[] = {
	0x00, 4, 0, 4, 0xba, 0x8d, 0, 0,         /* it came with 40, ECN 3, and 46 is refused */
	0x00, 3, 0, 4, 2, 1, 4, 3,               /* PTP in hardware; satellites, by the control plane */
	0x00, 5, 0, 12, 0, 0, 0, 8, 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0x80,
	0x00, 2, 0, 56, 0x03, 0x5e, 0xc3, 0x50,  /* at port 862, from 50000 */
	0x00, 3, 0, 8, ZERO_8,
	0x00, 5, 0, 16, 192, 0, 2, 2, 0, 0, 0, 0, ZERO_8,
	0x00, 8, 0, 16, 192, 0, 2, 1, 0, 0, 0, 0, ZERO_8,
	0x00, 6, 0, 4, 0x10, 1, 0, 0,
	0x00, 7, 0, 16, 1, 2, 3, 4, 0xee, 0xab, 0x9c, 0xc8, 0xe0, 0, 0, 0, 2, 0, 0, 0,
	0x00, 1, 0, 3, 'a', 'n', 'y',
};

enum { DIRECT = 16, LOCATION = 32, FOLLOW_UP = 100 }; /* where they are in that */

Test(probe_tlvs, all_are_asked_for_byte_by_byte)
{
	struct probe_tlvs t = made(all, false);
	uint8_t bytes[sizeof(asked) + 3 + 1];

	cr_assert_eq(t.len, sizeof(asked) + 3);
	memset(bytes, 0x5a, sizeof(bytes));
	probe_tlvs_write(&t, 7, NULL, bytes);
	for (size_t i = 0; i < sizeof(asked); i++)
		cr_assert_eq(bytes[i], asked[i], "byte %zu is %02x", i, bytes[i]);
	cr_assert_eq(bytes[t.len], 0x5a);
	cr_assert_eq(bytes[FOLLOW_UP + 1], STAMP_TLV_FOLLOW_UP);
}

Test(probe_tlvs, nothing_wished_for_is_nothing)
{
	struct probe_tlvs t = made((struct probe_tlvs_wishes){ 0 }, true);
	struct probe_tlvs_told told;

	cr_assert_eq(t.len, 0);
	cr_assert_eq(read_answer(&t, "", 0, &told), PROBE_TLVS_PLAIN);
}

Test(probe_tlvs, the_largest_fit)
{
	struct probe_tlvs_wishes wishes = all;
	struct probe_tlvs t;

	wishes.padding = PROBE_PADDING_MAX;
	t = made(wishes, true);
	cr_assert_eq(t.len, PROBE_TLVS_MAX);
}

Test(probe_tlvs, all_that_is_answered_is_read)
{
	struct probe_tlvs t = made(all, false);
	struct probe_tlvs_told told;
	struct address at;

	cr_assert_eq(address_parse("192.0.2.2:862", 0, &at), 0);
	cr_assert_eq(READ(&t, answered, &told), PROBE_TLVS_ANSWERED);
	cr_assert(told.has_class_of_service && told.refused);
	cr_assert_eq(told.dscp, 40);
	cr_assert(told.has_clocks);
	cr_assert_eq(told.clock_in, 2);
	cr_assert_eq(told.method_in, 1);
	cr_assert_eq(told.clock_out, 4);
	cr_assert_eq(told.method_out, 3);
	cr_assert(told.has_counters);
	cr_assert_eq(told.counters.sent, 8);
	cr_assert_eq(told.counters.received, 0x10203040);
	cr_assert_eq(told.counters.transmitted, 0x50607080);
	cr_assert(told.has_location && address_equal(&told.to, &at));
	cr_assert(told.has_follow_up);
	cr_assert_eq(told.last_sequence, 0x01020304);
	cr_assert_eq(told.last_t3, UINT64_C(0xeeab9cc8e0000000));
}

Test(probe_tlvs, a_location_of_ipv6_or_none)
{
	struct probe_tlvs t = made((struct probe_tlvs_wishes){ .location = true }, false);
	static const uint8_t v6[] = {
		0x00, 2, 0, 56, 0x03, 0x5e, 0xc3, 0x50, 0x00, 3, 0, 8, ZERO_8,
		0x00, 6, 0, 16, 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2,
		0x00, 9, 0, 16, 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
	};
	static const uint8_t hidden[] = {
		0x00, 2, 0, 56, 0, 0, 0, 0, 0x00, 3, 0, 8, ZERO_8,
		0x00, 5, 0, 16, ZERO_16, 0x00, 8, 0, 16, ZERO_16,
	};
	/* Its first part says that it is longer than the whole. */
	static const uint8_t cut[] = {
		0x00, 2, 0, 56, 0, 0, 0, 0, 0x00, 3, 0, 49, ZERO_8,
		0x00, 5, 0, 16, ZERO_16, 0x00, 8, 0, 16, ZERO_16,
	};
	/* A Destination IPv4 with 12 bytes. */
	static const uint8_t other_length[] = {
		0x00, 2, 0, 56, 0, 0, 0, 0, 0x00, 5, 0, 12, ZERO_8, 0, 0, 0, 0,
		0x00, 8, 0, 16, ZERO_16, 0x00, 8, 0, 12, ZERO_8, 0, 0, 0, 0,
	};
	struct probe_tlvs_told told;
	struct address at;

	cr_assert_eq(address_parse("[2001:db8::2]:862", 0, &at), 0);
	cr_assert_eq(READ(&t, v6, &told), PROBE_TLVS_ANSWERED);
	cr_assert(told.has_location && address_equal(&told.to, &at));
	cr_assert_eq(READ(&t, hidden, &told), PROBE_TLVS_ANSWERED);
	cr_assert_not(told.has_location);
	cr_assert_eq(READ(&t, cut, &told), PROBE_TLVS_UNFIT);
	cr_assert_eq(READ(&t, other_length, &told), PROBE_TLVS_UNFIT);
}

/* With one byte changed. */
static enum probe_tlvs_verdict read_changed(size_t at, uint8_t value, struct probe_tlvs_told *ret)
{
	struct probe_tlvs t = made(all, false);
	uint8_t bytes[sizeof(answered)];

	memcpy(bytes, answered, sizeof(bytes));
	bytes[at] = value;
	return READ(&t, bytes, ret);
}

static bool is_nothing(const struct probe_tlvs_told *told)
{
	static const struct probe_tlvs_told nothing;

	return !told->has_class_of_service && !told->has_clocks && !told->has_counters &&
	       !told->has_location && !told->has_follow_up &&
	       told->counters.sent == nothing.counters.sent;
}

Test(probe_tlvs, flags_are_counted_and_not_trusted)
{
	struct probe_tlvs_told told;

	cr_assert_eq(read_changed(DIRECT, 0x80, &told), PROBE_TLVS_PARTLY);
	cr_assert(told.has_class_of_service && !told.has_counters, "that one is not understood");
	cr_assert_eq(read_changed(FOLLOW_UP, 0x40, &told), PROBE_TLVS_MALFORMED);
	cr_assert(is_nothing(&told));
	cr_assert_eq(read_changed(FOLLOW_UP, 0x20, &told), PROBE_TLVS_NOT_WHOLE);
	cr_assert(is_nothing(&told));
	cr_assert_eq(read_changed(FOLLOW_UP, 0xa0, &told), PROBE_TLVS_NOT_WHOLE);
	/* The five that have no meaning yet mean nothing. */
	cr_assert_eq(read_changed(FOLLOW_UP, 0x1f, &told), PROBE_TLVS_ANSWERED);
}

Test(probe_tlvs, what_is_no_answer_to_it_is_unfit)
{
	struct probe_tlvs t = made(all, false);
	uint8_t longer[sizeof(answered) + 1] = { 0 };
	struct probe_tlvs_told told;

	cr_assert_eq(read_changed(1, 3, &told), PROBE_TLVS_UNFIT, "another type");
	cr_assert_eq(read_changed(3, 3, &told), PROBE_TLVS_UNFIT, "another length");
	cr_assert_eq(read_changed(2, 0xff, &told), PROBE_TLVS_UNFIT, "beyond the end");
	cr_assert_eq(read_changed(4, 0x28, &told), PROBE_TLVS_UNFIT, "another DSCP wished for");
	cr_assert_eq(read_changed(DIRECT + 7, 9, &told), PROBE_TLVS_UNFIT, "another S_TxC");
	cr_assert_eq(read_changed(LOCATION + 11, 200, &told), PROBE_TLVS_UNFIT, "a part too long");
	cr_assert(is_nothing(&told));
	for (size_t len = 1; len < sizeof(answered); len++)
		cr_assert_eq(read_answer(&t, answered, len, &told), PROBE_TLVS_UNFIT, "%zu", len);
	memcpy(longer, answered, sizeof(answered));
	cr_assert_eq(READ(&t, longer, &told), PROBE_TLVS_UNFIT);
	memset(longer, 0, sizeof(longer));
	cr_assert_eq(read_answer(&t, longer, sizeof(answered), &told), PROBE_TLVS_UNFIT);
}

/* RFC 8762, section 4.3: what is behind the base packet comes back as it is, or does not. */
Test(probe_tlvs, who_knows_none_is_known_by_that)
{
	struct probe_tlvs t = made(all, false);
	struct probe_tlvs_told told;
	uint8_t bytes[sizeof(answered)];

	probe_tlvs_write(&t, 7, NULL, bytes);
	cr_assert_eq(READ(&t, bytes, &told), PROBE_TLVS_PLAIN);
	cr_assert(is_nothing(&told));
	cr_assert_eq(read_answer(&t, bytes, 0, &told), PROBE_TLVS_PLAIN);
}

/* HMACs are from Python's hmac module: over the packet's sequence number and what is before. */
static const uint8_t signed_request[] = {
	0x80, 4, 0, 4, 0xb8, 0, 0, 0, 0x80, 8, 0, 16, 0xc6, 0xdb, 0x88, 0x2c, 0xad, 0xa8, 0xc2,
	0xd1, 0xd7, 0x62, 0x28, 0xe1, 0xed, 0x0a, 0x1d, 0x9e,
};
static const uint8_t signed_answer[] = {
	0x00, 4, 0, 4, 0xba, 0x8c, 0, 0, 0x00, 8, 0, 16, 0x7c, 0x4a, 0xd9, 0xe1, 0x57, 0x73, 0x5d, 0xb0,
	0x48, 0xca, 0xab, 0x3a, 0xee, 0xe0, 0x23, 0x75,
};

Test(probe_tlvs, hmacs_are_made_and_verified)
{
	const struct probe_tlvs_wishes wishes = { .class_of_service = true, .dscp = 46 };
	struct probe_tlvs t = made(wishes, true);
	uint8_t bytes[sizeof(signed_request)];
	struct probe_tlvs_told told;

	cr_assert_eq(t.len, sizeof(signed_request));
	probe_tlvs_write(&t, 0x01020304, key, bytes);
	cr_assert_arr_eq(bytes, signed_request, sizeof(bytes));
	cr_assert_eq(READ(&t, signed_answer, &told), PROBE_TLVS_ANSWERED);
	cr_assert_eq(told.dscp, 40);
	for (unsigned bit = 0; bit < sizeof(bytes) * 8; bit++) {
		/* The HMAC TLV's own flags are not covered, and five of any have no meaning. */
		if (bit / 8 == 8)
			continue;
		memcpy(bytes, signed_answer, sizeof(bytes));
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		cr_assert_gt(READ(&t, bytes, &told), PROBE_TLVS_PARTLY, "bit %u", bit);
		cr_assert(is_nothing(&told));
	}
	memcpy(bytes, signed_answer, sizeof(bytes));
	bytes[27] ^= 1;
	cr_assert_eq(READ(&t, bytes, &told), PROBE_TLVS_FORGED);
	/* What the reflector marks as wrong need not have a right HMAC. */
	bytes[0] = bytes[8] = STAMP_TLV_I;
	cr_assert_eq(READ(&t, bytes, &told), PROBE_TLVS_NOT_WHOLE);
	/* Nor need what comes back as it was sent; nothing of it is believed. */
	bytes[0] = bytes[8] = STAMP_TLV_U;
	cr_assert_eq(READ(&t, bytes, &told), PROBE_TLVS_PLAIN);
}

Test(probe_tlvs, padding_alone_needs_no_hmac_and_follows_one)
{
	struct probe_tlvs alone = made((struct probe_tlvs_wishes){ .padding = 5 }, true);
	struct probe_tlvs both = made(all, true);
	static const uint8_t back[] = { 0x00, 1, 0, 5, 1, 2, 3, 4, 5 };
	uint8_t bytes[PROBE_TLVS_MAX];
	struct probe_tlvs_told told;

	cr_assert_eq(alone.len, 9);
	cr_assert_eq(READ(&alone, back, &told), PROBE_TLVS_ANSWERED);
	probe_tlvs_write(&both, 1, key, bytes);
	cr_assert_eq(both.len, sizeof(asked) + 3 + 20);
	cr_assert_eq(bytes[both.len - 7 - 20 + 1], STAMP_TLV_HMAC);
	cr_assert_eq(bytes[both.len - 7 + 1], STAMP_TLV_EXTRA_PADDING);
	cr_assert_eq(stamp_tlv_integrity(1, bytes, both.len, key), STAMP_INTEGRITY_RIGHT);
}

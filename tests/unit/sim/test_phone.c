/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "sim/testbed/phone.h"

#define RECORDS 5

static uint8_t stream[RECORDS * PHONE_RECORD_SIZE];

static void setup(void)
{
	for (uint64_t i = 0; i < RECORDS; i++)
		phone_record(i, stream + i * PHONE_RECORD_SIZE);
}

TestSuite(phone, .init = setup);

Test(phone, verifies_a_stream_in_any_pieces)
{
	for (size_t piece = 1; piece < sizeof(stream); piece += 97) {
		struct phone_verifier v = { 0 };

		for (size_t at = 0; at < sizeof(stream); at += piece) {
			size_t n = sizeof(stream) - at < piece ? sizeof(stream) - at : piece;

			cr_assert_eq(phone_verify(&v, stream + at, n), 0);
		}
		cr_assert_eq(v.verified, sizeof(stream));
	}
}

Test(phone, finds_every_wrong_byte)
{
	for (size_t at = 0; at < sizeof(stream); at++) {
		struct phone_verifier v = { 0 };

		stream[at] ^= 1;
		cr_assert_eq(phone_verify(&v, stream, sizeof(stream)), -EBADMSG, "%zu", at);
		cr_assert_eq(v.verified, at);
		stream[at] ^= 1;
	}
}

Test(phone, finds_a_missing_and_a_repeated_record)
{
	struct phone_verifier v = { 0 };

	cr_assert_eq(phone_verify(&v, stream + PHONE_RECORD_SIZE, PHONE_RECORD_SIZE), -EBADMSG);
	v = (struct phone_verifier){ 0 };
	cr_assert_eq(phone_verify(&v, stream, PHONE_RECORD_SIZE), 0);
	cr_assert_eq(phone_verify(&v, stream, PHONE_RECORD_SIZE), -EBADMSG);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "telemetry/echo.h"

static const struct echo probe = {
	.identifier = 0xabcd,
	.sequence = 0x00012345,
	.t1 = UINT64_C(0x0102030405060708),
	.token = UINT64_C(0x1112131415161718),
};

/* What comes back: the request with another type, and the checksum that follows. */
static void reply_to(bool v6, uint8_t packet[ECHO_SIZE])
{
	echo_request_pack(&probe, v6, packet);
	packet[0] = v6 ? 129 : 0;
}

Test(echo, a_request_is_as_the_rfc_has_it)
{
	static const uint8_t v4[ECHO_SIZE] = {
		8,    0,    0xfd, 0x1f, 0xab, 0xcd, 0x23, 0x45, 0, 1,    0x23, 0x45, 1,    2,
		3,    4,    5,    6,    7,    8,    0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18,
	};
	uint8_t packet[ECHO_SIZE];
	uint32_t sum = 0;

	echo_request_pack(&probe, false, packet);
	/* The sum of all words, the checksum with them, is all ones. */
	for (size_t i = 0; i < ECHO_SIZE; i += 2)
		sum += (uint32_t)packet[i] << 8 | packet[i + 1];
	cr_assert_eq((sum & 0xffff) + (sum >> 16), 0xffff);
	cr_assert_eq(packet[0], 8);
	cr_assert_eq(memcmp(packet + 4, v4 + 4, ECHO_SIZE - 4), 0);
	echo_request_pack(&probe, true, packet);
	cr_assert_eq(packet[0], 128);
	cr_assert_eq(packet[2] | packet[3], 0, "the kernel knows the addresses that are part of it");
}

Test(echo, a_reply_is_read)
{
	for (int v6 = 0; v6 < 2; v6++) {
		uint8_t packet[ECHO_SIZE];
		struct echo e;

		reply_to(v6, packet);
		cr_assert_eq(echo_reply_unpack(packet, sizeof(packet), v6, &e), 0);
		cr_assert_eq(e.identifier, probe.identifier);
		cr_assert_eq(e.sequence, probe.sequence);
		cr_assert_eq(e.t1, probe.t1);
		cr_assert_eq(e.token, probe.token);
		cr_assert_eq(echo_reply_unpack(packet, sizeof(packet), !v6, &e), -EBADMSG);
		cr_assert(echo_has_identifier(packet, sizeof(packet), 0xabcd));
		cr_assert(!echo_has_identifier(packet, sizeof(packet), 0xabcc));
		cr_assert(!echo_has_identifier(packet, 5, 0xabcd));
	}
}

Test(echo, what_is_no_reply_is_refused)
{
	uint8_t packet[ECHO_SIZE + 1] = { 0 };
	struct echo e = { .sequence = 77 };

	reply_to(false, packet);
	for (size_t len = 0; len <= sizeof(packet); len++)
		if (len != ECHO_SIZE)
			cr_assert_eq(echo_reply_unpack(packet, len, false, &e), -EBADMSG);
	packet[1] = 1; /* a code */
	cr_assert_eq(echo_reply_unpack(packet, ECHO_SIZE, false, &e), -EBADMSG);
	packet[1] = 0;
	packet[7] ^= 1; /* the short sequence number */
	cr_assert_eq(echo_reply_unpack(packet, ECHO_SIZE, false, &e), -EBADMSG);
	echo_request_pack(&probe, false, packet);
	cr_assert_eq(echo_reply_unpack(packet, ECHO_SIZE, false, &e), -EBADMSG, "a request");
	cr_assert_eq(e.sequence, 77);
}

Test(echo, a_message_is_found_behind_its_header)
{
	uint8_t packet[60 + ECHO_SIZE] = { 0x45, [9] = 1, [20] = 0xee };
	const uint8_t *message = NULL;
	size_t len = 0;

	cr_assert_eq(echo_skip_header(packet, 20 + ECHO_SIZE, &message, &len), 0);
	cr_assert_eq(message, packet + 20);
	cr_assert_eq(len, ECHO_SIZE);
	cr_assert_eq(echo_skip_header(packet, 20, &message, &len), 0);
	cr_assert_eq(len, 0);
	packet[0] = 0x4f; /* with options */
	cr_assert_eq(echo_skip_header(packet, sizeof(packet), &message, &len), 0);
	cr_assert_eq(message, packet + 60);
	cr_assert_eq(len, ECHO_SIZE);
	for (size_t short_of = 0; short_of < 60; short_of++)
		cr_assert_eq(echo_skip_header(packet, short_of, &message, &len), -EBADMSG);
	packet[0] = 0x44; /* a header of 16 bytes */
	cr_assert_eq(echo_skip_header(packet, sizeof(packet), &message, &len), -EBADMSG);
	packet[0] = 0x65;
	cr_assert_eq(echo_skip_header(packet, sizeof(packet), &message, &len), -EBADMSG);
	packet[0] = 0x45;
	packet[9] = 17;
	cr_assert_eq(echo_skip_header(packet, sizeof(packet), &message, &len), -EBADMSG);
}

Test(echo, a_token_is_of_one_client_one_probe_and_one_key)
{
	const uint8_t key[ECHO_KEY_SIZE] = { 1 }, other_key[ECHO_KEY_SIZE] = { 2 };
	const struct uuid client = { { 1 } }, other_client = { { 2 } };
	struct echo later = probe, next = probe, same = probe;
	uint64_t token = echo_token(key, &client, &probe);

	later.t1++;
	next.sequence++;
	same.token = 0;
	cr_assert_eq(echo_token(key, &client, &same), token);
	cr_assert_neq(echo_token(key, &client, &later), token);
	cr_assert_neq(echo_token(key, &client, &next), token);
	cr_assert_neq(echo_token(key, &other_client, &probe), token);
	cr_assert_neq(echo_token(other_key, &client, &probe), token);
}

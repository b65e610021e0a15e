/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "telemetry/registration.h"

static const uint8_t key[DEVICE_KEY_SIZE] = { 1, 2, 3 };

static const struct registration sample = {
	.type = REGISTRATION_REGISTER,
	.status = REGISTRATION_REPEAT,
	.device = { { 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1c,
		      0x1d, 0x1e, 0x1f } },
	.counter = UINT64_C(0x2021222324252627),
	.realm = UINT64_C(0x3031323334353637),
	.period_ms = 0x40414243,
	.highest = UINT64_C(0x5051525354555657),
};

Test(registration, has_the_layout_that_is_drawn)
{
	static const uint8_t expected[52] = {
		'T', 'G', 'R', 'G', 1, 1, 0, 1,
		0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17,
		0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f,
		0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27,
		0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37,
		0x40, 0x41, 0x42, 0x43,
		0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57,
	};
	uint8_t packet[REGISTRATION_SIZE];
	struct registration r;

	registration_pack(&sample, key, packet);
	cr_assert_arr_eq(packet, expected, sizeof(expected));
	cr_assert(registration_verify(packet, key));
	cr_assert_eq(registration_unpack(packet, sizeof(packet), &r), 0);
	cr_assert_eq(memcmp(&r.device, &sample.device, UUID_SIZE), 0);
	cr_assert_eq(r.type, sample.type);
	cr_assert_eq(r.status, sample.status);
	cr_assert_eq(r.counter, sample.counter);
	cr_assert_eq(r.realm, sample.realm);
	cr_assert_eq(r.period_ms, sample.period_ms);
	cr_assert_eq(r.highest, sample.highest);
}

Test(registration, any_changed_bit_or_other_key_spoils_the_mac)
{
	uint8_t packet[REGISTRATION_SIZE], other[DEVICE_KEY_SIZE] = { 1, 2, 4 };

	registration_pack(&sample, key, packet);
	cr_assert_not(registration_verify(packet, other));
	for (unsigned bit = 0; bit < REGISTRATION_SIZE * 8; bit++) {
		packet[bit / 8] ^= (uint8_t)(1u << bit % 8);
		cr_assert_not(registration_verify(packet, key), "bit %u", bit);
		packet[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	cr_assert(registration_verify(packet, key));
}

Test(registration, malformed_datagrams_are_refused)
{
	uint8_t packet[REGISTRATION_SIZE + 1] = { 0 };
	struct registration r = { .counter = 7 };

	registration_pack(&sample, key, packet);
	for (size_t len = 0; len <= sizeof(packet); len++)
		if (len != REGISTRATION_SIZE) {
			cr_assert_not(registration_is(packet, len));
			cr_assert_eq(registration_unpack(packet, len, &r), -EBADMSG);
		}
	packet[4] = 2;
	cr_assert_eq(registration_unpack(packet, REGISTRATION_SIZE, &r), -EPROTONOSUPPORT);
	packet[4] = 1;
	packet[5] = 3;
	cr_assert_eq(registration_unpack(packet, REGISTRATION_SIZE, &r), -EBADMSG);
	packet[5] = 1;
	packet[7] = 2;
	cr_assert_eq(registration_unpack(packet, REGISTRATION_SIZE, &r), -EBADMSG);
	packet[7] = 0;
	packet[0] = 't';
	cr_assert_eq(registration_unpack(packet, REGISTRATION_SIZE, &r), -EBADMSG);
	cr_assert_eq(r.counter, 7);
}

Test(registration, device_keys_are_64_hexadecimal_digits)
{
	static const char *const bad[] = {
		"", "00", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1",
		"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f0",
		"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1g",
		"000102030405060708090a0b0c0d0e0f 01112131415161718191a1b1c1d1e1f",
	};
	uint8_t k[DEVICE_KEY_SIZE] = { 0 };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_eq(device_key_parse(bad[i], k), -EINVAL, "%s", bad[i]);
	cr_assert_eq(k[0], 0);
	cr_assert_eq(device_key_parse(
		"000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F", k), 0);
	for (uint8_t i = 0; i < DEVICE_KEY_SIZE; i++)
		cr_assert_eq(k[i], i);
}

Test(registration, a_key_file_that_others_may_read_is_refused)
{
	char path[] = "/tmp/test_registration.XXXXXX";
	uint8_t k[DEVICE_KEY_SIZE];
	struct mg_error err = { 0 };
	_cleanup_close_ int fd = mkstemp(path);
	static const char text[] =
		"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n";

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, text, sizeof(text) - 1), (ssize_t)sizeof(text) - 1);
	cr_assert_eq(device_key_load(path, k, &err), 0, "%s", err.text);
	cr_assert_eq(k[31], 31);
	cr_assert_eq(fchmod(fd, 0640), 0);
	cr_assert_eq(device_key_load(path, k, &err), -EPERM);
	cr_assert_not_null(strstr(err.text, "chmod 600"));
	cr_assert_eq(fchmod(fd, 0600), 0);
	cr_assert_eq(ftruncate(fd, 10), 0);
	cr_assert_eq(device_key_load(path, k, &err), -EINVAL);
	unlink(path);
	cr_assert_eq(device_key_load(path, k, &err), -ENOENT);
}

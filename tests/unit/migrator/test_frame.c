/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/frame.h"

#include <criterion/criterion.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/file.h"
#include "migrator/seal.h"

static const struct frame_header header = {
	.type = FRAME_STREAM,
	.flags = FRAME_FLAG_LZ4,
	.stream = 3,
	.length = 24,
	.sequence = UINT64_C(0x0102030405060708),
	.acknowledged = UINT64_C(0x1112131415161718),
};

static const uint8_t secret[32] = "a secret of just thirty-two byte";
static const char text[24] = "twenty-four bytes of it.";

static size_t make_frame(enum seal_cipher cipher, enum seal_direction direction, uint8_t *wire)
{
	struct seal s;

	cr_assert_gt(seal_ciphers_available(), 0);
	cr_assert_eq(seal_init(&s, cipher, secret, header.stream, direction), 0);
	frame_header_encode(&header, wire);
	memcpy(wire + FRAME_HEADER_SIZE, text, sizeof(text));
	seal_frame(&s, &header, wire);
	seal_wipe(&s);
	return FRAME_HEADER_SIZE + sizeof(text) + FRAME_TRAILER_SIZE;
}

static bool opens(enum seal_cipher cipher, enum seal_direction direction, const uint8_t *wire)
{
	uint8_t copy[256];
	struct frame_header h;
	struct seal s;
	bool ok;

	memcpy(copy, wire, sizeof(copy));
	if (frame_header_decode(copy, &h, NULL) < 0 || h.length > sizeof(text))
		return false;
	cr_assert_eq(seal_init(&s, cipher, secret, 3, direction), 0);
	ok = seal_open(&s, &h, copy);
	seal_wipe(&s);
	return ok && memcmp(copy + FRAME_HEADER_SIZE, text, sizeof(text)) == 0;
}

Test(frame, golden_bytes_of_version_1)
{
	static const struct {
		const char *file;
		enum seal_cipher cipher;
	} golden[] = {
		{ "v1-stream-plain.bin", SEAL_PLAIN },
		{ "v1-stream-chacha20.bin", SEAL_CHACHA20_POLY1305 },
		{ "v1-stream-aes256gcm.bin", SEAL_AES256_GCM },
	};
	const char *top = getenv("top_srcdir");

	for (size_t i = 0; i < ARRAY_SIZE(golden); i++) {
		_cleanup_free_ char *expected = NULL;
		uint8_t wire[256] = { 0 };
		char path[512];
		size_t len, n;

		if (golden[i].cipher == SEAL_AES256_GCM &&
		    !(seal_ciphers_available() & SEAL_AES256_GCM))
			continue;
		snprintf(path, sizeof(path), "%s/tests/data/wire/%s", top ? top : ".",
			 golden[i].file);
		n = make_frame(golden[i].cipher, SEAL_TO_TARGET, wire);
		if (getenv("WRITE_GOLDEN")) { /* for a new version, by hand */
			FILE *f = fopen(path, "wx");

			cr_assert(f && fwrite(wire, 1, n, f) == n && fclose(f) == 0);
		}
		cr_assert_eq(file_read(path, 4096, &expected, &len, NULL), 0, "%s", path);
		cr_assert_eq(n, len);
		cr_assert_eq(memcmp(wire, expected, len), 0, "%s", golden[i].file);
	}
}

Test(frame, header_round_trip)
{
	uint8_t wire[FRAME_HEADER_SIZE];
	struct frame_header h;

	frame_header_encode(&header, wire);
	cr_assert_eq(frame_header_decode(wire, &h, NULL), 0);
	cr_assert_eq(h.type, header.type);
	cr_assert_eq(h.flags, header.flags);
	cr_assert_eq(h.stream, header.stream);
	cr_assert_eq(h.length, header.length);
	cr_assert_eq(h.sequence, header.sequence);
	cr_assert_eq(h.acknowledged, header.acknowledged);
}

Test(frame, bad_headers_are_refused_with_a_reason)
{
	static const struct {
		unsigned at;
		uint8_t value;
		int code;
		const char *words;
	} bad[] = {
		{ 0, 'x', -EPROTO, "not a frame" },
		{ 4, 2, -EPROTONOSUPPORT, "version 2, expected 1" },
		{ 4, 0, -EPROTONOSUPPORT, "version 0" },
		{ 5, 0, -EPROTO, "unknown type 0" },
		{ 5, FRAME_TYPES, -EPROTO, "unknown type 11" },
		{ 5, FRAME_PAGES, -EPROTO, "PAGES frame with flags 0001" },
		{ 6, 0x80, -EPROTO, "flags 8001" },
		{ 11, 1, -EPROTO, "reserved 0001" },
		{ 12, 1, -EPROTO, "STREAM frame of 16777240 bytes" },
		{ 15, 0, -EPROTO, "STREAM frame of 0 bytes" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		uint8_t wire[FRAME_HEADER_SIZE];
		struct mg_error err = { 0 };
		struct frame_header h;

		frame_header_encode(&header, wire);
		wire[bad[i].at] = bad[i].value;
		cr_assert_eq(frame_header_decode(wire, &h, &err), bad[i].code, "%s", bad[i].words);
		cr_assert_not_null(strstr(err.text, bad[i].words), "'%s' is not in '%s'",
				   bad[i].words, err.text);
	}
}

Test(seal, every_changed_bit_is_noticed)
{
	static const enum seal_cipher ciphers[] = { SEAL_PLAIN, SEAL_CHACHA20_POLY1305,
						    SEAL_AES256_GCM };

	for (size_t i = 0; i < ARRAY_SIZE(ciphers); i++) {
		uint8_t wire[256] = { 0 };
		size_t n;

		if (ciphers[i] == SEAL_AES256_GCM && !(seal_ciphers_available() & SEAL_AES256_GCM))
			continue;
		n = make_frame(ciphers[i], SEAL_TO_TARGET, wire);
		cr_assert(opens(ciphers[i], SEAL_TO_TARGET, wire));
		for (size_t bit = 0; bit < n * 8; bit++) {
			wire[bit / 8] ^= (uint8_t)(1u << bit % 8);
			cr_assert_not(opens(ciphers[i], SEAL_TO_TARGET, wire), "%s, bit %zu",
				      seal_cipher_name(ciphers[i]), bit);
			wire[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
	}
}

Test(seal, a_frame_does_not_fit_the_other_direction)
{
	uint8_t wire[256] = { 0 };

	make_frame(SEAL_CHACHA20_POLY1305, SEAL_TO_SOURCE, wire);
	cr_assert_not(opens(SEAL_CHACHA20_POLY1305, SEAL_TO_TARGET, wire));
	cr_assert(opens(SEAL_CHACHA20_POLY1305, SEAL_TO_SOURCE, wire));
}

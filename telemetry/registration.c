/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/registration.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/cursor.h"
#include "common/file.h"

#define MAGIC 0x54475247u /* "TGRG" */
#define VERSION 1
#define COVERED_SIZE (REGISTRATION_SIZE - crypto_auth_BYTES)

_Static_assert(crypto_auth_BYTES == 32 && crypto_auth_KEYBYTES == DEVICE_KEY_SIZE,
	       "the layout of a registration");

bool registration_is(const void *data, size_t len)
{
	struct rcursor c = rcursor_over(data, len);

	return len == REGISTRATION_SIZE && rcursor_u32(&c) == MAGIC;
}

void registration_pack(const struct registration *r, const uint8_t key[DEVICE_KEY_SIZE],
		       uint8_t packet[REGISTRATION_SIZE])
{
	struct wcursor c = wcursor_over(packet, REGISTRATION_SIZE);

	wcursor_u32(&c, MAGIC);
	wcursor_u8(&c, VERSION);
	wcursor_u8(&c, (uint8_t)r->type);
	wcursor_u16(&c, r->status);
	wcursor_bytes(&c, r->device.bytes, UUID_SIZE);
	wcursor_u64(&c, r->counter);
	wcursor_u64(&c, r->realm);
	wcursor_u32(&c, r->period_ms);
	wcursor_u64(&c, r->highest);
	crypto_auth(packet + COVERED_SIZE, packet, COVERED_SIZE, key);
}

int registration_unpack(const void *data, size_t len, struct registration *ret)
{
	struct rcursor c = rcursor_over(data, len);
	struct registration r = { 0 };
	const uint8_t *device;
	uint8_t version, type;
	uint16_t status;

	if (!registration_is(data, len))
		return -EBADMSG;
	rcursor_u32(&c);
	version = rcursor_u8(&c);
	type = rcursor_u8(&c);
	status = rcursor_u16(&c);
	device = rcursor_bytes(&c, UUID_SIZE);
	r.counter = rcursor_u64(&c);
	r.realm = rcursor_u64(&c);
	r.period_ms = rcursor_u32(&c);
	r.highest = rcursor_u64(&c);
	if (!rcursor_ok(&c))
		return -EBADMSG;
	if (version != VERSION)
		return -EPROTONOSUPPORT;
	if ((type != REGISTRATION_REGISTER && type != REGISTRATION_ANSWER) ||
	    status > REGISTRATION_STATUS_MAX)
		return -EBADMSG;
	r.type = (enum registration_type)type;
	r.status = status;
	memcpy(r.device.bytes, device, UUID_SIZE);
	*ret = r;
	return 0;
}

bool registration_verify(const uint8_t packet[REGISTRATION_SIZE],
			 const uint8_t key[DEVICE_KEY_SIZE])
{
	return crypto_auth_verify(packet + COVERED_SIZE, packet, COVERED_SIZE, key) == 0;
}

int device_key_parse(const char *text, uint8_t ret[DEVICE_KEY_SIZE])
{
	uint8_t key[DEVICE_KEY_SIZE];
	size_t n, len = strlen(text);

	if (len != 2 * DEVICE_KEY_SIZE ||
	    sodium_hex2bin(key, sizeof(key), text, len, NULL, &n, NULL) < 0 || n != sizeof(key))
		return -EINVAL;
	memcpy(ret, key, sizeof(key));
	sodium_memzero(key, sizeof(key));
	return 0;
}

int device_key_load(const char *path, uint8_t ret[DEVICE_KEY_SIZE], struct mg_error *err)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r;

	r = file_read_secret(path, 4096, &text, &len, err);
	if (r < 0)
		return r;
	text[strcspn(text, " \t\r\n")] = '\0';
	r = device_key_parse(text, ret);
	sodium_memzero(text, len);
	if (r < 0)
		return mg_error_set(err, r, "%s: a device key is 64 hexadecimal digits", path);
	return 0;
}

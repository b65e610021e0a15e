/* SPDX-License-Identifier: Apache-2.0
 *
 * Registrations on both sides. An input that begins with '+' gets its MAC made
 * right, so that what lies behind it is reached too; one that begins with '#' is
 * a file of devices.
 */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "telemetry/registrar.h"
#include "telemetry/registry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define COVERED (REGISTRATION_SIZE - crypto_auth_BYTES)

static const char devices[] =
	"10000000-0000-4000-8000-00000000000a phone "
	"0000000000000000000000000000000000000000000000000000000000000000\n";
static const uint8_t key[DEVICE_KEY_SIZE];

static void check_file(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = strndup((const char *)data, size);
	struct registry *r = NULL;
	struct mg_error err = { 0 };

	if (!text)
		abort();
	if ((registry_parse("devices", text, &r, &err) == 0) != (r != NULL) || (!r && !err.text[0]))
		abort();
	registry_free(r);
}

static void check_node(const uint8_t *data, size_t size)
{
	uint8_t answer[REGISTRATION_SIZE];
	const struct device *device = NULL;
	struct registration said;
	struct registry *r;
	struct address from;

	if (registry_parse("devices", devices, &r, NULL) < 0 ||
	    address_parse("192.0.2.1:1", 0, &from) < 0)
		abort();
	/* Its realm is random, so no input can register. */
	switch (registry_receive(r, 0, &from, data, size, answer, &device)) {
	case REGISTRY_IGNORED:
		break;
	case REGISTRY_REPEAT:
		if (registration_unpack(answer, sizeof(answer), &said) < 0 ||
		    said.type != REGISTRATION_ANSWER || said.status != REGISTRATION_REPEAT ||
		    !registration_verify(answer, key) || !device)
			abort();
		break;
	default:
		abort();
	}
	registry_free(r);
}

static void check_device(const uint8_t *data, size_t size)
{
	struct registrar r = { .period_ms = 1000 };
	uint8_t packet[REGISTRATION_SIZE];

	if (uuid_parse("10000000-0000-4000-8000-00000000000a", &r.device) < 0)
		abort();
	registrar_refresh(&r, 1, packet);
	if (registrar_receive(&r, data, size) == REGISTRAR_REPEAT)
		registrar_repeat(&r, 1, packet);
	if (registrar_receive(&r, data, size) == REGISTRAR_ACCEPTED)
		abort(); /* nothing is answered twice */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t packet[2 * REGISTRATION_SIZE];

	if (size > 0 && data[0] == '#') {
		check_file(data, size);
		return 0;
	}
	if (size == 0 || size > sizeof(packet))
		return 0;
	memcpy(packet, data, size);
	if (data[0] == '+') {
		size--;
		memmove(packet, packet + 1, size);
		if (size == REGISTRATION_SIZE)
			crypto_auth(packet + COVERED, packet, COVERED, key);
	}
	check_node(packet, size);
	check_device(packet, size);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "telemetry/registry.h"

#define KEY_A "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define KEY_B "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define ID_A "10000000-0000-4000-8000-00000000000a"
#define ID_B "10000000-0000-4000-8000-00000000000b"

static const char devices[] = "# the fleet\n" ID_B " tablet " KEY_B "\n\n  " ID_A "\tphone " KEY_A
			      " # mine\n";

struct fixture {
	struct registry *registry;
	struct uuid a, b;
	uint8_t key_a[DEVICE_KEY_SIZE], key_b[DEVICE_KEY_SIZE];
	struct address here, there;
	struct registration answer;
	const struct device *device;
	unsigned expired;
};

static void setup(struct fixture *f)
{
	struct mg_error err = { 0 };

	*f = (struct fixture){ 0 };
	cr_assert_eq(registry_parse("devices", devices, &f->registry, &err), 0, "%s", err.text);
	cr_assert_eq(uuid_parse(ID_A, &f->a), 0);
	cr_assert_eq(uuid_parse(ID_B, &f->b), 0);
	cr_assert_eq(device_key_parse(KEY_A, f->key_a), 0);
	cr_assert_eq(device_key_parse(KEY_B, f->key_b), 0);
	cr_assert_eq(address_parse("192.0.2.1:1000", 0, &f->here), 0);
	cr_assert_eq(address_parse("192.0.2.1:1001", 0, &f->there), 0);
}

/* Delivers a datagram and checks that an answer is authentic and of one size. */
static enum registry_verdict deliver(struct fixture *f, uint64_t now, const struct address *from,
				     const uint8_t *packet, size_t len)
{
	uint8_t answer[REGISTRATION_SIZE];
	enum registry_verdict v =
		registry_receive(f->registry, now, from, packet, len, answer, &f->device);

	if (v != REGISTRY_IGNORED) {
		cr_assert_eq(registration_unpack(answer, sizeof(answer), &f->answer), 0);
		cr_assert(registration_verify(answer, uuid_equal(&f->answer.device, &f->a)
							      ? f->key_a : f->key_b));
		cr_assert_eq(f->answer.type, REGISTRATION_ANSWER);
		cr_assert(uuid_equal(&f->device->id, &f->answer.device));
	}
	return v;
}

static enum registry_verdict say(struct fixture *f, uint64_t now, const struct address *from,
				 struct registration r, const uint8_t *key)
{
	uint8_t packet[REGISTRATION_SIZE];

	r.type = REGISTRATION_REGISTER;
	registration_pack(&r, key, packet);
	return deliver(f, now, from, packet, sizeof(packet));
}

static uint64_t learn_realm(struct fixture *f)
{
	const struct registration r = { .device = f->a, .counter = 1 };

	cr_assert_eq(say(f, 0, &f->here, r, f->key_a), REGISTRY_REPEAT);
	cr_assert_eq(f->answer.status, REGISTRATION_REPEAT);
	cr_assert_neq(f->answer.realm, 0);
	cr_assert_eq(f->answer.counter, 1);
	cr_assert_eq(f->answer.highest, 0);
	return f->answer.realm;
}

static void on_expiry(const struct device *device, void *userdata)
{
	struct fixture *f = userdata;

	cr_assert(uuid_equal(&device->id, &f->a));
	cr_assert(address_equal(&device->address, &f->here));
	f->expired++;
}

static void count(const struct device *device, void *userdata)
{
	(void)device;
	++*(unsigned *)userdata;
}

static unsigned registered(struct fixture *f)
{
	unsigned n = 0;

	registry_for_each(f->registry, count, &n);
	return n;
}

static void mark(const struct device *device, void *userdata)
{
	unsigned *times = userdata;

	times[device->id.bytes[15]]++;
}

Test(registry, parts_are_each_device_once)
{
	static const unsigned all_parts[] = { 1, 3, 10, 40 };
	_cleanup_(registry_free_p) struct registry *registry = NULL;
	struct mg_error err = { 0 };
	char text[10 * 80] = "";

	for (unsigned i = 0; i < 10; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
			 "00000000-0000-4000-8000-00000000000%u d%u icmp:192.0.2.%u\n", i, i, i + 1);
	cr_assert_eq(registry_parse("devices", text, &registry, &err), 0, "%s", err.text);
	for (size_t i = 0; i < ARRAY_SIZE(all_parts); i++) {
		unsigned times[10] = { 0 };

		for (unsigned part = 0; part < all_parts[i]; part++)
			registry_for_part(registry, part, all_parts[i], mark, times);
		for (unsigned device = 0; device < 10; device++)
			cr_assert_eq(times[device], 1, "%u: %u times", device, times[device]);
	}
}

Test(registry, a_device_registers_refreshes_and_moves)
{
	struct fixture f;
	struct registration r = { .counter = 5, .period_ms = 1000 };

	setup(&f);
	r.realm = learn_realm(&f);
	r.device = f.a;
	cr_assert_eq(registered(&f), 0);
	cr_assert_eq(say(&f, 0, &f.here, r, f.key_a), REGISTRY_CHANGED);
	cr_assert_eq(f.answer.status, REGISTRATION_ACCEPTED);
	cr_assert_eq(f.answer.counter, 5);
	cr_assert_eq(f.answer.highest, 5);
	cr_assert_eq(f.answer.period_ms, 3000);
	cr_assert_str_eq(f.device->name, "phone");
	cr_assert(address_equal(&f.device->address, &f.here));
	r.counter = 6;
	cr_assert_eq(say(&f, NS_PER_S, &f.here, r, f.key_a), REGISTRY_REFRESHED);
	r.counter = 9;
	cr_assert_eq(say(&f, NS_PER_S, &f.there, r, f.key_a), REGISTRY_CHANGED);
	cr_assert(address_equal(&f.device->address, &f.there));
	cr_assert_eq(registered(&f), 1);
	registry_free(f.registry);
}

Test(registry, falling_asleep_and_waking_are_changes)
{
	struct registration r = { .counter = 5,
				  .period_ms = 900000,
				  .status = REGISTRATION_ASLEEP };
	struct fixture f;

	setup(&f);
	r.realm = learn_realm(&f);
	r.device = f.a;
	cr_assert_eq(say(&f, 0, &f.here, r, f.key_a), REGISTRY_CHANGED);
	cr_assert_eq(f.answer.status, REGISTRATION_ACCEPTED);
	cr_assert(f.device->asleep);
	registry_expire(f.registry, 2699 * NS_PER_S, on_expiry, &f);
	cr_assert_eq(f.expired, 0, "its silence was announced");
	r.counter++;
	cr_assert_eq(say(&f, 0, &f.here, r, f.key_a), REGISTRY_REFRESHED);
	r.counter++;
	r.status = REGISTRATION_AWAKE;
	cr_assert_eq(say(&f, 0, &f.here, r, f.key_a), REGISTRY_CHANGED);
	cr_assert(!f.device->asleep);
	registry_free(f.registry);
}

Test(registry, a_registration_that_is_not_refreshed_expires)
{
	struct fixture f;
	struct registration r = { .counter = 5, .period_ms = 1000 };

	setup(&f);
	r.realm = learn_realm(&f);
	r.device = f.a;
	cr_assert_eq(say(&f, 0, &f.here, r, f.key_a), REGISTRY_CHANGED);
	registry_expire(f.registry, 3 * NS_PER_S - 1, on_expiry, &f);
	cr_assert_eq(f.expired, 0);
	registry_expire(f.registry, 3 * NS_PER_S, on_expiry, &f);
	registry_expire(f.registry, 4 * NS_PER_S, on_expiry, &f);
	cr_assert_eq(f.expired, 1);
	cr_assert_eq(registered(&f), 0);
	r.counter = 6;
	cr_assert_eq(say(&f, 4 * NS_PER_S, &f.here, r, f.key_a), REGISTRY_CHANGED);
	registry_free(f.registry);
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	cr_assert_not_null(file);
	cr_assert_eq(fchmod(fileno(file), 0600), 0);
	cr_assert_geq(fputs(text, file), 0);
	cr_assert_eq(fclose(file), 0);
}

Test(registry, the_file_is_read_anew_and_registrations_stay)
{
	struct registration r = { .counter = 5, .period_ms = 1000 };
	char path[] = "/tmp/test_registry.XXXXXX";
	struct mg_error err = { 0 };
	struct fixture f;

	cr_assert_geq(mkstemp(path), 0);
	setup(&f);
	r.realm = learn_realm(&f);
	r.device = f.a;
	cr_assert_eq(say(&f, 0, &f.here, r, f.key_a), REGISTRY_CHANGED);
	write_file(path, "nonsense\n");
	cr_assert_eq(registry_reload(f.registry, path, on_expiry, &f, &err), -EINVAL);
	cr_assert_not_null(registry_key(f.registry, &f.b), "nothing has changed");
	write_file(path, ID_A " phone " KEY_A "\n");
	cr_assert_eq(registry_reload(f.registry, path, on_expiry, &f, &err), 0, "%s", err.text);
	cr_assert_null(registry_key(f.registry, &f.b));
	cr_assert_eq(registered(&f), 1);
	cr_assert_eq(say(&f, 0, &f.here, r, f.key_a), REGISTRY_REPEAT, "a replay still is one");
	r.counter = 6;
	cr_assert_eq(say(&f, 0, &f.here, r, f.key_a), REGISTRY_REFRESHED);
	cr_assert_eq(f.expired, 0);
	write_file(path, ID_A " phone " KEY_B "\n");
	cr_assert_eq(registry_reload(f.registry, path, on_expiry, &f, &err), 0, "%s", err.text);
	cr_assert_eq(f.expired, 1, "another key is another device");
	cr_assert_eq(registered(&f), 0);
	unlink(path);
	registry_free(f.registry);
}

Test(registry, lifetimes_are_bounded)
{
	struct fixture f;
	struct registration r = { .counter = 5 };

	setup(&f);
	r.realm = learn_realm(&f);
	r.device = f.a;
	cr_assert_eq(say(&f, 0, &f.here, r, f.key_a), REGISTRY_CHANGED);
	cr_assert_eq(f.answer.period_ms, 1000);
	r.counter = 6;
	r.period_ms = UINT32_MAX;
	cr_assert_eq(say(&f, 0, &f.here, r, f.key_a), REGISTRY_REFRESHED);
	cr_assert_eq(f.answer.period_ms, 3600 * 1000);
	registry_free(f.registry);
}

Test(registry, replays_change_nothing)
{
	struct fixture f;
	struct registration r = { .counter = 5, .period_ms = 1000 };
	uint8_t packet[REGISTRATION_SIZE];

	setup(&f);
	r.realm = learn_realm(&f);
	r.device = f.a;
	r.type = REGISTRATION_REGISTER;
	registration_pack(&r, f.key_a, packet);
	cr_assert_eq(deliver(&f, 0, &f.here, packet, sizeof(packet)), REGISTRY_CHANGED);
	/* From an attacker's address, at once and after the registration expired. */
	cr_assert_eq(deliver(&f, 0, &f.there, packet, sizeof(packet)), REGISTRY_REPEAT);
	cr_assert(address_equal(&f.device->address, &f.here));
	registry_expire(f.registry, 2999 * NS_PER_MS, on_expiry, &f);
	cr_assert_eq(f.expired, 0);
	registry_expire(f.registry, 3 * NS_PER_S, on_expiry, &f);
	cr_assert_eq(deliver(&f, 4 * NS_PER_S, &f.there, packet, sizeof(packet)), REGISTRY_REPEAT);
	cr_assert_eq(registered(&f), 0);
	cr_assert_eq(f.answer.highest, 5);
	registry_free(f.registry);
	/* At the node after its restart, or at another: another realm. */
	setup(&f);
	cr_assert_eq(deliver(&f, 0, &f.there, packet, sizeof(packet)), REGISTRY_REPEAT);
	cr_assert_eq(registered(&f), 0);
	cr_assert_eq(registry_counters(f.registry)->repeat, 1);
	registry_free(f.registry);
}

Test(registry, forged_truncated_unknown_and_misdirected_ones_get_no_answer)
{
	struct fixture f;
	struct registration r = { .counter = 5, .period_ms = 1000 };
	uint8_t packet[REGISTRATION_SIZE];

	setup(&f);
	r.realm = learn_realm(&f);
	r.device = f.a;
	cr_assert_eq(say(&f, 0, &f.here, r, f.key_b), REGISTRY_IGNORED);
	r.type = REGISTRATION_REGISTER;
	registration_pack(&r, f.key_a, packet);
	for (size_t len = 0; len < sizeof(packet); len++)
		cr_assert_eq(deliver(&f, 0, &f.here, packet, len), REGISTRY_IGNORED);
	for (unsigned bit = 0; bit < sizeof(packet) * 8; bit++) {
		packet[bit / 8] ^= (uint8_t)(1u << bit % 8);
		cr_assert_eq(deliver(&f, 0, &f.here, packet, sizeof(packet)), REGISTRY_IGNORED);
		packet[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	/* An answer, sent back to us. */
	r.type = REGISTRATION_ANSWER;
	registration_pack(&r, f.key_a, packet);
	cr_assert_eq(deliver(&f, 0, &f.here, packet, sizeof(packet)), REGISTRY_IGNORED);
	r.device.bytes[0] ^= 1;
	cr_assert_eq(say(&f, 0, &f.here, r, f.key_a), REGISTRY_IGNORED);
	cr_assert_eq(registered(&f), 0);
	cr_assert_eq(registry_counters(f.registry)->accepted, 0);
	cr_assert_gt(registry_counters(f.registry)->forged, 300);
	cr_assert_gt(registry_counters(f.registry)->malformed, 84);
	cr_assert_gt(registry_counters(f.registry)->unknown_device, 0);
	registry_free(f.registry);
}

Test(registry, one_device_cannot_speak_for_another)
{
	struct fixture f;
	struct registration r = { .counter = 5, .period_ms = 1000 };

	setup(&f);
	r.realm = learn_realm(&f);
	r.device = f.a;
	cr_assert_eq(say(&f, 0, &f.here, r, f.key_a), REGISTRY_CHANGED);
	r.counter = UINT64_MAX;
	cr_assert_eq(say(&f, 0, &f.there, r, f.key_b), REGISTRY_IGNORED);
	/* Its own counter at the end of its range is its own affair. */
	r.device = f.b;
	cr_assert_eq(say(&f, 0, &f.here, r, f.key_b), REGISTRY_CHANGED);
	r.device = f.a;
	r.counter = 6;
	cr_assert_eq(say(&f, 0, &f.here, r, f.key_a), REGISTRY_REFRESHED);
	registry_free(f.registry);
}

Test(registry, a_malformed_file_names_the_line)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ "\n" ID_A " phone\n", "devices:2" },
		{ ID_A " phone " KEY_A " more\n", "devices:1" },
		{ "10000000 phone " KEY_A "\n", "UUID" },
		{ ID_A "0 phone " KEY_A "\n", "UUID" },
		{ ID_A " ph=one " KEY_A "\n", "name" },
		{ ID_A " phone " KEY_A "00\n", "devices:1" },
		{ ID_A " phone 0011\n", "key" },
		{ ID_A " a " KEY_A "\n" ID_B " b " KEY_B "\n" ID_A " c " KEY_B "\n", "twice" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct registry *r = NULL;
		struct mg_error err = { 0 };

		cr_assert_eq(registry_parse("devices", cases[i].text, &r, &err), -EINVAL,
			     "case %zu", i);
		cr_assert_not_null(strstr(err.text, cases[i].says), "case %zu: %s", i, err.text);
		cr_assert_null(strstr(err.text, KEY_A), "a key was printed");
		cr_assert_null(r);
	}
}

Test(registry, an_empty_file_admits_nobody)
{
	struct fixture f;
	struct registration r = { .counter = 5 };

	setup(&f);
	registry_free(f.registry);
	cr_assert_eq(registry_parse("devices", "# none\n", &f.registry, NULL), 0);
	r.device = f.a;
	cr_assert_eq(say(&f, 0, &f.here, r, f.key_a), REGISTRY_IGNORED);
	registry_free(f.registry);
}

/* ---- Devices without an agent ------------------------------------------------------------ */

static void remember(const struct device *device, void *userdata)
{
	*(struct device *)userdata = *device;
}

Test(registry, a_device_without_an_agent_is_always_there_and_never_registers)
{
	uint8_t no_key[DEVICE_KEY_SIZE] = { 0 };
	struct registration r = { .counter = 1, .period_ms = 1000 };
	struct device device = { 0 };
	struct mg_error err = { 0 };
	char text[ADDRESS_TEXT_SIZE];
	struct fixture f;

	setup(&f);
	registry_free(f.registry);
	cr_assert_eq(registry_parse("devices", ID_A " door icmp:[2001:db8::7] # a comment\n",
				    &f.registry, &err), 0, "%s", err.text);
	registry_expire(f.registry, NS_PER_S * 86400, on_expiry, &f);
	registry_for_each(f.registry, remember, &device);
	cr_assert(device.agentless);
	cr_assert(uuid_equal(&device.id, &f.a));
	cr_assert_str_eq(address_format(&device.address, text), "[2001:db8::7]:0");
	cr_assert_null(registry_key(f.registry, &f.a), "none is better than one of zeroes");
	cr_assert(registry_is_agentless(f.registry, &f.a));
	cr_assert(!registry_is_agentless(f.registry, &f.b));
	r.device = f.a;
	cr_assert_eq(say(&f, 0, &f.here, r, no_key), REGISTRY_IGNORED);
	cr_assert_eq(registry_counters(f.registry)->unknown_device, 1);
	registry_free(f.registry);
}

Test(registry, an_address_to_ping_that_is_none_is_refused)
{
	static const char *const wrong[] = { "icmp:", "icmp:192.0.2.7:862", "icmp:2001:db8::7",
					     "icmp:[2001:db8::7]:1", "icmp:example.org",
					     "icmp:[2001:db8::7", "icmp:1.2.3.4.5" };

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct registry *registry = NULL;
		struct mg_error err = { 0 };
		char line[128];

		snprintf(line, sizeof(line), ID_A " door %s\n", wrong[i]);
		cr_assert_eq(registry_parse("devices", line, &registry, &err), -EINVAL);
		cr_assert_not_null(strstr(err.text, "icmp:192.0.2.7"), "%s", err.text);
		cr_assert_null(registry);
	}
}

static void count_gone(const struct device *device, void *userdata)
{
	cr_assert(device->agentless);
	++*(unsigned *)userdata;
}

Test(registry, a_device_without_an_agent_comes_moves_and_goes_with_the_file)
{
	char path[] = "/tmp/test_registry.XXXXXX", text[ADDRESS_TEXT_SIZE];
	struct device device = { 0 };
	struct mg_error err = { 0 };
	unsigned gone = 0;
	struct fixture f;

	cr_assert_geq(mkstemp(path), 0);
	setup(&f);
	write_file(path, ID_A " door icmp:192.0.2.7\n");
	cr_assert_eq(registry_reload(f.registry, path, count_gone, &gone, &err), 0);
	write_file(path, ID_A " door icmp:192.0.2.8\n");
	cr_assert_eq(registry_reload(f.registry, path, count_gone, &gone, &err), 0);
	registry_for_each(f.registry, remember, &device);
	cr_assert_str_eq(address_format(&device.address, text), "192.0.2.8:0");
	cr_assert_eq(gone, 0);
	write_file(path, ID_A " door " KEY_A "\n");
	cr_assert_eq(registry_reload(f.registry, path, count_gone, &gone, &err), 0);
	cr_assert_eq(gone, 1, "it has an agent now, and has not registered yet");
	cr_assert_eq(registered(&f), 0);
	unlink(path);
	registry_free(f.registry);
}

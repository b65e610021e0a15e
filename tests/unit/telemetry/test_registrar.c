/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>

#include "common/clock.h"
#include "telemetry/gateway.h"
#include "telemetry/registrar.h"
#include "telemetry/registry.h"

#define ID "10000000-0000-4000-8000-00000000000a"
#define KEY "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

static struct registry *node(void)
{
	struct registry *r;

	cr_assert_eq(registry_parse("devices", ID " phone " KEY, &r, NULL), 0);
	return r;
}

static struct registrar device(void)
{
	struct registrar r = { .period_ms = 1000 };

	cr_assert_eq(uuid_parse(ID, &r.device), 0);
	cr_assert_eq(device_key_parse(KEY, r.key), 0);
	return r;
}

/* One refresh with all that follows. Returns how many datagrams it took until
 * it was accepted, 0 if it never was. */
static unsigned refresh(struct registrar *r, struct registry *node, uint64_t now_utc)
{
	uint8_t packet[REGISTRATION_SIZE], answer[REGISTRATION_SIZE];
	struct address from;
	const struct device *d;

	cr_assert_eq(address_parse("192.0.2.1:9", 0, &from), 0);
	registrar_refresh(r, now_utc, packet);
	for (unsigned n = 1; n < 20; n++) {
		if (registry_receive(node, 0, &from, packet, sizeof(packet), answer, &d) ==
		    REGISTRY_IGNORED)
			return 0;
		switch (registrar_receive(r, answer, sizeof(answer))) {
		case REGISTRAR_ACCEPTED:
			return n;
		case REGISTRAR_IGNORED:
			return 0;
		case REGISTRAR_REPEAT:
			registrar_repeat(r, now_utc, packet);
		}
	}
	cr_assert_fail("it repeats for ever");
	return 0;
}

Test(registrar, a_new_node_costs_one_repeat_and_a_known_one_none)
{
	struct registry *a = node(), *b = node();
	struct registrar r = device();

	cr_assert_eq(refresh(&r, a, 1000), 2);
	cr_assert_eq(refresh(&r, a, 2000), 1);
	cr_assert_eq(refresh(&r, a, 2000), 1); /* a clock that stands still */
	cr_assert_eq(refresh(&r, b, 3000), 2);
	cr_assert_eq(refresh(&r, a, 4000), 2);
	registry_free(a);
	registry_free(b);
}

Test(registrar, a_clock_that_was_set_back_costs_one_more)
{
	struct registry *a = node();
	struct registrar r = device();

	cr_assert_eq(refresh(&r, a, 1000000), 2);
	r = device(); /* restarted */
	cr_assert_eq(refresh(&r, a, 5), 2);
	cr_assert_eq(refresh(&r, a, 6), 1);
	registry_free(a);
}

Test(registrar, a_counter_that_has_reached_its_end_gives_up_quietly)
{
	struct registry *a = node();
	struct registrar r = device();

	cr_assert_eq(refresh(&r, a, 1), 2);
	cr_assert_eq(refresh(&r, a, UINT64_MAX), 1);
	cr_assert_eq(refresh(&r, a, 2), 0);
	registry_free(a);
}

Test(registrar, only_the_answer_to_the_last_register_counts)
{
	struct registrar r = device();
	uint8_t packet[REGISTRATION_SIZE], answer[REGISTRATION_SIZE], other[REGISTRATION_SIZE];
	struct registration m;

	registrar_refresh(&r, 100, packet);
	cr_assert_eq(registration_unpack(packet, sizeof(packet), &m), 0);
	/* Our own REGISTER, sent back; wrong counter, device, key and length. */
	cr_assert_eq(registrar_receive(&r, packet, sizeof(packet)), REGISTRAR_IGNORED);
	m.type = REGISTRATION_ANSWER;
	m.realm = 7;
	m.counter--;
	registration_pack(&m, r.key, other);
	cr_assert_eq(registrar_receive(&r, other, sizeof(other)), REGISTRAR_IGNORED);
	m.counter++;
	m.device.bytes[0] ^= 1;
	registration_pack(&m, r.key, other);
	cr_assert_eq(registrar_receive(&r, other, sizeof(other)), REGISTRAR_IGNORED);
	m.device.bytes[0] ^= 1;
	registration_pack(&m, (const uint8_t[DEVICE_KEY_SIZE]){ 9 }, other);
	cr_assert_eq(registrar_receive(&r, other, sizeof(other)), REGISTRAR_IGNORED);
	registration_pack(&m, r.key, answer);
	cr_assert_eq(registrar_receive(&r, answer, sizeof(answer) - 1), REGISTRAR_IGNORED);
	cr_assert_eq(r.realm, 0);
	cr_assert_eq(registrar_receive(&r, answer, sizeof(answer)), REGISTRAR_ACCEPTED);
	cr_assert_eq(r.realm, 7);
	cr_assert_eq(registrar_receive(&r, answer, sizeof(answer)), REGISTRAR_IGNORED);
}

Test(registrar, an_answer_to_what_was_said_before_falling_asleep_does_not_count)
{
	struct registrar r = device();
	uint8_t packet[REGISTRATION_SIZE], answer[REGISTRATION_SIZE];
	struct registration m;

	registrar_refresh(&r, 100, packet);
	cr_assert_eq(registration_unpack(packet, sizeof(packet), &m), 0);
	m.type = REGISTRATION_ANSWER;
	registration_pack(&m, r.key, answer);
	registrar_set_asleep(&r, true, 60000);
	cr_assert_eq(registrar_receive(&r, answer, sizeof(answer)), REGISTRAR_IGNORED);
	registrar_refresh(&r, 101, packet);
	cr_assert_eq(registration_unpack(packet, sizeof(packet), &m), 0);
	cr_assert_eq(m.status, REGISTRATION_ASLEEP);
	cr_assert_eq(m.period_ms, 60000);
	m.type = REGISTRATION_ANSWER;
	m.status = REGISTRATION_ACCEPTED;
	registration_pack(&m, r.key, answer);
	cr_assert_eq(registrar_receive(&r, answer, sizeof(answer)), REGISTRAR_ACCEPTED);
}

/* ---- The gateway ------------------------------------------------------------------ */

#define HEADER "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"

Test(gateway, is_that_of_the_default_route_with_the_lowest_metric)
{
	static const char text[] = HEADER
		"eth0\t00000000\t010200C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n"
		"wlan0\t00000000\t020200C0\t0003\t0\t0\t50\t00000000\t0\t0\t0\n"
		"wlan1\t00000000\t030200C0\t0003\t0\t0\t50\t00000000\t0\t0\t0\n"
		"down0\t00000000\t040200C0\t0002\t0\t0\t1\t00000000\t0\t0\t0\n"
		"ppp0\t00000000\t00000000\t0001\t0\t0\t1\t00000000\t0\t0\t0\n"
		"eth0\t000200C0\t050200C0\t0003\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
		"half0\t00000000\t060200C0\t0003\t0\t0\t0\t00000080\t0\t0\t0\n";
	struct in_addr a;

	cr_assert_eq(gateway_parse(text, &a), 0);
	cr_assert_eq(a.s_addr, 0x020200C0);
}

#define ZERO "00000000000000000000000000000000"
#define TO(to, length) to " " length " " ZERO " 00 "

Test(gateway, of_ipv6_has_its_interface)
{
	static const char text[] =
		TO(ZERO, "00") "fe800000000000000000000000000001 00000400 1 0 00450003    "
			       "eth0\n" TO(ZERO, "00") "fe800000000000000000000000000002 00000064 "
						       "1 0 00450003   wlan0\n" TO(
							       ZERO,
							       "00") "fe800000000000000000000000000"
								     "003 00000064 1 0 00450003   "
								     "wlan1\n" TO(ZERO,
										  "00") "fe80000000"
											"0000000000"
											"0000000000"
											"04 "
											"00000001 "
											"1 0 "
											"00450002  "
											" down0"
											"\n" TO(ZERO,
												"0"
												"0")
												ZERO
		" 00000001 1 0 00000001    ppp0\n" TO(
			"20010db8000000000000000000000000", "40") "fe800000000000000000000000000005"
								  " 00000001 1 0 00450003    "
								  "eth0\n" TO(ZERO, "00") ZERO
		" ffffffff 1 0 00200200      lo\n";
	char interface[IF_NAMESIZE];
	struct in6_addr a;

	cr_assert_eq(gateway_parse_v6(text, &a, interface), 0);
	cr_assert_eq(a.s6_addr[0], 0xfe);
	cr_assert_eq(a.s6_addr[1], 0x80);
	cr_assert_eq(a.s6_addr[15], 2);
	cr_assert_str_eq(interface, "wlan0");
	cr_assert_eq(gateway_parse_v6("", &a, interface), -ENETUNREACH);
	cr_assert_eq(gateway_parse_v6("x\n\n" TO(ZERO, "00") "fe80 00000064 1 0 00450003 eth0\n",
				      &a, interface),
		     -ENETUNREACH);
	cr_assert_str_eq(interface, "wlan0");
}

Test(gateway, may_be_missing)
{
	struct in_addr a = { 7 };

	cr_assert_eq(gateway_parse("", &a), -ENETUNREACH);
	cr_assert_eq(gateway_parse(HEADER, &a), -ENETUNREACH);
	cr_assert_eq(gateway_parse("garbage\n\n\nx y z\n\teth0", &a), -ENETUNREACH);
	cr_assert_eq(a.s_addr, 7);
}

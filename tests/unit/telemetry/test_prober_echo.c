/* SPDX-License-Identifier: Apache-2.0
 *
 * Clients that have no reflector, and those of both families side by side.
 */
#include "telemetry/echo.h"
#include "tests/unit/telemetry/prober_world.h"

static struct prober_watch client_at(unsigned i, const char *address)
{
	struct prober_watch watch = client(i);

	cr_assert_eq(address_parse(address, 0, &watch.address), 0);
	return watch;
}

static void make_reply(const struct world *w, size_t i, uint8_t reply[ECHO_SIZE])
{
	memcpy(reply, w->sent[i].packet, ECHO_SIZE);
	reply[0] = w->sent[i].channel == PROBER_ECHO_V6 ? 129 : 0;
}

static void echo_back(struct world *w, size_t i, uint64_t delay_ns)
{
	uint8_t reply[ECHO_SIZE];

	make_reply(w, i, reply);
	deliver(w, i, delay_ns, reply, sizeof(reply));
}

static void check_untouched(struct world *w)
{
	cr_assert_eq(prober_report_changes(w->prober, w->now_ns, on_report, w), 0);
	cr_assert_eq(counters(w).accepted, 0);
}

static void measure(const char *address, enum prober_channel channel)
{
	const struct prober_watch watch = client_at(1, address);
	struct world w;

	world_start(&w);
	cr_assert_eq(prober_set_watch_list(w.prober, 0, &watch, 1), 0);
	world_run_until(&w, 2 * INTERVAL);
	cr_assert_geq(w.n, 2);
	cr_assert_eq(w.sent[0].channel, channel);
	echo_back(&w, 0, 20 * NS_PER_MS);
	cr_assert_eq(report(&w).rtt.last_ns, 20 * NS_PER_MS);
	cr_assert_eq(w.report.method, PROBER_ECHO);
	/* The kernel's time replaces ours; on another channel it is of another packet. */
	prober_sent_at(w.prober, PROBER_STAMP_V4, w.sent[1].packet, UTC);
	prober_sent_at(w.prober, channel, w.sent[1].packet, UTC + w.sent[1].at_ns + 3 * NS_PER_MS);
	echo_back(&w, 1, 20 * NS_PER_MS);
	cr_assert_eq(report(&w).rtt.last_ns, 17 * NS_PER_MS);
	/* A second time is nothing new, and what stays unanswered is lost. */
	echo_back(&w, 1, 25 * NS_PER_MS);
	cr_assert_eq(counters(&w).duplicate, 1);
	world_run_until(&w, 3 * NS_PER_S);
	cr_assert_gt(report(&w).rtt.lost, 15);
	world_end(&w);
}

Test(prober_echo, who_has_no_port_is_pinged)
{
	measure("192.0.2.1:0", PROBER_ECHO_V4);
	measure("[2001:db8::1]:0", PROBER_ECHO_V6);
}

Test(prober_echo, forged_replies_change_nothing)
{
	const struct prober_watch watch = client_at(1, "192.0.2.1:0");
	uint8_t reply[ECHO_SIZE];
	unsigned forged = 0;
	struct world w;

	world_start(&w);
	cr_assert_eq(prober_set_watch_list(w.prober, 0, &watch, 1), 0);
	world_run_until(&w, INTERVAL / 2);
	/* Every bit but for the checksum and the identifier, which the kernel judges. */
	for (unsigned bit = 0; bit < ECHO_SIZE * 8; bit++) {
		if (bit >= 16 && bit < 48)
			continue;
		make_reply(&w, 0, reply);
		reply[bit / 8] ^= (uint8_t)(1u << bit % 8);
		deliver(&w, 0, 10 * NS_PER_MS, reply, sizeof(reply));
		forged++;
	}
	cr_assert_eq(counters(&w).forged, forged);
	check_untouched(&w);
	echo_back(&w, 0, 10 * NS_PER_MS);
	cr_assert_eq(report(&w).rtt.last_ns, 10 * NS_PER_MS);
	world_end(&w);
}

Test(prober_echo, replies_of_a_wrong_length_or_from_elsewhere_change_nothing)
{
	const struct prober_watch watch = client_at(1, "192.0.2.1:0");
	uint8_t reply[100] = { 0 };
	struct world w;

	world_start(&w);
	cr_assert_eq(prober_set_watch_list(w.prober, 0, &watch, 1), 0);
	world_run_until(&w, INTERVAL / 2);
	make_reply(&w, 0, reply);
	for (size_t len = 0; len <= sizeof(reply); len++)
		if (len != ECHO_SIZE)
			deliver(&w, 0, 10 * NS_PER_MS, reply, len);
	cr_assert_eq(counters(&w).wrong_length, sizeof(reply));
	cr_assert_eq(address_parse("192.0.2.2:0", 0, &w.sent[0].to), 0);
	deliver(&w, 0, 10 * NS_PER_MS, reply, ECHO_SIZE);
	cr_assert_eq(counters(&w).stranger, 1);
	check_untouched(&w);
	world_end(&w);
}

Test(prober_echo, who_shares_an_address_is_told_apart)
{
	const struct prober_watch list[] = { client_at(1, "192.0.2.1:0"),
					     client_at(2, "192.0.2.1:0"),
					     client_at(3, "192.0.2.1:862") };
	struct world w;

	world_start(&w);
	cr_assert_eq(prober_set_watch_list(w.prober, 0, list, 3), 0);
	world_run_until(&w, INTERVAL - 1);
	cr_assert_eq(w.n, 3);
	for (size_t i = 0; i < 3; i++) {
		uint64_t delay = (i + 1) * 10 * NS_PER_MS + 200 * NS_PER_MS;

		if (w.sent[i].channel == PROBER_ECHO_V4)
			echo_back(&w, i, delay);
		else
			answer(&w, i, delay, 0);
		cr_assert_eq(report(&w).rtt.last_ns, delay);
	}
	cr_assert_eq(counters(&w).accepted, 3);
	world_end(&w);
}

static const uint8_t *no_key(const struct uuid *device, void *userdata)
{
	(void)device, (void)userdata;
	return NULL;
}

Test(prober_echo, no_key_is_needed_where_others_have_one)
{
	const struct prober_watch list[] = { client_at(1, "192.0.2.1:0"),
					     client_at(2, "192.0.2.2:862") };
	struct world w;

	world_start_with(&w, no_key);
	cr_assert_eq(prober_set_watch_list(w.prober, 0, list, 2), 0);
	world_run_until(&w, INTERVAL - 1);
	cr_assert_eq(w.n, 1);
	echo_back(&w, 0, 200 * NS_PER_MS);
	cr_assert_eq(report(&w).rtt.last_ns, 200 * NS_PER_MS);
	world_end(&w);
}

Test(prober_echo, clients_of_both_families_are_probed_side_by_side)
{
	const struct prober_watch list[] = { client_at(1, "192.0.2.1:862"),
					     client_at(2, "[2001:db8::2]:862"),
					     client_at(3, "192.0.2.3:0"),
					     client_at(4, "[2001:db8::4]:0") };
	unsigned seen = 0;
	struct world w;

	world_start(&w);
	cr_assert_eq(prober_set_watch_list(w.prober, 0, list, 4), 0);
	world_run_until(&w, INTERVAL - 1);
	cr_assert_eq(w.n, 4);
	for (size_t i = 0; i < 4; i++) {
		seen |= 1u << w.sent[i].channel;
		cr_assert(address_equal(&w.sent[i].to, &list[w.sent[i].channel == PROBER_STAMP_V6
								    ? 1
							    : w.sent[i].channel == PROBER_ECHO_V4
								    ? 2
							    : w.sent[i].channel == PROBER_ECHO_V6
								    ? 3
								    : 0].address));
	}
	cr_assert_eq(seen, 15);
	world_end(&w);
}

Test(prober_echo, an_address_of_the_other_family_is_the_same_client)
{
	struct prober_watch watch = client_at(1, "192.0.2.1:862");
	struct address there;
	struct world w;

	cr_assert_eq(address_parse("[2001:db8::7]:5000", 0, &there), 0);
	world_start(&w);
	cr_assert_eq(prober_set_watch_list(w.prober, 0, &watch, 1), 0);
	world_run_until(&w, INTERVAL / 2);
	answer(&w, 0, 40 * NS_PER_MS, 0);
	cr_assert_eq(report(&w).rtt.srtt_ns, 40 * NS_PER_MS);
	prober_set_registered(w.prober, w.now_ns, &watch.device, &there, false);
	world_run_until(&w, w.now_ns + INTERVAL);
	cr_assert_eq(w.sent[w.n - 1].channel, PROBER_STAMP_V6);
	/* An answer from where it was is a stranger's. */
	deliver(&w, 0, 50 * NS_PER_MS, w.sent[0].packet, STAMP_SIZE);
	cr_assert_eq(counters(&w).stranger, 1);
	answer(&w, w.n - 1, 48 * NS_PER_MS, 0);
	cr_assert_eq(report(&w).rtt.srtt_ns, 41 * NS_PER_MS, "7/8 of what was learnt there");
	cr_assert(uuid_equal(&w.report.device, &watch.device));
	world_end(&w);
}

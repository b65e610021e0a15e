/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/telemetry/prober_world.h"

/* ---- One bad client changes nothing, not even for itself --------------------------------- */

static void check_untouched(struct world *w)
{
	cr_assert_eq(prober_report_changes(w->prober, w->now_ns, on_report, w), 0);
	cr_assert_eq(counters(w).accepted, 0);
}

Test(prober_answers, replies_of_a_wrong_length_change_nothing)
{
	uint8_t reply[100] = { 0 };
	struct world w;

	world_start(&w);
	watch_one(&w);
	world_run_until(&w, INTERVAL / 2);
	reflect(&w, 0, 0, reply);
	for (size_t len = 0; len <= sizeof(reply); len++)
		if (len != STAMP_SIZE)
			deliver(&w, 0, 10 * NS_PER_MS, reply, len);
	cr_assert_eq(counters(&w).wrong_length, sizeof(reply));
	check_untouched(&w);
	world_end(&w);
}

Test(prober_answers, replies_from_another_address_change_nothing)
{
	uint8_t reply[STAMP_SIZE];
	struct world w;

	world_start(&w);
	watch_one(&w);
	world_run_until(&w, INTERVAL / 2);
	reflect(&w, 0, 0, reply);
	address_set_port(&w.sent[0].to, 5001);
	deliver(&w, 0, 10 * NS_PER_MS, reply, sizeof(reply));
	cr_assert_eq(counters(&w).stranger, 1);
	check_untouched(&w);
	world_end(&w);
}

Test(prober_answers, forged_replies_change_nothing)
{
	uint8_t reply[STAMP_SIZE];
	struct world w;

	world_start(&w);
	watch_one(&w);
	world_run_until(&w, INTERVAL / 2);
	/* Every bit of the fields that must come back as they were sent. */
	for (unsigned bit = 24 * 8; bit < 38 * 8; bit++) {
		reflect(&w, 0, 0, reply);
		reply[bit / 8] ^= (uint8_t)(1u << bit % 8);
		deliver(&w, 0, 10 * NS_PER_MS, reply, sizeof(reply));
	}
	cr_assert_eq(counters(&w).forged, 14 * 8);
	check_untouched(&w);
	answer(&w, 0, 20 * NS_PER_MS, 0);
	cr_assert_eq(report(&w).rtt.last_ns, 20 * NS_PER_MS);
	world_end(&w);
}

/* A TWAMP-Light reflector (RFC 5357, 4.2.1) has padding where STAMP has zeroes and an SSID. */
Test(prober_answers, twamp_lights_replies_are_as_good)
{
	uint8_t reply[STAMP_SIZE];
	struct world w;

	world_start(&w);
	watch_one(&w);
	world_run_until(&w, INTERVAL / 2);
	reflect(&w, 0, 0, reply);
	memset(reply + 14, 0xa5, 2);
	memset(reply + 38, 0xa5, 2);
	memset(reply + 41, 0xa5, 3);
	deliver(&w, 0, 10 * NS_PER_MS, reply, sizeof(reply));
	cr_assert_eq(report(&w).rtt.last_ns, 10 * NS_PER_MS);
	world_end(&w);
}

static const uint8_t *key_of_one(const struct uuid *device, void *userdata)
{
	static const uint8_t key[STAMP_KEY_SIZE] = { 7 };
	const struct prober_watch one = client(1);

	(void)userdata;
	return uuid_equal(device, &one.device) ? key : NULL;
}

Test(prober_answers, authenticated_it_probes_and_believes_whom_it_has_a_key_of)
{
	const struct prober_watch list[] = { client(1), client(2) };
	uint8_t other[STAMP_KEY_SIZE] = { 8 }, packet[STAMP_AUTH_SIZE];
	const uint8_t *key = key_of_one(&list[0].device, NULL);
	struct stamp_request request;
	struct stamp_reply reply;
	struct world w;

	world_start_with(&w, key_of_one);
	cr_assert_eq(prober_set_watch_list(w.prober, 0, list, 2), 0);
	world_run_until(&w, INTERVAL - 1);
	cr_assert_eq(w.n, 1);
	cr_assert(address_equal(&w.sent[0].to, &list[0].address));
	cr_assert_eq(stamp_auth_request_unpack(w.sent[0].packet, STAMP_AUTH_SIZE, key, &request), 0);
	prober_sent_at(w.prober, PROBER_STAMP_V4, w.sent[0].packet, UTC + w.sent[0].at_ns + 2 * NS_PER_MS);
	reply = stamp_reply_to(&request, UTC, UTC, 64, 1);
	stamp_auth_reply_pack(&reply, other, packet);
	deliver(&w, 0, 10 * NS_PER_MS, packet, sizeof(packet));
	cr_assert_eq(counters(&w).forged, 1);
	/* The other mode's, right as it is. */
	stamp_reply_pack(&reply, packet);
	deliver(&w, 0, 10 * NS_PER_MS, packet, STAMP_SIZE);
	cr_assert_eq(counters(&w).wrong_length, 1);
	check_untouched(&w);
	stamp_auth_reply_pack(&reply, key, packet);
	deliver(&w, 0, 10 * NS_PER_MS, packet, sizeof(packet));
	cr_assert_eq(report(&w).rtt.last_ns, 8 * NS_PER_MS);
	world_end(&w);
}

Test(prober_answers, impossible_times_change_nothing)
{
	uint8_t reply[STAMP_SIZE];
	struct stamp_reply p;
	struct world w;

	world_start(&w);
	watch_one(&w);
	world_run_until(&w, INTERVAL / 2);
	/* More time inside than there was, and time that ran backwards. */
	answer(&w, 0, 10 * NS_PER_MS, 11 * NS_PER_MS);
	reflect(&w, 0, 0, reply);
	cr_assert_eq(stamp_reply_unpack(reply, sizeof(reply), &p), 0);
	p.t3 = stamp_time_pack(STAMP_NTP, UTC);
	p.t2 = stamp_time_pack(STAMP_NTP, UTC + 1);
	stamp_reply_pack(&p, reply);
	deliver(&w, 0, 10 * NS_PER_MS, reply, sizeof(reply));
	/* Our own clock was set while the probe was away. */
	reflect(&w, 0, 0, reply);
	prober_receive(w.prober, w.now_ns, &w.sent[0].to, UTC + 7200 * NS_PER_S, 0, reply,
		       sizeof(reply));
	prober_receive(w.prober, w.now_ns, &w.sent[0].to, UTC - 7200 * NS_PER_S, 0, reply,
		       sizeof(reply));
	cr_assert_eq(counters(&w).implausible, 4);
	check_untouched(&w);
	world_end(&w);
}

Test(prober_answers, duplicated_and_late_replies_change_nothing)
{
	struct world w;

	world_start(&w);
	watch_one(&w);
	world_run_until(&w, INTERVAL / 2);
	answer(&w, 0, 10 * NS_PER_MS, 0);
	report(&w);
	answer(&w, 0, 15 * NS_PER_MS, 0);
	answer(&w, 0, 500 * NS_PER_MS, 0);
	cr_assert_eq(counters(&w).duplicate, 2);
	world_run_until(&w, INTERVAL);
	answer(&w, 1, TIMEOUT, 0);
	cr_assert_eq(counters(&w).late, 1);
	world_run_until(&w, 3 * TIMEOUT);
	/* A replay of the first, long since forgotten. */
	answer(&w, 0, 3 * TIMEOUT, 0);
	cr_assert_eq(counters(&w).late, 2);
	cr_assert_eq(counters(&w).accepted, 1);
	cr_assert_eq(report(&w).rtt.last_ns, 10 * NS_PER_MS);
	world_end(&w);
}

/* Two devices behind one address, as when one registers with the other's. */
Test(prober_answers, clients_that_share_an_address_are_told_apart)
{
	struct prober_watch list[] = { client(1), client(2) };
	struct world w;

	list[1].address = list[0].address;
	world_start(&w);
	cr_assert_eq(prober_set_watch_list(w.prober, 0, list, 2), 0);
	world_run_until(&w, INTERVAL - 1);
	cr_assert_eq(w.n, 2);
	answer(&w, 1, 30 * NS_PER_MS, 0);
	cr_assert_eq(report(&w).rtt.last_ns, 30 * NS_PER_MS);
	answer(&w, 0, 130 * NS_PER_MS, 0);
	cr_assert_eq(report(&w).rtt.last_ns, 130 * NS_PER_MS);
	cr_assert_eq(counters(&w).accepted, 2);
	world_end(&w);
}

static void keep_honest_report(const struct prober_report *r, void *userdata)
{
	struct rtt_figures *honest = userdata;
	const struct prober_watch first = client(1);

	if (uuid_equal(&r->device, &first.device))
		*honest = r->rtt;
}

/* What the clients make of probe i: 1 is honest, 2 dead, 3 floods, 4 lies and
 * 5 is lossy. */
static void behave(struct world *w, size_t i)
{
	static const uint8_t noise[STAMP_SIZE];

	switch (ntohl(w->sent[i].to.v4.sin_addr.s_addr) & 255) {
	case 1:
		answer(w, i, 20 * NS_PER_MS, 0);
		break;
	case 3:
		for (int k = 0; k < 50; k++)
			deliver(w, i, 20 * NS_PER_MS, noise, sizeof(noise));
		break;
	case 4:
		answer(w, i, 20 * NS_PER_MS, 21 * NS_PER_MS);
		break;
	case 5:
		if (i % 2)
			answer(w, i, 20 * NS_PER_MS, 0);
		break;
	}
}

static struct rtt_figures honest_figures(size_t clients)
{
	const struct prober_watch list[] = { client(1), client(2), client(3), client(4),
					     client(5) };
	struct rtt_figures honest = { 0 };
	struct world w;
	size_t done = 0;

	world_start(&w);
	cr_assert_eq(prober_set_watch_list(w.prober, 0, list, clients), 0);
	while (w.now_ns < 20 * NS_PER_S) {
		world_run_until(&w, w.now_ns + NS_PER_MS);
		while (done < w.n && w.sent[done].at_ns + 20 * NS_PER_MS <= w.now_ns)
			behave(&w, done++);
	}
	prober_report_changes(w.prober, w.now_ns, keep_honest_report, &honest);
	if (clients > 1) {
		cr_assert_geq(counters(&w).forged + counters(&w).late, 9000);
		cr_assert_geq(counters(&w).implausible, 190);
	}
	world_end(&w);
	return honest;
}

Test(prober_answers, bad_company_does_not_spoil_an_honest_client)
{
	struct rtt_figures alone = honest_figures(1), together = honest_figures(5);

	cr_assert_eq(alone.sent, 201); /* both ends of 20 s */
	cr_assert_eq(alone.lost, 0);
	cr_assert_eq(alone.srtt_ns, 20 * NS_PER_MS);
	cr_assert_eq(memcmp(&alone, &together, sizeof(alone)), 0);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Probes with TLVs, and what a reflector makes of them.
 */
#include "telemetry/session_reflector.h"
#include "tests/unit/telemetry/prober_world.h"

#define INSIDE NS_PER_MS
#define AWAY (20 * NS_PER_MS)

static const struct probe_tlvs_wishes all = {
	.padding = 7,
	.class_of_service = true,
	.dscp = 46,
	.timestamp_information = true,
	.direct_measurement = true,
	.location = true,
	.follow_up = true,
	.access = STAMP_ACCESS_OTHER,
};

static const uint8_t key[STAMP_KEY_SIZE] = { 9, 8, 7 };

static const uint8_t *key_of(const struct uuid *device, void *userdata)
{
	(void)device, (void)userdata;
	return key;
}

static void start_in(struct world *w, const struct probe_tlvs_wishes *wishes, bool authenticated,
		     bool protect)
{
	struct prober_config config = config_of(w);

	*w = (struct world){ .sent = calloc(SENT_MAX, sizeof(struct sent)) };
	config.tlvs = *wishes;
	config.authenticated = authenticated;
	config.key_of = authenticated || protect ? key_of : NULL;
	cr_assert_eq(prober_new(&config, &w->prober), 0);
	watch_one(w);
}

static void start(struct world *w, const struct probe_tlvs_wishes *wishes, bool authenticated)
{
	start_in(w, wishes, authenticated, false);
}

static struct session_reflector *reflector_in(bool stateful, bool authenticated, bool protect)
{
	struct session_reflector_config config = {
		.stateful = stateful,
		.authenticated = authenticated,
		.protect_tlvs = protect,
		.dscps = UINT64_C(1) << 46,
	};
	struct session_reflector *r;

	config.key.present = authenticated || protect;
	memcpy(config.key.bytes, key, sizeof(key));
	cr_assert_eq(session_reflector_new(&config, &r), 0);
	return r;
}

static struct session_reflector *reflector(bool stateful, bool authenticated)
{
	return reflector_in(stateful, authenticated, false);
}

struct answer {
	uint8_t data[384];
	size_t len;
	uint8_t tos;
};

/* To probe `i`, which arrived after half of AWAY; it waits there for `wait_ns` after T3. */
static struct answer answer_by(const struct world *w, struct session_reflector *r, size_t i,
			       uint64_t wait_ns)
{
	const struct sent *s = &w->sent[i];
	uint64_t at = UTC + s->at_ns + AWAY / 2;
	struct session_reflector_packet p = { .to = s->to,
					      .ttl = 60,
					      .tos = 46 << 2,
					      .received_utc_ns = at,
					      .now_utc_ns = at + INSIDE,
					      .now_ns = s->at_ns,
					      .error_estimate = 0x8001 };
	struct answer a = { .len = prober_packet_size(w->prober, s->channel) };
	struct session_reflector_answer answer;

	cr_assert_eq(address_parse("192.0.2.9:8620", 0, &p.from), 0);
	memcpy(a.data, s->packet, a.len);
	cr_assert_eq(session_reflector_answer(r, &p, a.data, a.len, &answer), 0);
	session_reflector_sent(&answer, p.now_utc_ns + wait_ns);
	a.tos = answer.tos;
	return a;
}

static void deliver_answer(struct world *w, size_t i, uint64_t wait_ns, const struct answer *a)
{
	uint64_t at = w->sent[i].at_ns + AWAY + INSIDE + wait_ns;

	w->now_ns = at > w->now_ns ? at : w->now_ns;
	prober_receive(w->prober, w->now_ns, &w->sent[i].to, UTC + at, a->tos, a->data, a->len);
}

static void exchange(struct world *w, struct session_reflector *r, uint64_t wait_ns)
{
	struct answer a;

	world_run_until(w, w->now_ns + INTERVAL);
	a = answer_by(w, r, w->n - 1, wait_ns);
	deliver_answer(w, w->n - 1, wait_ns, &a);
}

static const struct client_tlvs_counters *tlv_counters(const struct world *w)
{
	return &prober_counters(w->prober)->tlvs;
}

static void all_is_told(bool authenticated)
{
	struct session_reflector *r = reflector(true, authenticated);
	const struct client_tlvs_figures *f;
	struct world w;

	start(&w, &all, authenticated);
	for (int i = 0; i < 5; i++)
		exchange(&w, r, 0);
	f = report(&w).tlvs;
	cr_assert_not_null(f);
	cr_assert(f->understood && f->has_class_of_service && f->has_clocks && f->has_losses);
	cr_assert(f->has_location && f->has_wait && !f->dscp_refused && !f->translated);
	cr_assert_eq(f->dscp_there, 46);
	cr_assert_eq(f->dscp_back, 46);
	cr_assert_eq(f->clock_in, STAMP_CLOCK_NTP);
	cr_assert_eq(f->method_out, STAMP_METHOD_SOFTWARE);
	cr_assert_eq(f->lost_there + f->lost_back, 0);
	cr_assert_eq(tlv_counters(&w)->verdicts[PROBE_TLVS_ANSWERED], 5);
	cr_assert_eq(tlv_counters(&w)->changed_there + tlv_counters(&w)->changed_back, 0);
	cr_assert_eq(counters(&w).accepted, 5);
	world_end(&w);
	session_reflector_free(r);
}

Test(prober_tlvs, all_is_told)
{
	all_is_told(false);
}

Test(prober_tlvs, all_is_told_in_the_authenticated_mode)
{
	all_is_told(true);
}

/* In the unauthenticated mode TLVs alone have an HMAC, which such a reflector wants. */
Test(prober_tlvs, they_alone_may_be_protected)
{
	struct session_reflector *r = reflector_in(true, false, true);
	struct answer a;
	struct world w;

	start_in(&w, &all, false, true);
	exchange(&w, r, 0);
	cr_assert_eq(tlv_counters(&w)->verdicts[PROBE_TLVS_ANSWERED], 1);
	world_run_until(&w, w.now_ns + INTERVAL);
	a = answer_by(&w, r, w.n - 1, 0);
	a.data[STAMP_SIZE + 5] ^= 0x10;
	deliver_answer(&w, w.n - 1, 0, &a);
	cr_assert_eq(tlv_counters(&w)->verdicts[PROBE_TLVS_FORGED], 1);
	world_end(&w);
	/* Without one it says that they are not whole. */
	start(&w, &all, false);
	exchange(&w, r, 0);
	cr_assert_eq(tlv_counters(&w)->verdicts[PROBE_TLVS_NOT_WHOLE], 1);
	cr_assert_eq(counters(&w).accepted, 1);
	world_end(&w);
	session_reflector_free(r);
}

Test(prober_tlvs, what_a_device_takes_to_send_is_not_the_paths)
{
	struct session_reflector *r = reflector(true, false);
	struct world w;

	start(&w, &all, false);
	exchange(&w, r, 5 * NS_PER_MS); /* not known yet whether it will be told: as it is */
	cr_assert_eq(report(&w).rtt.last_ns, AWAY + 5 * NS_PER_MS);
	exchange(&w, r, 3 * NS_PER_MS); /* this one waits for the next, */
	cr_assert_eq(w.report.rtt.last_ns, AWAY + 5 * NS_PER_MS);
	exchange(&w, r, 7 * NS_PER_MS); /* and is told of */
	cr_assert_leq(report(&w).rtt.last_ns, AWAY + 1);
	cr_assert_geq(w.report.rtt.last_ns, AWAY - 1);
	cr_assert_leq(w.report.tlvs->wait_ns - 3 * NS_PER_MS + 1, 2);
	cr_assert_eq(tlv_counters(&w)->followed_up, 1);
	/* Nothing comes any more: it is taken as it is, once. */
	world_run_until(&w, w.now_ns + 2 * (INTERVAL + TIMEOUT));
	cr_assert_eq(report(&w).rtt.last_ns, AWAY + 7 * NS_PER_MS);
	cr_assert_eq(tlv_counters(&w)->followed_up, 1);
	world_end(&w);
	session_reflector_free(r);
}

Test(prober_tlvs, a_stateless_reflector_has_nothing_to_wait_for)
{
	struct session_reflector *r = reflector(false, false);
	struct world w;

	start(&w, &all, false);
	for (int i = 1; i <= 3; i++) {
		exchange(&w, r, i * NS_PER_MS);
		cr_assert_eq(report(&w).rtt.last_ns, AWAY + i * NS_PER_MS);
	}
	cr_assert_eq(tlv_counters(&w)->verdicts[PROBE_TLVS_PARTLY], 3);
	cr_assert_not(w.report.tlvs->has_losses, "it counts nothing");
	cr_assert(w.report.tlvs->has_clocks);
	world_end(&w);
	session_reflector_free(r);
}

Test(prober_tlvs, who_knows_none_is_measured_as_ever)
{
	struct world w;
	uint8_t echoed[384] = { 0 };
	size_t size;

	start(&w, &all, false);
	world_run_until(&w, INTERVAL);
	size = prober_packet_size(w.prober, PROBER_STAMP_V4);
	answer(&w, 0, AWAY, 0); /* nothing but the base packet */
	cr_assert_eq(report(&w).rtt.last_ns, AWAY);
	cr_assert_not(w.report.tlvs->understood);
	world_run_until(&w, 2 * INTERVAL);
	memcpy(echoed, w.sent[1].packet, size);
	reflect(&w, 1, 0, echoed); /* and with what follows it as padding */
	deliver(&w, 1, AWAY, echoed, size);
	cr_assert_eq(tlv_counters(&w)->verdicts[PROBE_TLVS_PLAIN], 2);
	cr_assert_eq(counters(&w).accepted, 2);
	world_run_until(&w, 3 * INTERVAL);
	reflect(&w, 2, 0, echoed);
	deliver(&w, 2, AWAY, echoed, size - 1); /* but no other length */
	deliver(&w, 2, AWAY, echoed, STAMP_SIZE + 1);
	cr_assert_eq(counters(&w).wrong_length, 2);
	world_end(&w);
}

/* What is wrong behind a base packet that is right is counted, and the time stays one. */
Test(prober_tlvs, what_is_forged_is_not_believed)
{
	struct session_reflector *r = reflector(true, true);
	struct answer a;
	struct world w;

	start(&w, &all, true);
	world_run_until(&w, INTERVAL);
	a = answer_by(&w, r, 0, 0);
	a.data[STAMP_AUTH_SIZE + 5] ^= 0x10; /* the DSCP that arrived */
	deliver_answer(&w, 0, 0, &a);
	cr_assert_eq(tlv_counters(&w)->verdicts[PROBE_TLVS_FORGED], 1);
	cr_assert_eq(report(&w).rtt.last_ns, AWAY);
	cr_assert_not(w.report.tlvs->understood || w.report.tlvs->has_class_of_service);
	/* One that had no HMAC is as untold. */
	world_run_until(&w, 2 * INTERVAL);
	a = answer_by(&w, r, 1, 0);
	a.data[1] ^= 1;
	deliver_answer(&w, 1, 0, &a);
	cr_assert_eq(counters(&w).forged, 1);
	cr_assert_eq(counters(&w).accepted, 1);
	world_end(&w);
	session_reflector_free(r);
}

Test(prober_tlvs, a_client_that_moves_waits_for_nothing)
{
	struct session_reflector *r = reflector(true, false);
	struct prober_watch moved = client(1);
	struct world w;

	start(&w, &all, false);
	exchange(&w, r, 0);
	exchange(&w, r, 2 * NS_PER_MS);
	address_set_port(&moved.address, 6000);
	cr_assert_eq(prober_set_watch_list(w.prober, w.now_ns, &moved, 1), 0);
	world_run_until(&w, w.now_ns + 3 * TIMEOUT);
	cr_assert_eq(report(&w).rtt.last_ns, AWAY);
	world_end(&w);
	session_reflector_free(r);
}

Test(prober_tlvs, an_echo_has_none)
{
	struct prober_watch watch = client(1);
	struct world w;

	start(&w, &all, false);
	address_set_port(&watch.address, 0);
	cr_assert_eq(prober_set_watch_list(w.prober, 0, &watch, 1), 0);
	world_run_until(&w, INTERVAL);
	cr_assert_eq(w.sent[0].channel, PROBER_ECHO_V4);
	cr_assert_lt(prober_packet_size(w.prober, PROBER_ECHO_V4), (size_t)STAMP_AUTH_SIZE);
	world_end(&w);
}

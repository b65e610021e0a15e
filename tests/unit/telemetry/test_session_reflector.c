/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "common/clock.h"
#include "telemetry/session_reflector.h"
#include "telemetry/stamp_tlv.h"

#define T UINT64_C(1795235400500000000)

static const uint8_t key[STAMP_KEY_SIZE] = { 3, 1, 4, 1, 5 };

struct world {
	struct session_reflector *r;
	struct session_reflector_packet p;
	struct session_reflector_answer answer;
	uint8_t data[1500];
	size_t len;
};

static void setup(struct world *w, struct session_reflector_config config)
{
	*w = (struct world){ .p = { .ttl = 61,
				    .received_utc_ns = T,
				    .now_utc_ns = T + NS_PER_MS,
				    .now_ns = NS_PER_S,
				    .error_estimate = 0x8001 } };
	memcpy(config.key.bytes, key, sizeof(key));
	cr_assert_eq(address_parse("192.0.2.1:50000", 0, &w->p.from), 0);
	cr_assert_eq(address_parse("192.0.2.2:862", 0, &w->p.to), 0);
	cr_assert_eq(session_reflector_new(&config, &w->r), 0);
}

static int answer(struct world *w)
{
	return session_reflector_answer(w->r, &w->p, w->data, w->len, &w->answer);
}

/* Asks with a base packet and returns the answer's sequence number. */
static uint32_t ask(struct world *w, uint32_t sequence, uint16_t ssid)
{
	const struct stamp_request request = { .sequence = sequence, .ssid = ssid };
	struct stamp_reply reply;

	stamp_request_pack(&request, w->data);
	w->len = STAMP_SIZE;
	w->p.now_ns++;
	cr_assert_eq(answer(w), 0);
	cr_assert_eq(w->answer.len, STAMP_SIZE);
	cr_assert_eq(stamp_reply_unpack(w->data, w->answer.len, &reply), 0);
	cr_assert_eq(reply.sender.sequence, sequence);
	cr_assert_eq(reply.sender.ssid, ssid);
	cr_assert_eq(reply.sender_ttl, 61);
	return reply.sequence;
}

Test(session_reflector, stateless_it_repeats_sequence_numbers)
{
	struct world w;

	setup(&w, (struct session_reflector_config){ 0 });
	cr_assert_eq(ask(&w, 7, 0), 7);
	cr_assert_eq(ask(&w, UINT32_MAX, 1), UINT32_MAX);
	session_reflector_free(w.r);
}

Test(session_reflector, stateful_it_counts_each_sessions_answers)
{
	struct world w;

	setup(&w, (struct session_reflector_config){ .stateful = true });
	cr_assert_eq(ask(&w, 7, 1), 0);
	cr_assert_eq(ask(&w, 9, 1), 1);
	cr_assert_eq(ask(&w, 7, 2), 0);
	address_set_port(&w.p.from, 50001);
	cr_assert_eq(ask(&w, 7, 1), 0);
	address_set_port(&w.p.to, 863);
	cr_assert_eq(ask(&w, 7, 1), 0);
	address_set_port(&w.p.to, 862);
	address_set_port(&w.p.from, 50000);
	cr_assert_eq(ask(&w, 10, 1), 2);
	cr_assert_eq(session_reflector_counters(w.r)->sessions, 4);
	cr_assert_eq(session_reflector_counters(w.r)->evicted, 0);
	session_reflector_free(w.r);
}

Test(session_reflector, who_makes_up_sessions_costs_others_none)
{
	struct world w;
	struct address us, flooder;

	setup(&w, (struct session_reflector_config){ .stateful = true });
	us = w.p.from;
	cr_assert_eq(address_parse("192.0.2.66:1", 0, &flooder), 0);
	/* Two addresses share a slot once in 256 times: then there is another flooder. */
	cr_assert_eq(ask(&w, 0, 1), 0);
	for (unsigned tries = 0; tries < 3; tries++) {
		uint64_t evicted = session_reflector_counters(w.r)->evicted;

		for (uint16_t ssid = 1; ssid <= 1000; ssid++) {
			w.p.from = flooder;
			cr_assert_eq(ask(&w, 0, ssid), 0);
		}
		cr_assert_geq(session_reflector_counters(w.r)->evicted,
			      evicted + 1000 - SESSION_WAYS);
		w.p.from = us;
		if (ask(&w, 1, 1) == 1)
			break;
		cr_assert_lt(tries, 2);
		flooder.v4.sin_addr.s_addr += htonl(1);
		session_reflector_free(w.r);
		setup(&w, (struct session_reflector_config){ .stateful = true });
		cr_assert_eq(ask(&w, 0, 1), 0);
	}
	session_reflector_free(w.r);
}

Test(session_reflector, short_packets_are_refused_unless_twamp_light_may_ask)
{
	uint8_t before[STAMP_SIZE];
	struct world w;

	for (int light = 0; light < 2; light++) {
		setup(&w, (struct session_reflector_config){ .twamp_light = light });
		for (w.len = 0; w.len < STAMP_SIZE; w.len++) {
			struct stamp_reply reply;
			bool good = light && w.len >= TWAMP_LIGHT_SIZE;

			/* What follows is another packet's. */
			memset(w.data, 0x55, sizeof(w.data));
			memcpy(before, w.data, sizeof(before));
			cr_assert_eq(answer(&w), good ? 0 : -EBADMSG);
			if (!good) {
				cr_assert_arr_eq(w.data, before, sizeof(before));
				continue;
			}
			cr_assert_eq(w.answer.len, STAMP_SIZE);
			cr_assert_eq(stamp_reply_unpack(w.data, STAMP_SIZE, &reply), 0);
			cr_assert_eq(reply.sender.sequence, 0x55555555);
			cr_assert_eq(reply.sender.ssid, 0);
		}
		session_reflector_free(w.r);
	}
}

/* RFC 6038: padding comes back, whatever it holds; only the flags of what looks like TLVs are ours.
 */
Test(session_reflector, answers_are_as_long_as_requests)
{
	struct world w;

	setup(&w, (struct session_reflector_config){ 0 });
	for (size_t len = STAMP_SIZE; len <= sizeof(w.data); len++) {
		w.len = len;
		for (size_t i = 0; i < len; i++)
			w.data[i] = (uint8_t)(i * 7 + 1);
		cr_assert_eq(answer(&w), 0);
		cr_assert_eq(w.answer.len, len);
		/* 46: the type of the first TLV; it is none that we know. */
		for (size_t i = STAMP_SIZE + 1; i < len; i++)
			cr_assert_eq(w.data[i], (uint8_t)(i * 7 + 1));
	}
	session_reflector_free(w.r);
}

/* ---- Authenticated ---------------------------------------------------------------------- */

static void ask_auth(struct world *w, const uint8_t *with)
{
	stamp_auth_request_pack(&(struct stamp_request){ .sequence = 5 }, with, w->data);
	w->len = STAMP_AUTH_SIZE;
}

Test(session_reflector, authenticated_it_answers_only_to_its_key)
{
	const uint8_t other[STAMP_KEY_SIZE] = { 1 };
	uint8_t before[STAMP_AUTH_SIZE];
	struct stamp_reply reply;
	struct world w;

	setup(&w, (struct session_reflector_config){
			  .stateful = true, .authenticated = true, .key.present = true });
	ask_auth(&w, key);
	cr_assert_eq(answer(&w), 0);
	cr_assert_eq(w.answer.len, STAMP_AUTH_SIZE);
	cr_assert_eq(stamp_auth_reply_unpack(w.data, w.answer.len, key, &reply), 0);
	cr_assert_eq(reply.sequence, 0);
	cr_assert_eq(reply.sender.sequence, 5);
	ask_auth(&w, other);
	memcpy(before, w.data, sizeof(before));
	cr_assert_eq(answer(&w), -EBADE);
	cr_assert_arr_eq(w.data, before, sizeof(before));
	/* An unauthenticated packet, and one that is too short. */
	stamp_request_pack(&(struct stamp_request){ 0 }, w.data);
	w.len = STAMP_SIZE;
	cr_assert_eq(answer(&w), -EBADMSG);
	/* None of these has counted. */
	ask_auth(&w, key);
	cr_assert_eq(answer(&w), 0);
	cr_assert_eq(stamp_auth_reply_unpack(w.data, w.answer.len, key, &reply), 0);
	cr_assert_eq(reply.sequence, 1);
	session_reflector_free(w.r);
}

static uint8_t *tlvs_of(struct world *w, size_t base)
{
	return w->data + base;
}

/* Adds a Class of Service that wishes for DSCP 46, and an HMAC unless `with` is NULL. */
static void add_tlvs(struct world *w, uint32_t sequence, const uint8_t *with)
{
	size_t base = w->len;
	struct wcursor c = wcursor_over(w->data + base, sizeof(w->data) - base);

	stamp_tlv_add(&c, STAMP_TLV_CLASS_OF_SERVICE, 4)[0] = 46 << 2;
	if (with)
		stamp_tlv_add(&c, STAMP_TLV_HMAC, STAMP_HMAC_SIZE);
	w->len += wcursor_used(&c);
	if (with)
		stamp_tlv_sign(sequence, w->data + base, w->len - base, with);
}

Test(session_reflector, authenticated_tlvs_have_an_hmac_both_ways)
{
	const uint8_t other[STAMP_KEY_SIZE] = { 1 };
	struct stamp_reply reply;
	struct world w;

	setup(&w, (struct session_reflector_config){ .stateful = true,
						     .authenticated = true,
						     .key.present = true,
						     .dscps = UINT64_C(1) << 46 });
	w.p.tos = 10 << 2 | 1;
	ask_auth(&w, key);
	add_tlvs(&w, 5, key);
	cr_assert_eq(answer(&w), 0);
	cr_assert_eq(w.answer.len, w.len);
	cr_assert_eq(w.answer.tos, 46 << 2);
	cr_assert_eq(stamp_auth_reply_unpack(w.data, w.answer.len, key, &reply), 0);
	cr_assert_eq(reply.sequence, 0);
	/* Under the answer's own sequence number. */
	cr_assert_eq(
		stamp_tlv_integrity(0, tlvs_of(&w, STAMP_AUTH_SIZE), w.len - STAMP_AUTH_SIZE, key),
		STAMP_INTEGRITY_RIGHT);
	cr_assert_eq(tlvs_of(&w, STAMP_AUTH_SIZE)[0], 0);
	cr_assert_eq(tlvs_of(&w, STAMP_AUTH_SIZE)[8], 0);
	cr_assert_eq(session_reflector_counters(w.r)->wrong_tlvs, 0);

	/* With a wrong one, and with none, the packet is answered, and the TLVs are not used. */
	for (int none = 0; none < 2; none++) {
		ask_auth(&w, key);
		add_tlvs(&w, 5, none ? NULL : other);
		cr_assert_eq(answer(&w), 0);
		cr_assert_eq(tlvs_of(&w, STAMP_AUTH_SIZE)[0], STAMP_TLV_I);
		cr_assert_eq(w.answer.tos, 10 << 2);
		cr_assert_eq(session_reflector_counters(w.r)->wrong_tlvs, 1 + (uint64_t)none);
	}
	session_reflector_free(w.r);
}

Test(session_reflector, a_lone_padding_needs_no_hmac)
{
	struct world w;
	struct wcursor c;

	setup(&w, (struct session_reflector_config){ .authenticated = true, .key.present = true });
	ask_auth(&w, key);
	c = wcursor_over(w.data + w.len, 100);
	stamp_tlv_add(&c, STAMP_TLV_EXTRA_PADDING, 96);
	w.len += 100;
	cr_assert_eq(answer(&w), 0);
	cr_assert_eq(w.answer.len, w.len);
	cr_assert_eq(tlvs_of(&w, STAMP_AUTH_SIZE)[0], 0);
	session_reflector_free(w.r);
}

Test(session_reflector, tlvs_can_be_protected_in_the_other_mode_too)
{
	struct world w;

	setup(&w, (struct session_reflector_config){ .protect_tlvs = true, .key.present = true });
	for (int right = 0; right < 2; right++) {
		stamp_request_pack(&(struct stamp_request){ .sequence = 5 }, w.data);
		w.len = STAMP_SIZE;
		add_tlvs(&w, 5, right ? key : NULL);
		cr_assert_eq(answer(&w), 0);
		cr_assert_eq(tlvs_of(&w, STAMP_SIZE)[0], right ? 0 : STAMP_TLV_I);
	}
	session_reflector_free(w.r);
}

Test(session_reflector, without_a_key_no_hmac_is_right)
{
	struct world w;

	setup(&w, (struct session_reflector_config){ 0 });
	stamp_request_pack(&(struct stamp_request){ .sequence = 5 }, w.data);
	w.len = STAMP_SIZE;
	add_tlvs(&w, 5, key);
	cr_assert_eq(answer(&w), 0);
	cr_assert_eq(tlvs_of(&w, STAMP_SIZE)[0], STAMP_TLV_I);
	session_reflector_free(w.r);
}

/* ---- Counters, follow-ups, locations ------------------------------------------------------- */

/* Asks with one TLV and returns its value in the answer. */
static const uint8_t *ask_tlv(struct world *w, uint8_t type, uint16_t len)
{
	struct wcursor c = wcursor_over(w->data + STAMP_SIZE, 100);

	stamp_request_pack(&(struct stamp_request){ .sequence = 5 }, w->data);
	stamp_tlv_add(&c, type, len);
	w->len = STAMP_SIZE + wcursor_used(&c);
	cr_assert_eq(answer(w), 0);
	return w->data + STAMP_SIZE + STAMP_TLV_HEADER_SIZE;
}

Test(session_reflector, it_counts_and_follows_up)
{
	static const uint8_t nothing[13] = { 0 };
	static const uint8_t second[13] = { 0, 0, 0, 0, [12] = STAMP_METHOD_SOFTWARE };
	uint8_t expected[13];
	const uint8_t *value;
	struct wcursor c = wcursor_over(expected, sizeof(expected));
	struct world w;

	setup(&w, (struct session_reflector_config){ .stateful = true });
	value = ask_tlv(&w, STAMP_TLV_FOLLOW_UP, 16);
	cr_assert_arr_eq(value, nothing, sizeof(nothing));
	session_reflector_sent(&w.answer, T + 7 * NS_PER_MS);
	value = ask_tlv(&w, STAMP_TLV_FOLLOW_UP, 16);
	memcpy(expected, second, sizeof(expected));
	wcursor_space(&c, 4);
	wcursor_u64(&c, stamp_time_pack(STAMP_NTP, T + 7 * NS_PER_MS));
	cr_assert_arr_eq(value, expected, sizeof(expected));
	value = ask_tlv(&w, STAMP_TLV_DIRECT_MEASUREMENT, 12);
	cr_assert_arr_eq(value, "\0\0\0\0\0\0\0\3\0\0\0\3", 12);
	session_reflector_free(w.r);
}

Test(session_reflector, locations_can_be_kept_secret)
{
	static const uint8_t zero[4] = { 0 };
	const uint8_t *value;
	struct world w;

	setup(&w, (struct session_reflector_config){ 0 });
	value = ask_tlv(&w, STAMP_TLV_LOCATION, 4);
	cr_assert_arr_eq(value, "\x03\x5e\xc3\x50", 4);
	session_reflector_free(w.r);
	setup(&w, (struct session_reflector_config){ .hide_location = true });
	value = ask_tlv(&w, STAMP_TLV_LOCATION, 4);
	cr_assert_arr_eq(value, zero, sizeof(zero));
	session_reflector_free(w.r);
}

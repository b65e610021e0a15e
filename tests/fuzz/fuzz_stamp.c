/* SPDX-License-Identifier: Apache-2.0
 *
 * STAMP on both sides: the input is a request to reflectors in all modes, and an answer to
 * probers with two open probes, of which one sends TLVs. After a byte 0xff comes one that says
 * which TLVs a sender has asked for, and then their answer.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "telemetry/probe_tlvs.h"
#include "telemetry/prober.h"
#include "telemetry/session_reflector.h"
#include "telemetry/stamp_tlv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define UTC UINT64_C(1795235400000000000)

/* Answers to the input twice, as to two packets of one session. */
static void check_reflector(const uint8_t *data, size_t size,
			    const struct session_reflector_config *config)
{
	struct session_reflector_packet p = { .ttl = 64,
					      .tos = 0x2b,
					      .received_utc_ns = UTC,
					      .now_utc_ns = UTC + 1,
					      .error_estimate = 1 };
	size_t least = session_reflector_least_size(config);
	size_t room = size < STAMP_SIZE ? STAMP_SIZE : size;
	uint8_t *packet = malloc(room + 1);
	struct session_reflector_answer answer;
	struct session_reflector *r;

	if (!packet || session_reflector_new(config, &r) < 0 ||
	    address_parse("192.0.2.1:1", 0, &p.from) < 0 ||
	    address_parse("[2001:db8::1]:862", 0, &p.to) < 0)
		abort();
	for (int i = 0; i < 2; i++) {
		int e;

		memset(packet, 0x5a, room + 1);
		memcpy(packet, data, size);
		e = session_reflector_answer(r, &p, packet, size, &answer);
		if ((e == 0) != (size >= least) && e != -EBADE)
			abort();
		if (e < 0 && memcmp(packet, data, size) != 0)
			abort();
		if (packet[room] != 0x5a || (e == 0 && answer.len != room))
			abort();
	}
	session_reflector_free(r);
	free(packet);
}

/* The input as it is, and as one that has its HMAC, so that its TLVs are looked at. */
static void check_reflectors(const uint8_t *data, size_t size)
{
	static const struct session_reflector_config plain = { 0 };
	static const struct session_reflector_config light = {
		.stateful = true, .twamp_light = true, .protect_tlvs = true, .key.present = true
	};
	static const struct session_reflector_config authenticated = {
		.stateful = true, .authenticated = true, .key.present = true, .dscps = 0xff
	};
	uint8_t *packet = malloc(size + 1);

	check_reflector(data, size, &plain);
	check_reflector(data, size, &light);
	check_reflector(data, size, &authenticated);
	if (!packet)
		abort();
	memcpy(packet, data, size);
	if (size >= STAMP_AUTH_SIZE) {
		stamp_hmac(authenticated.key.bytes, packet, STAMP_AUTH_SIZE - STAMP_HMAC_SIZE, NULL,
			   0, packet + STAMP_AUTH_SIZE - STAMP_HMAC_SIZE);
		stamp_tlv_sign(be32toh(*(const uint32_t *)(const void *)packet),
			       packet + STAMP_AUTH_SIZE, size - STAMP_AUTH_SIZE,
			       authenticated.key.bytes);
		check_reflector(packet, size, &authenticated);
	}
	free(packet);
}

static void discard(enum prober_channel channel, struct prober_packet *packets, size_t n,
		    void *userdata)
{
	(void)channel, (void)userdata;
	for (size_t i = 0; i < n; i++)
		packets[i].result = 0;
}

static uint64_t fixed_utc(void *userdata)
{
	(void)userdata;
	return UTC;
}

static void count_report(const struct prober_report *report, void *userdata)
{
	if (report->rtt.last_ns > 2 * NS_PER_MS || report->rtt.confidence > 100)
		abort();
	++*(unsigned *)userdata;
}

static struct probe_tlvs_wishes wishes_of(uint8_t bits)
{
	return (struct probe_tlvs_wishes){
		.class_of_service = bits & 1,
		.dscp = bits & 1 ? 46 : 0,
		.timestamp_information = bits & 2,
		.direct_measurement = bits & 4,
		.location = bits & 8,
		.access = bits & 16 ? STAMP_ACCESS_3GPP : 0,
		.follow_up = bits & 32,
		.padding = bits & 64 ? 3 : 0,
	};
}

/* One that has sent two probes to the one device there is. */
static struct prober *begin_prober(const struct probe_tlvs_wishes *tlvs, struct address *ret)
{
	struct prober_watch watch = { .device = { { 1 } } };
	struct prober *p;

	if (address_parse("192.0.2.1:862", 0, &watch.address) < 0 ||
	    prober_new(&(struct prober_config){ .interval_ns = 20 * NS_PER_MS,
						.timeout_ns = NS_PER_S,
						.window_ns = NS_PER_S,
						.error_estimate = 1,
						.tlvs = *tlvs,
						.send = discard,
						.now_utc = fixed_utc },
		       &p) < 0 ||
	    prober_set_watch_list(p, 0, &watch, 1) < 0)
		abort();
	prober_run(p, 0);
	prober_run(p, 20 * NS_PER_MS);
	*ret = watch.address;
	return p;
}

static void check_prober(const uint8_t *data, size_t size)
{
	const struct probe_tlvs_wishes none = { 0 };
	const struct prober_counters *n;
	struct address from;
	struct prober *p = begin_prober(&none, &from);
	unsigned reports = 0;

	if (size >= STAMP_SIZE)
		prober_sent_at(p, PROBER_STAMP_V4, data, UTC);
	prober_receive(p, 21 * NS_PER_MS, &from, UTC + NS_PER_MS, 0, data, size);
	prober_receive(p, 21 * NS_PER_MS, &from, UTC + NS_PER_MS, 0, data, size);
	prober_report_changes(p, 21 * NS_PER_MS, count_report, &reports);
	n = prober_counters(p);
	if (n->accepted + n->wrong_length + n->duplicate + n->late + n->forged + n->implausible !=
		    2 ||
	    n->accepted != reports || n->accepted != n->duplicate)
		abort();
	prober_free(p);
}

/* Whatever follows the base packet, an answer counts or not as it does without. */
static void check_prober_with_tlvs(const uint8_t *data, size_t size)
{
	const struct probe_tlvs_wishes all = wishes_of(UINT8_MAX);
	const struct prober_counters *n;
	struct address from;
	struct prober *p = begin_prober(&all, &from);
	uint8_t packet[STAMP_AUTH_SIZE + PROBE_TLVS_MAX] = { 0 };
	uint64_t judged = 0;

	memcpy(packet, data, size < sizeof(packet) ? size : sizeof(packet));
	prober_receive(p, 21 * NS_PER_MS, &from, UTC + NS_PER_MS, 0, packet,
		       prober_packet_size(p, PROBER_STAMP_V4));
	n = prober_counters(p);
	for (size_t i = 0; i < PROBE_TLVS_VERDICTS; i++)
		judged += n->tlvs.verdicts[i];
	if (n->accepted + n->late + n->forged + n->implausible != 1 || judged != n->accepted)
		abort();
	prober_free(p);
}

static void check_answer(const struct probe_tlvs *t, uint8_t *answer, size_t len)
{
	static const uint8_t key[STAMP_KEY_SIZE];
	const struct stamp_reply reply = { .sequence = 5, .sender.sequence = 7 };
	struct probe_tlvs_told told;
	enum probe_tlvs_verdict verdict = probe_tlvs_read(t, &reply, key, answer, len, &told);

	if (verdict >= PROBE_TLVS_VERDICTS || (len != t->len && len && verdict != PROBE_TLVS_UNFIT))
		abort();
	if (verdict > PROBE_TLVS_PARTLY &&
	    (told.has_class_of_service || told.has_clocks || told.has_counters ||
	     told.has_location || told.has_follow_up))
		abort();
	if (told.dscp > 63 || (told.has_counters && told.counters.sent != 8))
		abort();
}

/* The answer as it is, and as one that has its HMAC. */
static void check_sender(const uint8_t *data, size_t size)
{
	const struct probe_tlvs_wishes wishes = wishes_of(data[0]);
	static const uint8_t key[STAMP_KEY_SIZE];
	size_t len = size - 1;
	uint8_t *answer = malloc(len ? len : 1); /* so that sanitizers see its end */
	struct probe_tlvs t;

	if (!answer)
		abort();
	memcpy(answer, data + 1, len);
	probe_tlvs_make(&wishes, false, &t);
	check_answer(&t, answer, len);
	probe_tlvs_make(&wishes, true, &t);
	check_answer(&t, answer, len);
	stamp_tlv_sign(5, answer, len, key);
	check_answer(&t, answer, len);
	free(answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 2000)
		return 0;
	check_reflectors(data, size);
	check_prober(data, size);
	check_prober_with_tlvs(data, size);
	if (size >= 2 && data[0] == 0xff)
		check_sender(data + 1, size - 1);
	return 0;
}

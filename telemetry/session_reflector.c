/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/session_reflector.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "telemetry/source_slot.h"
#include "telemetry/stamp_tlv.h"

struct session {
	bool used;
	struct address from, to;
	uint16_t ssid;
	uint64_t heard_ns;
	uint32_t received, transmitted; /* transmitted is also the next sequence number */
	uint64_t last_utc_ns;           /* when the last answer left */
};

struct session_reflector {
	struct session_reflector_config config;
	struct session (*sessions)[SESSION_WAYS]; /* SOURCE_SLOTS of them; NULL: stateless */
	struct source_slots slots;
	struct session_reflector_counters counters;
};

int session_reflector_new(const struct session_reflector_config *config,
			  struct session_reflector **ret)
{
	_cleanup_(session_reflector_free_p) struct session_reflector *r = calloc(1, sizeof(*r));

	if (!r || sodium_init() < 0)
		return -ENOMEM;
	r->config = *config;
	source_slots_init(&r->slots);
	if (config->stateful) {
		r->sessions = calloc(SOURCE_SLOTS, sizeof(r->sessions[0]));
		if (!r->sessions)
			return -ENOMEM;
	}
	*ret = TAKE_PTR(r);
	return 0;
}

void session_reflector_free(struct session_reflector *r)
{
	if (!r)
		return;
	free(r->sessions);
	sodium_memzero(r, sizeof(*r));
	free(r);
}

/* ---- Sessions ------------------------------------------------------------------------ */

static bool is_session(const struct session *s, const struct session_reflector_packet *p,
		       uint16_t ssid)
{
	return s->used && s->ssid == ssid && address_equal(&s->from, &p->from) &&
	       address_equal(&s->to, &p->to);
}

static struct session *session_of(struct session_reflector *r,
				  const struct session_reflector_packet *p, uint16_t ssid)
{
	struct session *ways = r->sessions[source_slot(&r->slots, &p->from)], *oldest = ways;

	for (size_t i = 0; i < SESSION_WAYS; i++) {
		if (is_session(&ways[i], p, ssid))
			return &ways[i];
		if (!ways[i].used || (oldest->used && ways[i].heard_ns < oldest->heard_ns))
			oldest = &ways[i];
	}
	r->counters.evicted += oldest->used;
	r->counters.sessions += !oldest->used;
	*oldest = (struct session){ .used = true, .from = p->from, .to = p->to, .ssid = ssid };
	return oldest;
}

/* ---- Answers --------------------------------------------------------------------------- */

static const uint8_t *key_of(const struct session_reflector *r)
{
	return r->config.key.present ? r->config.key.bytes : NULL;
}

static size_t base_size(const struct session_reflector_config *c)
{
	return c->authenticated ? STAMP_AUTH_SIZE : STAMP_SIZE;
}

size_t session_reflector_least_size(const struct session_reflector_config *config)
{
	return config->twamp_light && !config->authenticated ? TWAMP_LIGHT_SIZE : base_size(config);
}

/* What is there of a packet without padding, and zero for what is not. */
static int unpack_short(const uint8_t *data, size_t len, struct stamp_request *ret)
{
	uint8_t packet[STAMP_SIZE] = { 0 };

	if (len < TWAMP_LIGHT_SIZE)
		return -EBADMSG;
	memcpy(packet, data, TWAMP_LIGHT_SIZE);
	return stamp_request_unpack(packet, sizeof(packet), ret);
}

static int unpack(const struct session_reflector *r, const uint8_t *data, size_t len,
		  struct stamp_request *ret)
{
	if (r->config.authenticated)
		return stamp_auth_request_unpack(data, len, r->config.key.bytes, ret);
	if (len < STAMP_SIZE && r->config.twamp_light)
		return unpack_short(data, len, ret);
	return stamp_request_unpack(data, len, ret);
}

static void pack(const struct session_reflector *r, const struct stamp_reply *reply, uint8_t *data)
{
	if (r->config.authenticated)
		stamp_auth_reply_pack(reply, r->config.key.bytes, data);
	else
		stamp_reply_pack(reply, data);
}

/* Whether the TLVs may be believed. */
static bool are_whole(struct session_reflector *r, uint32_t sequence, const uint8_t *tlvs,
		      size_t len)
{
	bool must = r->config.authenticated || r->config.protect_tlvs;

	switch (stamp_tlv_integrity(sequence, tlvs, len, key_of(r))) {
	case STAMP_INTEGRITY_RIGHT:
	case STAMP_INTEGRITY_PADDING:
		return true;
	case STAMP_INTEGRITY_NONE:
		return !must;
	default:
		return false;
	}
}

static struct stamp_tlv_facts facts_of(const struct session_reflector *r,
				       const struct session_reflector_packet *p,
				       const struct session *s, const struct stamp_reply *reply)
{
	enum stamp_format format = stamp_error_format(reply->error_estimate);
	struct stamp_tlv_facts f = {
		.dscp = p->tos >> 2,
		.ecn = p->tos & 3,
		.dscps = r->config.dscps | UINT64_C(1) << (p->tos >> 2),
		.clock_source =
			reply->error_estimate & 0x8000 ? STAMP_CLOCK_NTP : STAMP_CLOCK_LOCAL,
		.method_in = STAMP_METHOD_SOFTWARE,
		.method_out = STAMP_METHOD_SOFTWARE,
	};

	if (!r->config.hide_location) {
		f.from = p->from;
		f.to = p->to;
	}
	if (s) {
		f.has_session = true;
		f.received = s->received;
		f.transmitted = s->transmitted + 1;
		f.has_last = s->transmitted > 0;
		f.last_sequence = s->transmitted - 1;
		f.last_t3 = stamp_time_pack(format, s->last_utc_ns);
	}
	return f;
}

/* Returns the DSCP to answer with. */
static uint8_t answer_tlvs(struct session_reflector *r, const struct session_reflector_packet *p,
			   const struct session *s, const struct stamp_reply *reply, uint8_t *tlvs,
			   size_t len)
{
	struct stamp_tlv_facts facts = facts_of(r, p, s, reply);
	bool whole = are_whole(r, reply->sender.sequence, tlvs, len);
	uint8_t dscp = stamp_tlv_reflect(tlvs, len, whole, &facts);

	if (!whole)
		r->counters.wrong_tlvs++;
	else if (key_of(r))
		stamp_tlv_sign(reply->sequence, tlvs, len, key_of(r));
	return dscp;
}

int session_reflector_answer(struct session_reflector *r, const struct session_reflector_packet *p,
			     uint8_t *data, size_t len, struct session_reflector_answer *ret)
{
	struct stamp_request request;
	struct stamp_reply reply;
	struct session *s = NULL;
	size_t base = base_size(&r->config);
	uint8_t dscp = p->tos >> 2;
	int e = unpack(r, data, len, &request);

	if (e < 0)
		return e;
	reply = stamp_reply_to(&request, p->received_utc_ns, p->now_utc_ns, p->ttl,
			       p->error_estimate);
	if (r->sessions) {
		s = session_of(r, p, request.ssid);
		s->heard_ns = p->now_ns;
		s->received++;
		reply.sequence = s->transmitted;
	}
	if (len > base)
		dscp = answer_tlvs(r, p, s, &reply, data + base, len - base);
	pack(r, &reply, data);
	if (s) {
		s->transmitted++;
		s->last_utc_ns = p->now_utc_ns;
	}
	*ret = (struct session_reflector_answer){
		.len = len > base ? len : base,
		.tos = (uint8_t)(dscp << 2),
		.session = s,
	};
	return 0;
}

void session_reflector_sent(const struct session_reflector_answer *answer, uint64_t utc_ns)
{
	struct session *s = answer->session;

	if (s)
		s->last_utc_ns = utc_ns;
}

const struct session_reflector_counters *
session_reflector_counters(const struct session_reflector *r)
{
	return &r->counters;
}

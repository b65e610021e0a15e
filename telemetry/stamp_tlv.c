/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/stamp_tlv.h"

#include <errno.h>
#include <sodium.h>
#include <sys/types.h>

#define LOCATION_PORTS_SIZE 4
#define LOCATION_MAC_SIZE 8
#define LOCATION_IP_SIZE 16

bool stamp_tlv_next(struct rcursor *c, struct stamp_tlv *ret)
{
	struct stamp_tlv t = { 0 };

	if (!rcursor_ok(c) || rcursor_left(c) == 0)
		return false;
	t.flags = rcursor_u8(c);
	t.type = rcursor_u8(c);
	t.len = rcursor_u16(c);
	t.value = rcursor_bytes(c, t.len);
	*ret = t;
	return true;
}

uint8_t *stamp_tlv_add(struct wcursor *c, uint8_t type, uint16_t len)
{
	uint8_t *value;

	wcursor_u8(c, STAMP_TLV_U);
	wcursor_u8(c, type);
	wcursor_u16(c, len);
	value = wcursor_space(c, len);
	if (value)
		memset(value, 0, len);
	return value;
}

bool stamp_tlv_add_location(struct wcursor *c)
{
	static const uint8_t asked[][2] = {
		{ STAMP_SOURCE_MAC, LOCATION_MAC_SIZE },
		{ STAMP_DESTINATION_IP, LOCATION_IP_SIZE },
		{ STAMP_SOURCE_IP, LOCATION_IP_SIZE },
	};
	const uint16_t len = LOCATION_PORTS_SIZE + 3 * STAMP_TLV_HEADER_SIZE + LOCATION_MAC_SIZE +
			     2 * LOCATION_IP_SIZE;
	uint8_t *value = stamp_tlv_add(c, STAMP_TLV_LOCATION, len);
	struct wcursor sub;

	if (!value)
		return false;
	sub = wcursor_over(value + LOCATION_PORTS_SIZE, len - LOCATION_PORTS_SIZE);
	for (size_t i = 0; i < 3; i++)
		stamp_tlv_add(&sub, asked[i][0], asked[i][1]);
	return true;
}

/* ---- Integrity ----------------------------------------------------------------------- */

static void hmac_of(uint32_t sequence, const uint8_t *tlvs, size_t len, const uint8_t *key,
		    uint8_t ret[STAMP_HMAC_SIZE])
{
	const uint32_t wire = htobe32(sequence);

	stamp_hmac(key, &wire, sizeof(wire), tlvs, len, ret);
}

/* How far into the TLVs the HMAC TLV is; -ENOENT without one, -EBADMSG when it must not be
 * there. */
static ssize_t find_hmac(const uint8_t *tlvs, size_t len)
{
	struct rcursor c = rcursor_over(tlvs, len);
	ssize_t found = -ENOENT;
	struct stamp_tlv t;
	size_t at = 0;

	for (; stamp_tlv_next(&c, &t); at = (size_t)(c.at - tlvs)) {
		if (found >= 0 && t.type != STAMP_TLV_EXTRA_PADDING)
			return -EBADMSG;
		if (t.type != STAMP_TLV_HMAC)
			continue;
		if (!t.value || t.len != STAMP_HMAC_SIZE)
			return -EBADMSG;
		found = (ssize_t)at;
	}
	return found;
}

static bool is_one_padding(const uint8_t *tlvs, size_t len)
{
	struct rcursor c = rcursor_over(tlvs, len);
	struct stamp_tlv t;

	return stamp_tlv_next(&c, &t) && t.value && t.type == STAMP_TLV_EXTRA_PADDING &&
	       rcursor_left(&c) == 0;
}

enum stamp_integrity stamp_tlv_integrity(uint32_t sequence, const uint8_t *tlvs, size_t len,
					 const uint8_t *key)
{
	uint8_t hmac[STAMP_HMAC_SIZE];
	ssize_t at = find_hmac(tlvs, len);

	if (at == -ENOENT)
		return is_one_padding(tlvs, len) ? STAMP_INTEGRITY_PADDING : STAMP_INTEGRITY_NONE;
	if (at < 0 || !key)
		return STAMP_INTEGRITY_WRONG;
	hmac_of(sequence, tlvs, (size_t)at, key, hmac);
	return sodium_memcmp(hmac, tlvs + at + STAMP_TLV_HEADER_SIZE, sizeof(hmac)) == 0
		       ? STAMP_INTEGRITY_RIGHT
		       : STAMP_INTEGRITY_WRONG;
}

void stamp_tlv_sign(uint32_t sequence, uint8_t *tlvs, size_t len, const uint8_t key[STAMP_KEY_SIZE])
{
	ssize_t at = find_hmac(tlvs, len);

	if (at >= 0)
		hmac_of(sequence, tlvs, (size_t)at, key, tlvs + at + STAMP_TLV_HEADER_SIZE);
}

/* ---- The reflector's part ---------------------------------------------------------------- */

/* One that is being answered. */
struct answer {
	const struct stamp_tlv_facts *facts;
	uint8_t *value;
	size_t len;
	uint8_t dscp; /* to answer with */
};

/* Each returns the flags of its TLV. */
typedef uint8_t (*answer_fn)(struct answer *a);

static uint8_t answer_nothing(struct answer *a)
{
	(void)a;
	return 0;
}

static void write_ip(struct wcursor *c, const struct address *a)
{
	if (a->any.sa_family == AF_INET6)
		wcursor_bytes(c, &a->v6.sin6_addr, sizeof(a->v6.sin6_addr));
	else
		wcursor_bytes(c, &a->v4.sin_addr, sizeof(a->v4.sin_addr));
}

/* The type that answers a sub-TLV, 0 when that is not one which asks. */
static uint8_t answering_type(uint8_t asked, const struct address *a)
{
	switch (asked) {
	case STAMP_SOURCE_MAC:
		return STAMP_SOURCE_EUI_64; /* zero, since a UDP socket cannot see it */
	case STAMP_DESTINATION_IP:
	case STAMP_SOURCE_IP:
		return (uint8_t)(asked + (a->any.sa_family == AF_INET6 ? 2 : 1));
	default:
		return 0;
	}
}

/* Answers one sub-TLV in place; returns its flags. */
static uint8_t answer_location_part(uint8_t *header, const struct stamp_tlv *t,
				    const struct stamp_tlv_facts *f)
{
	const struct address *ip = t->type == STAMP_SOURCE_IP ? &f->from : &f->to;
	uint8_t type = answering_type(t->type, ip);
	size_t len = t->type == STAMP_SOURCE_MAC ? LOCATION_MAC_SIZE : LOCATION_IP_SIZE;
	struct wcursor c;

	if (!t->value)
		return STAMP_TLV_M;
	if (type == 0)
		return STAMP_TLV_U;
	if (t->len != len)
		return STAMP_TLV_M;
	header[1] = type;
	memset(header + STAMP_TLV_HEADER_SIZE, 0, len);
	c = wcursor_over(header + STAMP_TLV_HEADER_SIZE, len);
	if (t->type != STAMP_SOURCE_MAC)
		write_ip(&c, ip);
	return 0;
}

static uint8_t answer_location(struct answer *a)
{
	struct wcursor ports = wcursor_over(a->value, a->len);
	struct rcursor c;
	struct stamp_tlv t;
	uint8_t *header = a->value + LOCATION_PORTS_SIZE;

	if (a->len < LOCATION_PORTS_SIZE)
		return STAMP_TLV_M;
	wcursor_u16(&ports, address_port(&a->facts->to));
	wcursor_u16(&ports, address_port(&a->facts->from));
	c = rcursor_over(header, a->len - LOCATION_PORTS_SIZE);
	while (stamp_tlv_next(&c, &t)) {
		header[0] = answer_location_part(header, &t, a->facts);
		if (header[0] & STAMP_TLV_M)
			return STAMP_TLV_M;
		header += STAMP_TLV_HEADER_SIZE + t.len;
	}
	return 0;
}

static uint8_t answer_timestamp_information(struct answer *a)
{
	const struct stamp_tlv_facts *f = a->facts;
	struct wcursor c = wcursor_over(a->value, a->len);

	wcursor_u8(&c, f->clock_source);
	wcursor_u8(&c, f->method_in);
	wcursor_u8(&c, f->clock_source);
	wcursor_u8(&c, f->method_out);
	return 0;
}

/* DSCP1 (6 bits, wanted on the way back), DSCP2 (6), ECN (2, both as they arrived), RP (2, whether
 * the wish was refused), 16 reserved; with erratum 8199. */
static uint8_t answer_class_of_service(struct answer *a)
{
	const struct stamp_tlv_facts *f = a->facts;
	uint8_t wanted = a->value[0] >> 2;
	bool refused = !(f->dscps >> wanted & 1);
	struct wcursor c = wcursor_over(a->value, a->len);

	wcursor_u16(&c, (uint16_t)(wanted << 10 | f->dscp << 4 | f->ecn << 2 | refused));
	wcursor_u16(&c, 0);
	a->dscp = refused ? f->dscp : wanted;
	return 0;
}

/* S_TxC stays, R_RxC and R_TxC are ours. Who keeps no state counts nothing, and says so. */
static uint8_t answer_direct_measurement(struct answer *a)
{
	struct wcursor c = wcursor_over(a->value, a->len);

	if (!a->facts->has_session)
		return STAMP_TLV_U;
	wcursor_space(&c, 4);
	wcursor_u32(&c, a->facts->received);
	wcursor_u32(&c, a->facts->transmitted);
	return 0;
}

static uint8_t answer_access_report(struct answer *a)
{
	uint8_t id = a->value[0] >> 4;

	return id == STAMP_ACCESS_3GPP || id == STAMP_ACCESS_OTHER ? 0 : STAMP_TLV_U;
}

static uint8_t answer_follow_up(struct answer *a)
{
	const struct stamp_tlv_facts *f = a->facts;
	struct wcursor c = wcursor_over(a->value, a->len);

	memset(a->value, 0, a->len);
	if (!f->has_session || !f->has_last)
		return 0;
	wcursor_u32(&c, f->last_sequence);
	wcursor_u64(&c, f->last_t3);
	wcursor_u8(&c, f->method_out);
	return 0;
}

#define ANY_LENGTH SIZE_MAX

static const struct {
	answer_fn fn;
	size_t len;
} kinds[] = {
	[STAMP_TLV_EXTRA_PADDING] = { answer_nothing, ANY_LENGTH },
	[STAMP_TLV_LOCATION] = { answer_location, ANY_LENGTH },
	[STAMP_TLV_TIMESTAMP_INFORMATION] = { answer_timestamp_information, 4 },
	[STAMP_TLV_CLASS_OF_SERVICE] = { answer_class_of_service, 4 },
	[STAMP_TLV_DIRECT_MEASUREMENT] = { answer_direct_measurement, 12 },
	[STAMP_TLV_ACCESS_REPORT] = { answer_access_report, 4 },
	[STAMP_TLV_FOLLOW_UP] = { answer_follow_up, 16 },
	[STAMP_TLV_HMAC] = { answer_nothing, STAMP_HMAC_SIZE },
};

static bool is_known(uint8_t type)
{
	return type < sizeof(kinds) / sizeof(kinds[0]) && kinds[type].fn;
}

/* What a Follow-Up of another length has of its two fields must be zeroed (4.7). */
static void clear_malformed(uint8_t *header, const struct stamp_tlv *t)
{
	if (t->type == STAMP_TLV_FOLLOW_UP)
		memset(header + STAMP_TLV_HEADER_SIZE, 0, t->len < 12 ? t->len : 12);
}

static uint8_t answer_tlv(struct answer *a, uint8_t *header, const struct stamp_tlv *t)
{
	if (!t->value)
		return STAMP_TLV_M;
	if (!is_known(t->type))
		return STAMP_TLV_U;
	if (kinds[t->type].len != ANY_LENGTH && kinds[t->type].len != t->len) {
		clear_malformed(header, t);
		return STAMP_TLV_M;
	}
	a->value = header + STAMP_TLV_HEADER_SIZE;
	a->len = t->len;
	return kinds[t->type].fn(a);
}

/* A malformed one ends it: the rest goes back as it came. */
uint8_t stamp_tlv_reflect(uint8_t *tlvs, size_t len, bool is_whole,
			  const struct stamp_tlv_facts *facts)
{
	struct answer a = { .facts = facts, .dscp = facts->dscp };
	struct rcursor c = rcursor_over(tlvs, len);
	uint8_t *header = tlvs;
	struct stamp_tlv t;

	while (stamp_tlv_next(&c, &t)) {
		if (is_whole)
			header[0] = answer_tlv(&a, header, &t);
		else
			header[0] = STAMP_TLV_I | (is_known(t.type) ? 0 : STAMP_TLV_U);
		if (!t.value || header[0] & STAMP_TLV_M)
			break;
		header += STAMP_TLV_HEADER_SIZE + t.len;
	}
	return a.dscp;
}

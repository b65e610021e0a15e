/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/probe_tlvs.h"

#include <sodium.h>

/* ---- What is asked ------------------------------------------------------------------ */

static void add_padding(struct wcursor *c, uint16_t len)
{
	uint8_t *value = stamp_tlv_add(c, STAMP_TLV_EXTRA_PADDING, len);

	if (value)
		randombytes_buf(value, len);
}

static void add_value(struct wcursor *c, uint8_t type, uint8_t first, uint8_t second)
{
	uint8_t *value = stamp_tlv_add(c, type, 4);

	if (value) {
		value[0] = first;
		value[1] = second;
	}
}

void probe_tlvs_make(const struct probe_tlvs_wishes *wishes, bool is_signed, struct probe_tlvs *ret)
{
	struct probe_tlvs t = { .wishes = *wishes };
	struct wcursor c = wcursor_over(t.bytes, sizeof(t.bytes));
	const uint8_t *sent = NULL;

	if (wishes->class_of_service)
		add_value(&c, STAMP_TLV_CLASS_OF_SERVICE, (uint8_t)(wishes->dscp << 2), 0);
	if (wishes->timestamp_information)
		(void)stamp_tlv_add(&c, STAMP_TLV_TIMESTAMP_INFORMATION, 4);
	if (wishes->direct_measurement)
		sent = stamp_tlv_add(&c, STAMP_TLV_DIRECT_MEASUREMENT, 12);
	if (wishes->location)
		(void)stamp_tlv_add_location(&c);
	if (wishes->access)
		add_value(&c, STAMP_TLV_ACCESS_REPORT, (uint8_t)(wishes->access << 4),
			  STAMP_ACCESS_AVAILABLE);
	if (wishes->follow_up)
		(void)stamp_tlv_add(&c, STAMP_TLV_FOLLOW_UP, 16);
	/* Padding alone needs no HMAC (4.8). */
	t.is_signed = is_signed && wcursor_used(&c) > 0;
	if (t.is_signed)
		(void)stamp_tlv_add(&c, STAMP_TLV_HMAC, STAMP_HMAC_SIZE);
	if (wishes->padding)
		add_padding(&c, wishes->padding);
	t.sent_at = sent ? (size_t)(sent - t.bytes) : 0;
	t.len = wcursor_used(&c);
	*ret = t;
}

/* That probe included. */
static uint32_t sent_with(uint32_t sequence)
{
	return sequence + 1;
}

void probe_tlvs_write(const struct probe_tlvs *t, uint32_t sequence, const uint8_t *key,
		      uint8_t *ret)
{
	memcpy(ret, t->bytes, t->len);
	if (t->sent_at) {
		struct wcursor c = wcursor_over(ret + t->sent_at, 4);

		wcursor_u32(&c, sent_with(sequence));
	}
	if (t->is_signed)
		stamp_tlv_sign(sequence, ret, t->len, key);
}

/* ---- What is answered ---------------------------------------------------------------- */

/* The flags that some, and that all of them have. False when they are not those that were asked. */
static bool survey(const struct probe_tlvs *t, const void *data, size_t len, uint8_t *ret_some,
		   uint8_t *ret_all)
{
	struct rcursor ours = rcursor_over(t->bytes, t->len), theirs = rcursor_over(data, len);
	struct stamp_tlv asked, told;

	*ret_some = 0;
	*ret_all = UINT8_MAX;
	while (stamp_tlv_next(&ours, &asked)) {
		if (!stamp_tlv_next(&theirs, &told) || !told.value || told.type != asked.type ||
		    told.len != asked.len)
			return false;
		*ret_some |= told.flags;
		*ret_all &= told.flags;
	}
	return rcursor_left(&theirs) == 0;
}

/* One that is being read. Each returns false for what cannot be the answer. */
struct reading {
	const struct probe_tlvs *tlvs;
	const struct stamp_reply *reply;
	struct probe_tlvs_told *told;
};

typedef bool (*read_fn)(const struct reading *r, struct rcursor *value);

static bool read_class_of_service(const struct reading *r, struct rcursor *value)
{
	uint16_t v = rcursor_u16(value);

	r->told->has_class_of_service = true;
	r->told->dscp = v >> 4 & 63;
	r->told->refused = v & 3;
	return v >> 10 == r->tlvs->wishes.dscp;
}

static bool read_timestamp_information(const struct reading *r, struct rcursor *value)
{
	r->told->has_clocks = true;
	r->told->clock_in = rcursor_u8(value);
	r->told->method_in = rcursor_u8(value);
	r->told->clock_out = rcursor_u8(value);
	r->told->method_out = rcursor_u8(value);
	return true;
}

static bool read_direct_measurement(const struct reading *r, struct rcursor *value)
{
	struct probe_tlvs_counters *c = &r->told->counters;

	r->told->has_counters = true;
	c->sent = rcursor_u32(value);
	c->received = rcursor_u32(value);
	c->transmitted = rcursor_u32(value);
	return c->sent == sent_with(r->reply->sender.sequence);
}

/* All zero: it hides where it is. */
static void read_destination(struct probe_tlvs_told *told, uint16_t port, const struct stamp_tlv *t)
{
	static const uint8_t nothing[16];

	if (memcmp(t->value, nothing, sizeof(nothing)) == 0)
		return;
	if (t->type == STAMP_DESTINATION_IPV6) {
		told->to.v6.sin6_family = AF_INET6;
		memcpy(&told->to.v6.sin6_addr, t->value, sizeof(told->to.v6.sin6_addr));
	} else {
		told->to.v4.sin_family = AF_INET;
		memcpy(&told->to.v4.sin_addr, t->value, sizeof(told->to.v4.sin_addr));
	}
	address_set_port(&told->to, port);
	told->has_location = true;
}

static bool read_location(const struct reading *r, struct rcursor *value)
{
	uint16_t port = rcursor_u16(value);
	struct stamp_tlv t;

	(void)rcursor_u16(value); /* ours */
	while (stamp_tlv_next(value, &t)) {
		if (!t.value)
			return false;
		if (t.type != STAMP_DESTINATION_IPV4 && t.type != STAMP_DESTINATION_IPV6)
			continue;
		if (t.len != 16)
			return false;
		if (!t.flags)
			read_destination(r->told, port, &t);
	}
	return true;
}

/* All zero: there was no answer before, or nobody kept when it left. */
static bool read_follow_up(const struct reading *r, struct rcursor *value)
{
	r->told->last_sequence = rcursor_u32(value);
	r->told->last_t3 = rcursor_u64(value);
	r->told->has_follow_up = r->told->last_t3 != 0;
	return true;
}

static const read_fn readers[] = {
	[STAMP_TLV_LOCATION] = read_location,
	[STAMP_TLV_TIMESTAMP_INFORMATION] = read_timestamp_information,
	[STAMP_TLV_CLASS_OF_SERVICE] = read_class_of_service,
	[STAMP_TLV_DIRECT_MEASUREMENT] = read_direct_measurement,
	[STAMP_TLV_FOLLOW_UP] = read_follow_up,
	[STAMP_TLV_HMAC] = NULL, /* the last one */
};

/* Those that the reflector has answered; they are known to be as long as what was asked. */
static bool read_values(const struct reading *r, const void *data, size_t len)
{
	struct rcursor c = rcursor_over(data, len);
	struct stamp_tlv t;

	while (stamp_tlv_next(&c, &t)) {
		read_fn fn = t.type <= STAMP_TLV_HMAC ? readers[t.type] : NULL;
		struct rcursor value = rcursor_over(t.value, t.len);

		if (fn && !(t.flags & STAMP_TLV_U) && (!fn(r, &value) || !rcursor_ok(&value)))
			return false;
	}
	return true;
}

static enum probe_tlvs_verdict judge(const struct reading *r, const uint8_t *key, const void *data,
				     size_t len)
{
	uint8_t some, all;

	if (!survey(r->tlvs, data, len, &some, &all))
		return PROBE_TLVS_UNFIT;
	if (some & STAMP_TLV_I)
		return PROBE_TLVS_NOT_WHOLE;
	if (some & STAMP_TLV_M)
		return PROBE_TLVS_MALFORMED;
	if (all & STAMP_TLV_U)
		return PROBE_TLVS_PLAIN;
	if (r->tlvs->is_signed &&
	    stamp_tlv_integrity(r->reply->sequence, data, len, key) != STAMP_INTEGRITY_RIGHT)
		return PROBE_TLVS_FORGED;
	if (!read_values(r, data, len))
		return PROBE_TLVS_UNFIT;
	return some & STAMP_TLV_U ? PROBE_TLVS_PARTLY : PROBE_TLVS_ANSWERED;
}

enum probe_tlvs_verdict probe_tlvs_read(const struct probe_tlvs *t, const struct stamp_reply *reply,
					const uint8_t *key, const void *data, size_t len,
					struct probe_tlvs_told *ret)
{
	const struct reading r = { t, reply, ret };
	enum probe_tlvs_verdict verdict;

	*ret = (struct probe_tlvs_told){ 0 };
	verdict = len ? judge(&r, key, data, len) : PROBE_TLVS_PLAIN;
	if (verdict > PROBE_TLVS_PARTLY)
		*ret = (struct probe_tlvs_told){ 0 };
	return verdict;
}

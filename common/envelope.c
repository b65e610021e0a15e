/* SPDX-License-Identifier: Apache-2.0 */
#include "common/envelope.h"

#include <stdbool.h>
#include <string.h>

#include "common/uuid.h"

#define KEY_TEXT_LENGTH 40 /* Z85 of 32 bytes */
#define SECRET_SIZE 32

/* Strict UTF-8 (RFC 3629: no overlong forms, no surrogates), no control
 * characters but tab and newline. */
static bool text_is_clean(const char *s)
{
	const uint8_t *p = (const uint8_t *)s;

	while (*p) {
		uint32_t code;
		int more;

		if (*p < 0x80) {
			if ((*p < 0x20 && *p != '\t' && *p != '\n') || *p == 0x7f)
				return false;
			p++;
			continue;
		}
		if ((*p & 0xe0) == 0xc0)
			more = 1, code = *p & 0x1f;
		else if ((*p & 0xf0) == 0xe0)
			more = 2, code = *p & 0x0f;
		else if ((*p & 0xf8) == 0xf0)
			more = 3, code = *p & 0x07;
		else
			return false;
		for (int i = 1; i <= more; i++) {
			if ((p[i] & 0xc0) != 0x80)
				return false;
			code = code << 6 | (p[i] & 0x3f);
		}
		if (code < 0x80 || (more == 2 && code < 0x800) || (more == 3 && code < 0x10000) ||
		    (code >= 0xd800 && code < 0xe000) || code > 0x10ffff)
			return false;
		p += more + 1;
	}
	return true;
}

/* Every bytes field of the schema but three has one fixed length, told by its name. */
static size_t bytes_length(const char *field, size_t len)
{
	if (strcmp(field, "manifest") == 0 || strcmp(field, "piece") == 0 ||
	    strcmp(field, "tail") == 0)
		return len;
	bool is_secret = strcmp(field, "session_key") == 0 || strcmp(field, "image_key") == 0;

	return is_secret ? SECRET_SIZE : UUID_SIZE;
}

static int check_member(const ProtobufCFieldDescriptor *f, const void *member,
			struct mg_error *err)
{
	if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
		const ProtobufCMessage *sub = *(ProtobufCMessage *const *)member;

		return sub ? message_check(sub, err) : 0;
	}
	if (f->type == PROTOBUF_C_TYPE_STRING) {
		const char *s = *(const char *const *)member;

		if (s && !text_is_clean(s))
			return mg_error_set(err, -EPROTO, "field '%s' is not clean UTF-8 text",
					    f->name);
		if (s && strstr(f->name, "public_key") && strlen(s) != KEY_TEXT_LENGTH)
			return mg_error_set(err, -EPROTO, "field '%s' is not a key of %d characters",
					    f->name, KEY_TEXT_LENGTH);
		return 0;
	}
	if (f->type == PROTOBUF_C_TYPE_BYTES) {
		const ProtobufCBinaryData *b = member;

		size_t expected = bytes_length(f->name, b->len);

		if (b->len != expected)
			return mg_error_set(err, -EPROTO, "field '%s' has %zu bytes instead of %zu",
					    f->name, b->len, expected);
	}
	return 0;
}

static size_t member_size(const ProtobufCFieldDescriptor *f)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	default: /* only strings and messages are asked for */
		return sizeof(void *);
	}
}

static int check_field(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f,
		       struct mg_error *err)
{
	const char *base = (const char *)m;
	const char *member = base + f->offset;
	const char *quantifier = base + f->quantifier_offset;

	if (f->type != PROTOBUF_C_TYPE_MESSAGE && f->type != PROTOBUF_C_TYPE_STRING &&
	    f->type != PROTOBUF_C_TYPE_BYTES)
		return 0;
	if (f->label == PROTOBUF_C_LABEL_REPEATED) {
		const char *items = *(const char *const *)member;
		size_t n = *(const size_t *)quantifier;

		for (size_t i = 0; i < n; i++) {
			int r = check_member(f, items + i * member_size(f), err);

			if (r < 0)
				return r;
		}
		return 0;
	}
	if ((f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) && *(const uint32_t *)quantifier != f->id)
		return 0;
	if (f->label == PROTOBUF_C_LABEL_OPTIONAL && f->type == PROTOBUF_C_TYPE_BYTES &&
	    !*(const protobuf_c_boolean *)quantifier)
		return 0;
	return check_member(f, member, err);
}

/* Walks the descriptor, so that a field added to the schema is checked without
 * a line here. The schema is not recursive, therefore neither deep nor endless. */
int message_check(const ProtobufCMessage *m, struct mg_error *err)
{
	for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
		int r = check_field(m, &m->descriptor->fields[i], err);

		if (r < 0)
			return r;
	}
	/* Not a field's number; protobuf-c reads such a field, but not what it then writes. */
	for (unsigned i = 0; i < m->n_unknown_fields; i++) {
		if (m->unknown_fields[i].tag == 0)
			return mg_error_set(err, -EPROTO, "a field with the number 0");
	}
	return 0;
}

int envelope_check(const Envelope *e, struct mg_error *err)
{
	if (e->version < ENVELOPE_VERSION_OLDEST || e->version > ENVELOPE_VERSION)
		return mg_error_set(err, -EPROTONOSUPPORT,
				    "control message of version %u; this program speaks %d to %d",
				    e->version, ENVELOPE_VERSION_OLDEST, ENVELOPE_VERSION);
	return message_check(&e->base, err);
}

Envelope *envelope_unpack(const void *data, size_t len, struct mg_error *err)
{
	_cleanup_envelope_ Envelope *e = NULL;

	if (len > ENVELOPE_MAX) {
		mg_error_set(err, -EMSGSIZE, "control message of %zu bytes; the limit is %zu", len,
			     ENVELOPE_MAX);
		return NULL;
	}
	e = tagalong__envelope__unpack(NULL, len, data);
	if (!e) {
		mg_error_set(err, -EPROTO, "%zu bytes that are no control message", len);
		return NULL;
	}
	if (envelope_check(e, err) < 0)
		return NULL;
	return TAKE_PTR(e);
}

int envelope_pack(const Envelope *e, uint8_t **ret_data, size_t *ret_len)
{
	size_t len = tagalong__envelope__get_packed_size(e);
	uint8_t *data;

	if (len > ENVELOPE_MAX)
		return -EMSGSIZE;
	data = malloc(len ? len : 1);
	if (!data)
		return -ENOMEM;
	tagalong__envelope__pack(e, data);
	*ret_data = data;
	*ret_len = len;
	return 0;
}

void envelope_free(Envelope *e)
{
	if (e)
		tagalong__envelope__free_unpacked(e, NULL);
}

const char *envelope_body_name(const Envelope *e)
{
	const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field(
		&tagalong__envelope__descriptor, (unsigned)e->body_case);

	return e->body_case != TAGALONG__ENVELOPE__BODY__NOT_SET && f ? f->name : "nothing";
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "placement/rest_request.h"

#include <ctype.h>
#include <string.h>

#include "common/uuid.h"

#define LIST_MAX 256 /* items of an array */

/* What a value goes into. */
struct slot {
	struct arena *arena;
	ProtobufCMessage *message;
	const ProtobufCFieldDescriptor *field;
	const struct rest_field *row;
};

static int no_memory(struct mg_error *err)
{
	return mg_error_set(err, -ENOMEM, "out of memory");
}

static int wrong(const struct slot *s, const char *expected, struct mg_error *err)
{
	return mg_error_set(err, -EINVAL, "'%s' is to be %s", s->row->name, expected);
}

static void *member_of(const struct slot *s)
{
	return (char *)s->message + s->field->offset;
}

/* Marks an optional scalar as present. */
static void mark(const struct slot *s)
{
	if (s->field->label == PROTOBUF_C_LABEL_OPTIONAL && s->field->quantifier_offset)
		*(protobuf_c_boolean *)((char *)s->message + s->field->quantifier_offset) = true;
}

static char *copy_text(struct arena *arena, const char *text)
{
	char *copy = arena_alloc(arena, strlen(text) + 1, 1);

	if (copy)
		strcpy(copy, text);
	return copy;
}

/* ---- Scalars -------------------------------------------------------------------- */

static int put_number(const struct slot *s, uint64_t value, struct mg_error *err)
{
	bool is_short = s->field->type == PROTOBUF_C_TYPE_UINT32;
	uint64_t max = s->row->value && s->row->place != REST_FIXED ? s->row->value
		       : is_short                                   ? UINT32_MAX
								    : INT64_MAX;

	if (value > max)
		return mg_error_set(err, -EINVAL, "'%s' is at most %llu", s->row->name,
				    (unsigned long long)max);
	if (is_short)
		*(uint32_t *)member_of(s) = (uint32_t)value;
	else
		*(uint64_t *)member_of(s) = value;
	mark(s);
	return 0;
}

static void put_flag(const struct slot *s, bool value)
{
	*(protobuf_c_boolean *)member_of(s) = value;
	mark(s);
}

/* How many letters all values' names of an enumeration begin with: "PRIORITY_". */
static size_t common_prefix(const ProtobufCEnumDescriptor *e)
{
	const char *end = strchr(e->values[0].name, '_');
	size_t n = end ? (size_t)(end - e->values[0].name) + 1 : 0;

	for (unsigned i = 1; i < e->n_values; i++)
		if (strncmp(e->values[i].name, e->values[0].name, n) != 0)
			return 0;
	return n;
}

/* "give-up" is CONVERGE_GIVE_UP. */
static bool is_name_of(const char *text, const char *name)
{
	for (; *name; name++, text++)
		if (*text != (*name == '_' ? '-' : tolower((unsigned char)*name)))
			return false;
	return !*text;
}

static int find_choice(const struct slot *s, const char *text, int *ret, struct mg_error *err)
{
	const ProtobufCEnumDescriptor *e = s->field->descriptor;
	size_t prefix = common_prefix(e);

	for (unsigned i = 0; i < e->n_values; i++) {
		if (s->row->words ? strcmp(text, s->row->words[i]) != 0
				  : !is_name_of(text, e->values[i].name + prefix))
			continue;
		*ret = e->values[i].value;
		return 0;
	}
	return mg_error_set(err, -EINVAL, "'%s': '%.40s' is none of the choices", s->row->name,
			    text);
}

static int put_choice(const struct slot *s, const char *text, struct mg_error *err)
{
	int r = find_choice(s, text, member_of(s), err);

	if (r == 0)
		mark(s);
	return r;
}

static int put_id(const struct slot *s, const char *text, struct mg_error *err)
{
	struct uuid *id = arena_alloc(s->arena, 1, sizeof(*id));

	if (!id)
		return no_memory(err);
	if (uuid_parse(text, id) < 0)
		return wrong(s, "a UUID", err);
	*(ProtobufCBinaryData *)member_of(s) = (ProtobufCBinaryData){ UUID_SIZE, id->bytes };
	mark(s);
	return 0;
}

/* Text, and what is written as text. */
static int put_text(const struct slot *s, const char *text, struct mg_error *err)
{
	if (s->field->type == PROTOBUF_C_TYPE_ENUM)
		return put_choice(s, text, err);
	if (s->field->type == PROTOBUF_C_TYPE_BYTES)
		return put_id(s, text, err);
	if (!text[0])
		return wrong(s, "longer than nothing", err);
	*(char **)member_of(s) = copy_text(s->arena, text);
	return *(char **)member_of(s) ? 0 : no_memory(err);
}

/* ---- JSON ----------------------------------------------------------------------- */

static int read_object(struct arena *arena, ProtobufCMessage *message,
		       const struct rest_field *rows, const json_t *object, struct mg_error *err);

static int put_object(const struct slot *s, const json_t *value, ProtobufCMessage **ret,
		      struct mg_error *err)
{
	const ProtobufCMessageDescriptor *d = s->field->descriptor;
	ProtobufCMessage *inner = arena_alloc(s->arena, 1, d->sizeof_message);
	int r;

	if (!inner)
		return no_memory(err);
	protobuf_c_message_init(d, inner);
	if (!json_is_object(value))
		return wrong(s, "an object", err);
	r = read_object(s->arena, inner, s->row->fields, value, err);
	if (r == -EINVAL)
		mg_error_prefix(err, "in '%s'", s->row->name);
	if (r == 0)
		*ret = inner;
	return r;
}

static void set_array(const struct slot *s, void *items, size_t n)
{
	*(void **)member_of(s) = items;
	*(size_t *)((char *)s->message + s->field->quantifier_offset) = n;
}

static int put_choices(const struct slot *s, const json_t *value, struct mg_error *err)
{
	size_t n = json_array_size(value);
	int *items = arena_alloc(s->arena, n + 1, sizeof(*items));
	int r = items ? 0 : no_memory(err);

	for (size_t i = 0; i < n && r == 0; i++) {
		const char *text = json_string_value(json_array_get(value, i));

		r = text ? find_choice(s, text, &items[i], err)
			 : wrong(s, "an array of texts", err);
	}
	if (r == 0)
		set_array(s, items, n);
	return r;
}

/* Of texts, of objects or of choices: the schema has no others that clients write. */
static int put_array(const struct slot *s, const json_t *value, struct mg_error *err)
{
	size_t n = json_array_size(value);
	void **items = arena_alloc(s->arena, n + 1, sizeof(*items));
	int r = 0;

	if (!json_is_array(value) || n > LIST_MAX)
		return wrong(s, "an array of at most 256 items", err);
	if (s->field->type == PROTOBUF_C_TYPE_ENUM)
		return put_choices(s, value, err);
	if (!items)
		return no_memory(err);
	for (size_t i = 0; i < n && r == 0; i++) {
		const json_t *item = json_array_get(value, i);

		if (s->row->fields)
			r = put_object(s, item, (ProtobufCMessage **)&items[i], err);
		else if (!json_is_string(item))
			r = wrong(s, "an array of texts", err);
		else if (!(items[i] = copy_text(s->arena, json_string_value(item))))
			r = no_memory(err);
	}
	if (r < 0)
		return r;
	set_array(s, items, n);
	return 0;
}

static int put_value(const struct slot *s, const json_t *value, struct mg_error *err)
{
	if (s->field->label == PROTOBUF_C_LABEL_REPEATED)
		return put_array(s, value, err);
	switch (s->field->type) {
	case PROTOBUF_C_TYPE_MESSAGE:
		return put_object(s, value, member_of(s), err);
	case PROTOBUF_C_TYPE_BOOL:
		if (!json_is_boolean(value))
			return wrong(s, "true or false", err);
		put_flag(s, json_is_true(value));
		return 0;
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_UINT64:
		if (!json_is_integer(value) || json_integer_value(value) < 0)
			return wrong(s, "a whole number from 0", err);
		return put_number(s, (uint64_t)json_integer_value(value), err);
	default:
		if (!json_is_string(value))
			return wrong(s, "a text", err);
		return put_text(s, json_string_value(value), err);
	}
}

static int slot_of(struct arena *arena, ProtobufCMessage *message, const struct rest_field *row,
		   struct slot *ret)
{
	const char *member = row->member ? row->member : row->name;

	*ret = (struct slot){
		arena,
		message,
		protobuf_c_message_descriptor_get_field_by_name(message->descriptor, member),
		row,
	};
	return ret->field ? 0 : -ENOENT;
}

static const struct rest_field *find_row(const struct rest_field *rows, enum rest_place place,
					 const char *name)
{
	for (; rows->name; rows++)
		if (rows->place == place && strcmp(rows->name, name) == 0)
			return rows;
	return NULL;
}

static int read_object(struct arena *arena, ProtobufCMessage *message,
		       const struct rest_field *rows, const json_t *object, struct mg_error *err)
{
	const char *name;
	json_t *value;
	struct slot s;
	int r;

	json_object_foreach((json_t *)object, name, value)
	{
		const struct rest_field *row = find_row(rows, REST_BODY, name);

		if (!row)
			return mg_error_set(err, -EINVAL, "there is no member '%.64s'", name);
		r = slot_of(arena, message, row, &s);
		if (r == 0)
			r = put_value(&s, value, err);
		if (r < 0)
			return r;
	}
	for (const struct rest_field *row = rows; row->name; row++)
		if (row->place == REST_BODY && row->required && !json_object_get(object, row->name))
			return mg_error_set(err, -EINVAL, "'%s' is missing", row->name);
	return 0;
}

static bool takes_body(const struct rest_field *rows)
{
	for (; rows->name; rows++)
		if (rows->place == REST_BODY)
			return true;
	return false;
}

/* No body is the empty object. */
static int read_body(const struct rest_match *match, const struct rest_input *input,
		     struct arena *arena, ProtobufCMessage *message, struct mg_error *err)
{
	const struct rest_field *rows = match->operation->fields;
	json_error_t where;
	json_t *object;
	int r;

	if (input->len && !takes_body(rows))
		return mg_error_set(err, -EINVAL, "this operation takes no body");
	if (!takes_body(rows))
		return 0;
	object = input->len ? json_loadb(input->body, input->len, JSON_REJECT_DUPLICATES, &where)
			    : json_object();
	if (!object)
		return mg_error_set(err, -EINVAL, "the body is no JSON: line %d, column %d: %s",
				    where.line, where.column, where.text);
	if (json_is_object(object))
		r = read_object(arena, message, rows, object, err);
	else
		r = mg_error_set(err, -EINVAL, "the body is to be an object");
	json_decref(object);
	return r;
}

/* ---- Path and query ------------------------------------------------------------- */

static int put_word(const struct slot *s, const char *text, struct mg_error *err)
{
	char *end;
	uint64_t number;

	switch (s->field->type) {
	case PROTOBUF_C_TYPE_BOOL:
		if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
			return wrong(s, "true or false", err);
		put_flag(s, text[0] == 't');
		return 0;
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_UINT64:
		number = strtoull(text, &end, 10);
		if (!isdigit((unsigned char)text[0]) || *end || strlen(text) > 19)
			return wrong(s, "a whole number from 0", err);
		return put_number(s, number, err);
	default:
		return put_text(s, text, err);
	}
}

static int put_fixed(const struct slot *s)
{
	if (s->field->type == PROTOBUF_C_TYPE_BOOL)
		put_flag(s, s->row->value);
	else
		return put_number(s, s->row->value, NULL);
	return 0;
}

static const char *argument(const struct rest_input *input, const char *name)
{
	for (size_t i = 0; i < input->n_arguments; i++)
		if (strcmp(input->arguments[i].name, name) == 0)
			return input->arguments[i].value;
	return NULL;
}

static int check_arguments(const struct rest_match *match, const struct rest_input *input,
			   struct mg_error *err)
{
	for (size_t i = 0; i < input->n_arguments; i++) {
		const char *name = input->arguments[i].name;

		if (!find_row(match->operation->fields, REST_QUERY, name))
			return mg_error_set(err, -EINVAL, "there is no parameter '%.64s'", name);
		if (argument(input, name) != input->arguments[i].value)
			return mg_error_set(err, -EINVAL, "'%.64s' is given twice", name);
	}
	return 0;
}

/* Which of the path's values the row's is. */
static const char *path_value(const struct rest_match *match, const char *name)
{
	const char *at = match->operation->path;
	size_t n = strlen(name);

	for (size_t i = 0; (at = strchr(at, '{')); i++, at++)
		if (strncmp(at + 1, name, n) == 0 && at[n + 1] == '}')
			return match->values[i];
	return NULL;
}

static int read_words(const struct rest_match *match, const struct rest_input *input,
		      struct arena *arena, ProtobufCMessage *message, struct mg_error *err)
{
	for (const struct rest_field *row = match->operation->fields; row->name; row++) {
		const char *text = row->place == REST_PATH       ? path_value(match, row->name)
				   : row->place == REST_QUERY    ? argument(input, row->name)
				   : row->place == REST_IF_MATCH ? input->if_match
								 : NULL;
		struct slot s;
		int r;

		if (row->member && !row->member[0])
			continue;
		if (!text && row->place == REST_QUERY && row->required)
			return mg_error_set(err, -EINVAL, "'%s' is missing", row->name);
		if (!text && row->place != REST_FIXED)
			continue;
		r = slot_of(arena, message, row, &s);
		if (r == 0)
			r = text ? put_word(&s, text, err) : put_fixed(&s);
		if (r < 0)
			return r;
	}
	return 0;
}

/* An order's id is not for clients to choose; rest.c does. */
static uint8_t no_id[UUID_SIZE];

int rest_request(const struct rest_match *match, const struct rest_input *input,
		 struct arena *arena, Envelope *ret, struct mg_error *err)
{
	const ProtobufCFieldDescriptor *body;
	ProtobufCMessage *message;
	int r;

	r = check_arguments(match, input, err);
	if (r < 0)
		return r;
	tagalong__envelope__init(ret);
	if (!match->operation->request)
		return input->len ? mg_error_set(err, -EINVAL, "this operation takes no body") : 0;
	body = protobuf_c_message_descriptor_get_field(&tagalong__envelope__descriptor,
						       match->operation->request);
	message = arena_alloc(
		arena, 1, ((const ProtobufCMessageDescriptor *)body->descriptor)->sizeof_message);
	if (!message)
		return no_memory(err);
	protobuf_c_message_init(body->descriptor, message);
	r = read_words(match, input, arena, message, err);
	if (r == 0)
		r = read_body(match, input, arena, message, err);
	if (r < 0)
		return r;
	ret->body_case = match->operation->request;
	ret->done = (Tagalong__Done *)message; /* all members of the union are pointers */
	if (match->operation->kind == REST_ORDER)
		ret->move_order->move = (ProtobufCBinaryData){ UUID_SIZE, no_id };
	r = message_check(message, err);
	return r < 0 ? err->code = -EINVAL : 0;
}

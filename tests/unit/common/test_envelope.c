/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>

#include "common/envelope.h"
#include "common/uuid.h"

static uint8_t boot[UUID_SIZE] = { 1, 2, 3 };
static uint8_t move[UUID_SIZE] = { 4, 5, 6 };

static void envelope_fill(Envelope *e)
{
	tagalong__envelope__init(e);
	e->version = ENVELOPE_VERSION;
	e->sender = "tower-a";
	e->boot_id = (ProtobufCBinaryData){ .len = UUID_SIZE, .data = boot };
	e->seq = 1;
}

static Envelope *through_the_wire(const Envelope *e, struct mg_error *err)
{
	_cleanup_free_ uint8_t *data = NULL;
	size_t len;

	cr_assert_eq(envelope_pack(e, &data, &len), 0);
	return envelope_unpack(data, len, err);
}

Test(envelope, round_trip)
{
	Tagalong__PeerCommit commit = TAGALONG__PEER_COMMIT__INIT;
	struct mg_error err = { 0 };
	_cleanup_envelope_ Envelope *got = NULL;
	Envelope e;

	envelope_fill(&e);
	commit.move = (ProtobufCBinaryData){ .len = UUID_SIZE, .data = move };
	e.body_case = TAGALONG__ENVELOPE__BODY_PEER_COMMIT;
	e.peer_commit = &commit;
	got = through_the_wire(&e, &err);
	cr_assert_not_null(got, "%s", err.text);
	cr_assert_str_eq(got->sender, "tower-a");
	cr_assert_str_eq(envelope_body_name(got), "peer_commit");
	cr_assert_arr_eq(got->peer_commit->move.data, move, UUID_SIZE);
}

Test(envelope, a_uuid_of_another_length_is_refused)
{
	Tagalong__PeerCommit commit = TAGALONG__PEER_COMMIT__INIT;
	struct mg_error err = { 0 };
	Envelope e;

	envelope_fill(&e);
	commit.move = (ProtobufCBinaryData){ .len = 15, .data = move };
	e.body_case = TAGALONG__ENVELOPE__BODY_PEER_COMMIT;
	e.peer_commit = &commit;
	cr_assert_null(through_the_wire(&e, &err));
	cr_assert_eq(err.code, -EPROTO);
	cr_assert_str_eq(err.text, "field 'move' has 15 bytes instead of 16");
}

Test(envelope, text_that_is_not_clean_is_refused)
{
	static const char *const bad[] = {
		"\xff",             /* no UTF-8 */
		"\xc0\xaf",         /* overlong */
		"\xed\xa0\x80",     /* surrogate */
		"\xf4\x90\x80\x80", /* past U+10FFFF */
		"\xe2\x82",         /* cut short */
		"a\033[2J",         /* would clear a terminal */
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct mg_error err = { 0 };
		Envelope e;

		envelope_fill(&e);
		e.sender = (char *)bad[i];
		cr_assert_null(through_the_wire(&e, &err), "case %zu", i);
		cr_assert_eq(err.code, -EPROTO);
	}
}

Test(envelope, nested_and_repeated_fields_are_checked)
{
	Tagalong__WatchEntry entry = TAGALONG__WATCH_ENTRY__INIT, *entries[] = { &entry };
	Tagalong__WatchList list = TAGALONG__WATCH_LIST__INIT;
	struct mg_error err = { 0 };
	Envelope e;

	envelope_fill(&e);
	entry.device = (ProtobufCBinaryData){ .len = 3, .data = move };
	entry.name = "phone";
	list.n_clients = 1;
	list.clients = entries;
	e.body_case = TAGALONG__ENVELOPE__BODY_WATCH_LIST;
	e.watch_list = &list;
	cr_assert_null(through_the_wire(&e, &err));
	cr_assert_str_eq(err.text, "field 'device' has 3 bytes instead of 16");
}

Test(envelope, another_version_is_refused)
{
	struct mg_error err = { 0 };
	Envelope e;

	envelope_fill(&e);
	e.version = 7;
	/* envelope_pack() does not care: a newer program would send just this. */
	cr_assert_null(through_the_wire(&e, &err));
	cr_assert_eq(err.code, -EPROTONOSUPPORT);
}

Test(envelope, too_large_or_not_protobuf)
{
	_cleanup_free_ uint8_t *big = calloc(1, ENVELOPE_MAX + 1);
	struct mg_error err = { 0 };

	cr_assert_null(envelope_unpack(big, ENVELOPE_MAX + 1, &err));
	cr_assert_eq(err.code, -EMSGSIZE);
	cr_assert_null(envelope_unpack("no protobuf at all", 18, &err));
	cr_assert_eq(err.code, -EPROTO);
	cr_assert_null(envelope_unpack("", 0, &err), "required fields are missing");
}

/* protobuf-c takes such a field in, and writes what it would not take in again. */
Test(envelope, a_field_with_the_number_0_is_refused)
{
	struct mg_error err = { 0 };
	_cleanup_free_ uint8_t *data = NULL;
	uint8_t bytes[256];
	size_t len;
	Envelope e;

	envelope_fill(&e);
	cr_assert_eq(envelope_pack(&e, &data, &len), 0);
	memcpy(bytes, data, len);
	bytes[len++] = 0x82; /* number 0, a length of 0 */
	bytes[len++] = 0x00;
	bytes[len++] = 0x00;
	cr_assert_null(envelope_unpack(bytes, len, &err));
	cr_assert_eq(err.code, -EPROTO);
	cr_assert_str_eq(err.text, "a field with the number 0");
}

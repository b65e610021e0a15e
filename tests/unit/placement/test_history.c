/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <string.h>

#include "placement/controller_private.h"

static uint64_t now(void *userdata)
{
	(void)userdata;
	return 1;
}

static struct store *open_store(void)
{
	struct store *s = NULL;
	struct mg_error err;

	cr_assert_eq(store_sqlite_open(":memory:", now, NULL, &s, &err), 0, "%s", err.text);
	return s;
}

/* The i-th move ended at second i; odd ones are of VM "odd". */
static void add(struct store *s, uint8_t i)
{
	Tagalong__Placement__MoveEntry entry = TAGALONG__PLACEMENT__MOVE_ENTRY__INIT;
	Tagalong__MoveInfo info = TAGALONG__MOVE_INFO__INIT;
	Tagalong__MoveOrder order = TAGALONG__MOVE_ORDER__INIT;
	uint8_t id[UUID_SIZE] = { i }, value[256];
	struct store_op op = { .kind = STORE_PUT, .value = value };
	char key[96], text[UUID_TEXT_SIZE];

	info.move = order.move = (ProtobufCBinaryData){ UUID_SIZE, id };
	info.vm = order.vm = (char *)(i & 1 ? "odd" : "even");
	info.source = (char *)"a";
	info.target = order.target = (char *)"b";
	info.state = TAGALONG__MOVE_STATE__MOVE_DONE;
	entry.info = &info;
	entry.order = &order;
	snprintf(key, sizeof(key), "history/%016" PRIx64 "-%s", (uint64_t)i * 1000000000,
		 uuid_format(&(struct uuid){ { i } }, text));
	op.key = key;
	op.len = tagalong__placement__move_entry__pack(&entry, value);
	cr_assert_eq(store_txn(s, NULL, 0, &op, 1, NULL, NULL), 0);
}

/* The first bytes of the ids, such as "5 3 1 ". */
static const char *list(struct store *s, const char *vm, int id, size_t limit)
{
	static char text[2048];
	uint8_t bytes[UUID_SIZE] = { (uint8_t)id };
	Tagalong__MoveQuery query = TAGALONG__MOVE_QUERY__INIT;
	Tagalong__Placement__MoveEntry **entries;
	size_t n;

	query.vm = (char *)vm;
	query.has_move = id >= 0;
	query.move = (ProtobufCBinaryData){ UUID_SIZE, bytes };
	cr_assert_eq(history_list(s, &query, limit, &entries, &n, NULL), 0);
	text[0] = 0;
	for (size_t i = 0; i < n; i++)
		sprintf(text + strlen(text), "%u ", entries[i]->info->move.data[0]);
	history_free(entries, n);
	return text;
}

Test(history, the_newest_first_by_vm_and_by_id)
{
	struct store *s = open_store();

	for (uint8_t i = 1; i <= 6; i++)
		add(s, i);
	cr_assert_str_eq(list(s, NULL, -1, 100), "6 5 4 3 2 1 ");
	cr_assert_str_eq(list(s, NULL, -1, 2), "6 5 ");
	cr_assert_str_eq(list(s, "odd", -1, 2), "5 3 ");
	cr_assert_str_eq(list(s, NULL, 2, 100), "2 ");
	cr_assert_str_eq(list(s, "odd", 2, 100), "");
	cr_assert_str_eq(list(s, NULL, -1, 0), "");
	cr_assert_str_eq(list(NULL, NULL, -1, 100), "", "a replay has none");
	store_free(s);
}

Test(history, what_cannot_be_read_is_left_out)
{
	const struct store_op op = { STORE_PUT, "history/0-y", "\xff\xff", 2, 0 };
	struct store *s = open_store();

	add(s, 1);
	cr_assert_eq(store_txn(s, NULL, 0, &op, 1, NULL, NULL), 0);
	cr_assert_str_eq(list(s, NULL, -1, 100), "1 ");
	store_free(s);
}

static int count(const struct store_entry *e, void *userdata)
{
	(void)e;
	++*(size_t *)userdata;
	return 0;
}

Test(history, the_oldest_go)
{
	struct store *s = open_store();
	const struct store_op other = { STORE_PUT, "pairs/x", "x", 1, 0 };
	size_t n = 0;

	/* More than go in one transaction. */
	for (unsigned i = 0; i < 600; i++) {
		char key[64];
		const struct store_op op = { STORE_PUT, key, "old", 3, 0 };

		snprintf(key, sizeof(key), "history/%016x-x", i);
		cr_assert_eq(store_txn(s, NULL, 0, &op, 1, NULL, NULL), 0);
	}
	for (uint8_t i = 1; i <= 4; i++)
		add(s, i);
	cr_assert_eq(store_txn(s, NULL, 0, &other, 1, NULL, NULL), 0);
	cr_assert_eq(history_prune(s, 3, NULL), 0);
	cr_assert_str_eq(list(s, NULL, -1, 100), "4 3 2 ");
	cr_assert_eq(history_prune(s, 3, NULL), 0);
	cr_assert_eq(history_prune(s, 0, NULL), 0);
	cr_assert_eq(store_range(s, &(struct store_range){ "", 0, false }, count, &n, NULL, NULL), 0);
	cr_assert_eq(n, 1, "nothing else went");
	store_free(s);
}

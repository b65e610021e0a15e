/* SPDX-License-Identifier: Apache-2.0
 *
 * Settled moves. No decision rests on them, so replays do without.
 */
#include <string.h>

#include "placement/controller_private.h"

#define PREFIX "history/"

struct list {
	const Tagalong__MoveQuery *query;
	Tagalong__Placement__MoveEntry **entries;
	size_t n, limit;
	char id[UUID_TEXT_SIZE]; /* of the one move that is wanted, if it is one */
	bool skips; /* until the one that the query names has passed */
};

static bool is_move(const ProtobufCBinaryData *id, const Tagalong__MoveInfo *info)
{
	return id->len == info->move.len && memcmp(id->data, info->move.data, id->len) == 0;
}

static bool is_wanted(struct list *list, const Tagalong__MoveInfo *info)
{
	const Tagalong__MoveQuery *q = list->query;

	if (list->skips) {
		list->skips = !is_move(&q->after, info);
		return false;
	}
	if (q->vm && strcmp(q->vm, info->vm) != 0)
		return false;
	return !q->has_move || is_move(&q->move, info);
}

/* Keys end with the move's id: see executor_keep_settled(). */
static bool key_fits(const struct list *list, const char *key)
{
	size_t len = strlen(key), id_len = strlen(list->id);

	return len >= id_len && strcmp(key + len - id_len, list->id) == 0;
}

static int on_entry(const struct store_entry *e, void *userdata)
{
	struct list *list = userdata;
	Tagalong__Placement__MoveEntry *entry;

	if (!list->skips && !key_fits(list, e->key))
		return 0;
	entry = tagalong__placement__move_entry__unpack(NULL, e->len, e->value);

	/* What an older or newer release wrote and we cannot read is not shown. */
	if (!entry)
		return 0;
	if (!is_wanted(list, entry->info)) {
		tagalong__placement__move_entry__free_unpacked(entry, NULL);
		return 0;
	}
	list->entries[list->n++] = entry;
	return list->n == list->limit;
}

int history_list(struct store *store, const Tagalong__MoveQuery *query, size_t limit,
		 Tagalong__Placement__MoveEntry ***ret, size_t *ret_n, struct mg_error *err)
{
	struct list list = { .query = query, .limit = limit, .skips = query->has_after };
	int r = 0;

	list.entries = calloc(limit + 1, sizeof(*list.entries));
	if (!list.entries)
		return mg_error_set(err, -ENOMEM, "out of memory");
	if (query->has_move && query->move.len == UUID_SIZE) {
		struct uuid id;

		memcpy(id.bytes, query->move.data, UUID_SIZE);
		uuid_format(&id, list.id);
	}
	if (store && limit > 0)
		r = store_range(store, &(struct store_range){ PREFIX, 0, true }, on_entry, &list,
				NULL, err);
	if (r >= 0 && list.skips)
		r = mg_error_set(err, -ENOENT, "the move to go on after is not remembered; begin "
					       "with the newest");
	if (r < 0) {
		history_free(list.entries, list.n);
		return r;
	}
	*ret = list.entries;
	*ret_n = list.n;
	return 0;
}

void history_free(Tagalong__Placement__MoveEntry **entries, size_t n)
{
	for (size_t i = 0; i < n; i++)
		tagalong__placement__move_entry__free_unpacked(entries[i], NULL);
	free(entries);
}

struct surplus {
	size_t keep;
	struct store_op ops[256];
	char keys[256][STORE_KEY_SIZE];
	size_t n;
};

static int on_surplus(const struct store_entry *e, void *userdata)
{
	struct surplus *s = userdata;

	if (s->keep > 0) {
		s->keep--;
		return 0;
	}
	strcpy(s->keys[s->n], e->key);
	s->ops[s->n] = (struct store_op){ .kind = STORE_DELETE, .key = s->keys[s->n] };
	s->n++;
	return s->n == ARRAY_SIZE(s->ops);
}

int history_prune(struct store *store, size_t keep, struct mg_error *err)
{
	_cleanup_free_ struct surplus *s = malloc(sizeof(*s));
	int r;

	if (!s)
		return mg_error_set(err, -ENOMEM, "out of memory");
	do {
		s->keep = keep;
		s->n = 0;
		r = store_range(store, &(struct store_range){ PREFIX, 0, true }, on_surplus, s,
				NULL, err);
		if (r >= 0 && s->n > 0)
			r = store_txn(store, NULL, 0, s->ops, s->n, NULL, err);
	} while (r >= 0 && s->n == ARRAY_SIZE(s->ops));
	return r < 0 ? r : 0;
}

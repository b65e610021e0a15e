/* SPDX-License-Identifier: Apache-2.0 */
#include "placement/takeover.h"

#include <string.h>

#include "placement/controller.h"
#include "placement/executor.h"

typedef Tagalong__Placement__Start Start;
typedef Tagalong__Placement__StoreValue StoreValue;

static int on_epoch(const struct store_entry *e, void *userdata)
{
	struct {
		uint64_t epoch, revision;
	} *ret = userdata;
	Tagalong__Placement__EpochEntry *entry =
		tagalong__placement__epoch_entry__unpack(NULL, e->len, e->value);

	if (!entry)
		return -EUCLEAN;
	ret->epoch = entry->epoch;
	ret->revision = e->mod_revision;
	tagalong__placement__epoch_entry__free_unpacked(entry, NULL);
	return 0;
}

static int raise_epoch(struct store *store, const struct store_compare *leads, uint64_t *epoch,
		       uint64_t *ret_revision, struct mg_error *err)
{
	struct {
		uint64_t epoch, revision;
	} last = { 0 };
	Tagalong__Placement__EpochEntry entry = TAGALONG__PLACEMENT__EPOCH_ENTRY__INIT;
	uint8_t data[32];
	struct store_compare compares[2] = { { .key = CONTROLLER_EPOCH_KEY } };
	struct store_op op = { .kind = STORE_PUT, .key = CONTROLLER_EPOCH_KEY, .value = data };
	int r;

	r = store_get(store, CONTROLLER_EPOCH_KEY, on_epoch, &last, err);
	if (r == -EUCLEAN)
		return mg_error_set(err, r, "the store's epoch makes no sense");
	if (r < 0 && r != -ENOENT)
		return r;
	entry.epoch = last.epoch < *epoch ? *epoch : last.epoch + 1;
	op.len = tagalong__placement__epoch_entry__pack(&entry, data);
	compares[0].mod_revision = last.revision;
	if (leads)
		compares[1] = *leads;
	r = store_txn(store, compares, leads ? 2 : 1, &op, 1, ret_revision, err);
	if (r == 0)
		*epoch = entry.epoch;
	return r;
}

static int add_value(const struct store_entry *e, void *userdata)
{
	Start *start = userdata;
	StoreValue **values =
		reallocarray(start->values, start->n_values + 1, sizeof(*values));
	StoreValue *v = malloc(sizeof(*v));

	if (values)
		start->values = values;
	if (!values || !v) {
		free(v);
		return -ENOMEM;
	}
	tagalong__placement__store_value__init(v);
	values[start->n_values++] = v;
	v->key = strdup(e->key);
	v->value.data = malloc(e->len ? e->len : 1);
	if (!v->key || !v->value.data)
		return -ENOMEM;
	v->value.len = e->len;
	if (e->len)
		memcpy(v->value.data, e->value, e->len);
	return 0;
}

static void turn_round(StoreValue **values, size_t n)
{
	for (size_t i = 0; i < n / 2; i++) {
		StoreValue *last = values[n - 1 - i];

		values[n - 1 - i] = values[i];
		values[i] = last;
	}
}

/* All of it in the order of its keys: what is cut off is the beginning of the history. */
static int add_values(struct store *store, Start *start, struct mg_error *err)
{
	static const struct store_range ranges[] = {
		{ "pairs/", 0, false },
		{ "nodes/", 0, false },
		{ "vms/", 0, false },
		{ "moves/", 0, false },
		{ "services/", 0, false },
		{ "subscriptions/", 0, false },
		{ "notices/", 0, false },
		{ "history/", EXECUTOR_RECENT, true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
		size_t first = start->n_values;
		int r = store_range(store, &ranges[i], add_value, start, NULL, err);

		if (r == -ENOMEM)
			mg_error_set(err, r, "out of memory");
		if (r < 0)
			return r;
		if (ranges[i].descending)
			turn_round(start->values + first, start->n_values - first);
	}
	return 0;
}

int takeover(struct store *store, const struct store_compare *leads, Start *start,
	     uint64_t *ret_revision, struct mg_error *err)
{
	int r = raise_epoch(store, leads, &start->epoch, ret_revision, err);

	return r < 0 ? r : add_values(store, start, err);
}

void takeover_clear(Start *start)
{
	for (size_t i = 0; i < start->n_values; i++) {
		free(start->values[i]->key);
		free(start->values[i]->value.data);
		free(start->values[i]);
	}
	free(start->values);
	start->values = NULL;
	start->n_values = 0;
}

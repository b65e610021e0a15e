/* SPDX-License-Identifier: Apache-2.0
 *
 * What every backend of placement/store.h must do, said through that header
 * alone. A backend joins by a line in the table.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "placement/store.h"
#include "tests/unit/placement/etcd_server.h"

#define SECOND UINT64_C(1000000000)

struct fixture {
	struct store *store;
	const char *backend;
	char dir[64], path[80];
	uint64_t now;
	struct etcd_server *etcd; /* NULL: the backend's clock is `now` */
	struct mg_error err;
};

static uint64_t now(void *userdata)
{
	return ((struct fixture *)userdata)->now;
}

static void open_file(struct fixture *f)
{
	strcpy(f->dir, "/tmp/test-store-XXXXXX");
	cr_assert_not_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/store", f->dir);
	cr_assert_eq(store_sqlite_open(f->path, now, f, &f->store, &f->err), 0, "%s", f->err.text);
}

static void open_memory(struct fixture *f)
{
	cr_assert_eq(store_sqlite_open(":memory:", now, f, &f->store, &f->err), 0, "%s",
		     f->err.text);
}

static void open_etcd(struct fixture *f)
{
	f->etcd = calloc(1, sizeof(*f->etcd));
	etcd_server_make(f->etcd);
	cr_assert_eq(store_etcd_open(&f->etcd->config, &f->store, &f->err), 0, "%s", f->err.text);
}

static void close_store(struct fixture *f)
{
	char command[128];

	store_free(f->store);
	if (f->etcd)
		etcd_server_remove(f->etcd);
	free(f->etcd);
	if (f->dir[0]) {
		snprintf(command, sizeof(command), "rm -rf %s", f->dir);
		cr_assert_eq(system(command), 0);
	}
}

static const struct {
	const char *name;
	void (*open)(struct fixture *f);
} backends[] = {
	{ "sqlite", open_file },
	{ "sqlite in memory", open_memory },
	{ "etcd", open_etcd },
};

/* Runs what follows for each backend, with `f` open. */
#define FOR_EACH_BACKEND(test)                                                   \
	static void test(struct fixture *f);                                     \
	Test(store, test)                                                        \
	{                                                                        \
		for (size_t i = 0; i < ARRAY_SIZE(backends); i++) {              \
			struct fixture f = { .backend = backends[i].name };      \
			f.now = 1000 * SECOND;                                   \
			backends[i].open(&f);                                    \
			test(&f);                                                \
			close_store(&f);                                         \
		}                                                                \
	}                                                                        \
	static void test(struct fixture *f)

static int put(struct fixture *f, const char *key, const char *value)
{
	const struct store_op op = { STORE_PUT, key, value, strlen(value), 0 };

	return store_txn(f->store, NULL, 0, &op, 1, NULL, &f->err);
}

struct got {
	char keys[512], values[512]; /* "a b c " */
	size_t n;
	uint64_t create_revision, mod_revision;
	int answer;
};

static int take(const struct store_entry *e, void *userdata)
{
	struct got *g = userdata;

	sprintf(g->keys + strlen(g->keys), "%s ", e->key);
	sprintf(g->values + strlen(g->values), "%.*s ", (int)e->len, (const char *)e->value);
	g->n++;
	g->create_revision = e->create_revision;
	g->mod_revision = e->mod_revision;
	return g->answer;
}

static struct got get(struct fixture *f, const char *key)
{
	struct got g = { 0 };
	int r = store_get(f->store, key, take, &g, &f->err);

	cr_assert(r == 0 || (r == -ENOENT && g.n == 0), "%s: %s", f->backend, f->err.text);
	return g;
}

static struct got range(struct fixture *f, const char *prefix, size_t limit, bool descending)
{
	const struct store_range what = { prefix, limit, descending };
	struct got g = { 0 };

	cr_assert_eq(store_range(f->store, &what, take, &g, NULL, &f->err), 0, "%s", f->err.text);
	return g;
}

FOR_EACH_BACKEND(what_is_put_is_got)
{
	const struct store_op binary = { STORE_PUT, "b", "\0\1\2", 3, 0 };
	const struct store_op empty = { STORE_PUT, "e", NULL, 0, 0 };
	struct got g;

	cr_assert_eq(get(f, "a").n, 0);
	cr_assert_eq(put(f, "a", "one"), 0);
	g = get(f, "a");
	cr_assert_str_eq(g.values, "one ");
	cr_assert_eq(g.create_revision, g.mod_revision);
	cr_assert_eq(put(f, "a", "two"), 0);
	cr_assert_str_eq(get(f, "a").values, "two ");
	cr_assert_eq(get(f, "a").create_revision, g.create_revision);
	cr_assert_eq(get(f, "a").mod_revision, g.mod_revision + 1);
	cr_assert_eq(store_txn(f->store, NULL, 0, &binary, 1, NULL, NULL), 0);
	cr_assert_eq(get(f, "b").n, 1);
	cr_assert_eq(store_txn(f->store, NULL, 0, &empty, 1, NULL, NULL), 0);
	cr_assert_eq(get(f, "e").n, 1);
}

FOR_EACH_BACKEND(keys_are_checked)
{
	char longest[300];

	memset(longest, 'k', sizeof(longest));
	longest[STORE_KEY_SIZE - 1] = 0;
	cr_assert_eq(put(f, longest, "v"), 0);
	longest[STORE_KEY_SIZE - 1] = 'k';
	longest[STORE_KEY_SIZE] = 0;
	cr_assert_eq(put(f, longest, "v"), -EINVAL);
	cr_assert_eq(put(f, "", "v"), -EINVAL);
	cr_assert_eq(put(f, "a b", "v"), -EINVAL);
	cr_assert_eq(put(f, "a\xc3\xa4", "v"), -EINVAL);
	cr_assert_eq(put(f, "a\x7f", "v"), -EINVAL);
	cr_assert_eq(range(f, "", 0, false).n, 1);
}

FOR_EACH_BACKEND(ranges_are_in_order_and_exact)
{
	struct got stop = { .answer = 7 };
	uint64_t revision = 0;

	for (const char *const *k = (const char *const[]){ "p/b", "p/a", "p/~", "p0", "o/z", "p/",
							   "P/a", NULL }; *k; k++)
		cr_assert_eq(put(f, *k, "v"), 0);
	cr_assert_str_eq(range(f, "p/", 0, false).keys, "p/ p/a p/b p/~ ");
	cr_assert_str_eq(range(f, "p/", 0, true).keys, "p/~ p/b p/a p/ ");
	cr_assert_str_eq(range(f, "p/", 2, false).keys, "p/ p/a ");
	cr_assert_str_eq(range(f, "p/", 1, true).keys, "p/~ ");
	cr_assert_str_eq(range(f, "nothing", 0, false).keys, "");
	cr_assert_eq(range(f, "", 0, false).n, 7);
	cr_assert_eq(store_range(f->store, &(struct store_range){ "p/", 0, false }, take, &stop,
				 NULL, NULL), 7);
	cr_assert_eq(stop.n, 1);
	cr_assert_eq(store_range(f->store, &(struct store_range){ "%_x'--", 0, false }, take, &stop,
				 &revision, NULL), 0);
	cr_assert_eq(revision, get(f, "P/a").mod_revision);
}

FOR_EACH_BACKEND(a_transaction_is_all_or_nothing)
{
	struct store_op ops[] = {
		{ STORE_PUT, "a", "2", 1, 0 },
		{ STORE_DELETE, "b", NULL, 0, 0 },
		{ STORE_PUT, "c", "2", 1, 0 },
	};
	struct store_compare compares[] = { { "a", 0 }, { "z", 0 } };
	uint64_t revision;

	cr_assert_eq(put(f, "a", "1"), 0);
	cr_assert_eq(put(f, "b", "1"), 0);
	/* The first comparison does not hold: a exists. */
	cr_assert_eq(store_txn(f->store, compares, 2, ops, 3, &revision, &f->err), -ESTALE);
	cr_assert_str_eq(range(f, "", 0, false).values, "1 1 ");
	compares[0].mod_revision = get(f, "a").mod_revision;
	compares[1].mod_revision = 1;
	cr_assert_eq(store_txn(f->store, compares, 2, ops, 3, &revision, &f->err), -ESTALE);
	compares[1].mod_revision = 0;
	cr_assert_eq(store_txn(f->store, compares, 2, ops, 3, &revision, &f->err), 0);
	cr_assert_str_eq(range(f, "", 0, false).keys, "a c ");
	cr_assert_eq(get(f, "a").mod_revision, revision);
	cr_assert_eq(get(f, "c").mod_revision, revision);
	/* A bad operation in the middle takes the others back. */
	ops[0].value = "3";
	ops[1].key = "";
	cr_assert_eq(store_txn(f->store, NULL, 0, ops, 3, &revision, &f->err), -EINVAL);
	cr_assert_str_eq(get(f, "a").values, "2 ");
	cr_assert_eq(put(f, "d", "1"), 0);
	cr_assert_eq(get(f, "d").mod_revision, revision + 1);
}

FOR_EACH_BACKEND(of_operations_on_one_key_the_last_counts)
{
	const struct store_op ops[] = {
		{ STORE_PUT, "a", "1", 1, 0 },	 { STORE_PUT, "b", "1", 1, 0 },
		{ STORE_DELETE, "b", NULL, 0, 0 }, { STORE_DELETE, "a", NULL, 0, 0 },
		{ STORE_PUT, "a", "2", 1, 0 },
	};

	cr_assert_eq(store_txn(f->store, NULL, 0, ops, ARRAY_SIZE(ops), NULL, &f->err), 0, "%s",
		     f->err.text);
	cr_assert_str_eq(range(f, "", 0, false).keys, "a ");
	cr_assert_str_eq(get(f, "a").values, "2 ");
}

#define MANY 3000

static int count(const struct store_entry *e, void *userdata)
{
	struct got *g = userdata;

	if (g->n++ == 0)
		g->mod_revision = e->mod_revision;
	g->answer |= e->mod_revision != g->mod_revision;
	return 0;
}

FOR_EACH_BACKEND(a_large_transaction_is_one)
{
	static char keys[MANY][16];
	static struct store_op ops[MANY];
	const struct store_compare vacant = { "k00700", 0 };
	struct got g = { 0 }, h = { 0 };

	for (int i = 0; i < MANY; i++) {
		sprintf(keys[i], "k%05d", i);
		ops[i] = (struct store_op){ STORE_PUT, keys[i], "v", 1, 0 };
	}
	cr_assert_eq(put(f, "k00700", "0"), 0);
	cr_assert_eq(store_txn(f->store, &vacant, 1, ops, MANY, NULL, &f->err), -ESTALE);
	cr_assert_eq(range(f, "k", 0, false).n, 1);
	cr_assert_eq(store_txn(f->store, NULL, 0, ops, MANY, NULL, &f->err), 0, "%s", f->err.text);
	cr_assert_eq(store_range(f->store, &(struct store_range){ "k", 0, true }, count, &g, NULL,
				 &f->err), 0);
	cr_assert_eq(g.n, MANY);
	cr_assert_eq(g.answer, 0, "not all of one revision");
	cr_assert_eq(store_range(f->store, &(struct store_range){ "k", 700, false }, count, &h,
				 NULL, &f->err), 0);
	cr_assert_eq(h.n, 700);
}

FOR_EACH_BACKEND(a_key_that_was_deleted_is_created_anew)
{
	const struct store_op delete = { STORE_DELETE, "a", NULL, 0, 0 };
	uint64_t before;

	cr_assert_eq(put(f, "a", "1"), 0);
	before = get(f, "a").create_revision;
	cr_assert_eq(store_txn(f->store, NULL, 0, &delete, 1, NULL, NULL), 0);
	cr_assert_eq(get(f, "a").n, 0);
	cr_assert_eq(store_txn(f->store, NULL, 0, &delete, 1, NULL, NULL), 0);
	cr_assert_eq(put(f, "a", "1"), 0);
	cr_assert_gt(get(f, "a").create_revision, before);
}

/* ---- Time --------------------------------------------------------------------- */

/* Lets time pass on the backend's clock. */
static void pass(struct fixture *f, uint64_t ns)
{
	f->now += ns;
	if (f->etcd)
		usleep((useconds_t)(ns / 1000));
}

/* The same, and then until the key is gone; etcd's clock is not ours. */
static void pass_until_gone(struct fixture *f, uint64_t ns, const char *key)
{
	pass(f, ns);
	for (int i = 0; f->etcd && i < 600 && get(f, key).n > 0; i++)
		usleep(100000);
}

struct events {
	char text[1024];
	uint64_t revision;
	bool ordered;
};

static void on_event(const struct store_event *e, void *userdata)
{
	struct events *events = userdata;

	events->ordered = events->revision <= e->revision;
	events->revision = e->revision;
	if (e->kind == STORE_PUT)
		sprintf(events->text + strlen(events->text), "%s=%.*s ", e->key, (int)e->len,
			(const char *)e->value);
	else
		sprintf(events->text + strlen(events->text), "-%s ", e->key);
}

/* What is new may be on its way for a while. */
static void dispatch_until(struct fixture *f, const struct events *events, const char *text)
{
	for (int i = 0; i < 3000; i++) {
		cr_assert_eq(store_dispatch(f->store, &f->err), 0, "%s", f->err.text);
		if (strcmp(events->text, text) == 0)
			return;
		usleep(10000);
	}
	cr_assert_str_eq(events->text, text, "%s", f->backend);
}

FOR_EACH_BACKEND(a_watch_tells_every_change_once)
{
	const struct store_op delete = { STORE_DELETE, "w/a", NULL, 0, 0 };
	struct events later = { 0 }, early = { 0 };
	struct store_watch *w, *all;
	uint64_t revision;
	struct got g = { 0 };

	cr_assert_eq(put(f, "w/a", "0"), 0);
	cr_assert_eq(store_range(f->store, &(struct store_range){ "w/", 0, false }, take, &g,
				 &revision, NULL), 0);
	cr_assert_eq(put(f, "w/a", "1"), 0);
	cr_assert_eq(store_watch(f->store, "w/", revision, on_event, &later, &w, NULL), 0);
	cr_assert_eq(store_watch(f->store, "", 0, on_event, &early, &all, NULL), 0);
	cr_assert_str_eq(later.text, "", "told outside of store_dispatch()");
	cr_assert_eq(put(f, "x", "1"), 0);
	cr_assert_eq(put(f, "w/b", "1"), 0);
	dispatch_until(f, &later, "w/a=1 w/b=1 ");
	dispatch_until(f, &early, "w/a=0 w/a=1 x=1 w/b=1 ");
	cr_assert_eq(store_txn(f->store, NULL, 0, &delete, 1, NULL, NULL), 0);
	dispatch_until(f, &later, "w/a=1 w/b=1 -w/a ");
	dispatch_until(f, &early, "w/a=0 w/a=1 x=1 w/b=1 -w/a ");
	cr_assert(later.ordered && early.ordered);
	store_watch_free(f->store, w);
	cr_assert_eq(put(f, "w/c", "1"), 0);
	dispatch_until(f, &early, "w/a=0 w/a=1 x=1 w/b=1 -w/a w/c=1 ");
	cr_assert_str_eq(later.text, "w/a=1 w/b=1 -w/a ");
	store_watch_free(f->store, all);
}

FOR_EACH_BACKEND(changes_of_long_ago_are_refused_not_missed)
{
	struct events events = { 0 };
	struct store_watch *w;
	struct got g = { 0 };
	uint64_t revision;
	int r = 0;

	for (int i = 0; i < 20000 && r == 0; i++) {
		cr_assert_eq(put(f, "a", "v"), 0);
		if (i % 500 == 0) {
			r = store_watch(f->store, "b", 1, on_event, &events, &w, NULL);
			if (r == 0)
				store_watch_free(f->store, w);
		}
	}
	cr_assert_eq(r, -ESTALE);
	cr_assert_eq(store_range(f->store, &(struct store_range){ "", 0, false }, take, &g,
				 &revision, NULL), 0);
	cr_assert_eq(store_watch(f->store, "", revision, on_event, &events, &w, NULL), 0);
	store_watch_free(f->store, w);
}

FOR_EACH_BACKEND(a_lease_takes_its_keys_along)
{
	struct store_op op = { STORE_PUT, "leader", "me", 2, 0 };
	struct events events = { 0 };
	struct store_watch *w;
	uint64_t lease, other;

	cr_assert_eq(store_lease_grant(f->store, 10 * SECOND, &lease, NULL), 0);
	cr_assert_eq(store_lease_grant(f->store, 60 * SECOND, &other, NULL), 0);
	cr_assert_neq(lease, other);
	op.lease = lease;
	cr_assert_eq(store_txn(f->store, NULL, 0, &op, 1, NULL, NULL), 0);
	cr_assert_eq(store_watch(f->store, "", get(f, "leader").mod_revision, on_event, &events, &w,
				 NULL), 0);
	pass(f, 6 * SECOND);
	cr_assert_eq(store_lease_keep(f->store, lease, NULL), 0);
	pass(f, 6 * SECOND);
	cr_assert_eq(store_dispatch(f->store, NULL), 0);
	cr_assert_eq(get(f, "leader").n, 1);
	pass_until_gone(f, 4 * SECOND, "leader");
	dispatch_until(f, &events, "-leader ");
	cr_assert_eq(get(f, "leader").n, 0);
	cr_assert_eq(store_lease_keep(f->store, lease, NULL), -ENOENT);
	cr_assert_eq(store_txn(f->store, NULL, 0, &op, 1, NULL, NULL), -ENOENT);
	op.lease = other;
	cr_assert_eq(store_txn(f->store, NULL, 0, &op, 1, NULL, NULL), 0);
	cr_assert_eq(store_lease_revoke(f->store, other, NULL), 0);
	cr_assert_eq(get(f, "leader").n, 0);
	store_watch_free(f->store, w);
}

FOR_EACH_BACKEND(an_expired_leader_is_gone_before_the_next_one_asks)
{
	const struct store_compare vacant = { "leader", 0 };
	struct store_op op = { STORE_PUT, "leader", "a", 1, 0 };

	cr_assert_eq(store_lease_grant(f->store, SECOND, &op.lease, NULL), 0);
	cr_assert_eq(store_txn(f->store, &vacant, 1, &op, 1, NULL, NULL), 0);
	cr_assert_eq(store_txn(f->store, &vacant, 1, &op, 1, NULL, NULL), -ESTALE);
	pass_until_gone(f, SECOND, "leader");
	op.lease = 0;
	op.value = "b";
	cr_assert_eq(store_txn(f->store, &vacant, 1, &op, 1, NULL, NULL), 0);
	cr_assert_str_eq(get(f, "leader").values, "b ");
}

Test(store_sqlite, what_was_written_is_there_after_reopening_and_for_others)
{
	struct fixture f = { .now = SECOND };
	struct store *other;
	struct events events = { 0 };
	struct store_watch *w;

	open_file(&f);
	cr_assert_eq(put(&f, "a", "1"), 0);
	cr_assert_eq(store_sqlite_open(f.path, now, &f, &other, &f.err), 0, "%s", f.err.text);
	cr_assert_eq(store_watch(other, "", 1, on_event, &events, &w, NULL), 0);
	cr_assert_eq(put(&f, "b", "2"), 0);
	cr_assert_eq(store_dispatch(other, NULL), 0);
	cr_assert_str_eq(events.text, "b=2 ");
	store_free(f.store);
	f.store = other;
	cr_assert_str_eq(range(&f, "", 0, false).values, "1 2 ");
	close_store(&f);
}

Test(store_sqlite, a_file_that_is_no_store_is_refused)
{
	struct fixture f = { 0 };
	struct store *s;
	FILE *file;

	strcpy(f.dir, "/tmp/test-store-XXXXXX");
	cr_assert_not_null(mkdtemp(f.dir));
	snprintf(f.path, sizeof(f.path), "%s/store", f.dir);
	file = fopen(f.path, "w");
	for (int i = 0; i < 1000; i++)
		fputs("this is no database ", file);
	fclose(file);
	cr_assert_lt(store_sqlite_open(f.path, now, &f, &s, &f.err), 0);
	cr_assert_not_null(strstr(f.err.text, f.path), "%s", f.err.text);
	cr_assert_lt(store_sqlite_open("/nonexistent/store", now, &f, &s, &f.err), 0);
	close_store(&f);
}

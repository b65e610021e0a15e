/* SPDX-License-Identifier: Apache-2.0
 *
 * The store in SQLite. Beside the entries it keeps the last changes, which
 * feed the watches, also those of other processes.
 */
#include <inttypes.h>
#include <string.h>
#include <sys/queue.h>

#include "common/database.h"
#include "placement/store.h"

#define CHANGES_KEPT 4096 /* revisions */

/* Above every character of a key: the end of a range. */
#define PREFIX_END "\x7f"

static const char *const migrations[] = {
	"CREATE TABLE state (id INTEGER PRIMARY KEY CHECK (id = 0), revision INTEGER NOT NULL,"
	" forgotten INTEGER NOT NULL);"
	"INSERT INTO state VALUES (0, 0, 0);"
	"CREATE TABLE leases (id INTEGER PRIMARY KEY AUTOINCREMENT, ttl INTEGER NOT NULL,"
	" expires INTEGER NOT NULL);"
	"CREATE TABLE entries (key TEXT PRIMARY KEY, value BLOB NOT NULL,"
	" create_revision INTEGER NOT NULL, mod_revision INTEGER NOT NULL, lease INTEGER)"
	" WITHOUT ROWID;"
	"CREATE INDEX entries_by_lease ON entries (lease) WHERE lease IS NOT NULL;"
	"CREATE TABLE changes (revision INTEGER NOT NULL, key TEXT NOT NULL, value BLOB,"
	" PRIMARY KEY (revision, key)) WITHOUT ROWID",
};

enum statement {
	GET,
	RANGE,
	RANGE_DOWN,
	STATE,
	SET_REVISION,
	SET_FORGOTTEN,
	PUT,
	DELETE,
	NOTE,
	FORGET,
	CHANGES,
	LEASE_GRANT,
	LEASE_KEEP,
	LEASE_LIVES,
	LEASE_DELETE,
	LEASES_OVER,
	LEASE_KEYS,
	STATEMENTS,
};

#define RANGE_SQL                                                          \
	"SELECT key, value, create_revision, mod_revision FROM entries "   \
	"WHERE key >= ?1 AND key < ?1 || '" PREFIX_END "' ORDER BY key "

static const char *const sql[STATEMENTS] = {
	[GET] = "SELECT key, value, create_revision, mod_revision FROM entries WHERE key = ?1",
	[RANGE] = RANGE_SQL "LIMIT ?2",
	[RANGE_DOWN] = RANGE_SQL "DESC LIMIT ?2",
	[STATE] = "SELECT revision, forgotten FROM state",
	[SET_REVISION] = "UPDATE state SET revision = ?1",
	[SET_FORGOTTEN] = "UPDATE state SET forgotten = ?1",
	[PUT] = "INSERT INTO entries VALUES (?1, ?2, ?3, ?3, ?4) ON CONFLICT (key) DO UPDATE SET "
		"value = excluded.value, mod_revision = excluded.mod_revision, "
		"lease = excluded.lease",
	[DELETE] = "DELETE FROM entries WHERE key = ?1",
	[NOTE] = "INSERT OR REPLACE INTO changes VALUES (?1, ?2, ?3)",
	[FORGET] = "DELETE FROM changes WHERE revision <= ?1",
	[CHANGES] = "SELECT revision, key, value FROM changes WHERE revision > ?1 "
		    "AND revision <= ?2 AND key >= ?3 AND key < ?3 || '" PREFIX_END "' "
		    "ORDER BY revision, key",
	[LEASE_GRANT] = "INSERT INTO leases (ttl, expires) VALUES (?1, ?2)",
	[LEASE_KEEP] = "UPDATE leases SET expires = ttl + ?2 WHERE id = ?1",
	[LEASE_LIVES] = "SELECT 1 FROM leases WHERE id = ?1",
	[LEASE_DELETE] = "DELETE FROM leases WHERE id = ?1",
	[LEASES_OVER] = "SELECT id FROM leases WHERE expires <= ?1 LIMIT 1",
	[LEASE_KEYS] = "SELECT key FROM entries WHERE lease = ?1 LIMIT 1",
};

struct store_watch {
	struct store_sqlite *store;
	char prefix[STORE_KEY_SIZE];
	uint64_t revision; /* told up to here */
	store_event_fn fn;
	void *userdata;
	LIST_ENTRY(store_watch) link;
};

struct store_sqlite {
	struct store base;
	sqlite3 *db;
	sqlite3_stmt *statements[STATEMENTS];
	store_clock_fn clock;
	void *clock_userdata;
	LIST_HEAD(, store_watch) watches;
};

static struct store_sqlite *sqlite_of(struct store *s)
{
	return (struct store_sqlite *)s;
}

static int fail(struct store_sqlite *s, struct mg_error *err)
{
	return database_error(s->db, err, "store");
}

static int bad_key(const char *key, struct mg_error *err)
{
	return mg_error_set(err, -EINVAL, "'%.80s' is not a key of the store", key);
}

/* ---- Statements ---------------------------------------------------------------- */

/* Leaves the statement ready for another use; the rule for every exit. */
static void done(sqlite3_stmt **stmt)
{
	sqlite3_reset(*stmt);
	sqlite3_clear_bindings(*stmt);
}
#define _cleanup_done_ _cleanup_(done)

static void bind_u64(sqlite3_stmt *stmt, int i, uint64_t value)
{
	sqlite3_bind_int64(stmt, i, (sqlite3_int64)value);
}

static void bind_text(sqlite3_stmt *stmt, int i, const char *text)
{
	sqlite3_bind_text(stmt, i, text, -1, SQLITE_STATIC);
}

static uint64_t column_u64(sqlite3_stmt *stmt, int i)
{
	return (uint64_t)sqlite3_column_int64(stmt, i);
}

static int run(struct store_sqlite *s, sqlite3_stmt *stmt, struct mg_error *err)
{
	return sqlite3_step(stmt) == SQLITE_DONE ? 0 : fail(s, err);
}

/* A statement with one number and no result. */
static int run_u64(struct store_sqlite *s, enum statement which, uint64_t value,
		   struct mg_error *err)
{
	_cleanup_done_ sqlite3_stmt *stmt = s->statements[which];

	bind_u64(stmt, 1, value);
	return run(s, stmt, err);
}

struct state {
	uint64_t revision;
	uint64_t forgotten; /* the changes up to here are no longer known */
};

static int read_state(struct store_sqlite *s, struct state *ret, struct mg_error *err)
{
	_cleanup_done_ sqlite3_stmt *stmt = s->statements[STATE];

	if (sqlite3_step(stmt) != SQLITE_ROW)
		return fail(s, err);
	*ret = (struct state){ column_u64(stmt, 0), column_u64(stmt, 1) };
	return 0;
}

static int visit(sqlite3_stmt *stmt, store_visit_fn fn, void *userdata)
{
	const struct store_entry entry = {
		.key = (const char *)sqlite3_column_text(stmt, 0),
		.value = sqlite3_column_blob(stmt, 1),
		.len = (size_t)sqlite3_column_bytes(stmt, 1),
		.create_revision = column_u64(stmt, 2),
		.mod_revision = column_u64(stmt, 3),
	};

	return entry.key ? fn(&entry, userdata) : -ENOMEM;
}

/* ---- Reading ------------------------------------------------------------------- */

static int sqlite_get(struct store *base, const char *key, store_visit_fn fn, void *userdata,
		      struct mg_error *err)
{
	struct store_sqlite *s = sqlite_of(base);
	_cleanup_done_ sqlite3_stmt *stmt = s->statements[GET];
	int code;

	if (!store_key_is_valid(key))
		return bad_key(key, err);
	bind_text(stmt, 1, key);
	code = sqlite3_step(stmt);
	if (code == SQLITE_DONE)
		return mg_error_set(err, -ENOENT, "the store has no '%s'", key);
	return code == SQLITE_ROW ? visit(stmt, fn, userdata) : fail(s, err);
}

static int walk(struct store_sqlite *s, const struct store_range *range, store_visit_fn fn,
		void *userdata, struct mg_error *err)
{
	_cleanup_done_ sqlite3_stmt *stmt = s->statements[range->descending ? RANGE_DOWN : RANGE];
	int code, r = 0;

	bind_text(stmt, 1, range->prefix);
	sqlite3_bind_int64(stmt, 2, range->limit ? (sqlite3_int64)range->limit : -1);
	while ((code = sqlite3_step(stmt)) == SQLITE_ROW && r == 0)
		r = visit(stmt, fn, userdata);
	if (r != 0)
		return r;
	return code == SQLITE_DONE ? 0 : fail(s, err);
}

static int sqlite_range(struct store *base, const struct store_range *range, store_visit_fn fn,
			void *userdata, uint64_t *ret_revision, struct mg_error *err)
{
	struct store_sqlite *s = sqlite_of(base);
	struct state state;
	int r;

	if (range->prefix[0] && !store_key_is_valid(range->prefix))
		return bad_key(range->prefix, err);
	/* One read transaction: entries and revision belong together. */
	r = database_exec(s->db, "BEGIN", err);
	if (r < 0)
		return r;
	r = read_state(s, &state, err);
	if (r == 0)
		r = walk(s, range, fn, userdata, err);
	(void)database_exec(s->db, "COMMIT", NULL);
	if (r == 0 && ret_revision)
		*ret_revision = state.revision;
	return r;
}

/* ---- Writing ------------------------------------------------------------------- */

static int note(struct store_sqlite *s, uint64_t revision, const char *key, const void *value,
		size_t len, struct mg_error *err)
{
	_cleanup_done_ sqlite3_stmt *stmt = s->statements[NOTE];

	bind_u64(stmt, 1, revision);
	bind_text(stmt, 2, key);
	if (value)
		sqlite3_bind_blob64(stmt, 3, value, len, SQLITE_STATIC);
	return run(s, stmt, err);
}

static int delete_key(struct store_sqlite *s, uint64_t revision, const char *key,
		      struct mg_error *err)
{
	_cleanup_done_ sqlite3_stmt *stmt = s->statements[DELETE];
	int r;

	bind_text(stmt, 1, key);
	r = run(s, stmt, err);
	return r < 0 || sqlite3_changes(s->db) == 0 ? r : note(s, revision, key, NULL, 0, err);
}

static int lease_lives(struct store_sqlite *s, uint64_t lease, struct mg_error *err)
{
	_cleanup_done_ sqlite3_stmt *stmt = s->statements[LEASE_LIVES];
	int code;

	bind_u64(stmt, 1, lease);
	code = sqlite3_step(stmt);
	if (code == SQLITE_DONE)
		return mg_error_set(err, -ENOENT, "lease %" PRIu64 " is over", lease);
	return code == SQLITE_ROW ? 0 : fail(s, err);
}

static int put_key(struct store_sqlite *s, uint64_t revision, const struct store_op *op,
		   struct mg_error *err)
{
	_cleanup_done_ sqlite3_stmt *stmt = s->statements[PUT];
	const void *value = op->len ? op->value : "";
	int r = 0;

	if (op->lease)
		r = lease_lives(s, op->lease, err);
	if (r < 0)
		return r;
	bind_text(stmt, 1, op->key);
	sqlite3_bind_blob64(stmt, 2, value, op->len, SQLITE_STATIC);
	bind_u64(stmt, 3, revision);
	if (op->lease)
		bind_u64(stmt, 4, op->lease);
	r = run(s, stmt, err);
	return r < 0 ? r : note(s, revision, op->key, value, op->len, err);
}

static int on_revision(const struct store_entry *entry, void *userdata)
{
	*(uint64_t *)userdata = entry->mod_revision;
	return 0;
}

static int compare(struct store_sqlite *s, const struct store_compare *c, struct mg_error *err)
{
	uint64_t revision = 0;
	int r;

	r = sqlite_get(&s->base, c->key, on_revision, &revision, err);
	if (r < 0 && r != -ENOENT)
		return r;
	if (revision != c->mod_revision)
		return mg_error_set(err, -ESTALE, "'%s' was changed by another", c->key);
	return 0;
}

static int forget(struct store_sqlite *s, const struct state *state, struct mg_error *err)
{
	uint64_t forgotten;
	int r;

	if (state->revision < state->forgotten + 2 * CHANGES_KEPT)
		return 0;
	forgotten = state->revision - CHANGES_KEPT;
	r = run_u64(s, FORGET, forgotten, err);
	return r < 0 ? r : run_u64(s, SET_FORGOTTEN, forgotten, err);
}

static int apply(struct store_sqlite *s, const struct store_op *ops, size_t n_ops,
		 struct state *state, struct mg_error *err)
{
	int r = 0;

	if (n_ops == 0)
		return 0;
	state->revision++;
	for (size_t i = 0; i < n_ops && r == 0; i++) {
		if (!store_key_is_valid(ops[i].key))
			return bad_key(ops[i].key, err);
		r = ops[i].kind == STORE_PUT ?
			    put_key(s, state->revision, &ops[i], err) :
			    delete_key(s, state->revision, ops[i].key, err);
	}
	if (r == 0)
		r = run_u64(s, SET_REVISION, state->revision, err);
	return r < 0 ? r : forget(s, state, err);
}

/* ---- Leases -------------------------------------------------------------------- */

/* The statement's first row's first column; 1 when there is one, 0 when not. */
static int first_u64(struct store_sqlite *s, enum statement which, uint64_t arg, uint64_t *ret,
		     struct mg_error *err)
{
	_cleanup_done_ sqlite3_stmt *stmt = s->statements[which];
	int code;

	bind_u64(stmt, 1, arg);
	code = sqlite3_step(stmt);
	if (code == SQLITE_ROW)
		*ret = column_u64(stmt, 0);
	return code == SQLITE_ROW ? 1 : code == SQLITE_DONE ? 0 : fail(s, err);
}

static int first_key(struct store_sqlite *s, uint64_t lease, char key[STORE_KEY_SIZE],
		     struct mg_error *err)
{
	_cleanup_done_ sqlite3_stmt *stmt = s->statements[LEASE_KEYS];
	int code;

	bind_u64(stmt, 1, lease);
	code = sqlite3_step(stmt);
	if (code == SQLITE_ROW)
		snprintf(key, STORE_KEY_SIZE, "%s", (const char *)sqlite3_column_text(stmt, 0));
	return code == SQLITE_ROW ? 1 : code == SQLITE_DONE ? 0 : fail(s, err);
}

static int end_lease(struct store_sqlite *s, uint64_t lease, struct state *state,
		     struct mg_error *err)
{
	char key[STORE_KEY_SIZE];
	const struct store_op op = { .kind = STORE_DELETE, .key = key };
	int r;

	while ((r = first_key(s, lease, key, err)) > 0) {
		r = apply(s, &op, 1, state, err);
		if (r < 0)
			return r;
	}
	return r < 0 ? r : run_u64(s, LEASE_DELETE, lease, err);
}

static int expire_leases(struct store_sqlite *s, struct state *state, struct mg_error *err)
{
	uint64_t lease = 0, now = s->clock(s->clock_userdata);
	int r;

	while ((r = first_u64(s, LEASES_OVER, now, &lease, err)) > 0) {
		r = end_lease(s, lease, state, err);
		if (r < 0)
			return r;
	}
	return r;
}

/* Begins a write: what is over is gone before anything else is looked at. */
static int begin(struct store_sqlite *s, struct state *ret, struct mg_error *err)
{
	int r;

	r = database_exec(s->db, "BEGIN IMMEDIATE", err);
	if (r < 0)
		return r;
	r = read_state(s, ret, err);
	if (r == 0)
		r = expire_leases(s, ret, err);
	if (r < 0)
		(void)database_exec(s->db, "ROLLBACK", NULL);
	return r;
}

static int end(struct store_sqlite *s, int r, struct mg_error *err)
{
	if (r == 0)
		r = database_exec(s->db, "COMMIT", err);
	if (r < 0)
		(void)database_exec(s->db, "ROLLBACK", NULL);
	return r;
}

static int sqlite_txn(struct store *base, const struct store_compare *compares, size_t n_compares,
		      const struct store_op *ops, size_t n_ops, uint64_t *ret_revision,
		      struct mg_error *err)
{
	struct store_sqlite *s = sqlite_of(base);
	struct state state;
	int r;

	r = begin(s, &state, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n_compares && r == 0; i++)
		r = compare(s, &compares[i], err);
	if (r == 0)
		r = apply(s, ops, n_ops, &state, err);
	r = end(s, r, err);
	if (r == 0 && ret_revision)
		*ret_revision = state.revision;
	return r;
}

static int sqlite_lease_grant(struct store *base, uint64_t ttl_ns, uint64_t *ret_lease,
			      struct mg_error *err)
{
	struct store_sqlite *s = sqlite_of(base);
	_cleanup_done_ sqlite3_stmt *stmt = s->statements[LEASE_GRANT];
	int r;

	bind_u64(stmt, 1, ttl_ns);
	bind_u64(stmt, 2, s->clock(s->clock_userdata) + ttl_ns);
	r = run(s, stmt, err);
	if (r == 0)
		*ret_lease = (uint64_t)sqlite3_last_insert_rowid(s->db);
	return r;
}

static int sqlite_lease_keep(struct store *base, uint64_t lease, struct mg_error *err)
{
	struct store_sqlite *s = sqlite_of(base);
	_cleanup_done_ sqlite3_stmt *stmt = s->statements[LEASE_KEEP];
	struct state state;
	int r;

	r = begin(s, &state, err);
	if (r < 0)
		return r;
	bind_u64(stmt, 1, lease);
	bind_u64(stmt, 2, s->clock(s->clock_userdata));
	r = run(s, stmt, err);
	/* The end of others stays, also when this one is among them. */
	if (r == 0 && sqlite3_changes(s->db) == 0) {
		r = end(s, 0, err);
		return r < 0 ? r : mg_error_set(err, -ENOENT, "lease %" PRIu64 " is over", lease);
	}
	return end(s, r, err);
}

static int sqlite_lease_revoke(struct store *base, uint64_t lease, struct mg_error *err)
{
	struct store_sqlite *s = sqlite_of(base);
	struct state state;
	int r;

	r = begin(s, &state, err);
	return r < 0 ? r : end(s, end_lease(s, lease, &state, err), err);
}

/* ---- Watching ------------------------------------------------------------------ */

static int forgotten_error(struct mg_error *err)
{
	return mg_error_set(err, -ESTALE, "the store has forgotten changes as old as these");
}

static int sqlite_watch(struct store *base, const char *prefix, uint64_t revision,
			store_event_fn fn, void *userdata, struct store_watch **ret,
			struct mg_error *err)
{
	struct store_sqlite *s = sqlite_of(base);
	struct store_watch *w;
	struct state state;
	int r;

	if (prefix[0] && !store_key_is_valid(prefix))
		return bad_key(prefix, err);
	r = read_state(s, &state, err);
	if (r < 0)
		return r;
	if (revision < state.forgotten)
		return forgotten_error(err);
	w = calloc(1, sizeof(*w));
	if (!w)
		return mg_error_set(err, -ENOMEM, "out of memory");
	*w = (struct store_watch){ .store = s, .revision = revision, .fn = fn,
				   .userdata = userdata };
	snprintf(w->prefix, sizeof(w->prefix), "%s", prefix);
	LIST_INSERT_HEAD(&s->watches, w, link);
	*ret = w;
	return 0;
}

static void sqlite_watch_free(struct store_watch *w)
{
	LIST_REMOVE(w, link);
	free(w);
}

static int tell(struct store_watch *w, uint64_t until, struct mg_error *err)
{
	_cleanup_done_ sqlite3_stmt *stmt = w->store->statements[CHANGES];
	int code;

	bind_u64(stmt, 1, w->revision);
	bind_u64(stmt, 2, until);
	bind_text(stmt, 3, w->prefix);
	while ((code = sqlite3_step(stmt)) == SQLITE_ROW) {
		const struct store_event event = {
			.revision = column_u64(stmt, 0),
			.key = (const char *)sqlite3_column_text(stmt, 1),
			.kind = sqlite3_column_type(stmt, 2) == SQLITE_NULL ? STORE_DELETE :
									     STORE_PUT,
			.value = sqlite3_column_blob(stmt, 2),
			.len = (size_t)sqlite3_column_bytes(stmt, 2),
		};

		if (!event.key)
			return mg_error_set(err, -ENOMEM, "out of memory");
		w->fn(&event, w->userdata);
	}
	return code == SQLITE_DONE ? 0 : fail(w->store, err);
}

static int sqlite_dispatch(struct store *base, struct mg_error *err)
{
	struct store_sqlite *s = sqlite_of(base);
	struct store_watch *w;
	struct state state;
	int r;

	r = begin(s, &state, err);
	if (r < 0)
		return r;
	r = end(s, 0, err);
	LIST_FOREACH(w, &s->watches, link) {
		if (r < 0)
			return r;
		if (w->revision < state.forgotten)
			return forgotten_error(err);
		r = w->revision < state.revision ? tell(w, state.revision, err) : 0;
		if (r == 0)
			w->revision = state.revision;
	}
	return r;
}

/* ---- Opening ------------------------------------------------------------------- */

static void sqlite_free(struct store *base)
{
	struct store_sqlite *s = sqlite_of(base);

	while (!LIST_EMPTY(&s->watches))
		sqlite_watch_free(LIST_FIRST(&s->watches));
	for (size_t i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(s->statements[i]);
	database_close(s->db);
	free(s);
}

static const struct store_ops sqlite_ops = {
	.free = sqlite_free,
	.get = sqlite_get,
	.range = sqlite_range,
	.txn = sqlite_txn,
	.watch = sqlite_watch,
	.watch_free = sqlite_watch_free,
	.dispatch = sqlite_dispatch,
	.lease_grant = sqlite_lease_grant,
	.lease_keep = sqlite_lease_keep,
	.lease_revoke = sqlite_lease_revoke,
};

int store_sqlite_open(const char *path, store_clock_fn clock, void *clock_userdata,
		      struct store **ret, struct mg_error *err)
{
	struct store_sqlite *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return mg_error_set(err, -ENOMEM, "out of memory");
	*s = (struct store_sqlite){ .base.ops = &sqlite_ops, .clock = clock,
				    .clock_userdata = clock_userdata };
	LIST_INIT(&s->watches);
	r = database_open(path, migrations, ARRAY_SIZE(migrations), &s->db, err);
	if (r == 0)
		r = database_set_durable(s->db, true);
	for (size_t i = 0; i < STATEMENTS && r == 0; i++)
		if (sqlite3_prepare_v3(s->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT,
				       &s->statements[i], NULL) != SQLITE_OK)
			r = fail(s, err);
	if (r < 0) {
		sqlite_free(&s->base);
		return r;
	}
	*ret = &s->base;
	return 0;
}

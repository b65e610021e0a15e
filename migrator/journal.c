/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/journal.h"

#include <stdlib.h>
#include <string.h>

#include "common/database.h"
#include "migrator/fault.h"
#include "migrator/image.h"
#include "migrator/luggage.h"

static const char *const migrations[] = {
	"CREATE TABLE node (one INTEGER PRIMARY KEY CHECK (one = 1), epoch INTEGER NOT NULL);"
	"INSERT INTO node VALUES (1, 0);"
	"CREATE TABLE vm (name TEXT PRIMARY KEY, incarnation BLOB NOT NULL, spec BLOB NOT NULL);"
	"CREATE TABLE move ("
	"  id BLOB PRIMARY KEY, incoming INTEGER NOT NULL, stage INTEGER NOT NULL,"
	"  settled INTEGER NOT NULL, reported INTEGER NOT NULL, vm TEXT NOT NULL,"
	"  incarnation BLOB NOT NULL, peer TEXT NOT NULL, peer_endpoint TEXT NOT NULL,"
	"  peer_key TEXT NOT NULL, spec BLOB, info BLOB NOT NULL);"
	"CREATE INDEX move_open ON move (settled, reported);"
	"CREATE INDEX move_vm ON move (vm)",
	"ALTER TABLE vm ADD COLUMN luggage BLOB;"
	"ALTER TABLE move ADD COLUMN luggage BLOB",
};

static const char *const stage_names[] = {
	[JOURNAL_BEGUN] = "begun",	[JOURNAL_PREPARED] = "prepared",
	[JOURNAL_READY] = "ready",	[JOURNAL_COMMIT] = "commit",
	[JOURNAL_RUN] = "run",		[JOURNAL_DONE] = "done",
	[JOURNAL_ABORTED] = "aborted",	[JOURNAL_REVOKED] = "revoked",
	[JOURNAL_NEVER] = "never",
};

struct journal {
	sqlite3 *db;
};

const char *journal_stage_name(enum journal_stage stage)
{
	return stage_names[stage];
}

int journal_open(const char *path, struct journal **ret, struct mg_error *err)
{
	_cleanup_(journal_close_p) struct journal *j = calloc(1, sizeof(*j));
	int r;

	if (!j)
		return mg_error_set(err, -ENOMEM, "out of memory");
	r = database_open(path, migrations, ARRAY_SIZE(migrations), &j->db, err);
	if (r < 0)
		return r;
	/* Checkpoints sync; they are made when no guest is stopped. What is deleted is
	 * overwritten: there are keys among it. */
	r = database_exec(j->db, "PRAGMA wal_autocheckpoint = 0; PRAGMA secure_delete = ON", err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(j);
	return 0;
}

void journal_close(struct journal *j)
{
	if (!j)
		return;
	if (j->db)
		database_close(j->db);
	free(j);
}

void journal_move_clear(struct journal_move *m)
{
	if (m->spec)
		tagalong__vm_spec__free_unpacked(m->spec, NULL);
	if (m->info)
		tagalong__move_info__free_unpacked(m->info, NULL);
	luggage_free(m->luggage);
	m->spec = NULL;
	m->info = NULL;
	m->luggage = NULL;
}

/* ---- Statements --------------------------------------------------------------- */

static void statement_free(sqlite3_stmt **s)
{
	sqlite3_finalize(*s);
}
#define _cleanup_statement_ _cleanup_(statement_free)

static int prepare(struct journal *j, const char *sql, sqlite3_stmt **ret, struct mg_error *err)
{
	if (sqlite3_prepare_v2(j->db, sql, -1, ret, NULL) != SQLITE_OK)
		return database_error(j->db, err, "journal");
	return 0;
}

static int finish(struct journal *j, sqlite3_stmt *s, struct mg_error *err)
{
	return sqlite3_step(s) == SQLITE_DONE ? 0 : database_error(j->db, err, "journal");
}

static void bind_uuid(sqlite3_stmt *s, int column, const struct uuid *u)
{
	sqlite3_bind_blob(s, column, u->bytes, UUID_SIZE, SQLITE_TRANSIENT);
}

static void bind_message(sqlite3_stmt *s, int column, const ProtobufCMessage *m)
{
	size_t size = protobuf_c_message_get_packed_size(m);
	uint8_t *data = sqlite3_malloc64(size ? size : 1);

	if (!data)
		return; /* NULL is refused by the table */
	protobuf_c_message_pack(m, data);
	sqlite3_bind_blob64(s, column, data, size, sqlite3_free);
}

static void read_text(sqlite3_stmt *s, int column, char *ret, size_t size)
{
	const char *text = (const char *)sqlite3_column_text(s, column);

	snprintf(ret, size, "%s", text ? text : "");
}

static int read_uuid(sqlite3_stmt *s, int column, struct uuid *ret)
{
	if (sqlite3_column_bytes(s, column) != UUID_SIZE)
		return -EUCLEAN;
	memcpy(ret->bytes, sqlite3_column_blob(s, column), UUID_SIZE);
	return 0;
}

static int read_spec(sqlite3_stmt *s, int column, Tagalong__VmSpec **ret)
{
	Tagalong__VmSpec *spec = tagalong__vm_spec__unpack(
		NULL, (size_t)sqlite3_column_bytes(s, column), sqlite3_column_blob(s, column));

	if (!spec)
		return -EUCLEAN;
	*ret = spec;
	return 0;
}

/* NULL when there is none. */
static int read_luggage(sqlite3_stmt *s, int column, Tagalong__VmLuggage **ret)
{
	VmLuggage *l;

	*ret = NULL;
	if (sqlite3_column_type(s, column) == SQLITE_NULL)
		return 0;
	l = tagalong__vm_luggage__unpack(NULL, (size_t)sqlite3_column_bytes(s, column),
					 sqlite3_column_blob(s, column));
	if (!l || l->image_key.len != IMAGE_KEY_SIZE) {
		luggage_free(l);
		return -EUCLEAN;
	}
	*ret = l;
	return 0;
}

/* Runs `steps` between BEGIN and COMMIT; synced to the disk if so wished. */
static int begin(struct journal *j, bool durable, struct mg_error *err)
{
	int r = durable ? database_set_durable(j->db, true) : 0;

	if (r < 0)
		return mg_error_set(err, r, "journal: cannot make writes durable");
	return database_exec(j->db, "BEGIN IMMEDIATE", err);
}

static int end(struct journal *j, bool durable, int r, struct mg_error *err)
{
	if (r == 0)
		r = database_exec(j->db, "COMMIT", err);
	if (r < 0)
		(void)database_exec(j->db, "ROLLBACK", NULL);
	if (durable)
		(void)database_set_durable(j->db, false);
	return r;
}

/* ---- The node and its VMs ------------------------------------------------------- */

int journal_epoch(struct journal *j, uint64_t *ret)
{
	_cleanup_statement_ sqlite3_stmt *s = NULL;
	int r = prepare(j, "SELECT epoch FROM node", &s, NULL);

	if (r < 0)
		return r;
	if (sqlite3_step(s) != SQLITE_ROW)
		return -EUCLEAN;
	*ret = (uint64_t)sqlite3_column_int64(s, 0);
	return 0;
}

int journal_raise_epoch(struct journal *j, uint64_t epoch, struct mg_error *err)
{
	_cleanup_statement_ sqlite3_stmt *s = NULL;
	int r = begin(j, true, err);

	if (r < 0)
		return r;
	r = prepare(j, "UPDATE node SET epoch = ?1 WHERE epoch < ?1", &s, err);
	if (r == 0) {
		sqlite3_bind_int64(s, 1, (sqlite3_int64)epoch);
		r = finish(j, s, err);
	}
	return end(j, true, r, err);
}

static int put_vm(struct journal *j, const Tagalong__VmSpec *spec, const struct uuid *incarnation,
		  const Tagalong__VmLuggage *luggage, struct mg_error *err)
{
	_cleanup_statement_ sqlite3_stmt *s = NULL;
	int r = prepare(j, "INSERT OR REPLACE INTO vm VALUES (?1, ?2, ?3, ?4)", &s, err);

	if (r < 0)
		return r;
	sqlite3_bind_text(s, 1, spec->name, -1, SQLITE_TRANSIENT);
	bind_uuid(s, 2, incarnation);
	bind_message(s, 3, &spec->base);
	if (luggage)
		bind_message(s, 4, &luggage->base);
	return finish(j, s, err);
}

int journal_vm_add(struct journal *j, const struct journal_vm *vm, struct mg_error *err)
{
	int r = begin(j, true, err);

	return r < 0 ? r : end(j, true, put_vm(j, vm->spec, &vm->incarnation, vm->luggage,
						     err), err);
}

int journal_vm_remove(struct journal *j, const char *name, struct mg_error *err)
{
	_cleanup_statement_ sqlite3_stmt *s = NULL;
	int r = prepare(j, "DELETE FROM vm WHERE name = ?1", &s, err);

	if (r < 0)
		return r;
	sqlite3_bind_text(s, 1, name, -1, SQLITE_TRANSIENT);
	return finish(j, s, err);
}

void journal_vms_free(struct journal_vm *vms, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		tagalong__vm_spec__free_unpacked(vms[i].spec, NULL);
		luggage_free(vms[i].luggage);
	}
	free(vms);
}

int journal_vms(struct journal *j, struct journal_vm **ret, size_t *ret_n)
{
	_cleanup_statement_ sqlite3_stmt *s = NULL;
	struct journal_vm *vms = NULL;
	size_t n = 0;
	int r, row = SQLITE_DONE;

	r = prepare(j, "SELECT incarnation, spec, luggage FROM vm ORDER BY name", &s, NULL);
	while (r == 0 && (row = sqlite3_step(s)) == SQLITE_ROW) {
		struct journal_vm *more = reallocarray(vms, n + 1, sizeof(*vms));

		if (!more) {
			r = -ENOMEM;
			break;
		}
		vms = more;
		r = read_uuid(s, 0, &vms[n].incarnation);
		if (r == 0)
			r = read_spec(s, 1, &vms[n].spec);
		if (r < 0)
			break;
		r = read_luggage(s, 2, &vms[n].luggage);
		n++;
	}
	if (r == 0 && row != SQLITE_DONE)
		r = -EIO;
	if (r < 0) {
		journal_vms_free(vms, n);
		return r;
	}
	*ret = vms;
	*ret_n = n;
	return 0;
}

/* ---- Moves ------------------------------------------------------------------------- */

static int put_move(struct journal *j, const struct journal_move *m, struct mg_error *err)
{
	_cleanup_statement_ sqlite3_stmt *s = NULL;
	int r = prepare(j, "INSERT INTO move VALUES "
			   "(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) "
			   "ON CONFLICT (id) DO UPDATE SET stage = ?3, settled = ?4, reported = ?5, "
			   "incarnation = ?7, peer_endpoint = ?9, info = ?12, luggage = ?13", &s, err);

	if (r < 0)
		return r;
	bind_uuid(s, 1, &m->id);
	sqlite3_bind_int(s, 2, m->incoming);
	sqlite3_bind_int(s, 3, m->stage);
	sqlite3_bind_int(s, 4, m->settled);
	sqlite3_bind_int(s, 5, m->reported);
	sqlite3_bind_text(s, 6, m->info->vm, -1, SQLITE_TRANSIENT);
	bind_uuid(s, 7, &m->incarnation);
	sqlite3_bind_text(s, 8, m->peer, -1, SQLITE_TRANSIENT);
	sqlite3_bind_text(s, 9, m->peer_endpoint, -1, SQLITE_TRANSIENT);
	sqlite3_bind_text(s, 10, m->peer_key, -1, SQLITE_TRANSIENT);
	if (m->spec)
		bind_message(s, 11, &m->spec->base);
	bind_message(s, 12, &m->info->base);
	if (m->luggage && !m->settled)
		bind_message(s, 13, &m->luggage->base);
	return finish(j, s, err);
}

/* Or lost: no node has it then. */
static bool is_given_away(const struct journal_move *m)
{
	switch (m->stage) {
	case JOURNAL_NEVER:
		return true;
	case JOURNAL_DONE:
		return !m->incoming || m->info->lost;
	case JOURNAL_ABORTED:
	case JOURNAL_REVOKED:
		return m->info->lost;
	default:
		return false;
	}
}

/* The VM changes hands with the stage: at RUN it becomes the target's (until
 * NEVER, if it could not run), at DONE it ceases to be the source's, unless it
 * has come back meanwhile as another incarnation. */
static int hand_over_vm(struct journal *j, const struct journal_move *m, struct mg_error *err)
{
	_cleanup_statement_ sqlite3_stmt *s = NULL;
	int r;

	if (m->incoming && m->stage == JOURNAL_RUN)
		return put_vm(j, m->spec, &m->incarnation, m->luggage, err);
	if (!is_given_away(m))
		return 0;
	r = prepare(j, "DELETE FROM vm WHERE name = ?1 AND incarnation = ?2", &s, err);
	if (r < 0)
		return r;
	sqlite3_bind_text(s, 1, m->info->vm, -1, SQLITE_TRANSIENT);
	bind_uuid(s, 2, &m->incarnation);
	return finish(j, s, err);
}

int journal_write(struct journal *j, const struct journal_move *m, struct mg_error *err)
{
	bool durable = m->stage == JOURNAL_PREPARED;
	const char *step = m->settled ? "settled" : journal_stage_name(m->stage);
	int r;

	fault_before("journal", step);
	fault_journal_delay();
	r = begin(j, durable, err);
	if (r < 0)
		return r;
	r = put_move(j, m, err);
	if (r == 0)
		r = hand_over_vm(j, m, err);
	r = end(j, durable, r, err);
	if (r == 0)
		fault_after("journal", step);
	return r;
}

#define MOVE_COLUMNS "id, incoming, stage, settled, reported, incarnation, peer, peer_endpoint, " \
		     "peer_key, spec, info, luggage"

static int read_move(sqlite3_stmt *s, struct journal_move *ret)
{
	struct journal_move m = { 0 };
	int r = read_uuid(s, 0, &m.id), stage = sqlite3_column_int(s, 2);

	if (r == 0)
		r = read_uuid(s, 5, &m.incarnation);
	if (r < 0 || stage < JOURNAL_BEGUN || stage > JOURNAL_NEVER)
		return -EUCLEAN;
	m.incoming = sqlite3_column_int(s, 1);
	m.stage = (enum journal_stage)stage;
	m.settled = sqlite3_column_int(s, 3);
	m.reported = sqlite3_column_int(s, 4);
	read_text(s, 6, m.peer, sizeof(m.peer));
	read_text(s, 7, m.peer_endpoint, sizeof(m.peer_endpoint));
	read_text(s, 8, m.peer_key, sizeof(m.peer_key));
	if (sqlite3_column_type(s, 9) != SQLITE_NULL)
		r = read_spec(s, 9, &m.spec);
	m.info = tagalong__move_info__unpack(NULL, (size_t)sqlite3_column_bytes(s, 10),
					     sqlite3_column_blob(s, 10));
	if (r == 0)
		r = read_luggage(s, 11, &m.luggage);
	if (r < 0 || !m.info) {
		journal_move_clear(&m);
		return -EUCLEAN;
	}
	*ret = m;
	return 0;
}

int journal_find(struct journal *j, const struct uuid *id, struct journal_move *ret)
{
	_cleanup_statement_ sqlite3_stmt *s = NULL;
	int r = prepare(j, "SELECT " MOVE_COLUMNS " FROM move WHERE id = ?1", &s, NULL);

	if (r < 0)
		return r;
	bind_uuid(s, 1, id);
	switch (sqlite3_step(s)) {
	case SQLITE_ROW:
		return read_move(s, ret);
	case SQLITE_DONE:
		return -ENOENT;
	default:
		return -EIO;
	}
}

void journal_moves_free(struct journal_move *moves, size_t n)
{
	for (size_t i = 0; i < n; i++)
		journal_move_clear(&moves[i]);
	free(moves);
}

int journal_moves(struct journal *j, const struct journal_filter *filter,
		  struct journal_move **ret, size_t *ret_n)
{
	_cleanup_statement_ sqlite3_stmt *s = NULL;
	struct journal_move *moves = NULL;
	size_t n = 0;
	int r, row = SQLITE_DONE;

	r = prepare(j, "SELECT " MOVE_COLUMNS " FROM move "
		       "WHERE (?1 = 0 OR settled = 0 OR reported = 0) AND (?2 IS NULL OR vm = ?2) "
		       "ORDER BY rowid DESC LIMIT ?3", &s, NULL);
	if (r < 0)
		return r;
	sqlite3_bind_int(s, 1, filter->open_only);
	if (filter->vm)
		sqlite3_bind_text(s, 2, filter->vm, -1, SQLITE_TRANSIENT);
	sqlite3_bind_int64(s, 3, filter->limit ? (sqlite3_int64)filter->limit : -1);
	while (r == 0 && (row = sqlite3_step(s)) == SQLITE_ROW) {
		struct journal_move *more = reallocarray(moves, n + 1, sizeof(*moves));

		if (!more) {
			r = -ENOMEM;
			break;
		}
		moves = more;
		r = read_move(s, &moves[n]);
		if (r == 0)
			n++;
	}
	if (r == 0 && row != SQLITE_DONE)
		r = -EIO;
	if (r < 0) {
		journal_moves_free(moves, n);
		return r;
	}
	*ret = moves;
	*ret_n = n;
	return 0;
}

int journal_tidy(struct journal *j, uint32_t keep, struct mg_error *err)
{
	_cleanup_statement_ sqlite3_stmt *s = NULL;
	int r = prepare(j, "DELETE FROM move WHERE settled = 1 AND reported = 1 AND rowid NOT IN "
			   "(SELECT rowid FROM move WHERE settled = 1 AND reported = 1 "
			   "ORDER BY rowid DESC LIMIT ?1)", &s, err);

	if (r < 0)
		return r;
	sqlite3_bind_int64(s, 1, keep);
	r = finish(j, s, err);
	if (r == 0 && sqlite3_wal_checkpoint_v2(j->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL,
						NULL) != SQLITE_OK)
		r = database_error(j->db, err, "journal");
	return r;
}

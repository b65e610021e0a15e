/* SPDX-License-Identifier: Apache-2.0 */
#include "common/database.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/cleanup.h"

#define BUSY_TIMEOUT_MS 2000

static int sqlite_to_errno(int code)
{
	switch (code & 0xff) {
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_CONSTRAINT:
		return -EEXIST;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return -EUCLEAN;
	default:
		return -EIO;
	}
}

int database_error(sqlite3 *db, struct mg_error *err, const char *what)
{
	int code = db ? sqlite3_extended_errcode(db) : SQLITE_NOMEM;

	return mg_error_set(err, sqlite_to_errno(code), "%s: %s", what,
			    db ? sqlite3_errmsg(db) : "out of memory");
}

int database_exec(sqlite3 *db, const char *sql, struct mg_error *err)
{
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return database_error(db, err, "database");
	return 0;
}

int database_set_durable(sqlite3 *db, bool durable)
{
	return database_exec(db, durable ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL",
			     NULL);
}

static int schema_version(sqlite3 *db, int *ret, struct mg_error *err)
{
	sqlite3_stmt *stmt;

	if (sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &stmt, NULL) != SQLITE_OK ||
	    sqlite3_step(stmt) != SQLITE_ROW) {
		int r = database_error(db, err, "database");

		sqlite3_finalize(stmt);
		return r;
	}
	*ret = sqlite3_column_int(stmt, 0);
	sqlite3_finalize(stmt);
	return 0;
}

static int migrate(sqlite3 *db, const char *const *migrations, int n, struct mg_error *err)
{
	int version = 0, r;

	r = schema_version(db, &version, err);
	if (r < 0)
		return r;
	if (version > n)
		return mg_error_set(err, -EPROTONOSUPPORT,
				    "written by a newer release (schema %d, this one knows %d)",
				    version, n);
	for (; version < n; version++) {
		char *sql = sqlite3_mprintf(
			"BEGIN IMMEDIATE; %s; PRAGMA user_version = %d; COMMIT", migrations[version],
			version + 1);

		if (!sql)
			return mg_error_set(err, -ENOMEM, "out of memory");
		r = database_exec(db, sql, err);
		sqlite3_free(sql);
		if (r < 0) {
			(void)database_exec(db, "ROLLBACK", NULL);
			return r;
		}
	}
	return 0;
}

int database_open(const char *path, const char *const *migrations, int n_migrations, sqlite3 **ret,
		  struct mg_error *err)
{
	sqlite3 *db = NULL;
	mode_t mask = umask(077); /* VM descriptions and histories are nobody else's business */
	int r = 0;

	if (sqlite3_open_v2(path, &db,
			    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
			    NULL) != SQLITE_OK)
		r = database_error(db, err, "cannot open");
	if (r == 0)
		sqlite3_busy_timeout(db, BUSY_TIMEOUT_MS);
	if (r == 0)
		r = database_exec(db, "PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON;"
				      "PRAGMA synchronous = FULL", err);
	if (r == 0)
		r = migrate(db, migrations, n_migrations, err);
	if (r == 0)
		r = database_set_durable(db, false);
	umask(mask);
	if (r < 0) {
		mg_error_prefix(err, "%s", path);
		database_close(db);
		return r;
	}
	*ret = db;
	return 0;
}

void database_close(sqlite3 *db)
{
	sqlite3_close(db);
}
